"""The OPC UA server through a real client: what SCADA browses, reads, watches, writes and calls."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from asyncua import Client, Node, ua
from scada_line import PERIOD_NS, WALL_START_NS, Desk, FakeScan, press_line, watch

from cellrt.opcua.server import LineServer, uri_of
from cellrt.packml import Command, Mode, State
from cellrt.scan.commands import Operation, Refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")

BUDGET = 8
PRESS = 2
"""Number of the press among the cells."""

Boolean, Int32, Int64 = ua.VariantType.Boolean, ua.VariantType.Int32, ua.VariantType.Int64
Double, Float, String = ua.VariantType.Double, ua.VariantType.Float, ua.VariantType.String


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing() -> AsyncIterator[Desk]:
    """One server for all tests: the standard's own address space alone takes a second to build."""
    plan = press_line()
    scan = FakeScan(plan)
    endpoint = "opc.tcp://127.0.0.1:0"
    server = LineServer(plan, scan.send, endpoint, wall_start_ns=WALL_START_NS, budget=BUDGET)
    await server.start()
    async with Client(f"opc.tcp://127.0.0.1:{server.port}") as client:
        yield Desk(server, scan, client)
    await server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def desk(standing: Desk) -> AsyncIterator[Desk]:
    """The line as new: everything at its default, every device good, every command accepted."""
    fresh = FakeScan(standing.scan.plan)
    scan = standing.scan
    scan.image.bytes[:] = fresh.image.bytes
    scan.inputs[:] = fresh.inputs
    scan.asked.clear()
    scan.answer = Refusal.ACCEPTED
    for request in ("CmdChangeRequest", "UnitModeChangeRequest"):
        await standing.write(f"press.PackML.Command.{request}", False, Boolean)
    await standing.publish()
    yield standing
    for subscription in standing.subscriptions:
        await subscription.delete()
    standing.subscriptions.clear()


async def below(node: Node) -> dict[str, Node]:
    """Every node below this one, by identifier."""
    found = {}
    for child in await node.get_children():
        found[str(child.nodeid.Identifier)] = child
        found |= await below(child)
    return found


async def test_browse_finds_every_tag_of_every_cell_and_handover(desk: Desk) -> None:
    nodes = await below(desk.node("/"))
    assert {leaf.path for leaf in desk.scan.plan.layout.tags()} <= nodes.keys()


async def test_browse_by_cell_leads_to_the_tag(desk: Desk) -> None:
    path = ["press-line", "press", "pressure_N"]
    node = await desk.client.nodes.objects.get_child([f"1:{name}" for name in path])
    assert node == desk.node("press.pressure_N")
    path = ["press-line", "Handovers", "infeed>outfeed", "up", "board", "id"]
    node = await desk.client.nodes.objects.get_child([f"1:{name}" for name in path])
    assert node == desk.node("infeed>outfeed.up.board.id")


async def test_namespace_of_the_nodes_is_the_lines(desk: Desk) -> None:
    assert await desk.client.get_namespace_index(uri_of(desk.scan.plan)) == 1
    assert uri_of(desk.scan.plan) == "urn:cellrt:press-line"


@pytest.mark.parametrize(
    ("tag", "kind", "value"),
    [("press.armed", Boolean, True), ("press.attempts", Int64, 3), ("press.target_N", Double, 120)],
)
async def test_variable_has_the_tags_type(
    desk: Desk, tag: str, kind: ua.VariantType, value: Any
) -> None:
    node = desk.node(tag)
    assert await node.read_data_type_as_variant_type() is kind
    data = await node.read_data_value()
    assert data.Value == ua.Variant(value, kind)


async def test_variable_says_what_the_tag_is(desk: Desk) -> None:
    description = await desk.node("press.target_N").read_description()
    assert description.Text == "force to press with"


async def test_unit_and_range_are_properties(desk: Desk) -> None:
    node = desk.node("press.pressure_N")
    unit = await (await node.get_child("0:EngineeringUnits")).read_value()
    limits = await (await node.get_child("0:EURange")).read_value()
    assert (unit.UnitId, unit.DisplayName.Text) == (5129559, "N")
    assert unit.NamespaceUri == "http://www.opcfoundation.org/UA/units/un/cefact"
    assert (limits.Low, limits.High) == (0.0, 200.0)
    assert await node.read_type_definition() == ua.NodeId(ua.ObjectIds.AnalogItemType)


