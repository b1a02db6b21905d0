"""Who may connect, from where, and what they may do. Users and roles have their place here.

So far there are none: whoever is on this machine may browse, read, write parameters and command,
and the server does not listen beyond it.
"""

from __future__ import annotations

import ipaddress
from typing import Any, cast

from asyncua import ua
from asyncua.crypto.permission_rules import (
    USER_TYPES,
    PermissionRuleset,
    SimpleRoleRuleset,
    User,
    UserRole,
)
from asyncua.server.internal_server import InternalServer
from asyncua.server.user_managers import UserManager

POLICIES = [ua.SecurityPolicyType.NoSecurity]
IDENTITIES: list[type] = [ua.AnonymousIdentityToken]
EVERYONE = User(UserRole.User, "anonymous")
SERVICES = frozenset(ua.NodeId(ua.Int32(service)) for service in USER_TYPES)
"""All but those that change the address space or register servers."""


class Users(UserManager):
    """Says who a client is. asyncua's own manager makes an admin of whoever is called so."""

    def get_user(
        self,
        iserver: InternalServer,
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,
    ) -> User | None:
        return None if username is not None else EVERYONE


class Rights(PermissionRuleset):
    """Says what a user may do; asked at every request."""

    def check_validity(self, user: User, action_type: ua.NodeId, body: Any) -> bool:
        return action_type in SERVICES


RIGHTS = cast(SimpleRoleRuleset, Rights())
"""Any ruleset will do; asyncua's signature names but one."""


def check_host(host: str) -> None:
    """Raises ValueError for a host that others than this machine's own processes can reach."""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local:
        raise ValueError(
            f"opcua: {host} can be reached from elsewhere, and there are no users yet; "
            "listen on 127.0.0.1"
        )
