"""Real servers on loopback, for the drivers to talk to."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.server import Server
from pymodbus.pdu import ModbusPDU
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from cellrt.wire import Ints

NAMESPACE = "urn:test:safety"
VARIABLES = (
    ("bool", False, ua.VariantType.Boolean),
    ("i16", 0, ua.VariantType.Int16),
    ("u16", 0, ua.VariantType.UInt16),
    ("i32", 0, ua.VariantType.Int32),
    ("u32", 0, ua.VariantType.UInt32),
    ("i64", 0, ua.VariantType.Int64),
    ("f32", 0.0, ua.VariantType.Float),
    ("f64", 0.0, ua.VariantType.Double),
    ("Heartbeat", 0, ua.VariantType.UInt16),
    ("Counter", 41, ua.VariantType.UInt32),
)


def raw(*values: int | float) -> Ints:
    """Raw values: ints as they are, floats as their bits."""
    array = np.zeros(len(values), np.int64)
    for n, value in enumerate(values):
        if isinstance(value, float):
            array.view(np.float64)[n] = value
        else:
            array[n] = value
    return array


class Request(NamedTuple):
    function: int
    address: int
    cells: int


class ModbusServer:
    """A device with 100 input and holding registers, 40 coils and discrete inputs; unit 7."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Request] = []
        device = SimDevice(
            id=7,
            simdata=(
                [SimData(0, count=40, values=False, datatype=DataType.BITS)],
                [SimData(0, count=40, values=False, datatype=DataType.BITS)],
                [SimData(0, count=100, values=0, datatype=DataType.REGISTERS)],
                [
                    SimData(0, count=10, values=0, datatype=DataType.REGISTERS),
                    SimData(14, count=100, values=0, datatype=DataType.REGISTERS),
                ],
            ),
        )
        self._server: Any = ModbusTcpServer(
            device, address=("127.0.0.1", port), trace_pdu=self._note
        )

    async def start(self) -> None:
        await self._server.serve_forever(background=True)

    async def stop(self) -> None:
        await self._server.shutdown()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.transport.sockets[0].getsockname()[1]}"

    async def get(self, function: int, address: int, count: int = 1) -> list[Any]:
        values = await self._server.async_getValues(7, function, address, count)
        return list(values)

    async def set(self, function: int, address: int, values: list[Any]) -> None:
        await self._server.async_setValues(7, function, address, values)

    def _note(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:
        if not sending:
            self.requests.append(Request(pdu.function_code, pdu.address, pdu.count))
        return pdu


class OpcUaServer:
    """A server with writable variables named after the wire types, and what a test adds."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}

    async def start(self) -> None:
        self.server = Server()
        await self.server.init()
        self.server.set_endpoint("opc.tcp://127.0.0.1:0/")
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self.index = await self.server.register_namespace(NAMESPACE)
        for name, value, kind in VARIABLES:
            await self.add(name, value, kind)
        await self.server.start()
        sockets: Any = self.server.bserver
        self._sockets = sockets
        self.port = int(self._sockets.port)
        self.address = f"opc.tcp://127.0.0.1:{self.port}/"

    async def go_down(self) -> None:
        """Close every connection and listen no more."""
        await self._sockets.stop()

    async def come_up(self) -> None:
        await self._sockets.start()

    async def add(
        self, name: str, value: Any, kind: ua.VariantType | None, writable: bool = True
    ) -> Node:
        node = await self.server.nodes.objects.add_variable(
            ua.NodeId(ua.String(name), ua.Int16(self.index)), name, value, kind
        )
        if writable:
            await node.set_writable()
        self.nodes[name] = node
        return node

    def sessions(self) -> int:
        """Clients' sessions that the server keeps."""
        return len(self.server.iserver._external_sessions)

    async def stop(self) -> None:
        await self.server.stop()