@pytest.mark.parametrize(
    ("tag", "unit_id", "shown"),
    [
        ("press.offset_um", 13384, "µm"),
        ("press.spread_mm", 5066068, "mm"),
        ("press.now_ns", 4404279, "ns"),
        ("press.dt_s", 5457219, "s"),
        ("press.strokes", -1, "strokes"),
    ],
)
async def test_unit_has_its_unece_code_or_its_name(
    desk: Desk, tag: str, unit_id: int, shown: str
) -> None:
    unit = await (await desk.node(tag).get_child("0:EngineeringUnits")).read_value()
    assert (unit.UnitId, unit.DisplayName.Text) == (unit_id, shown)


async def test_device_bad_its_inputs_are_bad_and_nothing_else(desk: Desk) -> None:
    desk.scan.set_good("gauge", False)
    await desk.publish()
    tags = ("press.pressure_N", "press.ready", "press.target_N", "infeed.board_at_exit")
    assert [await desk.status(t) for t in tags] == ["BadNoCommunication"] * 2 + ["Good"] * 2
    assert await desk.value("/Diagnostics/Devices/gauge") is False
    desk.scan.set_good("gauge", True)
    await desk.publish()
    assert await desk.status("press.pressure_N") == "Good"


async def test_scan_lost_every_tag_is_out_of_service(desk: Desk) -> None:
    await desk.server.lose()
    assert await desk.status("press.target_N") == "BadOutOfService"
    assert await desk.status("press.PackML.Status.StateCurrent") == "BadOutOfService"
    await desk.publish()
    assert await desk.status("press.target_N") == "Good"


async def test_source_time_is_the_wall_time_of_the_scan_that_changed_it(desk: Desk) -> None:
    desk.scan.set("press.spread_mm", 1.25)
    await desk.publish()
    now_ns = desk.scan.scan * PERIOD_NS
    await desk.publish()
    changed = datetime.fromtimestamp(WALL_START_NS / 1e9, UTC) + timedelta(seconds=now_ns / 1e9)
    assert (await desk.data("press.spread_mm")).SourceTimestamp == changed


async def test_diagnostics_tell_scan_and_epoch(desk: Desk) -> None:
    assert await desk.value("/Diagnostics/Scan") == desk.scan.scan
    assert await desk.value("/Diagnostics/Epoch") == 4


# writing


@pytest.mark.parametrize(
    ("node", "value", "kind"),
    [
        ("press.lamp", True, Boolean),
        ("press.pressure_N", 5.0, Double),
        ("press.spread_mm", 5.0, Double),
        ("press.unit.state", 6, Int64),
        ("press.PackML.Status.StateCurrent", 6, Int32),
        ("press.PackML.Command.Answer", "all is well", String),
        ("/Diagnostics/ShedChanges", 0, Int64),
    ],
)
async def test_write_to_anything_but_commands_and_parameters_is_refused(
    desk: Desk, node: str, value: Any, kind: ua.VariantType
) -> None:
    before = (await desk.data(node)).Value
    assert await desk.write(node, value, kind) == "BadNotWritable"
    assert (await desk.data(node)).Value == before
    assert desk.scan.asked == []
    assert ua.AccessLevel.CurrentWrite not in await desk.node(node).get_access_level()


async def test_write_to_the_standards_own_nodes_and_attributes_is_refused(desk: Desk) -> None:
    with pytest.raises(ua.uaerrors.BadNotWritable):
        node = desk.client.get_node(ua.NodeId(ua.ObjectIds.Server_ServiceLevel))
        await node.write_value(ua.Variant(1, ua.VariantType.Byte))
    with pytest.raises(ua.uaerrors.BadNotWritable):
        level = ua.DataValue(ua.Variant(3, ua.VariantType.Byte))
        await desk.node("press.attempts").write_attribute(ua.AttributeIds.AccessLevel, level)
    assert await desk.write("press.nothing", 1, Int64) == "BadNodeIdUnknown"


@pytest.mark.parametrize(
    ("tag", "value", "kind", "bits"),
    [
        ("press.target_N", 99.5, Double, int(np.float64(99.5).view(np.int64))),
        ("press.attempts", 9, Int64, 9),
        ("press.armed", False, Boolean, 0),
        ("press.offset_um", -1e9, Double, int(np.float64(-1e9).view(np.int64))),
    ],
)
async def test_write_to_a_parameter_asks_the_scan_and_shows_what_the_scan_shows(
    desk: Desk, tag: str, value: Any, kind: ua.VariantType, bits: int
) -> None:
    before = await desk.value(tag)
    assert await desk.write(tag, value, kind) == "Good"
    number = [leaf.path for leaf in desk.scan.plan.parameters].index(tag)
    assert desk.scan.asked == [(Operation.PARAMETER, number, bits)]
    assert await desk.value(tag) == before
    desk.scan.set(tag, value)
    await desk.publish()
    assert await desk.value(tag) == value


