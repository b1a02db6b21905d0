"""What a client's session may do, and how much of it at once."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.internal_session import SessionState
from asyncua.ua.attribute_ids import AttributeIds

from cellrt.audit import Deed
from cellrt.opcua.access import Client, Denied
from cellrt.opcua.burden import MAX_OPERATIONS, MAX_REQUEST_BYTES, breathing, limit, portions
from cellrt.opcua.history import MAX_A_NODE, MAX_AN_ANSWER
from cellrt.opcua.nodes import HISTORY, READ, name_of
from cellrt.opcua.status import Codes, status
from cellrt.opcua.users import Rank
from cellrt.opcua.watching import WatchingSession

if TYPE_CHECKING:
    from cellrt.opcua.host import Host

MAX_REFERENCES = 30_000
"""In one answer; of the standard's own nodes some have hundreds each."""

MAX_NAMELESS = 16
"""Sessions of clients without a name: they must not keep those with one out."""


class LineSession(WatchingSession):
    """A client's session.

    Everything that a client asks passes here; the server's own writes do not. Only what is among the
    host's `writes` and `methods` may be written to and called, each by a rank of its own, whatever the
    nodes' access levels say.
    """

    def __init__(self, host: Host, name: Any) -> None:
        super().__init__(
            host, host.aspace, host.subscription_service, name, host.access.nobody(), external=True
        )
        self._host = host
        self._certificate: bytes | None = None
        self.peer = peer_of(name)
        host.unregister_external_session(self)
        self.auth_token = ua.NodeId(
            ua.ByteString(secrets.token_bytes(32))
        )  # asyncua counts: anyone's to guess
        host.register_external_session(self)

    # Coming and going

    async def create_session(
        self, params: ua.CreateSessionParameters, sockname: tuple[str, int] | None = None
    ) -> ua.CreateSessionResult:
        result = await super().create_session(params, sockname)
        result.MaxRequestMessageSize = MAX_REQUEST_BYTES
        self._start_timeout_watchdog()  # asyncua keeps sessions that are never activated for ever
        return result

    def activate_session(
        self, params: ua.ActivateSessionParameters, peer_certificate: bytes | None
    ) -> ua.ActivateSessionResult:
        """Let a client in: the certificate with which its channel was opened, then name and password."""
        name = getattr(params.UserIdentityToken, "UserName", "") or ""
        certificate = peer_certificate or None  # empty when the channel is open
        try:
            self._check_channel(certificate, bool(name))
            result = super().activate_session(params, certificate)
        except (ServiceError, ua.uaerrors.UaStatusCodeError) as error:
            reason = getattr(error, "reason", "") or status(error.code).name
            self.note("Login", False, user=str(name), reason=reason)
            if not self.is_activated():
                self.drop()
            raise
        self._certificate = certificate
        self.note("Login", True)
        return result

    def _check_channel(self, certificate: bytes | None, named: bool) -> None:
        access = self._host.access
        if self.is_activated() and certificate != self._certificate:
            raise Denied(Codes.BadSecurityChecksFailed, "another client's session")
        if certificate is not None:
            access.check_certificate(certificate)
        elif access.anonymous is None:
            raise Denied(Codes.BadSecurityPolicyRejected, "comes over an open channel")
        nameless = [s for s in self._host.sessions() if s.is_activated() and not s.named]
        if not named and len(nameless) >= MAX_NAMELESS and self not in nameless:
            raise Denied(Codes.BadTooManySessions, f"there are {MAX_NAMELESS} without a name")

    async def close_session(self, delete_subs: bool = True) -> None:
        """End it. Its subscriptions go with it: kept for a client that never comes back they would
        keep others from having theirs."""
        if self.is_activated():
            self.note("Logout", True)
        await super().close_session(True)

    def drop(self) -> None:
        """End a session that was never activated, and so holds nothing but its place."""
        self.state = SessionState.Closed
        if self._timeout_task is not None:
            self._timeout_task.cancel()
        self._host.unregister_external_session(self)

    @property
    def named(self) -> bool:
        """The client came in as a user."""
        return isinstance(self.user, Client) and self.user.named

    def note(
        self,
        event: str,
        accepted: bool,
        subject: str = "",
        value: str = "",
        reason: str = "",
        user: str = "",
    ) -> None:
        """Tell the audit log of what this client did, or was refused. `user`: as whom it wants to come."""
        rank = self._host.access.rank(self.user) if self.is_activated() and not user else None
        name = user or (str(self.user.name) if self.is_activated() else "")
        word = rank.word if rank else ""
        self._host.access.note(Deed(event, accepted, self.peer, name, word, subject, value, reason))

    def may(self, rank: Rank) -> bool:
        """Whether the client's user has this rank now."""
        own = self._host.access.rank(self.user)
        return own is not None and own >= rank

    # Writing and calling

    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        """One after the other, as the client listed them: a command's number, then its request."""
        limit(params.NodesToWrite)
        return [await self._write(each) async for each in breathing(params.NodesToWrite)]

    async def _write(self, asked: ua.WriteValue) -> ua.StatusCode:
        answer, reason = await self._written(asked)
        value = asked.Value.Value
        shown = "" if value is None else str(value.Value)[:80]
        reason = reason or answer.name
        self.note("Write", answer.is_good(), name_of(asked.NodeId), shown, reason)
        return answer

    async def _written(self, asked: ua.WriteValue) -> tuple[ua.StatusCode, str]:
        if asked.NodeId not in self.aspace:
            return status(Codes.BadNodeIdUnknown), ""
        target, value = self._host.writes.get(asked.NodeId), asked.Value
        if target is None or asked.AttributeId != AttributeIds.Value:
            return status(Codes.BadNotWritable), ""
        if not self.may(target.rank):
            return status(Codes.BadUserAccessDenied), needs(target.rank)
        with_status = value.StatusCode is not None and value.StatusCode.value != Codes.Good
        if asked.IndexRange or with_status or value.Value is None:
            return status(Codes.BadWriteNotSupported), ""
        return await target.write(value.Value), ""

    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        """One after the other; only the line's own methods."""
        limit(params)
        return [await self._call(each) async for each in breathing(params)]

    async def _call(self, asked: ua.CallMethodRequest) -> ua.CallMethodResult:
        rank, reason = self._host.methods.get(asked.MethodId), ""
        result = ua.CallMethodResult()
        if rank is None:
            result.StatusCode = status(Codes.BadMethodInvalid)
        elif not self.may(rank):
            result.StatusCode, reason = status(Codes.BadUserAccessDenied), needs(rank)
        else:
            (result,) = await super().call([asked])
        given = ", ".join(str(v.Value)[:40] for v in asked.InputArguments or ())
        good, method = result.StatusCode.is_good(), name_of(asked.MethodId)
        self.note("Call", good, method, given, reason or result.StatusCode.name)
        return result

    # Looking

    async def read(self, params: ua.ReadParameters) -> list[ua.DataValue]:
        limit(params.NodesToRead)
        values: list[ua.DataValue] = []
        for some in portions(params.NodesToRead):
            params.NodesToRead = some
            found = await super().read(params)
            values += [self._own_view(asked, v) for asked, v in zip(some, found, strict=True)]
            await asyncio.sleep(0)
        return values

    def _own_view(self, asked: ua.ReadValueId, found: ua.DataValue) -> ua.DataValue:
        """What attributes say of this user's own rights."""
        host, node = self._host, asked.NodeId
        if asked.AttributeId == AttributeIds.UserAccessLevel and node in host.writes:
            if not self.may(host.writes[node].rank):
                level = READ | (int(found.Value.Value) & HISTORY if found.Value else 0)
                return ua.DataValue(ua.Variant(level, ua.VariantType.Byte))
        elif asked.AttributeId == AttributeIds.UserExecutable and node in host.methods:
            return ua.DataValue(ua.Variant(self.may(host.methods[node])))
        return found

    async def browse(self, params: ua.BrowseParameters) -> list[ua.BrowseResult]:
        limit(params.NodesToBrowse)
        results: list[ua.BrowseResult] = []
        references = 0
        for some in portions(params.NodesToBrowse):
            params.NodesToBrowse = some
            found = await super().browse(params)
            references += sum(len(result.References) for result in found)
            if references > MAX_REFERENCES:
                raise ServiceError(Codes.BadResponseTooLarge)
            results += found
            await asyncio.sleep(0)
        return results

    async def translate_browsepaths_to_nodeids(
        self, params: list[ua.BrowsePath]
    ) -> list[ua.BrowsePathResult]:
        limit(params)
        limit([e for path in params for e in path.RelativePath.Elements], 5 * MAX_OPERATIONS)
        results: list[ua.BrowsePathResult] = []
        for some in portions(params):
            results += await super().translate_browsepaths_to_nodeids(some)
            await asyncio.sleep(0)
        return results

    async def history_read(self, params: ua.HistoryReadParameters) -> list[ua.HistoryReadResult]:
        """Raw history of the tags that have one."""
        limit(params.NodesToRead)
        if params.ReleaseContinuationPoints:  # they hold nothing
            return [ua.HistoryReadResult() for _ in params.NodesToRead]
        most = max(1, min(MAX_A_NODE, MAX_AN_ANSWER // max(1, len(params.NodesToRead))))
        details, results = params.HistoryReadDetails, []
        async for asked in breathing(params.NodesToRead):
            history, result = self._host.history, ua.HistoryReadResult()
            raw = isinstance(details, ua.ReadRawModifiedDetails) and not details.IsReadModified
            if asked.NodeId not in self.aspace:
                result.StatusCode = status(Codes.BadNodeIdUnknown)
            elif not raw or history is None or name_of(asked.NodeId) not in history.kinds:
                result.StatusCode = status(Codes.BadHistoryOperationUnsupported)
            else:
                result = history.read(asked, details, name_of(asked.NodeId), most)
            results.append(result)
        return results


def needs(rank: Rank) -> str:
    """Why somebody of a lower rank was refused."""
    return f"needs the rank of {rank.word}"


def peer_of(name: Any) -> str:
    """A client's address, "127.0.0.1:50000", from what asyncua knows of its socket."""
    return ":".join(map(str, name[:2])) if isinstance(name, tuple) else str(name)
