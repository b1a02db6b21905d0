"""The OPC UA server through a real client: what SCADA writes and calls, and the scan's answer."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from asyncua import ua
from scada_line import Desk, press_line, serving, watch

from cellrt.packml import Command, Mode, State
from cellrt.scan.commands import Operation, Refusal

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRESS = 2
"""Number of the press among the cells."""

Boolean, Int32, Int64 = ua.VariantType.Boolean, ua.VariantType.Int32, ua.VariantType.Int64
Double, Float, String = ua.VariantType.Double, ua.VariantType.Float, ua.VariantType.String


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing() -> AsyncIterator[Desk]:
    """One server for all tests: the standard's own address space alone takes a second to build."""
    async with serving(press_line()) as desk:
        yield desk


@pytest_asyncio.fixture(loop_scope="module")
async def desk(standing: Desk) -> AsyncIterator[Desk]:
    await standing.renew()
    yield standing
    await standing.forget()


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