@pytest.mark.parametrize(
    ("tag", "value", "kind", "answer"),
    [
        ("press.target_N", 100.0, Float, "BadTypeMismatch"),
        ("press.target_N", 100, Int64, "BadTypeMismatch"),
        ("press.target_N", [100.0], Double, "BadTypeMismatch"),
        ("press.attempts", 3, Int32, "BadTypeMismatch"),
        ("press.armed", 1, Int64, "BadTypeMismatch"),
        ("press.armed", None, ua.VariantType.Null, "BadTypeMismatch"),
        ("press.target_N", 9.99, Double, "BadOutOfRange"),
        ("press.target_N", 180.01, Double, "BadOutOfRange"),
        ("press.target_N", math.nan, Double, "BadOutOfRange"),
        ("press.offset_um", math.inf, Double, "BadOutOfRange"),
        ("press.attempts", 10, Int64, "BadOutOfRange"),
    ],
)
async def test_write_of_the_wrong_type_or_out_of_range_never_reaches_the_scan(
    desk: Desk, tag: str, value: Any, kind: ua.VariantType, answer: str
) -> None:
    assert await desk.write(tag, value, kind) == answer
    assert desk.scan.asked == []


async def test_write_with_a_bad_status_is_refused(desk: Desk) -> None:
    data = ua.DataValue(ua.Variant(4, Int64), ua.StatusCode(ua.StatusCodes.BadSensorFailure))
    with pytest.raises(ua.uaerrors.BadWriteNotSupported):
        await desk.node("press.attempts").write_value(data)


async def test_write_refused_by_the_scan_is_refused(desk: Desk) -> None:
    desk.scan.answer = Refusal.QUEUE_FULL
    assert await desk.write("press.attempts", 4, Int64) == "BadResourceUnavailable"


# PackML


async def test_unit_shows_its_packtags(desk: Desk) -> None:
    rules = desk.scan.plan.rules("infeed")
    for tag, value in {
        "unit.state": int(State.SUSPENDED),
        "unit.mode": int(Mode.MAINTENANCE),
        "unit.starved": True,
        "unit.first_out": 2,
        "unit.tripped": 0b110,
        "unit.boards_out": 41,
        "unit.defective_out": 3,
    }.items():
        desk.scan.set(f"infeed.{tag}", value)
    await desk.publish()
    shown = {
        "Status.StateCurrent": 5,
        "Status.StateCurrentName": "Suspended",
        "Status.UnitModeCurrent": 2,
        "Status.UnitModeCurrentName": "Maintenance",
        "Status.UnitSupportedModes": 0b1110,
        "Status.EquipmentStarved": True,
        "Status.EquipmentBlocked": False,
        "Admin.StopReason": "estop_released",
        "Admin.Alarm": [rules[1], rules[2]],
        "Admin.ProdProcessedCount": 41,
        "Admin.ProdDefectiveCount": 3,
    }
    assert {tag: await desk.value(f"infeed.PackML.{tag}") for tag in shown} == shown


async def test_nothing_tripped_no_stop_reason(desk: Desk) -> None:
    assert await desk.value("press.PackML.Admin.StopReason") == ""
    assert await desk.value("press.PackML.Admin.Alarm") == []


@pytest.mark.parametrize("command", list(Command))
async def test_method_asks_for_its_command(desk: Desk, command: Command) -> None:
    assert await desk.call("press", command.name.capitalize()) == "Good"
    assert desk.scan.asked == [(Operation.PACKML, PRESS, int(command))]


@pytest.mark.parametrize(
    ("refusal", "answer", "words"),
    [
        (Refusal.NOT_IN_THIS_STATE, "BadInvalidState", "Start refused: not in this state"),
        (Refusal.OTHER_EPOCH, "BadShutdown", "Start refused: the scan was started anew meanwhile"),
        (
            Refusal.UNKNOWN,
            "BadTimeout",
            "Start not answered: it may or may not have been carried out",
        ),
    ],
)
async def test_method_answers_what_the_scan_answered(
    desk: Desk, refusal: Refusal, answer: str, words: str
) -> None:
    desk.scan.answer = refusal
    assert await desk.call("press", "Start") == answer
    assert await desk.value("press.PackML.Command.Answer") == words


async def test_every_refusal_is_a_bad_status(desk: Desk) -> None:
    for refusal in Refusal:
        desk.scan.answer = refusal
        assert (await desk.call("press", "Stop") == "Good") == (refusal is Refusal.ACCEPTED)


