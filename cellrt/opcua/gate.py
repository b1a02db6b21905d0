"""The socket and its connections, with an end to what the bytes of a client can make the server hold."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Any

from asyncua import ua
from asyncua.common.connection import TransportLimits
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.internal_server import InternalServer
from asyncua.ua.ua_binary import uatcp_to_binary

from cellrt.opcua.burden import MAX_REQUEST_BYTES
from cellrt.opcua.session import LineSession, peer_of
from cellrt.opcua.status import Codes, status

log = logging.getLogger(__name__)

CHUNK_BYTES = 65_535
SMALLEST_CHUNK_BYTES = 8_192


class Limits(TransportLimits):
    """What a client may send at once."""

    def create_acknowledge_and_set_limits(self, msg: ua.Hello) -> ua.Acknowledge:
        """Buffers are never smaller than the standard has them (Part 6, 7.1.2.3).

        An answer cut into chunks of a few bytes would be a thousand times as big.
        """
        msg.ReceiveBufferSize = max(msg.ReceiveBufferSize, ua.UInt32(SMALLEST_CHUNK_BYTES))
        msg.SendBufferSize = max(msg.SendBufferSize, ua.UInt32(SMALLEST_CHUNK_BYTES))
        return super().create_acknowledge_and_set_limits(msg)


MAX_CHUNKS = MAX_REQUEST_BYTES // SMALLEST_CHUNK_BYTES + 1
LIMITS = Limits(CHUNK_BYTES, CHUNK_BYTES, MAX_CHUNKS, MAX_REQUEST_BYTES)

MAX_AHEAD = 50
"""Chunks that a client may be ahead of its answers before it has to wait."""


class ListenError(Exception):
    """The server cannot listen; says where, why, and who asked for the port."""


class Connection(OPCUAProtocol):
    """One client's connection. A client is heard only while it reads its answers."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(
            gate.iserver, gate._policies, gate.clients, gate.closing_tasks, gate.limits
        )
        self._gate = gate
        self._answers_flow = asyncio.Event()
        self._answers_flow.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a client, or tell it that there are too many and hang up."""
        most = self.iserver.max_connections
        if len(self.clients) >= most:
            reason = f"there are {most} connections"
            self._gate.refused(transport.get_extra_info("peername"), reason)
            if isinstance(transport, asyncio.Transport):
                transport.write(error_message(Codes.BadTcpServerTooBusy, reason))
        super().connection_made(transport)

    def connection_lost(self, ex: BaseException | None) -> None:
        """A user's sessions wait a while for their client to come back; those without a name do not."""
        super().connection_lost(ex)
        for session in list(self.iserver._external_sessions.values()):
            if not isinstance(session, LineSession) or session.named:
                continue
            if session.peer == peer_of(self.peer_name):
                self.closing_tasks.append(asyncio.create_task(session.close_session()))

    def data_received(self, data: bytes) -> None:
        """Hang up on a client whose unfinished chunk is longer than a chunk can be."""
        super().data_received(data)
        if len(self._buffer) > self.limits.max_recv_buffer:
            self._buffer = b""
            if self.transport is not None:
                self.transport.abort()
        self._hear()

    def pause_writing(self) -> None:
        self._answers_flow.clear()
        self._hear()

    def resume_writing(self) -> None:
        self._answers_flow.set()
        self._hear()

    async def _process_one_msg(self, header: Any, buf: Any) -> bool:
        await self._answers_flow.wait()
        try:
            going_on = await super()._process_one_msg(header, buf)
        except Exception as error:  # bytes that are no message; a policy that is not offered
            log.debug("a client's message", exc_info=True)
            if self.transport is not None:
                code = getattr(error, "code", Codes.BadTcpMessageTypeInvalid)
                self.transport.write(error_message(code, str(error)[:200]))
                self.transport.close()
            return False
        self._hear()
        return bool(going_on)

    def _hear(self) -> None:
        """Read on, or let the client wait."""
        if self.transport is None:
            return
        if self._answers_flow.is_set() and self.messages.qsize() < MAX_AHEAD:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()


class Gate(BinaryServer):
    """The socket. It is there at once: clients wait in its backlog, not for a port that is taken."""

    def __init__(
        self, server: InternalServer, host: str, port: int, refused: Callable[[Any, str], None]
    ) -> None:
        """`refused` is told of every client that finds no room, and why. Raises ListenError."""
        super().__init__(server, host, port, LIMITS)
        self.refused = refused
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self.socket = socket.create_server((host, port), family=family)
        except OSError as error:
            reason = f"cannot listen on {host}:{port}: {error.strerror}"
            if error.errno == errno.EADDRINUSE:
                reason = (
                    f"port {port} on {host} is in use; end what listens there or choose another"
                )
            raise ListenError(f"opcua: {reason}") from None
        self.port = int(self.socket.getsockname()[1])

    async def start(self) -> None:
        """Serve."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._make_protocol, sock=self.socket)
        self.cleanup_task = loop.create_task(self._close_task_loop())

    async def stop(self) -> None:
        """Hang up, and give the port back whether or not it was ever served."""
        await super().stop()
        self.socket.close()

    def _make_protocol(self) -> OPCUAProtocol:
        return Connection(self)


def error_message(code: int, reason: str) -> bytes:
    """The message with which a server says why it hangs up (Part 6, 7.1.2.5)."""
    told = ua.ErrorMessage(status(code), ua.String(reason))
    kind: Any = ua.MessageType.Error  # asyncua's signatures name the class, and mean its bytes
    return uatcp_to_binary(kind, told)
