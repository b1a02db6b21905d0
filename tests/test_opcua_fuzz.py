"""Requests with some of their bytes changed: answered or refused, and nothing of them stays."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from scada_line import TIMEOUT_S, press_line, serving
from scada_raw import Raw

MESSAGES, A_CONNECTION = 400, 30
LENGTHS = (b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x00\x00\x00\x10", b"\xff\xff\x00\x00")


def well_formed(token: ua.NodeId, subscription: int) -> list[bytes]:
    """A request of every service that a client may ask for."""
    lamp = ua.ReadValueId(ua.NodeId("press.lamp", 1), ua.AttributeIds.Value)
    reporting = ua.MonitoringMode.Reporting
    wanted = ua.MonitoringParameters(1, 0, ua.DataChangeFilter(), 3, True)
    three = ua.DataValue(ua.Variant([1, 2, 3], ua.VariantType.Int64))
    attempts = ua.NodeId("press.attempts", 1)
    unit, mode = ua.NodeId("press.PackML", 1), ua.NodeId("press.PackML.SetUnitMode", 1)
    path = ua.BrowsePath(ua.NodeId("/", 1))
    path.RelativePath.Elements = [ua.RelativePathElement(TargetName=ua.QualifiedName("press", 1))]
    user = ua.UserNameIdentityToken("username", "emma", b"turn a screw", "")
    parts: list[tuple[Any, dict[str, Any]]] = [
        (ua.ReadRequest(), {"NodesToRead": [lamp] * 3}),
        (ua.BrowseRequest(), {"NodesToBrowse": [ua.BrowseDescription(ua.NodeId("/", 1))]}),
        (ua.WriteRequest(), {"NodesToWrite": [ua.WriteValue(attempts, 13, None, three)]}),
        (
            ua.CallRequest(),
            {"MethodsToCall": [ua.CallMethodRequest(unit, mode, [ua.Variant(1)])]},
        ),
        (
            ua.CreateMonitoredItemsRequest(),
            {
                "SubscriptionId": subscription,
                "ItemsToCreate": [ua.MonitoredItemCreateRequest(lamp, reporting, wanted)],
            },
        ),
        (
            ua.ModifyMonitoredItemsRequest(),
            {
                "SubscriptionId": subscription,
                "ItemsToModify": [ua.MonitoredItemModifyRequest(112, wanted)],
            },
        ),
        (
            ua.DeleteMonitoredItemsRequest(),
            {"SubscriptionId": subscription, "MonitoredItemIds": [112]},
        ),
        (
            ua.HistoryReadRequest(),
            {
                "HistoryReadDetails": ua.ReadRawModifiedDetails(),
                "NodesToRead": [ua.HistoryReadValueId(lamp.NodeId)],
            },
        ),
        (ua.TranslateBrowsePathsToNodeIdsRequest(), {"BrowsePaths": [path]}),
        (ua.CreateSubscriptionRequest(), {"RequestedPublishingInterval": 100.0}),
        (ua.SetPublishingModeRequest(), {"SubscriptionIds": [subscription]}),
        (ua.ActivateSessionRequest(), {"UserIdentityToken": user}),
        (ua.CreateSessionRequest(), {}),
        (ua.GetEndpointsRequest(), {}),
        (ua.PublishRequest(), {}),
        (ua.RepublishRequest(), {"SubscriptionId": subscription}),
    ]
    for request, values in parts:
        request.RequestHeader.AuthenticationToken = token
        for name, value in values.items():
            setattr(request.Parameters, name, value)
    return [struct_to_binary(request) for request, _ in parts]


def spoilt(chance: random.Random, message: bytes) -> bytes:
    """Bytes changed, lengths made senseless, something left out or put in."""
    body = bytearray(message)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at, kind = chance.randrange(4, len(body)), chance.random()
        if kind < 0.5:
            body[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif kind < 0.7:
            body[at : at + 4] = chance.choice(LENGTHS)
        elif kind < 0.85:
            del body[at : at + chance.randrange(1, 9)]
        else:
            body[at:at] = chance.randbytes(chance.randrange(1, 9))
    return bytes(body)


async def connected(port: int) -> tuple[Raw, list[bytes]]:
    raw = await Raw.connect(port)
    await raw.open()
    request = ua.CreateSubscriptionRequest()
    request.Parameters.RequestedPublishingInterval = 100.0
    made = await raw.ask(request)
    return raw, well_formed(raw.token, made.Parameters.SubscriptionId)


async def test_spoilt_requests_others_are_served_and_nothing_stays() -> None:
    chance = random.Random(7)
    async with serving(press_line("press.lamp")) as desk:
        host = desk.server._host
        for _ in range(MESSAGES // A_CONNECTION):
            raw, messages = await connected(desk.server.port)
            for _ in range(A_CONNECTION):
                raw.send(spoilt(chance, chance.choice(messages)))
                async with asyncio.timeout(TIMEOUT_S):
                    assert await desk.value("press.attempts") == 3
            raw.close()
        async with asyncio.timeout(TIMEOUT_S):
            while len(host.sessions()) > 1 or host.subscription_service.subscriptions:
                await asyncio.sleep(0)
