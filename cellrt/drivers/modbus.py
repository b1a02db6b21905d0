"""Modbus TCP: whole blocks of registers and bits, one request in flight, every answer compared."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

import numpy as np
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusException

from cellrt.drivers.base import DeviceError, NotThere, bounded
from cellrt.drivers.mbap import flaw
from cellrt.drivers.outputs import REFRESH_S, Confirmed
from cellrt.drivers.registers import Block, Table, place, to_read, to_write, without_gaps
from cellrt.wire import DeviceMap, Ints

DEFAULT_PORT = 502


class Refused(DeviceError):
    """The device answered with an exception code: it understood, and will not."""

    def __init__(self, block: Block, code: int) -> None:
        known = code in set(ExcCodes)
        name = f" ({ExcCodes(code).name.lower().replace('_', ' ')})" if known else ""
        super().__init__(f"{block} refused with exception {code}{name}")
        self.code = code


class ModbusDriver:
    """One Modbus TCP device.

    An exchange writes the blocks of outputs that the device may not have, then the heartbeat, then
    reads all inputs. Which cells are read is settled at connect: a device that refuses the unused
    ones between inputs is asked around them. Outputs are proved by the first exchange, since not
    every device lets them be read back.

    Any doubt about an answer closes the connection, so that a late one has nothing to arrive on.
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
        self._outputs = to_write(place(row, p) for row, p in enumerate(device_map.outputs, 1))
        self._heartbeat = to_write([place(0, heartbeat)] if heartbeat else [])
        inputs = [place(row, p) for row, p in enumerate(device_map.inputs, 1)]
        self._inputs = to_read([place(0, counter), *inputs] if counter else inputs)
        self._readable: list[Block] = []
        self._sample = np.zeros(1 + len(device_map.inputs), np.int64)
        self._confirmed = Confirmed(1 + len(device_map.outputs), refresh_s)
        self._client: AsyncModbusTcpClient | None = None
        self._request = b""
        self._doubt = ""
        self._limit: asyncio.Timeout | None = None

    async def connect(self) -> None:
        """Open the connection and read every input once. Raises DeviceError."""
        self._drop()
        self._doubt = ""
        async with self._attempt(2 * self._timeout_s):
            self._client = AsyncModbusTcpClient(
                self._host,
                port=self._port,
                timeout=4 * self._timeout_s,  # never the first to expire
                retries=0,
                reconnect_delay=0,
                trace_packet=self._watch_packet,
                trace_connect=self._watch_connection,
            )
            self._client.ctx.max_buffer_size = sys.maxsize  # else it throws away what is too long
            if not await self._client.connect():
                raise NotThere(f"no connection to {self._host}:{self._port}")
            self._readable = [b for block in self._inputs for b in await self._settle(block)]
            self._confirmed.forget()

    async def exchange(self, outputs: Ints, inputs: Ints) -> None:
        """Write what is due, then the heartbeat, then read all inputs. Raises DeviceError."""
        async with self._attempt(self._timeout_s):
            await self._write_all(outputs.copy())
            for block in self._readable:
                block.decode(await self._read(block), self._sample)
        inputs[:] = self._sample

    async def close(self) -> None:
        """Close the connection. Never raises."""
        self._drop()

    async def _write_all(self, outputs: Ints) -> None:
        now_s = asyncio.get_running_loop().time()
        due = self._confirmed.due(outputs, now_s)
        for block in self._outputs:
            if due[block.rows].any():
                await self._write(block, outputs)
        for block in self._heartbeat:
            await self._write(block, outputs)
        self._confirmed.confirm(outputs, due, now_s)

    async def _settle(self, block: Block) -> list[Block]:
        """The block, or its points without the cells between them if the device refuses those."""
        try:
            await self._read(block)
        except Refused as refused:
            parts = without_gaps(block)
            if refused.code != ExcCodes.ILLEGAL_ADDRESS or len(parts) == 1:
                raise
            return [b for part in parts for b in await self._settle(part)]
        return [block]

    async def _read(self, block: Block) -> Sequence[int] | Sequence[bool]:
        client = self._open_client()
        read = {
            Table.COIL: client.read_coils,
            Table.DISCRETE: client.read_discrete_inputs,
            Table.HOLDING: client.read_holding_registers,
            Table.INPUT: client.read_input_registers,
        }[block.table]
        request = read(block.first, count=block.count, device_id=self._unit_id)
        response = await self._ask(block, request)
        cells: Sequence[int] | Sequence[bool] = (
            response.bits if block.table.is_bits else response.registers
        )
        return cells

    async def _write(self, block: Block, outputs: Ints) -> None:
        client, cells = self._open_client(), block.encode(outputs)
        if block.table.is_bits:
            bits = [cell == 1 for cell in cells]
            request = client.write_coils(block.first, bits, device_id=self._unit_id)
        else:
            request = client.write_registers(block.first, cells, device_id=self._unit_id)
        await self._ask(block, request)

    async def _ask(self, block: Block, request: Awaitable[Any]) -> Any:
        """One transaction. Raises Refused, and DeviceError for an answer not to be trusted."""
        response = await request
        self._request = b""
        if self._doubt:
            raise DeviceError(self._doubt)
        if response.isError():
            raise Refused(block, response.exception_code)
        return response

    def _open_client(self) -> AsyncModbusTcpClient:
        if self._doubt or self._client is None:
            raise DeviceError(self._doubt or "not connected")
        return self._client

    @contextlib.asynccontextmanager
    async def _attempt(self, timeout_s: float) -> AsyncIterator[None]:
        """Bound a conversation; however it fails, the connection is closed and the reason named."""
        try:
            async with bounded(timeout_s) as self._limit:
                yield
        except (DeviceError, ModbusException, OSError) as error:
            silence = f"no answer within {timeout_s:g} s"
            reason = self._doubt or (silence if isinstance(error, TimeoutError) else str(error))
            self._drop()
            kind = NotThere if isinstance(error, NotThere) else DeviceError
            raise kind(f"{self.name}: {reason}") from None
        except BaseException:
            self._drop()
            raise
        finally:
            self._limit = None

    def _watch_packet(self, sending: bool, data: bytes) -> bytes:
        """See each request that pymodbus sends, and all bytes received before pymodbus does."""
        if sending:
            self._request = data
        elif reason := flaw(self._request, data):
            self._distrust(reason)
            return b""
        return data

    def _watch_connection(self, connected: bool) -> None:
        if not connected:
            self._distrust("the device closed the connection")

    def _distrust(self, reason: str) -> None:
        """End the exchange at once; where none is under way, the next one fails."""
        self._doubt = self._doubt or reason
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())

    def _drop(self) -> None:
        client, self._client = self._client, None
        self._request = b""
        if client is not None:
            client.close()


def host_and_port(address: str) -> tuple[str, int]:
    """Of `host:port`, `host` (port 502) or `[IPv6]:port`. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, str(DEFAULT_PORT)
    if not host or not port.isdecimal() or not 0 < int(port) < 0x10000:
        raise ValueError(f"{address!r}: a Modbus TCP address is host:port, as 192.168.1.20:502")
    return host.strip("[]"), int(port)
