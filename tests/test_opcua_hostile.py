"""Clients that mean harm: what they hold and cost is bounded, and others do not notice."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asyncua import Client, ua
from asyncua.ua.ua_binary import nodeid_to_binary, struct_to_binary
from scada_line import TIMEOUT_S, Desk, open_house, press_line, serving, watch
from scada_raw import Kind, Raw

from cellrt.audit import Deed
from cellrt.opcua.gate import SMALLEST_CHUNK_BYTES
from cellrt.opcua.watching import MAX_SUBSCRIPTIONS

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Place:
    def __init__(self, desk: Desk, deeds: list[Deed]) -> None:
        self.desk, self.deeds, self.port = desk, deeds, desk.server.port

    async def still_serves(self) -> bool:
        return await self.desk.value("press.attempts") == 3

    def another(self) -> Client:
        return Client(f"opc.tcp://127.0.0.1:{self.port}", timeout=TIMEOUT_S)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place() -> AsyncIterator[Place]:
    deeds: list[Deed] = []
    async with serving(press_line(), access=open_house(deeds.append)) as desk:
        yield Place(desk, deeds)


# Bytes


async def test_array_of_nulls_without_an_end_is_an_error_before_any_session(place: Place) -> None:
    raw = await Raw.connect(place.port)
    await raw.answer()
    null_array = bytes([0x80]) + struct.pack("<i", 2**31 - 1)
    literal = nodeid_to_binary(ua.NodeId(ua.ObjectIds.LiteralOperand_Encoding_DefaultBinary))
    header = ua.RequestHeader()
    body = struct_to_binary(header)[:-3] + literal + b"\x01"
    body += struct.pack("<i", len(null_array)) + null_array
    kind = nodeid_to_binary(ua.NodeId(ua.ObjectIds.GetEndpointsRequest_Encoding_DefaultBinary))
    raw.send(kind + body)
    assert isinstance(await raw.answer(), ua.ErrorMessage)
    raw.close()
    assert await place.still_serves()


async def test_variant_nested_without_an_end_is_an_error(place: Place) -> None:
    raw = await Raw.connect(place.port)
    await raw.open()
    deep = (bytes([24 | 0x80]) + struct.pack("<i", 1)) * 50_000 + bytes(8)
    request = ua.CallRequest()
    request.Parameters.MethodsToCall = [ua.CallMethodRequest()]
    request.Parameters.MethodsToCall[0].InputArguments = [ua.Variant()]
    raw.send(struct_to_binary(request)[:-1] + deep)
    answer = await raw.answer()
    assert isinstance(answer, ua.ServiceFault | ua.ErrorMessage)
    raw.close()
    assert await place.still_serves()


@pytest.mark.parametrize("size", [0, 1, 40, 100])
async def test_tiny_receive_buffer_answers_come_in_chunks_of_the_smallest_size(
    place: Place, size: int
) -> None:
    raw = await Raw.connect(place.port, ReceiveBufferSize=size)
    await raw.open()
    request = ua.ReadRequest()
    names = ua.ReadValueId(ua.NodeId(ua.ObjectIds.Server_ServerArray), ua.AttributeIds.Value)
    request.Parameters.NodesToRead = [names] * 1000
    raw.send(struct_to_binary(request))
    chunks = []
    while not chunks or chunks[-1][1] == ua.ChunkType.Intermediate:
        chunks.append(await raw.chunk())
    bytes_in_all = sum(len(content) for *_, content in chunks)
    assert len(chunks) <= bytes_in_all // (SMALLEST_CHUNK_BYTES // 2) + 1
    raw.close()


async def test_chunks_that_never_end_the_connection_is_cut_with_a_reason(place: Place) -> None:
    raw = await Raw.connect(place.port)
    await raw.open()
    part = bytes(60_000)
    first = raw._connection._sequence_number + 1
    for number in range(first, first + 60):
        sequence = struct.pack("<II", number, 100)
        token = raw._connection.security_token
        content = struct.pack("<II", token.ChannelId, token.TokenId) + sequence + part
        raw.writer.write(b"MSGC" + struct.pack("<I", len(content) + 8) + content)
    answer = await raw.answer()
    assert isinstance(answer, ua.ErrorMessage)
    assert answer.Error.name == "BadRequestTooLarge"
    raw.close()
    assert await place.still_serves()


async def test_policy_that_is_not_offered_refused_with_a_reason(place: Place) -> None:
    raw = await Raw.connect(place.port)
    await raw.answer()
    request = ua.OpenSecureChannelRequest()
    request.Parameters.SecurityMode = ua.MessageSecurityMode.Sign
    raw.send(struct_to_binary(request), Kind.SecureOpen)
    answer = await raw.answer()
    assert "No matching policy" in answer.Reason
    raw.close()


# Requests that are small and would have large answers


async def test_type_dictionaries_of_the_standard_are_empty(place: Place) -> None:
    for number in (7617, 8252):
        assert not await place.desk.client.get_node(ua.NodeId(number)).read_value()
    longest = 0
    for node, data in place.desk.server._host.aspace._nodes.items():
        for attribute, held in data.attributes.items():
            value = held.value.Value if held.value and held.value.Value else None
            if attribute == ua.AttributeIds.Value and value and node.NamespaceIndex == 0:
                longest = max(longest, len(ua.ua_binary.variant_to_binary(value)))
    assert longest < 4_000


async def test_browse_with_too_many_references_in_its_answer_refused(place: Place) -> None:
    everything = ua.BrowseDescription(
        NodeId=ua.NodeId(ua.ObjectIds.Structure), BrowseDirection=ua.BrowseDirection.Both
    )
    request = ua.BrowseParameters(NodesToBrowse=[everything] * 9_000)
    with pytest.raises(ua.uaerrors.BadResponseTooLarge):
        await place.desk.client.uaclient.session.browse(request)
    assert await place.still_serves()


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"AttributeId": ua.AttributeIds.EventNotifier}, "BadNotSupported"),
        ({"IndexRange": "0:1" * 1000}, "BadIndexRangeInvalid"),
        ({"DataEncoding": ua.QualifiedName("x" * 9000)}, "BadDataEncodingUnsupported"),
        ({"Filter": ua.EventFilter()}, "BadMonitoredItemFilterUnsupported"),
    ],
)
async def test_item_that_would_keep_what_the_client_made_up_refused(
    place: Place, change: dict[str, Any], answer: str
) -> None:
    await watch(place.desk)
    number = place.desk.subscriptions[-1].subscription_id
    lamp = ua.ReadValueId(place.desk.node("press.lamp").nodeid, ua.AttributeIds.Value)
    wanted = ua.MonitoringParameters(1, 0, None, 1, True)
    for name, value in change.items():
        setattr(wanted if name == "Filter" else lamp, name, value)
    item = ua.MonitoredItemCreateRequest(lamp, ua.MonitoringMode.Reporting, wanted)
    request = ua.CreateMonitoredItemsParameters(number, ua.TimestampsToReturn.Both, [item])
    (result,) = await place.desk.client.uaclient.session.create_monitored_items(request)
    assert result.StatusCode.name == answer
    await place.desk.forget()


# Other people's things


async def test_subscription_of_another_session_cannot_be_touched(place: Place) -> None:
    told = await watch(place.desk, "press.lamp")
    number = place.desk.subscriptions[-1].subscription_id
    async with place.another() as thief:
        session = thief.uaclient.session
        (answer,) = await session.delete_subscriptions([number])
        assert answer.name == "BadSubscriptionIdInvalid"
        lamp = ua.ReadValueId(place.desk.node("press.lamp").nodeid, ua.AttributeIds.Value)
        item = ua.MonitoredItemCreateRequest(lamp, ua.MonitoringMode.Reporting)
        for request, ask in (
            (
                ua.CreateMonitoredItemsParameters(number, ua.TimestampsToReturn.Both, [item]),
                session.create_monitored_items,
            ),
            (ua.DeleteMonitoredItemsParameters(number, [112]), session.delete_monitored_items),
            (ua.SetPublishingModeParameters(False, [number]), session.set_publishing_mode),
            (ua.ModifySubscriptionParameters(number), session.modify_subscription),
        ):
            with pytest.raises(ua.uaerrors.BadSubscriptionIdInvalid):
                await ask(request)
    place.desk.scan.set("press.lamp", True)
    await place.desk.publish()
    assert await told.next() == ("press.lamp", True)
    await place.desk.renew()
    await place.desk.forget()


async def test_session_closed_without_its_subscriptions_they_go_all_the_same(place: Place) -> None:
    service = place.desk.server._host.subscription_service
    before = len(service.subscriptions)
    raw = await Raw.connect(place.port)
    await raw.open()
    for _ in range(5):
        request = ua.CreateSubscriptionRequest()
        request.Parameters.RequestedPublishingInterval = 60_000.0
        request.Parameters.RequestedLifetimeCount = 2**32 - 1
        await raw.ask(request)
    assert len(service.subscriptions) == before + 5
    close = ua.CloseSessionRequest()
    close.DeleteSubscriptions = False
    await raw.ask(close)
    assert len(service.subscriptions) == before
    raw.close()


async def test_one_session_has_so_many_subscriptions_and_leaves_room_for_others(
    place: Place,
) -> None:
    service = place.desk.server._host.subscription_service
    before = len(service.subscriptions)
    raw = await Raw.connect(place.port)
    await raw.open()
    answers = []
    for _ in range(MAX_SUBSCRIPTIONS + 3):
        request = ua.CreateSubscriptionRequest()
        request.Parameters.RequestedPublishingInterval = 1000.0
        answers.append((await raw.ask(request)).ResponseHeader.ServiceResult.name)
    assert answers == ["Good"] * MAX_SUBSCRIPTIONS + ["BadTooManySubscriptions"] * 3
    await watch(place.desk, "press.lamp")
    await place.desk.forget()
    raw.close()
    async with asyncio.timeout(TIMEOUT_S):  # a nameless session ends with its connection
        while len(service.subscriptions) > before:
            await asyncio.sleep(0)


# Crowds


async def test_a_thousand_connections_refused_with_a_reason_and_others_are_served(
    place: Place,
) -> None:
    told = await watch(place.desk, "press.lamp")
    raws: list[Raw] = []
    refused = 0
    for _ in range(1000):
        raw = await Raw.connect(place.port)
        raws.append(raw)
        answer = await raw.answer()
        if isinstance(answer, ua.ErrorMessage):
            assert answer.Error.name == "BadTcpServerTooBusy"
            assert answer.Reason == "there are 64 connections"
            refused += 1
    assert refused == 1000 - 63
    place.desk.scan.set("press.lamp", True)
    await place.desk.publish()
    assert await told.next() == ("press.lamp", True)
    for raw in raws:
        raw.close()
    await place.desk.renew()
    await place.desk.forget()
    limits = [deed for deed in place.deeds if deed.event == "Limit"]
    assert [deed.reason for deed in limits] == ["there are 64 connections"] * refused
    async with asyncio.timeout(TIMEOUT_S):
        while len(place.desk.server._listener.gate.clients) > 1:
            await asyncio.sleep(0)


async def test_nameless_sessions_leave_room_for_users(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellrt.opcua.session.MAX_NAMELESS", 2)
    async with place.another():
        with pytest.raises(ua.uaerrors.BadTooManySessions):
            await place.another().connect()
    assert place.deeds[-2].reason == "there are 2 without a name"
