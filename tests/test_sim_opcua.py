"""The OPC UA server of a simulated device, asked by asyncua's client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua

from cellrt.assembly import Assembly
from cellrt.image import Image
from hw_sim.opcua_front import OpcUaFront
from hw_sim.safety_plc import SafetyPlc

LIMIT_S = 20.0
pytestmark = pytest.mark.asyncio(loop_scope="module")


class Served:
    """The safety PLC without physics, one for all tests; its memory is set and read directly."""

    def __init__(self) -> None:
        self.image = Image(Assembly({"safety": SafetyPlc}).layout)
        self.front = OpcUaFront(SafetyPlc, "safety", self.image)
        self.client = Client("")
        self.index = 0

    def get(self, tag: str) -> bool | int | float:
        return self.image.read(self.image.layout.find(f"safety.{tag}"))

    async def put(self, **values: bool | int) -> None:
        for tag, value in values.items():
            self.image.write(self.image.layout.find(f"safety.{tag}"), value)
        await self.front.publish()

    def node(self, identifier: str) -> Any:
        return self.client.get_node(f"ns={self.index};s={identifier}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[Served]:
    plant = Served()
    await plant.front.build()
    address = await plant.front.start(0)
    plant.client = Client(address, timeout=LIMIT_S)
    async with plant.client:
        plant.index = await plant.client.get_namespace_index("urn:hw-sim:safety-plc")
        yield plant
    await plant.front.stop()


async def test_nodes_show_the_devices_values_by_the_documented_types(served: Served) -> None:
    await served.put(counter=70_000, guards_closed=True, estop_released=False, first_out=2)
    expected = {
        "Counter": (70_000, ua.VariantType.UInt32),
        "Safety.GuardsClosed": (True, ua.VariantType.Boolean),
        "Safety.EStopReleased": (False, ua.VariantType.Boolean),
        "Safety.FirstOut": (2, ua.VariantType.Int32),
    }
    for identifier, (value, kind) in expected.items():
        shown = await served.node(identifier).read_data_value()
        assert (shown.Value.Value, shown.Value.VariantType) == (value, kind)
        assert shown.SourceTimestamp is not None


async def test_tree_has_a_folder_for_each_part(served: Served) -> None:
    top = await served.node("safety").get_children()
    names = {(await n.read_browse_name()).Name for n in top}
    assert names == {"Heartbeat", "Counter", "Safety", "Watchdog", "Lamp", "Panel"}
    panel = await served.node("Panel").get_children()
    described = await panel[0].read_description()
    assert described.Text == "a person's hand: the e-stop is pressed in"


async def test_written_nodes_reach_their_tags_at_once_and_read_back(served: Served) -> None:
    await served.node("Heartbeat").write_value(ua.Variant(0xFFFF_FFFF, ua.VariantType.UInt32))
    await served.node("Panel.EStopPressed").write_value(True)
    assert served.get("heartbeat") == 0xFFFF_FFFF
    assert served.get("panel_estop_pressed") is True
    await served.front.publish()
    assert await served.node("Heartbeat").read_value() == 0xFFFF_FFFF
    assert await served.node("Panel.EStopPressed").read_value() is True


async def test_write_of_a_status_is_refused(served: Served) -> None:
    number = ua.Variant(1, ua.VariantType.UInt32)
    for identifier, value in (("Safety.DrivesEnabled", True), ("Counter", number)):
        with pytest.raises(ua.UaStatusCodeError) as refused:
            await served.node(identifier).write_value(value)
        assert refused.value.code == ua.StatusCodes.BadUserAccessDenied


async def test_user_who_calls_himself_admin_is_refused(served: Served) -> None:
    client = Client(served.client.server_url.geturl(), timeout=LIMIT_S)
    client.set_user("admin")
    with pytest.raises(ua.UaError):
        await client.connect()


@pytest.mark.parametrize(
    "value",
    [
        ua.Variant(1, ua.VariantType.Int64),
        ua.Variant(1.0, ua.VariantType.Double),
        ua.Variant(True, ua.VariantType.Boolean),
        ua.Variant([1, 2], ua.VariantType.UInt32),
        ua.Variant(None, ua.VariantType.Null),
    ],
)
async def test_write_of_another_type_is_refused_and_changes_nothing(
    served: Served, value: ua.Variant
) -> None:
    await served.node("Heartbeat").write_value(ua.Variant(5, ua.VariantType.UInt32))
    with pytest.raises(ua.UaStatusCodeError):
        await served.node("Heartbeat").write_value(value)
    assert served.get("heartbeat") == 5
    assert await served.node("Heartbeat").read_value() == 5


async def test_unknown_node_is_refused(served: Served) -> None:
    with pytest.raises(ua.UaStatusCodeError):
        await served.node("Safety.Nonsense").write_value(True)
    with pytest.raises(ua.UaStatusCodeError):
        await served.node("Safety.Nonsense").read_value()


async def test_unchanged_node_is_not_written_again(served: Served) -> None:
    await served.put(counter=1)
    first = await served.node("Safety.FirstOut").read_data_value()
    await served.put(counter=2)
    again = await served.node("Safety.FirstOut").read_data_value()
    assert first.SourceTimestamp == again.SourceTimestamp


class Heard:
    """A subscription's handler that keeps what it was told."""

    def __init__(self) -> None:
        self.values: asyncio.Queue[Any] = asyncio.Queue()

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
        self.values.put_nowait(value)


async def test_subscriber_is_told_of_a_change(served: Served) -> None:
    await served.put(first_out=0)
    heard = Heard()
    subscription = await served.client.create_subscription(10, heard)
    await subscription.subscribe_data_change(served.node("Safety.FirstOut"))
    async with asyncio.timeout(LIMIT_S):
        assert await heard.values.get() == 0
        await served.put(first_out=3)
        assert await heard.values.get() == 3
    await subscription.delete()


async def test_poll_shows_what_any_other_read_shows(served: Served) -> None:
    """Values without timestamps are made up by the front itself, all others by asyncua."""
    points = {point.address: point for point in SafetyPlc.points}
    nodes = [served.node(address) for address in points]
    session = served.client.uaclient.session
    for turn in range(3):
        await served.put(counter=100 + turn, guards_closed=turn != 1, first_out=turn)
        await served.node("Heartbeat").write_value(turn + 7, ua.VariantType.UInt32)
        told = []
        for stamps in (ua.TimestampsToReturn.Neither, ua.TimestampsToReturn.Both):
            asked = ua.ReadParameters(TimestampsToReturn=stamps)
            asked.NodesToRead = [
                ua.ReadValueId(node.nodeid, ua.AttributeIds.Value) for node in nodes
            ]
            told.append(await session.read(asked))
        polled, shown = told
        assert [v.Value for v in polled] == [v.Value for v in shown]
        assert {v.SourceTimestamp for v in polled} == {None}
        values = dict(zip(points, (v.Value.Value for v in polled), strict=True))
        assert values["Counter"] == 100 + turn and values["Heartbeat"] == turn + 7


async def test_watched_node_is_told_without_being_read(served: Served) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()

    class Watch:
        def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
            heard.put_nowait(value)

    await served.put(counter=1)
    watch = await served.client.create_subscription(10, Watch())
    await watch.subscribe_data_change(served.node("Counter"))
    async with asyncio.timeout(LIMIT_S):
        assert await heard.get() == 1
        await served.put(counter=2)
        assert await heard.get() == 2
    await watch.delete()
