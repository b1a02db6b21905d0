"""What a client may not do to the server: ask too much, hold too much, be somebody else."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from asyncua import Client, ua
from asyncua.server.server import Server
from scada_line import (
    TIMEOUT_S,
    Desk,
    Press,
    device,
    line_of,
    press_line,
    server_of,
    serving,
    watch,
)

from cellrt.line.spec import CellSpec
from cellrt.opcua.burden import MAX_REQUEST_BYTES
from cellrt.opcua.gate import ListenError
from cellrt.opcua.watching import MAX_QUEUE, MIN_PUBLISHING_MS

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE_S = 3600.0
"""Of a client whose answers take as long as this machine lets them."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk() -> AsyncIterator[Desk]:
    async with serving(press_line()) as desk:
        yield desk


def another(desk: Desk, timeout_s: float = TIMEOUT_S) -> Client:
    return Client(f"opc.tcp://127.0.0.1:{desk.server.port}", timeout=timeout_s)


async def test_port_in_use_says_which_and_who_asked(desk: Desk) -> None:
    second, _ = server_of(press_line(), port=desk.server.port)
    with pytest.raises(
        ListenError, match=f"^opcua: port {desk.server.port} on 127.0.0.1 is in use"
    ):
        await second.start()


async def test_client_adds_or_deletes_nodes_access_denied(desk: Desk) -> None:
    with pytest.raises(ua.uaerrors.BadUserAccessDenied):
        await desk.node("press").add_variable(1, "mine", 1)
    with pytest.raises(ua.uaerrors.BadUserAccessDenied):
        await desk.client.delete_nodes([desk.node("press.lamp")])
    assert await desk.value("press.lamp") is False


async def test_client_registers_a_server_refused(desk: Desk) -> None:
    with pytest.raises(ua.uaerrors.BadServiceUnsupported):
        await desk.client.register_server(Server())


async def test_too_many_sessions_the_next_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellrt.opcua.host.MAX_SESSIONS", 2)
    async with another(desk):
        with pytest.raises(ua.uaerrors.BadTooManySessions):
            await another(desk).connect()
    async with another(desk):
        pass


async def test_too_many_watched_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await watch(desk)
    monkeypatch.setattr("cellrt.opcua.watching.MAX_MONITORED_ITEMS", 3)  # half of them: 1
    subscription = desk.subscriptions[-1]
    with pytest.raises(ua.uaerrors.BadTooManyMonitoredItems):
        await subscription.subscribe_data_change(
            [desk.node("press.lamp"), desk.node("press.armed")]
        )
    await subscription.subscribe_data_change(desk.node("press.lamp"))


async def test_too_many_operations_in_one_request_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellrt.opcua.burden.MAX_OPERATIONS", 3)
    item = ua.ReadValueId(desk.node("press.lamp").nodeid, ua.AttributeIds.Value)
    request = ua.ReadParameters(NodesToRead=[item] * 4)
    with pytest.raises(ua.uaerrors.BadTooManyOperations):
        await desk.client.uaclient.session.read(request)


async def test_subscription_with_no_or_a_senseless_interval_gets_the_shortest(desk: Desk) -> None:
    for asked_ms in (0.0, 1.0, float("nan"), -5.0):
        request = ua.CreateSubscriptionParameters(asked_ms, 1000, 100, 0, True, 0)
        result = await desk.client.uaclient.session.create_subscription(request, print)
        assert result.RevisedPublishingInterval == MIN_PUBLISHING_MS
        await desk.client.uaclient.session.delete_subscriptions([result.SubscriptionId])


async def test_queue_of_an_item_is_bounded_whatever_is_asked(desk: Desk) -> None:
    await watch(desk)
    subscription, session = desk.subscriptions[-1].subscription_id, desk.client.uaclient.session
    lamp = ua.ReadValueId(desk.node("press.lamp").nodeid, ua.AttributeIds.Value)
    for asked in (0, 1000):
        wanted = ua.MonitoringParameters(1, 0, ua.ExtensionObject(), asked, True)
        item = ua.MonitoredItemCreateRequest(lamp, ua.MonitoringMode.Reporting, wanted)
        create = ua.CreateMonitoredItemsParameters(subscription, ua.TimestampsToReturn.Both, [item])
        (created,) = await session.create_monitored_items(create)
        assert created.RevisedQueueSize == MAX_QUEUE
        change = ua.MonitoredItemModifyRequest(created.MonitoredItemId, wanted)
        modify = ua.ModifyMonitoredItemsParameters(
            subscription, ua.TimestampsToReturn.Both, [change]
        )
        (modified,) = await session.modify_monitored_items(modify)
        assert 0 < modified.RevisedQueueSize <= MAX_QUEUE


