"""The socket and its connections, with an end to what the bytes of a client can make the server hold."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

from asyncua.common.connection import TransportLimits
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.internal_server import InternalServer

CHUNK_BYTES = 65_535
MAX_REQUEST_BYTES = 4 * 1024 * 1024
LIMITS = TransportLimits(
    CHUNK_BYTES, CHUNK_BYTES, MAX_REQUEST_BYTES // CHUNK_BYTES + 1, MAX_REQUEST_BYTES
)

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
        self._answers_flow = asyncio.Event()
        self._answers_flow.set()

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
        going_on = await super()._process_one_msg(header, buf)
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

    def __init__(self, server: InternalServer, host: str, port: int) -> None:
        """Raises ListenError."""
        super().__init__(server, host, port, LIMITS)
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
