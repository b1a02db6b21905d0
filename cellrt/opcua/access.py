"""Who may connect, from where, and what they may do.

Users come through an encrypted channel, with a certificate that is on the line's list and with their
password. Without a name whoever is on this machine may come too, with the rank that the line file gives
to them, a viewer's if it says nothing.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import (
    USER_TYPES,
    PermissionRuleset,
    SimpleRoleRuleset,
    User,
    UserRole,
)
from asyncua.server.internal_server import InternalServer
from asyncua.server.user_managers import UserManager

from cellrt.audit import Deed
from cellrt.opcua.certificates import Certificates
from cellrt.opcua.status import Codes
from cellrt.opcua.users import Rank, Users, UsersError

ENCRYPTED = [
    ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
]
SERVICES = frozenset(ua.NodeId(ua.Int32(service)) for service in USER_TYPES)
"""All but those that change the address space or register servers."""

MAX_MISSES, MISSES_S = 5, 60.0
"""Wrong passwords in so many seconds after which no password of that client is looked at: each look
costs 40 ms, in which nobody is served."""

ANONYMOUS = "anonymous"
FOLDER = "opcua"
"""Users and certificates are in this folder of a line's state."""

log = logging.getLogger(__name__)


class Denied(ServiceError):
    """A client may not come in; the code that it gets, and why, for the audit log."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code)
        self.reason = reason


@dataclass
class Client(User):
    """Who is behind a session. `named`: came in as a user, by password."""

    named: bool = False


@dataclass
class Access:
    """Who may come in to one line's server. `note` takes every coming and every refusal.

    `folder` has users and certificates; `anonymous` is the rank of who gives no name, None for nobody.
    """

    folder: Path
    anonymous: Rank | None = Rank.VIEWER
    host: str = "127.0.0.1"
    note: Callable[[Deed], None] = lambda deed: None
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Raises ValueError where whoever can reach the host would come in without a name."""
        self.users = Users(self.folder / "users.json")
        self.certificates = Certificates(self.folder)
        self._misses: dict[bytes, deque[float]] = {}
        if self.anonymous and not is_loopback(self.host):
            raise ValueError(
                f"opcua: {self.host} can be reached from elsewhere, so every client needs a name there; "
                'say `anonymous = "none"` in [opcua], or listen on 127.0.0.1'
            )

    @property
    def policies(self) -> list[ua.SecurityPolicyType]:
        """Offered to clients."""
        return [ua.SecurityPolicyType.NoSecurity, *ENCRYPTED] if self.anonymous else ENCRYPTED

    @property
    def identities(self) -> list[type]:
        """Kinds of names that clients may give."""
        named: list[type] = [ua.UserNameIdentityToken]
        return [ua.AnonymousIdentityToken, *named] if self.anonymous else named

    def nobody(self) -> Client:
        """Who a client is before it has said so."""
        return Client(UserRole.User, ANONYMOUS)

    def rank(self, user: User) -> Rank | None:
        """What a client may do now; None when it may not even look (any more)."""
        if not isinstance(user, Client) or not user.named:
            return self.anonymous
        try:
            return self.users.rank(str(user.name))
        except UsersError as error:
            log.error("%s", error)
            return None

    def check_certificate(self, der: bytes) -> None:
        """Raises Denied for a certificate that is not trusted, and puts it aside to be looked at."""
        reason = self.certificates.refusal(der)
        if reason is None:
            return
        try:
            self.certificates.put_aside(der)
        except OSError as error:
            log.error("%s: %s", self.certificates.rejected, error.strerror)
        raise Denied(Codes.BadCertificateUntrusted, reason)

    def admit(self, name: str | None, password: str | None, certificate: bytes | None) -> Client:
        """Who a client is. Raises Denied."""
        if name is None:
            if self.anonymous is None:
                raise Denied(Codes.BadIdentityTokenRejected, "gives no name")
            return self.nobody()
        if certificate is None:
            raise Denied(Codes.BadSecurityPolicyRejected, "gives a password over an open channel")
        misses = self._misses.setdefault(certificate, deque(maxlen=MAX_MISSES))
        if len(misses) == MAX_MISSES and self.clock() - misses[0] < MISSES_S:
            raise Denied(Codes.BadUserAccessDenied, "too many wrong passwords; wait a minute")
        try:
            rank = self.users.check(name, (password or "")[:1024])
        except UsersError as error:
            raise Denied(Codes.BadUserAccessDenied, str(error)) from None
        if rank is None:
            misses.append(self.clock())
            raise Denied(Codes.BadUserAccessDenied, "no such user, or a wrong password")
        misses.clear()
        return Client(UserRole.User, name, True)


class Manager(UserManager):
    """asyncua's way to ask who a client is. Its own makes an admin of whoever is called so."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def get_user(
        self,
        iserver: InternalServer,
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,
    ) -> User | None:
        return self._access.admit(username, password, certificate)


class Rights(PermissionRuleset):
    """Says what services a user may use; asked at every request."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def check_validity(self, user: User, action_type: ua.NodeId, body: Any) -> bool:
        return action_type in SERVICES and self._access.rank(user) is not None


def rights(access: Access) -> SimpleRoleRuleset:
    """Any ruleset will do; asyncua's signature names but one."""
    return cast(SimpleRoleRuleset, Rights(access))


def is_loopback(host: str) -> bool:
    """A host that none but this machine's own processes can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
