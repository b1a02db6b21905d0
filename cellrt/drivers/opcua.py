"""OPC UA: one Write and one Read service call an exchange, prepared at connect."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.ua_utils import data_type_to_variant_type
from asyncua.ua.attribute_ids import AttributeIds

from cellrt.drivers.base import DeviceError, NotThere, bounded
from cellrt.drivers.opcua_calls import TYPES, Calls, ReadCall, WriteCall
from cellrt.drivers.outputs import REFRESH_S, Confirmed, value_of
from cellrt.wire import DeviceMap, Ints, Point

WIRES = {variant: wire for wire, variant in TYPES.items()}

WRITABLE = 1 << ua.AccessLevel.CurrentWrite
"""Bit of the attribute UserAccessLevel (OPC UA Part 3, 8.57)."""

CHANNEL_S = 3600.0
"""Lifetime asked for the secure channel, renewed after three quarters (OPC UA Part 4, 5.5.2)."""

SESSION_S = 10.0
"""How long the server keeps a session whose client has vanished; servers have few to give."""

CONNECT_STEPS = 10
"""Requests that a connect takes, each within the timeout."""


class OpcUaDriver:
    """One OPC UA server as a device, without security and anonymous.

    An exchange is one Write call, of the outputs that the server may not have and the heartbeat
    last, then one Read call of all inputs, so that a sample is as coherent as the server makes it; a
    write is an exchange without the Read. There are no background tasks: exchanges and writes
    themselves are the watchdog, and renew the channel.
    """

    def __init__(
        self,
        name: str,
        address: str,
        device_map: DeviceMap,
        timeout_s: float,
        refresh_s: float = REFRESH_S,
        channel_s: float = CHANNEL_S,
    ) -> None:
        """Raises ValueError where the address or the map cannot be OPC UA."""
        if urlsplit(address).scheme != "opc.tcp" or urlsplit(address).port is None:
            raise ValueError(
                f"{address!r}: an OPC UA address is such as opc.tcp://192.168.1.30:4840"
            )
        if not device_map.namespace:
            raise ValueError(f"{device_map.path or name}: give the namespace URI of the nodes")
        self.name = name
        self._address = address
        self._namespace = device_map.namespace
        self._timeout_s = timeout_s
        self._channel_s = channel_s
        self._inputs = _rows(device_map.counter, device_map.inputs)
        self._outputs = _rows(device_map.heartbeat, device_map.outputs)
        self._sample = np.zeros(1 + len(device_map.inputs), np.int64)
        self._confirmed = Confirmed(refresh_s)
        self._client: Client | None = None
        self._connected = False
        self._renew_at_s = 0.0

    async def connect(self) -> None:
        """Open channel and session, and check that each point's node is what the map says.

        Raises DeviceError, naming point, node and mend.
        """
        await self.close()
        async with self._attempt(CONNECT_STEPS * self._timeout_s):
            client = self._client = Client(self._address, timeout=self._timeout_s)
            client.secure_channel_timeout = int(1000 * self._channel_s)
            client.session_timeout = int(1000 * SESSION_S)
            try:
                await client.connect_socket()
            except OSError as error:
                raise NotThere(f"no connection to {self._address}: {_reason(error)}") from None
            await client.send_hello()
            await self._open_channel(client, renew=False)
            await client.create_session()
            await client.activate_session()
            index = await self._namespace_index(client)
            await self._check(client, index)
            self._prepare(client, index)
            self._confirmed.forget()
            self._connected = True

    async def exchange(self, outputs: Ints, inputs: Ints) -> None:
        """Write what is due and the heartbeat, then read all inputs. Raises DeviceError."""
        async with self._attempt(self._timeout_s):
            await self._keep_open()
            await self._write_due(outputs)
            if self._inputs:
                await self._read_all()
        inputs[:] = self._sample

    async def write(self, outputs: Ints) -> None:
        """Write what is due and the heartbeat. Raises DeviceError."""
        async with self._attempt(self._timeout_s):
            await self._keep_open()
            await self._write_due(outputs)

    async def close(self) -> None:
        """Close session, channel and socket, within the timeout. Never raises."""
        client, self._client, self._connected = self._client, None, False
        if client is None:
            return
        try:
            with contextlib.suppress(Exception):
                async with bounded(self._timeout_s):
                    await client.close_session()
                    await client.close_secure_channel()
        finally:
            client.disconnect_socket()

    async def _keep_open(self) -> None:
        """Renew the channel when that is due. Raises DeviceError when there is none."""
        if self._client is None or not self._connected:
            raise DeviceError("not connected")
        if asyncio.get_running_loop().time() >= self._renew_at_s:
            await self._open_channel(self._client, renew=True)

    async def _write_due(self, outputs: Ints) -> None:
        """One Write call of the outputs that the server may not have and the heartbeat."""
        now_s = asyncio.get_running_loop().time()
        rows = list(self._confirmed.due(outputs, now_s))
        if 0 in self._outputs:
            rows.append(0)  # the heartbeat, last
        if rows:
            values = {row: value_of(self._outputs[row].wire, outputs, row) for row in rows}
            statuses = await self._write.run(self._calls, values)
            for row, status in zip(rows, statuses, strict=False):
                if not status.is_good():
                    raise DeviceError(f"{_named(self._outputs[row])} not written: {status.name}")
        self._confirmed.confirm(now_s)

    async def _read_all(self) -> None:
        values = await self._read.run(self._calls)
        reals = self._sample.view(np.float64)
        for (row, point), value in zip(self._inputs.items(), values, strict=True):
            plain = value if not isinstance(value, ua.DataValue) else _plain(point, value)
            if point.wire.is_float:
                reals[row] = plain
            else:
                self._sample[row] = plain

    async def _open_channel(self, client: Client, renew: bool) -> None:
        await client.open_secure_channel(renew)
        if renew:
            client.uaclient.revolve_security_token()
        lifetime_s = client.secure_channel_timeout / 1000
        self._renew_at_s = asyncio.get_running_loop().time() + 0.75 * lifetime_s

    async def _namespace_index(self, client: Client) -> int:
        offered: list[str] = await client.get_namespace_array()
        if self._namespace not in offered:
            raise DeviceError(
                f"the server has no namespace {self._namespace!r}; "
                f"write one of these into the device map: {', '.join(offered)}"
            )
        return offered.index(self._namespace)

    async def _check(self, client: Client, index: int) -> None:
        """Each node exists, holds one value of the map's type, and an output may be written."""
        points = [*self._inputs.values(), *self._outputs.values()]
        nodes = [_node_id(point, index) for point in points]
        read = client.uaclient.session.read_attributes
        types = await read(nodes, AttributeIds.DataType)
        ranks = await read(nodes, AttributeIds.ValueRank)
        levels = await read(nodes, AttributeIds.UserAccessLevel)
        for n, point in enumerate(points):
            if bad := _bad(types[n]):
                raise DeviceError(
                    f"{_named(point)} is no variable in {self._namespace!r} ({bad}); "
                    "correct its node in the device map"
                )
            kind = await data_type_to_variant_type(client.get_node(_content(types[n])))
            if kind not in (TYPES[point.wire], ua.VariantType.Variant):
                mend = f"write type = {WIRES[kind].value!r}" if kind in WIRES else "choose another"
                raise DeviceError(
                    f"{_named(point)} is {kind.name}, not {point.wire.value}; "
                    f"{mend} in the device map"
                )
            if (_content(ranks[n]) or 0) > 0:
                raise DeviceError(f"{_named(point)} is an array; choose another in the device map")
            is_output = n >= len(self._inputs)
            if is_output and not (_content(levels[n]) or 0) & WRITABLE:
                raise DeviceError(f"{_named(point)} is an output, but the server allows no writing")

    def _prepare(self, client: Client, index: int) -> None:
        self._calls = Calls(client, self._timeout_s)
        inputs, outputs = self._inputs.values(), self._outputs.items()
        self._read = ReadCall([_node_id(p, index) for p in inputs], [p.wire for p in inputs])
        self._write = WriteCall({row: (_node_id(p, index), p.wire) for row, p in outputs})

    @contextlib.asynccontextmanager
    async def _attempt(self, timeout_s: float) -> AsyncIterator[None]:
        """Bound a conversation and name why it failed, whatever the library makes of it."""
        try:
            async with bounded(timeout_s):
                yield
        except Exception as error:
            self._connected = False  # `close` says so to the server, if that still hears
            reason = f"no answer within {timeout_s:g} s"
            if not isinstance(error, TimeoutError):
                reason = _reason(error)
            kind = NotThere if isinstance(error, NotThere) else DeviceError
            raise kind(f"{self.name}: {reason}") from None


def _rows(first: Point | None, others: Iterable[Point]) -> dict[int, Point]:
    """Points by their row in the raw array."""
    return {0: first, **dict(enumerate(others, 1))} if first else dict(enumerate(others, 1))


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _node_id(point: Point, namespace_index: int) -> ua.NodeId:
    return ua.NodeId(ua.String(point.address), ua.Int16(namespace_index))


def _plain(point: Point, value: ua.DataValue) -> bool | int | float:
    """What a server sent with more than the value. Raises DeviceError for what is no good value."""
    if bad := _bad(value):
        raise DeviceError(f"{_named(point)} not read: {bad}")
    variant = value.Value
    if variant is None or variant.VariantType is not TYPES[point.wire] or variant.is_array:
        raise DeviceError(f"{_named(point)} is no longer one {point.wire.value}: {variant}")
    plain: bool | int | float = variant.Value
    return plain


def _content(value: ua.DataValue) -> Any:
    return None if value.Value is None else value.Value.Value


def _bad(value: ua.DataValue) -> str:
    """Name of a status that is not good; empty when it is."""
    status = value.StatusCode
    return "" if status is None or status.is_good() else status.name


def _named(point: Point) -> str:
    return f"{point.name} at node {point.address!r}"
