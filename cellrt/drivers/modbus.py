"""Modbus TCP: whole blocks of registers and bits, one request in flight, every answer compared."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable

import numpy as np

from cellrt.drivers.base import DeviceError, NotThere
from cellrt.drivers.mbap import ILLEGAL_ADDRESS
from cellrt.drivers.outputs import REFRESH_S, Confirmed
from cellrt.drivers.registers import Block, Table, place, to_read, to_write, without_gaps
from cellrt.drivers.transactions import Connection, Refused, Transaction
from cellrt.wire import DeviceMap, Ints

DEFAULT_PORT = 502
READS = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}
WRITES = {Table.COIL: 15, Table.HOLDING: 16}
"""Functions (Modbus Application Protocol V1.1b3, 6)."""


class Reading(Transaction):
    """Reads one block."""

    def __init__(self, block: Block, unit_id: int) -> None:
        pdu = struct.pack(">BHH", READS[block.table], block.first, block.count)
        super().__init__(str(block), unit_id, pdu)
        self.block = block
        self._decoded = b""

    def decode(self, sample: Ints) -> None:
        """What was read, into the one sample that this is ever decoded into."""
        if self.data != self._decoded:
            self.block.decode(self.data, sample)
            self._decoded = self.data


class Writing(Transaction):
    """Writes one block."""

    def __init__(self, block: Block, unit_id: int) -> None:
        self._at = 13  # behind the head, function, address, count and the count of bytes
        size = -(-block.count // 8) if block.table.is_bits else 2 * block.count
        pdu = struct.pack(">BHHB", WRITES[block.table], block.first, block.count, size)
        super().__init__(str(block), unit_id, pdu + bytes(size))
        self.block, self.rows = block, frozenset(block.rows.tolist())

    def encode(self, outputs: Ints) -> None:
        """Put the values that are to be written into the request."""
        self.request[self._at :] = self.block.encode(outputs)


class ModbusDriver:
    """One Modbus TCP device.

    An exchange writes the blocks of outputs that the device may not have, then the heartbeat, then
    reads all inputs; a write is an exchange without the reads. Which cells are read is settled at
    connect: a device that refuses the unused ones between inputs is asked around them. Outputs are
    proved by the first exchange, since not every device lets them be read back.
    """

    def __init__(
        self,
        name: str,
        address: str,
        device_map: DeviceMap,
        timeout_s: float,
        refresh_s: float = REFRESH_S,
    ) -> None:
        """Raises ValueError, naming the mend, where the address or the map cannot be Modbus."""
        self.name = name
        self._host, self._port = host_and_port(address)
        self._unit_id = device_map.unit_id
        self._timeout_s = timeout_s
        heartbeat, counter = device_map.heartbeat, device_map.counter
        outputs = to_write(place(row, p) for row, p in enumerate(device_map.outputs, 1))
        self._outputs = [Writing(block, self._unit_id) for block in outputs]
        beats = to_write([place(0, heartbeat)] if heartbeat else [])
        self._heartbeat = [Writing(block, self._unit_id) for block in beats]
        inputs = [place(row, p) for row, p in enumerate(device_map.inputs, 1)]
        self._inputs = to_read([place(0, counter), *inputs] if counter else inputs)
        self._readings: list[Reading] = []
        self._sample = np.zeros(1 + len(device_map.inputs), np.int64)
        self._confirmed = Confirmed(refresh_s)
        self._connection: Connection | None = None
        self._number = 0

    async def connect(self) -> None:
        """Open the connection and read every input once. Raises DeviceError."""
        self._drop()
        loop, connection = asyncio.get_running_loop(), Connection(self._number, self._timeout_s)
        try:
            async with asyncio.timeout(self._timeout_s):
                await loop.create_connection(lambda: connection, self._host, self._port)
        except (OSError, UnicodeError):
            where = f"{self._host}:{self._port}"
            raise NotThere(f"{self.name}: no connection to {where}") from None
        self._connection = connection
        self._confirmed.forget()
        try:
            found = [await self._settle(connection, block) for block in self._inputs]
        except BaseException as error:
            raise self._closed_after(error) from None
        self._readings = [reading for readings in found for reading in readings]

    async def exchange(self, outputs: Ints, inputs: Ints) -> None:
        """Write what is due, then the heartbeat, then read all inputs. Raises DeviceError."""
        await self._converse(outputs, self._readings)
        for reading in self._readings:
            reading.decode(self._sample)
        inputs[:] = self._sample

    async def write(self, outputs: Ints) -> None:
        """Write what is due, then the heartbeat. Raises DeviceError."""
        await self._converse(outputs, ())

    async def close(self) -> None:
        """Close the connection. Never raises."""
        self._drop()

    async def _converse(self, outputs: Ints, readings: Iterable[Reading]) -> None:
        """Write what is due and the heartbeat, then carry out `readings`. Raises DeviceError."""
        if self._connection is None:
            raise DeviceError(f"{self.name}: not connected")
        now_s = asyncio.get_running_loop().time()
        due = self._confirmed.due(outputs, now_s)
        writings = [w for w in self._outputs if not w.rows.isdisjoint(due)] if due else []
        for writing in (*writings, *self._heartbeat):
            writing.encode(outputs)
        try:
            todo = (*writings, *self._heartbeat, *readings)
            await self._connection.run(todo)
        except BaseException as error:
            raise self._closed_after(error) from None
        self._confirmed.confirm(now_s)

    async def _settle(self, connection: Connection, block: Block) -> list[Reading]:
        """The block, or its points without the cells between them if the device refuses those."""
        reading = Reading(block, self._unit_id)
        try:
            await connection.run([reading])
        except Refused as refused:
            parts = without_gaps(block)
            if refused.code != ILLEGAL_ADDRESS or len(parts) == 1:
                raise
            return [r for part in parts for r in await self._settle(connection, part)]
        return [reading]

    def _closed_after(self, error: BaseException) -> BaseException:
        """Close the connection; what to raise for the error that ended a conversation."""
        self._drop()
        return DeviceError(f"{self.name}: {error}") if isinstance(error, DeviceError) else error

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._number = connection.number
            connection.close()


def host_and_port(address: str) -> tuple[str, int]:
    """Of `host:port`, `host` (port 502) or `[IPv6]:port`. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, str(DEFAULT_PORT)
    if not host or not port.isdecimal() or not 0 < int(port) < 0x10000:
        raise ValueError(f"{address!r}: a Modbus TCP address is host:port, as 192.168.1.20:502")
    return host.strip("[]"), int(port)
