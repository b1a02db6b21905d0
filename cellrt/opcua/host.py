"""asyncua's server with an end to what a client can make it hold, and with a prompt stop."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from cellrt.audit import Deed
from cellrt.opcua.access import Access, Manager, rights
from cellrt.opcua.commands import Target
from cellrt.opcua.decode import refuse_arrays_of_null
from cellrt.opcua.gate import Gate
from cellrt.opcua.history import History
from cellrt.opcua.session import LineSession, peer_of
from cellrt.opcua.status import Codes
from cellrt.opcua.subscription import LineSubscriptions
from cellrt.opcua.users import Rank
from cellrt.opcua.views import LineViews
from cellrt.opcua.watching import MAX_QUEUE, MAX_SUBSCRIPTIONS

MAX_CONNECTIONS = 64
MAX_SESSIONS = 32
"""Fewer than connections, so that a client which is one too many is told so."""

MAX_UNACKNOWLEDGED = 5
"""Publications kept for a client that may ask for them again."""

MAX_PENDING_CHUNKS = 10_000
"""More than one reading of the socket can hold, so that nobody is cut off for being ahead."""

SESSION_MS = 60_000.0
"""How long a client may be silent. Its subscriptions go with its session."""

ACTIVATION_S = 10.0
"""How long a connection may take to become somebody's."""

OPEN = ua.MessageSecurityMode.None_
DICTIONARIES = (ObjectIds.OpcUa_BinarySchema, ObjectIds.OpcUa_XmlSchema)
"""Values of the standard's own nodes that are hundreds of kB long."""


class Host(InternalServer):
    """The server's inside: who may write and call what, how many clients there may be."""

    def __init__(self, access: Access) -> None:
        refuse_arrays_of_null()
        super().__init__(user_manager=Manager(access))
        self.access = access
        self.view_service = LineViews(self.aspace)
        self.subscription_service = LineSubscriptions(self.aspace, self)
        self.writes: dict[ua.NodeId, Target] = {}
        self.methods: dict[ua.NodeId, Rank] = {}
        self.history: History | None = None
        self.max_pending_activation_seconds = ACTIVATION_S
        self.allow_remote_admin = False
        self.max_connections = MAX_CONNECTIONS
        self.max_subscriptions = MAX_SESSIONS * MAX_SUBSCRIPTIONS
        self.max_session_timeout_ms = SESSION_MS
        self.max_unacked_messages_per_subscription = MAX_UNACKNOWLEDGED
        self.max_monitored_item_queue_size = MAX_QUEUE
        self.max_pending_messages_per_connection = MAX_PENDING_CHUNKS

    async def init(self, shelffile: Path | None = None) -> None:
        """Load the standard's address space, without the dictionaries of its own types.

        Every client knows these; one that reads them ten thousand times in a request, or watches them
        as often, would have gigabytes in answer.
        """
        await super().init(shelffile)
        for dictionary in DICTIONARIES:
            empty = ua.DataValue(ua.Variant(b"", ua.VariantType.ByteString))
            node = ua.NodeId(ua.Int32(dictionary))
            await self.aspace.write_attribute_value(node, AttributeIds.Value, empty)

    def create_session(
        self, name: Any, user: User | None = None, external: bool = False
    ) -> InternalSession:
        """A session for a client; `name` is its address. Raises ServiceError when there are too many.

        The oldest that is not activated yet makes room for a new one (Part 4, 5.7.2).
        """
        if not external:
            return super().create_session(name, user or User())
        waiting = [s for s in self.sessions() if not s.is_activated()]
        if len(self._external_sessions) >= MAX_SESSIONS and waiting:
            waiting[0].drop()
        if len(self._external_sessions) >= MAX_SESSIONS:
            reason = f"there are {MAX_SESSIONS} sessions"
            self.access.note(Deed("Limit", False, peer_of(name), reason=reason))
            raise ServiceError(Codes.BadTooManySessions)
        return LineSession(self, name)

    def sessions(self) -> list[LineSession]:
        """Those of clients."""
        return [s for s in self._external_sessions.values() if isinstance(s, LineSession)]

    def register_server(self, server: Any, conf: Any = None) -> None:
        """This is no discovery server; asyncua would remember whatever it is sent."""
        raise ServiceError(Codes.BadServiceUnsupported)

    async def stop(self) -> None:
        """Close every session, with its subscriptions, and stop the clock at once."""
        for session in list(self._external_sessions.values()):
            await session.close_session(True)
        if self.time_task is not None:
            self.time_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.time_task
            self.time_task = None
        await super().stop()


class OpenChannel:
    """asyncua's factory of open channels' policies, blind to certificates: one that is sent over an open
    channel proves nothing, and asyncua would take it for its owner's all the same.
    """

    def __init__(self, factory: Any) -> None:
        self._factory = factory
        self.matches = factory.matches

    def create(self, peer_certificate: bytes | None) -> Any:
        """A client's policy."""
        return self._factory.create(None)


class Listener(Server):
    """The server as its owner sees it: `listen`, `init`, build the address space, then `start`."""

    def __init__(self, host: Host, endpoint: str, uri: str, name: str) -> None:
        super().__init__(iserver=host)
        self._access = host.access
        self._application_uri = uri
        self.application_type = ua.ApplicationType.Server
        self.product_uri, self.manufacturer_name, self.name = "urn:cellrt", "cellrt", name
        self.set_endpoint(endpoint)
        self.set_identity_tokens(self._access.identities)
        self.set_security_policy(self._access.policies, rights(self._access))

    def listen(self) -> None:
        """Take the endpoint's port. Raises ListenError."""
        host, port = str(self.endpoint.hostname), int(self.endpoint.port or 0)
        self.gate = self.bserver = Gate(self.iserver, host, port, self._refused)

    def _refused(self, peer: Any, reason: str) -> None:
        self._access.note(Deed("Limit", False, peer_of(peer), reason=reason))

    async def start(self) -> None:
        """Serve whoever came to the port. Raises OSError where the certificate cannot be kept."""
        own = self._access.certificates.own(self._application_uri, str(self.endpoint.hostname))
        self.iserver.certificate, self.iserver.private_key = own
        await self._setup_server_nodes()
        policies: list[Any] = self._policies
        policies[:] = [OpenChannel(p) if p.mode is OPEN else p for p in policies]
        for endpoint in self.iserver.endpoints:
            if endpoint.SecurityMode is OPEN:  # no password goes over it
                endpoint.UserIdentityTokens = endpoint.UserIdentityTokens[:1]
        await self.iserver.start()
        self.gate.set_policies(self._policies)
        await self.gate.start()