async def test_remote_command_and_set_unit_mode_take_a_number(desk: Desk) -> None:
    assert await desk.call("press", "RemoteCommand", ua.Variant(8, Int32)) == "Good"
    assert await desk.value("press.PackML.Command.Answer") == "Abort accepted"
    assert await desk.call("press", "SetUnitMode", ua.Variant(3, Int32)) == "Good"
    assert await desk.value("press.PackML.Command.Answer") == "Manual accepted"
    assert await desk.call("press", "RemoteCommand", ua.Variant(99, Int32)) == "Good"
    assert await desk.value("press.PackML.Command.Answer") == "Command 99 accepted"
    asked = [(Operation.PACKML, 8), (Operation.MODE, 3), (Operation.PACKML, 99)]
    assert desk.scan.asked == [(operation, PRESS, number) for operation, number in asked]


async def test_method_of_another_cell_is_refused(desk: Desk) -> None:
    mixed = ua.CallMethodRequest(
        desk.node("infeed.PackML").nodeid, desk.node("press.PackML.Start").nodeid
    )
    (result,) = await desk.client.uaclient.session.call([mixed])
    assert result.StatusCode.name == "BadMethodInvalid"
    assert desk.scan.asked == []


async def test_method_with_the_wrong_arguments_is_refused(desk: Desk) -> None:
    number = ua.Variant(1, Int32)
    assert await desk.call("press", "RemoteCommand") == "BadArgumentsMissing"
    assert await desk.call("press", "RemoteCommand", number, number) == "BadTooManyArguments"
    assert await desk.call("press", "SetUnitMode", ua.Variant(1, Int64)) == "BadInvalidArgument"
    assert await desk.call("press", "Start", number) == "BadTooManyArguments"
    assert desk.scan.asked == []


async def test_change_request_rises_the_command_in_cntrl_cmd_is_asked_for(desk: Desk) -> None:
    command = "press.PackML.Command"
    assert await desk.write(f"{command}.CntrlCmd", 2, Int32) == "Good"
    assert desk.scan.asked == []
    assert await desk.write(f"{command}.CmdChangeRequest", True, Boolean) == "Good"
    assert desk.scan.asked == [(Operation.PACKML, PRESS, 2)]


async def test_change_request_stays_or_falls_nothing_is_asked_for(desk: Desk) -> None:
    request = "press.PackML.Command.CmdChangeRequest"
    await desk.write("press.PackML.Command.CntrlCmd", 4, Int32)
    for value in (True, True, False):
        assert await desk.write(request, value, Boolean) == "Good"
    assert len(desk.scan.asked) == 1
    await desk.write(request, True, Boolean)
    assert len(desk.scan.asked) == 2


async def test_change_request_refused_falls_back_and_can_rise_again(desk: Desk) -> None:
    request = "press.PackML.Command.UnitModeChangeRequest"
    await desk.write("press.PackML.Command.UnitMode", 3, Int32)
    desk.scan.answer = Refusal.NOT_IN_THIS_STATE
    assert await desk.write(request, True, Boolean) == "BadInvalidState"
    assert await desk.value(request) is False
    desk.scan.answer = Refusal.ACCEPTED
    assert await desk.write(request, True, Boolean) == "Good"
    assert desk.scan.asked == [(Operation.MODE, PRESS, 3)] * 2


async def test_command_tag_of_the_wrong_type_is_refused(desk: Desk) -> None:
    command = "press.PackML.Command"
    assert await desk.write(f"{command}.CntrlCmd", 2, Int64) == "BadTypeMismatch"
    assert await desk.write(f"{command}.CmdChangeRequest", 1, Int32) == "BadTypeMismatch"
    assert desk.scan.asked == []


async def test_command_tags_are_watched_like_any_other(desk: Desk) -> None:
    told = await watch(desk, "press.PackML.Command.Answer")
    await desk.call("press", "Hold")
    assert await told.next() == ("press.PackML.Command.Answer", "Hold accepted")


# watching


async def test_change_is_told_and_no_change_is_not(desk: Desk) -> None:
    told = await watch(desk, "press.pressure_N", "press.lamp")
    await desk.publish()
    await desk.publish()
    desk.scan.set("press.lamp", True)
    await desk.publish()
    assert await told.next() == ("press.lamp", True)
    desk.scan.set("press.pressure_N", 17.5)
    await desk.publish()
    assert await told.next() == ("press.pressure_N", 17.5)


