"""asyncua's server with an end to what a client can make it hold, and with a prompt stop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.server import Server

from cellrt.opcua.access import EVERYONE, IDENTITIES, POLICIES, RIGHTS, Users
from cellrt.opcua.commands import Write
from cellrt.opcua.gate import Gate
from cellrt.opcua.session import MAX_QUEUE, LineSession
from cellrt.opcua.status import Codes

MAX_CONNECTIONS = 32
MAX_SESSIONS = 32
MAX_SUBSCRIPTIONS = 64
MAX_UNACKNOWLEDGED = 20
"""Publications kept for a client that may ask for them again."""

MAX_PENDING_CHUNKS = 10_000
"""More than one reading of the socket can hold, so that nobody is cut off for being ahead."""

SESSION_MS = 60_000.0
"""How long a client may be silent. Its subscriptions go with its session."""


class Host(InternalServer):
    """The server's inside: who may write what, how many clients there may be."""

    def __init__(self) -> None:
        super().__init__(user_manager=Users())
        self.writes: dict[ua.NodeId, Write] = {}
        self.allow_remote_admin = False
        self.max_connections = MAX_CONNECTIONS
        self.max_subscriptions = MAX_SUBSCRIPTIONS
        self.max_session_timeout_ms = SESSION_MS
        self.max_unacked_messages_per_subscription = MAX_UNACKNOWLEDGED
        self.max_monitored_item_queue_size = MAX_QUEUE
        self.max_pending_messages_per_connection = MAX_PENDING_CHUNKS

    def create_session(
        self, name: str, user: User = EVERYONE, external: bool = False
    ) -> InternalSession:
        """A session for a client. Raises ServiceError when there are too many."""
        if not external:
            return super().create_session(name, user)
        if len(self._external_sessions) >= MAX_SESSIONS:
            raise ServiceError(Codes.BadTooManySessions)
        return LineSession(self, name, self.writes)

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


class Listener(Server):
    """The server as its owner sees it: `listen`, `init`, build the address space, then `start`."""

    def __init__(self, host: Host, endpoint: str, uri: str, name: str) -> None:
        super().__init__(iserver=host)
        self._application_uri = uri
        self.application_type = ua.ApplicationType.Server
        self.product_uri, self.manufacturer_name, self.name = "urn:cellrt", "cellrt", name
        self.set_endpoint(endpoint)
        self.set_identity_tokens(IDENTITIES)
        self.set_security_policy(POLICIES, RIGHTS)

    def listen(self) -> None:
        """Take the endpoint's port. Raises ListenError."""
        host, port = str(self.endpoint.hostname), int(self.endpoint.port or 0)
        self.gate = self.bserver = Gate(self.iserver, host, port)

    async def start(self) -> None:
        """Serve whoever came to the port."""
        await self._setup_server_nodes()
        await self.iserver.start()
        self.gate.set_policies(self._policies)
        await self.gate.start()
