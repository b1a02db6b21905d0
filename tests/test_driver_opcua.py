"""The OPC UA driver against asyncua's own server, in the same loop."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from driver_peers import NAMESPACE, OpcUaServer, raw

from cellrt.drivers.base import DeviceError, NotThere
from cellrt.drivers.opcua import OpcUaDriver
from cellrt.drivers.open import open_driver
from cellrt.wire import DeviceMap, Point, Wire

pytestmark = pytest.mark.asyncio(loop_scope="module")

TIMEOUT_S = 5.0
VALUES: dict[Wire, tuple[int | float, int | float]] = {
    Wire.BOOL: (0, 1),
    Wire.I16: (0, -32768),
    Wire.U16: (0, 65535),
    Wire.I32: (0, -2),
    Wire.U32: (0, 2**32 - 1),
    Wire.I64: (0, -(2**63)),
    Wire.F32: (0.0, 1.5),
    Wire.F64: (0.0, math.pi),
}


BAD = ua.StatusCode(ua.UInt32(StatusCodes.BadSensorFailure))
UNCERTAIN = ua.StatusCode(ua.UInt32(StatusCodes.UncertainLastUsableValue))
SEVEN = ua.Variant(7, ua.VariantType.Int32)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plc() -> AsyncIterator[OpcUaServer]:
    plc = OpcUaServer()
    await plc.start()
    yield plc
    await plc.stop()


def a_map(inputs: dict[str, Wire], outputs: dict[str, Wire]) -> DeviceMap:
    return DeviceMap(
        "opcua",
        tuple(Point(node, node, wire) for node, wire in inputs.items()),
        tuple(Point(node, node, wire) for node, wire in outputs.items()),
        heartbeat=Point("heartbeat", "Heartbeat", Wire.U16),
        counter=Point("counter", "Counter", Wire.U32),
        namespace=NAMESPACE,
    )


def driver_of(plc: OpcUaServer, device_map: DeviceMap, refresh_s: float = math.inf) -> OpcUaDriver:
    return OpcUaDriver("safety", plc.address, device_map, TIMEOUT_S, refresh_s)


async def test_values_of_every_type_written_come_back(plc: OpcUaServer) -> None:
    wires = {wire.value: wire for wire in VALUES}
    driver = driver_of(plc, a_map(wires, wires))
    await driver.connect()
    inputs = raw(*([0] * (1 + len(wires))))
    for turn in (1, 0):
        values = [both[turn] for both in VALUES.values()]
        await driver.exchange(raw(65536 + 5 + turn, *values), inputs)
        assert inputs.tolist() == raw(41, *values).tolist()
        assert await plc.nodes["Heartbeat"].read_value() == 5 + turn
    await driver.close()


async def test_write_carries_values_and_nothing_else(plc: OpcUaServer) -> None:
    """Many servers refuse a status or a timestamp from a client (BadWriteNotSupported)."""
    addresses, heard = {wire.value: wire for wire in Wire}, []
    space = plc.server.iserver.aspace
    values: list[Any] = [
        space[plc.nodes[n].nodeid].attributes[AttributeIds.Value] for n in addresses
    ]
    for value in values:
        value.value_setter = lambda _node, _attribute, written: heard.append(written)
    driver = driver_of(plc, a_map({}, addresses))
    await driver.connect()
    await driver.exchange(raw(1, *(1.0 if w.is_float else 1 for w in Wire)), raw(0))
    await driver.close()
    for value in values:
        value.value_setter = None
    assert [written.Value.Value for written in heard] == [1] * len(Wire)
    assert {written.SourceTimestamp for written in heard} == {None}


async def test_failed_or_connected_twice_no_session_is_left_on_the_server(plc: OpcUaServer) -> None:
    node = await plc.add("Broken", 0, ua.VariantType.Int32)
    before = plc.sessions()
    driver = driver_of(plc, a_map({"Broken": Wire.I32}, {}))
    broken = ua.DataValue(SEVEN, BAD)
    plc.server.iserver.set_attribute_value_callback(node.nodeid, lambda _node, _attribute: broken)
    for _ in range(3):
        await driver.connect()
        await driver.connect()
        assert plc.sessions() == before + 1
        with pytest.raises(DeviceError, match="BadSensorFailure"):
            await driver.exchange(raw(1), raw(0, 0))
        await driver.close()
        assert plc.sessions() == before


async def test_unchanged_outputs_are_written_once_the_heartbeat_always(plc: OpcUaServer) -> None:
    driver = driver_of(plc, a_map({}, {"i32": Wire.I32, "u16": Wire.U16}))
    await driver.connect()
    await driver.exchange(raw(1, 5, 6), raw(0))
    await plc.nodes["i32"].write_value(99, ua.VariantType.Int32)
    await driver.exchange(raw(2, 5, 7), raw(0))
    assert await plc.nodes["i32"].read_value() == 99
    assert await plc.nodes["u16"].read_value() == 7
    assert await plc.nodes["Heartbeat"].read_value() == 2
    await driver.connect()
    await driver.exchange(raw(3, 5, 7), raw(0))
    assert await plc.nodes["i32"].read_value() == 5
    await driver.close()


async def test_write_is_what_is_due_and_the_heartbeat_and_no_read(plc: OpcUaServer) -> None:
    node = await plc.add("Unreadable", 0, ua.VariantType.Int32)
    driver = driver_of(plc, a_map({"Unreadable": Wire.I32}, {"i32": Wire.I32}))
    await driver.connect()
    broken = ua.DataValue(SEVEN, BAD)
    plc.server.iserver.set_attribute_value_callback(node.nodeid, lambda _node, _attribute: broken)
    await driver.write(raw(1, 5))
    await plc.nodes["i32"].write_value(99, ua.VariantType.Int32)
    await driver.write(raw(2, 5))
    assert await plc.nodes["i32"].read_value() == 99, "confirmed is confirmed"
    assert await plc.nodes["Heartbeat"].read_value() == 2
    await driver.write(raw(3, 6))
    assert await plc.nodes["i32"].read_value() == 6
    await driver.close()


async def test_refresh_due_writes_unchanged_outputs_again(
    plc: OpcUaServer,
) -> None:
    driver = driver_of(plc, a_map({}, {"i32": Wire.I32}), refresh_s=0.0)
    await driver.connect()
    await driver.exchange(raw(1, 5), raw(0))
    await plc.nodes["i32"].write_value(99, ua.VariantType.Int32)
    await driver.exchange(raw(1, 5), raw(0))
    await driver.close()
    assert await plc.nodes["i32"].read_value() == 5


async def test_connect_writes_nothing(plc: OpcUaServer) -> None:
    await plc.nodes["i32"].write_value(99, ua.VariantType.Int32)
    driver = driver_of(plc, a_map({}, {"i32": Wire.I32}))
    await driver.connect()
    await driver.close()
    assert await plc.nodes["i32"].read_value() == 99


async def test_channel_due_for_renewal_is_renewed_by_the_exchange(plc: OpcUaServer) -> None:
    driver = OpcUaDriver("safety", plc.address, a_map({}, {}), TIMEOUT_S, channel_s=0.0)
    await driver.connect()
    client = driver._client
    assert client is not None and client.uaclient.protocol is not None
    tokens = []
    for beat in range(3):
        await driver.exchange(raw(beat), raw(0))
        tokens.append(client.uaclient.protocol._connection.security_token.TokenId)
    await driver.close()
    assert len(set(tokens)) == 3


@pytest.mark.parametrize(
    ("node", "wire", "message"),
    [
        ("Absent", Wire.BOOL, "'Absent' is no variable in 'urn:test:safety' .BadNodeIdUnknown."),
        ("i32", Wire.I16, "'i32' is Int32, not i16; write type = 'i32' in the device map"),
        ("bool", Wire.U16, "'bool' is Boolean, not u16; write type = 'bool' in the device map"),
        ("Text", Wire.U16, "'Text' is String, not u16; choose another in the device map"),
        ("Array", Wire.I32, "'Array' is an array; choose another in the device map"),
        ("ReadOnly", Wire.I32, "'ReadOnly' is an output, but the server allows no writing"),
    ],
)
async def test_node_that_does_not_fit_fails_the_connect_and_is_named(
    plc: OpcUaServer, node: str, wire: Wire, message: str
) -> None:
    if "Text" not in plc.nodes:
        await plc.add("Text", "hello", None)
        array = await plc.add("Array", [1, 2, 3], ua.VariantType.Int32)
        await array.write_value_rank(ua.ValueRank.OneDimension)
        await plc.add("ReadOnly", 1, ua.VariantType.Int32, writable=False)
    driver = driver_of(plc, a_map({}, {node: wire}))
    with pytest.raises(DeviceError, match=f"^safety: {node} at node {message}"):
        await driver.connect()


async def test_namespace_missing_fails_the_connect_and_lists_them(
    plc: OpcUaServer,
) -> None:
    device_map = DeviceMap("opcua", (), (), namespace="urn:other")
    driver = OpcUaDriver("safety", plc.address, device_map, TIMEOUT_S)
    with pytest.raises(DeviceError, match=f"no namespace 'urn:other'.*{NAMESPACE}"):
        await driver.connect()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            ua.DataValue(SEVEN, BAD),
            "not read: BadSensorFailure",
        ),
        (
            ua.DataValue(SEVEN, UNCERTAIN),
            "not read: UncertainLastUsableValue",
        ),
        (ua.DataValue(ua.Variant(7.0, ua.VariantType.Double)), "is no longer one i32"),
        (ua.DataValue(ua.Variant([7, 7], ua.VariantType.Int32)), "is no longer one i32"),
        (ua.DataValue(ua.Variant(None)), "is no longer one i32"),
    ],
)
async def test_input_gone_bad_fails_the_exchange_and_good_again_serves(
    plc: OpcUaServer, value: ua.DataValue, message: str
) -> None:
    node = plc.nodes.get("Sensor") or await plc.add("Sensor", 7, ua.VariantType.Int32)
    driver = driver_of(plc, a_map({"i16": Wire.I16, "Sensor": Wire.I32}, {}))
    await driver.connect()
    inputs = raw(8, 8, 8)
    plc.server.iserver.set_attribute_value_callback(node.nodeid, lambda _node, _attribute: value)
    with pytest.raises(DeviceError, match=f"safety: Sensor at node 'Sensor' {message}"):
        await driver.exchange(raw(1), inputs)
    assert inputs.tolist() == [8, 8, 8]
    await plc.server.iserver.write_attribute_value(node.nodeid, ua.DataValue(SEVEN))
    await driver.connect()
    await driver.exchange(raw(1), inputs)
    await driver.close()
    assert inputs.tolist()[2] == 7


async def test_output_refused_fails_the_exchange_and_is_named(plc: OpcUaServer) -> None:
    node = await plc.add("Guarded", 0, ua.VariantType.Int32)
    driver = driver_of(plc, a_map({}, {"Guarded": Wire.I32}))
    await driver.connect()
    await node.set_writable(False)
    with pytest.raises(DeviceError, match="'Guarded' not written: Bad"):
        await driver.exchange(raw(1, 1), raw(0))
    with pytest.raises(DeviceError, match=r"^safety: not connected"):
        await driver.write(raw(1, 1))


async def test_server_stopped_in_mid_session_and_back_serves_again(plc: OpcUaServer) -> None:
    driver = driver_of(plc, a_map({"i32": Wire.I32}, {"i32": Wire.I32}))
    await driver.connect()
    inputs = raw(0, 0)
    await driver.exchange(raw(1, 5), inputs)
    await plc.go_down()
    with pytest.raises(DeviceError, match=r"^safety: "):
        await driver.exchange(raw(2, 5), inputs)
    with pytest.raises(NotThere, match=r"^safety: no connection to .*Connect call failed"):
        await driver.connect()
    with pytest.raises(DeviceError, match=r"^safety: not connected"):
        await driver.exchange(raw(2, 5), inputs)
    assert inputs.tolist() == [41, 5]
    await plc.nodes["i32"].write_value(0, ua.VariantType.Int32)
    await plc.come_up()
    await driver.connect()
    await driver.exchange(raw(2, 5), inputs)
    await driver.close()
    await driver.close()
    assert await plc.nodes["i32"].read_value() == 5


@pytest.mark.parametrize("words", [b"", bytes(range(256)) * 4, b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_server_that_says_nothing_or_nonsense_fails_the_connect(words: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(words)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    driver = OpcUaDriver("safety", f"opc.tcp://127.0.0.1:{port}", a_map({}, {}), 0.1)
    with pytest.raises(DeviceError, match=r"^safety: "):
        await asyncio.wait_for(driver.connect(), 10)
    await driver.close()
    server.close()
    await server.wait_closed()


async def test_server_silent_in_mid_session_fails_within_the_timeout(plc: OpcUaServer) -> None:
    """Through a relay that stops relaying; closing is bounded as well."""
    relaying = asyncio.Event()
    relaying.set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await relaying.wait()
            writer.write(data)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", plc.port)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    driver = OpcUaDriver("safety", f"opc.tcp://127.0.0.1:{port}", a_map({}, {}), 0.3)
    inputs = raw(9)
    await driver.connect()
    relaying.clear()
    with pytest.raises(DeviceError, match=r"^safety: no answer within 0.3 s"):
        await driver.exchange(raw(1), inputs)
    assert inputs.tolist() == [9]
    relaying.set()
    await driver.connect()
    await driver.exchange(raw(2), inputs)
    assert inputs.tolist() == [41]
    relaying.clear()
    await asyncio.wait_for(driver.close(), 10)
    relaying.set()
    server.close()
    await server.wait_closed()


async def test_cancelled_in_mid_exchange_nothing_is_left_running(plc: OpcUaServer) -> None:
    driver = driver_of(plc, a_map({"i32": Wire.I32}, {}))
    await driver.connect()
    exchange = asyncio.create_task(driver.exchange(raw(1), raw(0, 0)))
    await asyncio.sleep(0)  # it has begun
    exchange.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange
    await driver.close()
    running = [repr(task.get_coro()) for task in asyncio.all_tasks()]
    assert [r for r in running if "Client" in r or "OpcUaDriver" in r] == []


async def test_nobody_listening_is_an_error() -> None:
    with socket.socket() as reserved:  # bound, never listening
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        driver = OpcUaDriver("safety", f"opc.tcp://127.0.0.1:{port}", a_map({}, {}), TIMEOUT_S)
        with pytest.raises(DeviceError, match=r"^safety: "):
            await driver.connect()


@pytest.mark.parametrize("address", ["127.0.0.1:4840", "http://127.0.0.1:1", "opc.tcp://host"])
async def test_address_that_cannot_be_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="an OPC UA address is such as"):
        open_driver("safety", address, a_map({}, {}), 1.0)


async def test_map_without_namespace_is_refused() -> None:
    with pytest.raises(ValueError, match="give the namespace"):
        open_driver("safety", "opc.tcp://a:1", DeviceMap("opcua", (), ()), 1.0)
