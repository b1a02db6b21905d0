"""A cell as a unit of OPC 30050: by that standard's names, types and state machines."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
from asyncua import Node, ua
from scada_line import Desk, press_line, serving, watch

from cellrt.figures import Figures
from cellrt.packml import Command, State
from cellrt.scan.commands import Operation

pytestmark = pytest.mark.asyncio(loop_scope="module")

URI = "http://opcfoundation.org/UA/PackML/"
MACHINES = ["BaseStateMachine", "MachineState", "ExecuteState"]

# By hand, from OPC 30050, 6.3: the current state of each machine; the numbers of its superstates.
STATES = {
    State.ABORTING: ("Aborting",),
    State.ABORTED: ("Aborted",),
    State.CLEARING: ("Cleared", "Clearing"),
    State.STOPPED: ("Cleared", "Stopped"),
    State.STOPPING: ("Cleared", "Stopping"),
    State.RESETTING: ("Cleared", "Running", "Resetting"),
    State.IDLE: ("Cleared", "Running", "Idle"),
    State.STARTING: ("Cleared", "Running", "Starting"),
    State.EXECUTE: ("Cleared", "Running", "Execute"),
    State.HOLDING: ("Cleared", "Running", "Holding"),
    State.HELD: ("Cleared", "Running", "Held"),
    State.UNHOLDING: ("Cleared", "Running", "Unholding"),
    State.SUSPENDING: ("Cleared", "Running", "Suspending"),
    State.SUSPENDED: ("Cleared", "Running", "Suspended"),
    State.UNSUSPENDING: ("Cleared", "Running", "Unsuspending"),
    State.COMPLETING: ("Cleared", "Running", "Completing"),
    State.COMPLETE: ("Cleared", "Running", "Complete"),
}
NUMBERS = {"Running": 18, "Cleared": 19, **{s.name.capitalize(): int(s) for s in State}}
METHODS = {
    "BaseStateMachine": {"Abort", "Clear"},
    "MachineState": {"Stop", "Reset"},
    "ExecuteState": {
        "Reset",
        "Start",
        "Hold",
        "Unhold",
        "Suspend",
        "Unsuspend",
        "ToComplete",
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk() -> AsyncIterator[Desk]:
    async with serving(press_line()) as desk:
        yield desk


async def machine(desk: Desk, depth: int) -> Node:
    """A state machine of the press, found by the standard's names."""
    return await desk.node("press.PackML").get_child(
        [f"2:{name}" for name in MACHINES[: depth + 1]]
    )


async def test_names_of_the_standard_are_in_its_namespace(desk: Desk) -> None:
    assert await desk.client.get_namespace_index(URI) == 2
    unit = desk.node("press.PackML")
    for path in (
        ["2:Status", "2:UnitModeCurrent"],
        ["2:Status", "2:EquipmentBlocked"],
        ["2:Status", "2:EquipmentStarved"],
        ["2:Admin"],
        ["2:TagID"],
        ["2:SetUnitMode"],
    ):
        await unit.get_child(path)
    assert await (await unit.get_child("2:TagID")).read_value() == "press"


async def test_objects_are_of_the_standards_types(desk: Desk) -> None:
    unit = desk.node("press.PackML")
    found = {unit: 6, await unit.get_child("2:Status"): 4, await unit.get_child("2:Admin"): 5}
    found |= {await machine(desk, depth): 3 - depth for depth in range(3)}
    for node, number in found.items():
        assert await node.read_type_definition() == ua.NodeId(number, 2)
        kind = desk.client.get_node(ua.NodeId(number, 2))
        assert await kind.read_node_class() is ua.NodeClass.ObjectType


