"""The OPC UA server through a real client: what SCADA browses, reads and watches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Node, ua
from scada_line import PERIOD_NS, WALL_START_NS, Desk, press_line, serving, watch

from cellrt.opcua.server import uri_of
from cellrt.packml import State

pytestmark = pytest.mark.asyncio(loop_scope="module")

BUDGET = 8
Boolean, Int64, Double = ua.VariantType.Boolean, ua.VariantType.Int64, ua.VariantType.Double


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing() -> AsyncIterator[Desk]:
    """One server for all tests: the standard's own address space alone takes a second to build."""
    async with serving(press_line(), BUDGET) as desk:
        yield desk


@pytest_asyncio.fixture(loop_scope="module")
async def desk(standing: Desk) -> AsyncIterator[Desk]:
    await standing.renew()
    yield standing
    await standing.forget()


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


async def test_every_value_has_status_and_source_time_every_tag_its_unit_and_range(
    desk: Desk,
) -> None:
    nodes = await below(desk.node("/"))
    variables = [n for n in nodes.values() if await n.read_node_class() is ua.NodeClass.Variable]
    answers = await desk.client.read_attributes(variables, ua.AttributeIds.Value)
    for node, data in zip(variables, answers, strict=True):
        inactive = data.StatusCode.name == "BadStateNotActive"
        assert data.StatusCode.is_good() or inactive, node
        assert data.SourceTimestamp is not None, node
    for leaf in desk.scan.plan.layout.tags():
        assert (f"{leaf.path}.EngineeringUnits" in nodes) == bool(leaf.field.unit)
        ranged = leaf.field.low is not None and leaf.field.high is not None
        assert (f"{leaf.path}.EURange" in nodes) == ranged


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


async def test_item_that_gets_a_deadband_is_told_the_next_value_and_measures_from_it(
    desk: Desk,
) -> None:
    told = await watch(desk)
    subscription = desk.subscriptions[-1]
    item = await subscription.subscribe_data_change(desk.node("press.pressure_N"))
    await told.next()
    desk.scan.set("press.pressure_N", 100.0)
    await desk.publish()
    assert await told.next() == ("press.pressure_N", 100.0)
    await subscription.modify_monitored_item(item, 0, 9, mod_filter_val=10)
    for pressure_N in (5.0, 9.0, 16.0):
        desk.scan.set("press.pressure_N", pressure_N)
        await desk.publish()
    assert [await told.next() for _ in range(2)] == [
        ("press.pressure_N", 5.0),
        ("press.pressure_N", 16.0),
    ]


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
    (answer,) = await desk.client.uaclient.session.create_monitored_items(request)
    assert answer.StatusCode.name == "BadMonitoredItemFilterUnsupported"
    told = await watch(desk, "press.lamp")
    desk.scan.set("press.lamp", True)
    await desk.publish()
    assert await told.next() == ("press.lamp", True)


async def test_more_changes_than_the_budget_the_rest_comes_later_with_its_newest_value(
    desk: Desk,
) -> None:
    cells = ("infeed", "outfeed", "press")
    counts = (
        "boards_in",
        "boards_out",
        "defective_out",
        "tripped",
        "step",
        "requests",
        "first_out",
    )
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
