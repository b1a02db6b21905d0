"""A line in the test's hands, as its OPC UA server sees it: an image to write, a scan that answers."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from asyncua import Client, Node, ua
from asyncua.common.subscription import Subscription

from cellrt import Cell, Input, Output, Parameter, Var, always, to
from cellrt.audit import Deed
from cellrt.line.spec import CellSpec, DeviceSpec, HandoverSpec, LineSpec, OpcuaSpec, SimSpec
from cellrt.opcua.access import Access
from cellrt.opcua.server import BUDGET, LineServer
from cellrt.opcua.users import Rank
from cellrt.scan.commands import Operation, Refusal
from cellrt.scan.plan import Plan
from cellrt.scan.snapshot import Snapshot
from cellrt.scan.tables import initial_image
from cellrt.wire import DeviceMap, Ints, Point, Wire
from cells.conveyor import Conveyor

WALL_START_NS = 1_700_000_000 * 10**9
PERIOD_NS = 10_000_000
TIMEOUT_S = 10.0


class Press(Cell):
    """A press with a gauge."""

    ready: bool = Input(doc="the ram is up")
    pressure_N: float = Input(unit="N", low=0.0, high=200.0, doc="force at the ram")
    strokes: int = Input(unit="strokes")
    lamp: bool = Output(safe=always(to(False)))
    force_N: float = Output(safe=always(to(0.0)), unit="N", low=0.0, high=200.0)
    target_N: float = Parameter(120.0, unit="N", low=10.0, high=180.0, doc="force to press with")
    attempts: int = Parameter(3, low=1, high=9)
    armed: bool = Parameter(True)
    offset_um: float = Parameter(0.0, unit="um")
    spread_mm: float = Var(unit="mm")


def device(name: str, points: Mapping[str, Wire]) -> DeviceSpec:
    inputs = tuple(Point(p, f"input:{n}", wire) for n, (p, wire) in enumerate(points.items()))
    return DeviceSpec(name, DeviceMap("modbus", inputs, ()), "127.0.0.1:1502", 10, 200, 500, None)


def joined(device: str, *tags: str) -> dict[str, tuple[str, str]]:
    return {tag: (device, tag) for tag in tags}


def line_of(
    name: str,
    devices: list[DeviceSpec],
    cells: Mapping[str, CellSpec],
    *pairs: tuple[str, str],
    history: tuple[str, ...] = (),
) -> Plan:
    handovers = tuple(HandoverSpec(f"{a}>{b}", f"{a}.outfeed", f"{b}.infeed") for a, b in pairs)
    by_name = {d.name: d for d in devices}
    spec = LineSpec(
        name,
        Path("line.toml"),
        PERIOD_NS,
        1,
        by_name,
        cells,
        handovers,
        SimSpec(),
        False,
        (),
        "",
        opcua=OpcuaSpec(history=history),
        takt_s=25.0,
    )
    return Plan(spec)


def press_line(*history: str) -> Plan:
    """Two conveyors in a row on a coupler, and a press with a gauge of its own."""
    gauge = {"ready": Wire.BOOL, "pressure_N": Wire.F64, "strokes": Wire.I64}
    barriers = {"board_at_entry": Wire.BOOL, "board_at_exit": Wire.BOOL}
    cells = {
        name: CellSpec(name, Conveyor, {}, joined("coupler", *barriers), {})
        for name in ("infeed", "outfeed")
    }
    cells["press"] = CellSpec("press", Press, {}, joined("gauge", *gauge), {})
    devices = [device("coupler", barriers), device("gauge", gauge)]
    return line_of("press-line", devices, cells, ("infeed", "outfeed"), history=history)


class FakeScan:
    """What the scan's process is to the server: it answers commands, and shows its image."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.image = initial_image(plan)
        self.inputs: Ints = np.zeros(plan.input_words, np.int64)
        self.asked: list[tuple[Operation, int, int]] = []
        self.answer = Refusal.ACCEPTED
        self.scan = 0
        for name in plan.devices:
            self.set_good(name, True)

    async def send(self, operation: Operation, target: int, argument: int) -> Refusal:
        self.asked.append((operation, target, argument))
        return self.answer

    def set_good(self, device: str, good: bool) -> None:
        self.inputs[self.plan.samples[self.plan.devices.index(device)].base + 1] = good

    def set(self, tag: str, value: bool | int | float) -> None:
        self.image.write(self.plan.layout.find(tag), value)

    def snapshot(self) -> Snapshot:
        """Of the next scan."""
        self.scan += 1
        now_ns = self.scan * PERIOD_NS
        return Snapshot.take(self.plan, self.image, self.inputs, self.scan, now_ns, epoch=4)


