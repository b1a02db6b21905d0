"""OPC UA server of a simulated device: a node for each point, without security, on 127.0.0.1."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any

import numpy as np
from asyncua import ua
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import BadTypeMismatch

from cellrt.compiler.cache import cached_njit
from cellrt.image import Image
from cellrt.tags import find
from cellrt.wire import Floats, Ints, Views, Wire, Wiring, gather, scatter, wiring
from hw_sim.device import SimDevice
from hw_sim.opcua_gate import CODES, FrontServer

VALUE, DESCRIPTION = AttributeIds.Value, AttributeIds.Description


class OpcUaFront:
    """Serves one device. A node's string identifier is its point's address; dots make folders."""

    def __init__(self, device: type[SimDevice], name: str, image: Image) -> None:
        self._device, self._name = device, name
        self._views = image.views
        self._points = device.points
        self._written = {p.address for p in device.written()}
        self._wires = wiring([(p, image.layout.find(f"{name}.{p.name}")) for p in self._points])
        self._raw: Ints = np.zeros(len(self._points), np.int64)
        self._raw_reals: Floats = self._raw.view(np.float64)
        self._shown: Ints = np.zeros(len(self._points), np.int64)
        self._nodes: list[ua.NodeId] = []
        self._rows: dict[ua.NodeId, int] = {}
        self._stale = False
        self._server: Server | None = None

    async def build(self) -> None:
        """The address space, which takes a while."""
        server = self._server = FrontServer(self)
        await server.init()
        server.set_identity_tokens([ua.AnonymousIdentityToken])
        server.set_server_name(f"simulated {self._name}")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        await self._add_nodes(server)

    async def start(self, port: int) -> str:
        """Listen on `port`, or a free one for 0; the address. Raises OSError."""
        assert self._server is not None
        with socket.create_server(("127.0.0.1", port)) as probe:
            port = probe.getsockname()[1]  # asyncua would announce 0, and log a traceback if taken
        self._server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
        await self._server.start()
        return self._server.endpoint.geturl()

    async def publish(self) -> None:
        """The device was scanned: what is read next is made up anew, what is watched is told now."""
        assert self._server is not None
        self._stale = True
        inside = self._server.iserver
        if inside.subscription_service.subscriptions:
            for n in self._changed():
                value = self._data_value(n)
                await inside.aspace.write_attribute_value(self._nodes[n], VALUE, value)

    def show(self) -> None:
        """Give the nodes whose value changed their new one."""
        assert self._server is not None
        for n in self._changed():
            node = self._server.iserver.aspace[self._nodes[n]]
            node.attributes[VALUE].value = self._data_value(n)

    def row(self, node: ua.NodeId) -> int | None:
        """The number of the point at a node."""
        return self._rows.get(node)

    def wire(self, row: int) -> Wire:
        """A point's width."""
        return self._points[row].wire

    def values(self, rows: Sequence[int]) -> list[bool | int | float]:
        """What these points are now."""
        self._gather()
        return [self._value(n) for n in rows]

    def _gather(self) -> None:
        if self._stale:
            _gather(self._wires, self._raw, self._raw_reals, self._views)
            self._stale = False

    def _changed(self) -> list[int]:
        """Points whose nodes do not show what they are; they are about to. What the network writes, it
        has written to the node itself."""
        self._gather()
        changed = np.flatnonzero(self._raw != self._shown).tolist()
        self._shown[changed] = self._raw[changed]
        return [n for n in changed if self._points[n].address not in self._written]

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is None:
            return
        clock = self._server.iserver.time_task
        if clock is not None:  # it would sleep on for up to a second
            clock.cancel()
            await asyncio.gather(clock, return_exceptions=True)
            self._server.iserver.time_task = None
        await self._server.stop()

    async def _add_nodes(self, server: Server) -> None:
        index = await server.register_namespace(self._device.device_map.namespace)
        top = await server.nodes.objects.add_object(_node_id(self._name, index), self._name)
        folders = {"": top}
        _gather(self._wires, self._raw, self._raw_reals, self._views)
        self._shown[:] = self._raw
        for n, point in enumerate(self._points):
            folder, _, name = point.address.rpartition(".")
            if folder not in folders:
                folders[folder] = await top.add_object(_node_id(folder, index), folder)
            node = await folders[folder].add_variable(
                _node_id(point.address, index), name, self._value(n), CODES[point.wire][1]
            )
            described = ua.LocalizedText(find(self._device, point.name).field.doc)
            await node.write_attribute(DESCRIPTION, ua.DataValue(ua.Variant(described)))
            if point.address in self._written:
                await node.set_writable()
                space = server.iserver.aspace
                space.set_attribute_value_setter(node.nodeid, VALUE, self._accept(n))
            self._rows[node.nodeid] = len(self._nodes)
            self._nodes.append(node.nodeid)

    def _value(self, n: int) -> bool | int | float:
        wire = self._points[n].wire
        if wire.is_float:
            return float(self._raw_reals[n])
        return bool(self._raw[n]) if wire is Wire.BOOL else int(self._raw[n])

    def _data_value(self, n: int) -> ua.DataValue:
        variant = ua.Variant(self._value(n), CODES[self._points[n].wire][1])
        return ua.DataValue(variant, SourceTimestamp=_now())

    def _accept(self, n: int) -> Callable[..., Any]:
        """What takes in a client's write to node n: a single value of the node's type, at once."""

        def accept(node: Any, attribute: Any, value: ua.DataValue) -> None:
            variant = value.Value
            if variant is None or not isinstance(variant.Value, bool | int | float):
                raise BadTypeMismatch
            if self._points[n].wire.is_float:
                self._raw_reals[n] = variant.Value
            else:
                self._raw[n] = variant.Value
            _scatter(self._wires, n, self._raw, self._raw_reals, self._views)
            node.attributes[attribute].value = value

        return accept


def _now() -> ua.DateTime:
    return ua.DateTime.now(UTC)


def _node_id(identifier: str, index: int) -> ua.NodeId:
    return ua.NodeId(ua.String(identifier), ua.Int16(index))


@cached_njit
def _gather(wires: Wiring, raw: Ints, reals: Floats, image: Views) -> None:
    for n in range(wires.runs.shape[0]):
        gather(wires, wires.runs[n], raw, reals, image)


@cached_njit
def _scatter(wires: Wiring, n: int, raw: Ints, reals: Floats, image: Views) -> None:
    scatter(wires, wires.rows[n], raw, reals, image)