async def test_device_bad_whoever_watches_is_told_even_with_a_deadband(desk: Desk) -> None:
    plain = await watch(desk, "press.ready")
    wide = await watch(desk)
    await desk.subscriptions[-1].deadband_monitor(desk.node("press.pressure_N"), 5.0)
    assert await wide.next() == ("press.pressure_N", 0.0)
    desk.scan.set_good("gauge", False)
    await desk.publish()
    assert await plain.next_status() == ("press.ready", "BadNoCommunication")
    assert await wide.next_status() == ("press.pressure_N", "BadNoCommunication")
    desk.scan.set_good("gauge", True)
    await desk.publish()
    assert await wide.next() == ("press.pressure_N", 0.0)


async def test_deadband_in_percent_is_of_the_range(desk: Desk) -> None:
    told = await watch(desk)
    percent = ua.DeadbandType.Percent
    subscription = desk.subscriptions[-1]
    await subscription.deadband_monitor(desk.node("press.pressure_N"), 10.0, percent)
    await subscription.deadband_monitor(desk.node("press.spread_mm"), 10.0, percent)
    await told.next(), await told.next()
    for pressure_N, spread_mm in ((19.9, 0.1), (20.1, 0.2)):
        desk.scan.set("press.pressure_N", pressure_N)
        desk.scan.set("press.spread_mm", spread_mm)
        await desk.publish()
    seen = [await told.next() for _ in range(3)]
    assert [value for tag, value in seen if tag == "press.spread_mm"] == [0.1, 0.2]
    assert [value for tag, value in seen if tag == "press.pressure_N"] == [20.1]


async def test_slow_drift_is_told_when_it_has_left_the_deadband(desk: Desk) -> None:
    told = await watch(desk)
    await desk.subscriptions[-1].deadband_monitor(desk.node("press.pressure_N"), 2.5)
    assert await told.next() == ("press.pressure_N", 0.0)
    for pressure_N in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0):
        desk.scan.set("press.pressure_N", pressure_N)
        await desk.publish()
    assert [await told.next() for _ in range(2)] == [
        ("press.pressure_N", 3.0),
        ("press.pressure_N", 6.0),
    ]


async def test_deadband_on_a_text_every_change_is_told(desk: Desk) -> None:
    name = "press.PackML.Status.StateCurrentName"
    told = await watch(desk)
    await desk.subscriptions[-1].deadband_monitor(desk.node(name), 1.0)
    await told.next()
    desk.scan.set("press.unit.state", int(State.IDLE))
    await desk.publish()
    assert await told.next() == (name, "Idle")


async def test_filter_that_does_not_fit_hurts_only_its_owner(desk: Desk) -> None:
    await watch(desk)
    item = ua.MonitoredItemCreateRequest(
        ua.ReadValueId(desk.node("press.lamp").nodeid, ua.AttributeIds.Value),
        ua.MonitoringMode.Reporting,
        ua.MonitoringParameters(1, 0, ua.EventFilter(), 1, True),
    )
    request = ua.CreateMonitoredItemsParameters(
        desk.subscriptions[-1].subscription_id, ua.TimestampsToReturn.Both, [item]
    )
    with pytest.raises(ua.uaerrors.BadInternalError):
        await desk.client.uaclient.session.create_monitored_items(request)
    told = await watch(desk, "press.lamp")
    desk.scan.set("press.lamp", True)
    await desk.publish()
    assert await told.next() == ("press.lamp", True)


async def test_more_changes_than_the_budget_the_rest_comes_later_with_its_newest_value(
    desk: Desk,
) -> None:
    cells = ("infeed", "outfeed", "press")
    counts = ("boards_in", "boards_out", "defective_out", "tripped", "step", "requests", "cause")
    tags = [f"{cell}.unit.{count}" for cell in cells for count in counts]
    told = await watch(desk, *tags)
    shed = await desk.value("/Diagnostics/ShedChanges")
    published = await desk.value("/Diagnostics/PublishedChanges")
    for value in (1, 2, 3):
        for tag in tags:
            desk.scan.set(tag, value)
        await desk.publish()
    first = [await told.next() for _ in range(3 * BUDGET)]
    assert {tag for tag, _ in first} == set(tags)
    assert await desk.value("/Diagnostics/ShedChanges") == shed + 3 * (len(tags) - BUDGET)
    newest = dict(first)
    for _ in range(2):
        await desk.publish()
    while newest != dict.fromkeys(tags, 3):
        newest |= dict([await told.next()])
    more = len(tags) - BUDGET
    assert await desk.value("/Diagnostics/PublishedChanges") == published + 3 * BUDGET + more