async def test_request_of_many_chunks_is_cut_off(desk: Desk) -> None:
    client = another(desk)
    await client.connect()
    too_long = ua.NodeId("x" * (MAX_REQUEST_BYTES + 1), 1)
    with pytest.raises((ConnectionError, ua.uaerrors.BadRequestTooLarge)):
        await client.get_node(too_long).read_value()
    client.disconnect_socket()
    assert await desk.value("press.attempts") == 3


async def test_chunk_that_never_ends_connection_is_cut(desk: Desk) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.server.port)
    writer.write(b"MSGF" + struct.pack("<I", 2**32 - 1) + bytes(70_000))
    with pytest.raises(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), TIMEOUT_S) == b""
        raise ConnectionResetError
    writer.close()
    assert await desk.value("press.attempts") == 3


@pytest.mark.parametrize("received_already", [False, True])
async def test_client_does_not_read_its_answers_it_is_not_heard(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, received_already: bool
) -> None:
    async with another(desk) as client:
        connection = desk.server._listener.gate.clients[-1]
        if received_already:
            monkeypatch.setattr(connection, "_hear", lambda: None)
        connection.pause_writing()
        assert connection.transport.is_reading() == received_already
        lamp = client.get_node(desk.node("press.lamp").nodeid)
        unanswered = asyncio.ensure_future(lamp.read_value())
        for _ in range(3):
            assert await desk.value("press.attempts") == 3
        assert not unanswered.done()
        connection.resume_writing()
        assert await asyncio.wait_for(unanswered, TIMEOUT_S) is False


async def test_client_runs_far_ahead_every_request_is_answered(desk: Desk) -> None:
    async with another(desk, PATIENCE_S) as client:
        node = client.get_node(desk.node("press.attempts").nodeid)
        assert await asyncio.gather(*(node.read_value() for _ in range(700))) == [3] * 700


async def test_sessions_that_are_never_activated_make_room(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellrt.opcua.host.MAX_SESSIONS", 3)
    idle = another(desk)
    await idle.connect_sessionless()
    for _ in range(5):
        await idle.uaclient.create_session(ua.CreateSessionParameters())
    async with another(desk), another(desk):
        with pytest.raises(ua.uaerrors.BadTooManySessions):
            await another(desk).connect()
        with pytest.raises(ua.uaerrors.BadSessionIdInvalid):
            await idle.activate_session()
    await idle.disconnect_sessionless()


async def test_session_refused_its_place_is_free_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellrt.opcua.session.MAX_NAMELESS", 1)
    before = len(desk.server._host.sessions())
    with pytest.raises(ua.uaerrors.BadTooManySessions):
        await another(desk).connect()
    assert len(desk.server._host.sessions()) == before


async def test_session_ends_with_the_server(desk: Desk) -> None:
    before = asyncio.all_tasks()
    server, _ = server_of(line_of("small", [device("d", {})], {}))
    await server.start()
    client = Client(f"opc.tcp://127.0.0.1:{server.port}")
    await client.connect()
    await client.create_subscription(100, None)
    await server.stop()
    await client.disconnect()
    left = [task.get_coro() for task in asyncio.all_tasks() - before]
    assert [coro for coro in left if "asyncua/server" in coro.cr_code.co_filename] == []


async def test_line_of_5000_tags_serves_its_last_tag(
    record_property: pytest.RecordProperty,
) -> None:
    cells = {f"press_{n}": CellSpec(f"press_{n}", Press, {}, {}, {}) for n in range(140)}
    plan = line_of("long", [], cells)
    assert len(list(plan.layout.tags())) > 5000
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async with serving(plan) as desk:
        record_property("start of a server of 5,000 tags, s", round(loop.time() - began_s, 2))
        tags = [f"press_{n}.strokes" for n in range(120)] + ["press_139.attempts"]
        told = await watch(desk, *tags)
        for tag in tags:
            desk.scan.set(tag, 7)
        began_s = loop.time()
        await desk.publish()
        record_property("publication, us a change", (loop.time() - began_s) / len(tags) * 1e6)
        assert dict([await told.next() for _ in tags]) == dict.fromkeys(tags, 7)
        assert await desk.value("press_139.attempts") == 7