async def test_times_and_speeds_are_as_the_standard_types_them(desk: Desk) -> None:
    figures = Figures(desk.scan.plan.cells)
    spoken = {"event": "State", "cell": "press", "from": "Stopped"}
    figures.hear({**spoken, "t_ns": 4 * 10**9, "to": "Execute"})
    for t_s in (10, 40, 70):
        figures.hear({"event": "BoardOut", "cell": "press", "t_ns": t_s * 10**9})
    desk.server.count(figures.at(70 * 10**9).view(np.int64))
    await desk.publish()
    execute, stopped = int(State.EXECUTE), int(State.STOPPED)
    for name, shape, places in (
        ("AccTimeSinceReset", (), {(): 70}),
        ("ModeCurrentTime", (4,), {(1,): 70}),
        ("ModeCumulativeTime", (4,), {(1,): 70}),
        ("StateCurrentTime", (4, 18), {(1, execute): 66}),
        ("StateCumulativeTime", (4, 18), {(1, execute): 66, (1, stopped): 4}),
    ):
        node = await desk.node("press.PackML").get_child(["2:Admin", f"2:{name}"])
        assert await node.read_data_type() == ua.NodeId(ua.ObjectIds.Int32)
        assert await node.read_value_rank() == (len(shape) or ua.ValueRank.Scalar)
        value = (await node.read_data_value()).Value
        assert value is not None and value.VariantType is ua.VariantType.Int32
        told = np.array(value.Value)
        assert told.shape == shape
        assert {p: n for p, n in np.ndenumerate(told) if n} == places
    for name, speed in (("MachSpeed", 2.4), ("CurMachSpeed", 2.0)):
        node = await desk.node("press.PackML").get_child(["2:Status", f"2:{name}"])
        assert await node.read_value() == pytest.approx(speed)
        assert await node.read_data_type() == ua.NodeId(ua.ObjectIds.Float)
        assert (await node.read_type_definition()).Identifier == ua.ObjectIds.AnalogItemType
        unit = await (await node.get_child("0:EngineeringUnits")).read_value()
        assert unit.DisplayName.Text == "boards/min"


async def test_time_goes_on_whoever_watches_is_told_once_a_second(desk: Desk) -> None:
    figures = Figures(desk.scan.plan.cells)
    name = "press.PackML.Admin.ModeCumulativeTime"
    told = await watch(desk, name)
    for now_ns in (100 * 10**9, 100 * 10**9 + 10**8, 101 * 10**9):
        desk.server.count(figures.at(now_ns).view(np.int64))
        await desk.publish()
    assert [await told.next() for _ in range(2)] == [
        (name, [0, 100, 0, 0]),
        (name, [0, 101, 0, 0]),
    ]
    await desk.forget()


async def test_counters_are_reset_by_a_method(desk: Desk) -> None:
    await desk.renew()
    assert await desk.call("press", "ResetCounters") == "Good"
    assert desk.scan.asked == [(Operation.RESET_COUNTERS, 2, 0)]


async def test_every_state_stands_in_its_machines(desk: Desk) -> None:
    for state, names in STATES.items():
        desk.scan.set("press.unit.state", int(state))
        await desk.publish()
        for depth, name in enumerate(names):
            current = await (await machine(desk, depth)).get_child("0:CurrentState")
            assert (await current.read_value()).Text == name
            assert await (await current.get_child("0:Number")).read_value() == NUMBERS[name]
            node = desk.client.get_node(await (await current.get_child("0:Id")).read_value())
            assert await node.read_browse_name() == ua.QualifiedName(name, 2)
            assert await (await node.get_child("0:StateNumber")).read_value() == NUMBERS[name]
        for depth in range(len(names), 3):
            current = await (await machine(desk, depth)).get_child("0:CurrentState")
            data = await current.read_data_value(raise_on_bad_status=False)
            assert data.StatusCode.name == "BadStateNotActive"


async def test_machines_have_the_methods_that_the_standard_gives_them(desk: Desk) -> None:
    for depth, name in enumerate(MACHINES):
        node = await machine(desk, depth)
        methods = {
            (await child.read_browse_name()).Name: child
            for child in await node.get_children(nodeclassmask=ua.NodeClass.Method)
        }
        assert methods.keys() == METHODS[name]
        for method_name, method in methods.items():
            desk.scan.asked.clear()
            await node.call_method(method.nodeid)
            command = Command[method_name.removeprefix("To").upper()]
            assert desk.scan.asked == [(Operation.PACKML, 2, int(command))]


async def test_method_of_one_machine_is_not_anothers(desk: Desk) -> None:
    base = await machine(desk, 0)
    with pytest.raises(ua.uaerrors.BadMethodInvalid):
        request = ua.CallMethodRequest(base.nodeid, desk.node("press.PackML.Start").nodeid)
        (result,) = await desk.client.uaclient.session.call([request])
        result.StatusCode.check()