class Desk:
    """A client at a server, and the scan behind that."""

    def __init__(self, server: LineServer, scan: FakeScan, client: Client) -> None:
        self.server, self.scan, self.client = server, scan, client
        self.subscriptions: list[Subscription] = []

    async def publish(self) -> None:
        await self.server.publish(self.scan.snapshot())

    async def renew(self) -> None:
        """The line as new: every tag at its default, every device good, every command accepted."""
        fresh = FakeScan(self.scan.plan)
        self.scan.image.bytes[:] = fresh.image.bytes
        self.scan.inputs[:] = fresh.inputs
        self.scan.answer = Refusal.ACCEPTED
        for request in ("CmdChangeRequest", "UnitModeChangeRequest"):
            await self.write(f"press.PackML.Command.{request}", False, ua.VariantType.Boolean)
        self.scan.asked.clear()
        await self.publish()

    async def forget(self) -> None:
        """Watch nothing any more."""
        for subscription in self.subscriptions:
            await subscription.delete()
        self.subscriptions.clear()

    def node(self, identifier: str) -> Node:
        return self.client.get_node(ua.NodeId(identifier, 1))

    async def value(self, identifier: str) -> Any:
        return await self.node(identifier).read_value()

    async def data(self, identifier: str) -> ua.DataValue:
        """Value, status and times, whatever the status."""
        return await self.node(identifier).read_data_value(raise_on_bad_status=False)

    async def status(self, identifier: str) -> str:
        status = (await self.data(identifier)).StatusCode
        return "" if status is None else status.name

    async def write(self, identifier: str, value: Any, kind: ua.VariantType) -> str:
        """Write as most clients do, with neither status nor time; the name of the answer."""
        data = ua.DataValue(ua.Variant(value, kind), None)
        item = ua.WriteValue(self.node(identifier).nodeid, ua.AttributeIds.Value, None, data)
        (answer,) = await self.client.uaclient.session.write(ua.WriteParameters([item]))
        return answer.name

    async def call(self, cell: str, method: str, *arguments: ua.Variant) -> str:
        """Call a method of the cell's PackML node; the name of the answer."""
        unit = self.node(f"{cell}.PackML").nodeid
        request = ua.CallMethodRequest(unit, self.node(f"{cell}.PackML.{method}").nodeid)
        request.InputArguments = list(arguments)
        (result,) = await self.client.uaclient.session.call([request])
        return result.StatusCode.name


class Watch:
    """A subscription: every change that the client is told of, in order."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[str, ua.DataValue]] = asyncio.Queue()

    def datachange_notification(self, node: Node, value: Any, data: Any) -> None:
        self.told.put_nowait((str(node.nodeid.Identifier), data.monitored_item.Value))

    async def next(self) -> tuple[str, Any]:
        identifier, data = await asyncio.wait_for(self.told.get(), TIMEOUT_S)
        return identifier, None if data.Value is None else data.Value.Value

    async def next_status(self) -> tuple[str, str]:
        identifier, data = await asyncio.wait_for(self.told.get(), TIMEOUT_S)
        return identifier, data.StatusCode.name


@functools.cache
def shared_folder() -> Path:
    """State of the servers that have no users: their certificate is made once."""
    folder = Path(tempfile.mkdtemp(prefix="cellrt-opcua-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def open_house(note: Callable[[Deed], None] = lambda deed: None) -> Access:
    """Whoever is on this machine is an engineer, as a line file may say."""
    return Access(shared_folder(), Rank.ENGINEER, note=note)


def server_of(
    plan: Plan,
    access: Access | None = None,
    port: int = 0,
    budget: int = BUDGET,
    speed: float = 1.0,
) -> tuple[LineServer, FakeScan]:
    scan = FakeScan(plan)
    server = LineServer(
        plan,
        scan.send,
        access or open_house(),
        port,
        wall_start_ns=WALL_START_NS,
        speed=speed,
        budget=budget,
    )
    return server, scan


@contextlib.asynccontextmanager
async def serving(
    plan: Plan, budget: int = BUDGET, access: Access | None = None, speed: float = 1.0
) -> AsyncIterator[Desk]:
    """A running server with its first snapshot, and a client."""
    server, scan = server_of(plan, access, budget=budget, speed=speed)
    await server.start()
    try:
        async with Client(f"opc.tcp://127.0.0.1:{server.port}") as client:
            desk = Desk(server, scan, client)
            await desk.publish()
            yield desk
    finally:
        await server.stop()


async def watch(desk: Desk, *identifiers: str) -> Watch:
    """Watch nodes; each one's present value has come already."""
    told = Watch()
    subscription = await desk.client.create_subscription(10, told)
    desk.subscriptions.append(subscription)
    if identifiers:
        await subscription.subscribe_data_change([desk.node(i) for i in identifiers])
    for _ in identifiers:
        await told.next()
    return told
