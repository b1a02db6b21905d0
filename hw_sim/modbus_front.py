"""Modbus TCP server of a simulated device.

Modbus Messaging on TCP/IP Implementation Guide V1.0b. Written here and not taken from the library
that the line's driver uses, so that the two ends of a test cannot share an error. Requests may
come several at a time or in pieces and are answered in order; a client that does not fetch its
answers is not read from until it does.
"""

from __future__ import annotations

import asyncio
import struct
from typing import cast

from cellrt.image import Image
from hw_sim.device import SimDevice
from hw_sim.registers import Registers

HEADER = struct.Struct(">HHHB")
"""MBAP: transaction, protocol (0), length of what follows, unit."""
LONGEST = 254
"""Unit and PDU together."""
GATEWAY_TARGET_FAILED = 11
DIRECT = (0, 255)
"""Unit numbers by which a device that is addressed by IP answers to everyone."""


class ModbusFront:
    """Serves one device on 127.0.0.1."""

    def __init__(self, device: type[SimDevice], name: str, image: Image) -> None:
        self.registers = Registers(device, name, image)
        self._units = (*DIRECT, device.device_map.unit_id)
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()

    async def start(self, port: int) -> str:
        """Listen on `port`, or a free one for 0; the address. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self.registers, self._units, self._connections), "127.0.0.1", port
        )
        host, bound = self._server.sockets[0].getsockname()
        return f"{host}:{bound}"

    async def publish(self) -> None:
        """The device was scanned: what is read next is made up anew."""
        self.registers.stale = True

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
            for connection in tuple(self._connections):
                connection.abort()
            await self._server.wait_closed()


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(
        self, registers: Registers, units: tuple[int, ...], connections: set[Connection]
    ) -> None:
        self._registers = registers
        self._units = units
        self._connections = connections
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client went."""
        self._connections.discard(self)
        self._transport = None

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def pause_writing(self) -> None:
        """The client does not fetch its answers."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It does again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Answer every whole request; after bytes that are no Modbus nothing can be trusted."""
        if self._transport is None:
            return
        self._received += data
        answers, is_modbus = [], True
        while len(self._received) >= HEADER.size:
            transaction, protocol, length, unit = HEADER.unpack_from(self._received)
            is_modbus = protocol == 0 and 2 <= length <= LONGEST
            end = HEADER.size - 1 + length
            if not is_modbus or len(self._received) < end:
                break
            pdu = self._answer(unit, self._received[HEADER.size : end])
            self._received = self._received[end:]
            answers.append(HEADER.pack(transaction, 0, 1 + len(pdu), unit) + pdu)
        self._transport.write(b"".join(answers))
        if not is_modbus:
            self._transport.close()

    def _answer(self, unit: int, pdu: bytes) -> bytes:
        if unit not in self._units:
            return bytes((pdu[0] | 0x80, GATEWAY_TARGET_FAILED))
        return self._registers.answer(pdu)
