"""Frames in, answers out: the server's side of Modbus TCP's connections.

Modbus Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3:

    transaction (2)  protocol = 0 (2)  length of what follows (2)  unit (1)  PDU (1 to 253)

Requests may come several at a time or in pieces; they are answered one after the other, in order.
A client is heard only while it fetches its answers and none of them is outstanding, so that none
makes the server hold more than BUFFER_BYTES of requests and ANSWERS_BYTES of answers. After bytes
that are no Modbus nothing can be trusted: what came before is answered, what follows is thrown
away, and the connection ends.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Collection, Coroutine
from typing import Any, cast

from cellrt.modbus.requests import Code, refusal

HEADER = struct.Struct(">HHHB")
LONGEST = 254
"""Unit and PDU together."""

BUFFER_BYTES = 4096
ANSWERS_BYTES = 16_384
MAX_CONNECTIONS = 32
IDLE_S = 120.0
"""A connection without a whole request for so long is closed: its client may be gone."""

LINGER_S = 5.0
"""A connection that is ended is left so long to the client, to fetch its last answers: closed at
once, with bytes of the client's on the way, TCP would throw them away."""

DIRECT = (0, 255)
"""Unit numbers by which a device that is addressed by IP answers to everyone."""

Pending = Coroutine[Any, Any, bytes]
Respond = Callable[[bytes, str], bytes | Pending]
"""The answer to a request, both without framing, of a peer `host:port`; at once, or when it is there.
It must not raise."""


class Server:
    """Answers requests to `units` with `respond`, others with exception 11."""

    def __init__(
        self, respond: Respond, units: Collection[int] = DIRECT, *, idle_s: float = IDLE_S
    ) -> None:
        self.respond = respond
        self.units = units
        self.idle_s = idle_s
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen on `port`, or a free one for 0; the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
            for connection in tuple(self.connections):
                connection.abort()
            await self._server.wait_closed()


class Connection(asyncio.BufferedProtocol):
    """One client."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        self._memory = bytearray(BUFFER_BYTES)
        self._filled = 0
        self._answers_flow = True
        self._is_ending = False
        self._outstanding: asyncio.Task[None] | None = None
        self._heard_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came; one too many is sent away."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._server.connections) >= MAX_CONNECTIONS:
            self._transport.abort()
            return
        self._server.connections.add(self)
        host, port = transport.get_extra_info("peername")[:2]
        self._peer = f"{host}:{port}"
        self._transport.set_write_buffer_limits(high=ANSWERS_BYTES)
        self._heard_s = asyncio.get_running_loop().time()
        self._watch_idleness()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client went. A request of its own that is under way is carried through."""
        self._server.connections.discard(self)
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def pause_writing(self) -> None:
        """The client does not fetch its answers."""
        self._answers_flow = False

    def resume_writing(self) -> None:
        """It does again."""
        self._answers_flow = True
        self._serve()

    def get_buffer(self, sizehint: int) -> memoryview:
        """There is always room: bytes are taken only when no whole request is left."""
        return memoryview(self._memory)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes came."""
        self._filled += nbytes
        self._serve()

    def _serve(self) -> None:
        """Answer every whole request, as far as answers can be given; then read on, or wait."""
        at = 0
        while self._may_answer() and self._filled - at >= HEADER.size:
            transaction, protocol, length, unit = HEADER.unpack_from(self._memory, at)
            end = at + HEADER.size - 1 + length
            if protocol != 0 or not 2 <= length <= LONGEST:
                self._end()
            elif end > self._filled:
                break
            else:
                pdu = bytes(self._memory[at + HEADER.size : end])
                at = end
                self._answer(transaction, unit, pdu)
        if self._is_ending:
            at = self._filled
        self._memory[: self._filled - at] = self._memory[at : self._filled]
        self._filled -= at
        if self._transport is not None and (self._is_ending or self._may_answer()):
            self._transport.resume_reading()
        elif self._transport is not None:
            self._transport.pause_reading()

    def _may_answer(self) -> bool:
        going_on = self._transport is not None and not self._is_ending
        return going_on and self._answers_flow and self._outstanding is None

    def _answer(self, transaction: int, unit: int, pdu: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._heard_s = loop.time()
        if unit not in self._server.units:
            return self._send(transaction, unit, refusal(pdu, Code.TARGET_FAILED))
        answer = self._server.respond(pdu, self._peer)
        if isinstance(answer, bytes):
            return self._send(transaction, unit, answer)
        self._outstanding = loop.create_task(self._send_later(transaction, unit, answer))

    async def _send_later(self, transaction: int, unit: int, answer: Pending) -> None:
        try:
            self._send(transaction, unit, await answer)
        finally:
            self._outstanding = None
        self._serve()

    def _send(self, transaction: int, unit: int, pdu: bytes) -> None:
        if self._transport is not None:
            self._transport.write(HEADER.pack(transaction, 0, 1 + len(pdu), unit) + pdu)

    def _end(self) -> None:
        """No more answers after those that were given."""
        self._is_ending = True
        if self._transport is not None and self._timer is not None:
            self._transport.write_eof()
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(LINGER_S, self.abort)

    def _watch_idleness(self) -> None:
        loop = asyncio.get_running_loop()
        left_s = self._heard_s + self._server.idle_s - loop.time()
        if left_s <= 0:
            self.abort()
        else:
            self._timer = loop.call_later(left_s, self._watch_idleness)
