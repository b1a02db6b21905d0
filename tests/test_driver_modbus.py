"""The Modbus driver against pymodbus's own server: values, order, coalescing, refresh."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import pytest
from driver_peers import ModbusServer, Request, raw

from cellrt.drivers.base import DeviceError, NotThere
from cellrt.drivers.modbus import ModbusDriver, host_and_port
from cellrt.drivers.open import open_driver
from cellrt.wire import DeviceMap, Point, Wire

TIMEOUT_S = 1.0
VALUES: dict[Wire, list[int | float]] = {
    Wire.BOOL: [1, 0],
    Wire.I16: [-32768, -1],
    Wire.U16: [65535, 0],
    Wire.I32: [-2, 2**31 - 1],
    Wire.U32: [2**32 - 1, 0x12345678],
    Wire.I64: [-(2**63), 2**63 - 1],
    Wire.F32: [1.5, -(2.0**-126)],
    Wire.F64: [math.pi, -1e300],
}
HEARTBEAT, COUNTER = (
    Point("heartbeat", "holding:0", Wire.U16),
    Point("counter", "input:0", Wire.U16),
)


@pytest.fixture
async def server() -> AsyncIterator[ModbusServer]:
    server = ModbusServer()
    await server.start()
    yield server
    await server.stop()


def driver_of(
    server: ModbusServer, device_map: DeviceMap, refresh_s: float = math.inf
) -> ModbusDriver:
    return ModbusDriver("printer", server.address, device_map, TIMEOUT_S, refresh_s)


def a_map(inputs: dict[str, Wire], outputs: dict[str, Wire]) -> DeviceMap:
    """A map whose points are named after their addresses."""
    return DeviceMap(
        "modbus",
        tuple(Point(address, address, wire) for address, wire in inputs.items()),
        tuple(Point(address, address, wire) for address, wire in outputs.items()),
        HEARTBEAT,
        COUNTER,
        unit_id=7,
    )


@pytest.mark.parametrize("wire", list(Wire))
async def test_values_of_every_width_written_come_back(server: ModbusServer, wire: Wire) -> None:
    """Registers can be read back, so what is written is what is read, every bit of it."""
    cells = max(wire.bits // 16, 1)
    addresses = {f"holding:{10 + n * cells}": wire for n in range(2)}
    driver = driver_of(server, a_map(addresses, addresses))
    await driver.connect()
    inputs = raw(0, 0, 0)
    await driver.exchange(raw(1, *VALUES[wire]), inputs)
    await driver.close()
    assert inputs.tolist() == raw(0, *VALUES[wire]).tolist()


async def test_wide_values_travel_high_word_first(server: ModbusServer) -> None:
    driver = driver_of(
        server, a_map({}, {"holding:10": Wire.I32, "holding:12": Wire.F32, "holding:14": Wire.F64})
    )
    await driver.connect()
    await driver.exchange(raw(0, -2, 1.5, 1.0), raw(0))
    await driver.close()
    words = await server.get(3, 10, 8)
    assert words == [0xFFFF, 0xFFFE, 0x3FC0, 0, 0x3FF0, 0, 0, 0]


async def test_number_too_wide_is_limited_and_a_counter_wraps(
    server: ModbusServer,
) -> None:
    driver = driver_of(server, a_map({}, {"holding:10": Wire.F32, "holding:12": Wire.I16}))
    await driver.connect()
    await driver.exchange(raw(0x2_0003, 1e300, 0x1_8000), raw(0))
    await driver.close()
    assert await server.get(3, 0) == [3]
    assert await server.get(3, 10, 3) == [0x7F7F, 0xFFFF, 0x8000]


async def test_bits_and_counter_of_the_device_arrive_at_their_rows(server: ModbusServer) -> None:
    device_map = a_map(
        {
            "discrete:3": Wire.BOOL,
            "input:9": Wire.I16,
            "discrete:0": Wire.BOOL,
            "coil:8": Wire.BOOL,
        },
        {"coil:8": Wire.BOOL, "coil:9": Wire.BOOL},
    )
    await server.set(5, 8, [True])
    await server.set(16, 0, [0])
    driver = driver_of(server, device_map)
    await driver.connect()
    inputs = raw(0, 0, 0, 0, 0)
    await driver.exchange(raw(0, 1, 0), inputs)
    assert inputs.tolist() == [0, 0, 0, 0, 1]
    await driver.exchange(raw(0, 0, 1), inputs)
    await driver.close()
    assert inputs.tolist() == [0, 0, 0, 0, 0]
    assert await server.get(1, 8, 2) == [False, True]


async def test_exchange_writes_outputs_then_heartbeat_then_reads(server: ModbusServer) -> None:
    driver = driver_of(
        server,
        a_map(
            {"discrete:0": Wire.BOOL, "discrete:30": Wire.BOOL, "input:9": Wire.U16},
            {"coil:0": Wire.BOOL, "coil:1": Wire.BOOL, "coil:3": Wire.BOOL, "holding:1": Wire.I32},
        ),
    )
    await driver.connect()
    server.requests.clear()
    await driver.exchange(raw(65536 + 5, 1, 1, 1, 70000), raw(0, 0, 0, 0))
    await driver.close()
    assert server.requests == [
        Request(15, 0, 2),  # adjacent coils together, never one that is not in the map
        Request(15, 3, 1),
        Request(16, 1, 2),
        Request(16, 0, 1),  # the heartbeat, last of what is written
        Request(2, 0, 31),  # near neighbours in one request
        Request(4, 0, 10),
    ]
    assert await server.get(3, 0) == [5]  # a counter wraps


async def test_unchanged_output_is_written_once_the_heartbeat_always(
    server: ModbusServer,
) -> None:
    driver = driver_of(server, a_map({}, {"coil:0": Wire.BOOL, "holding:1": Wire.U16}))
    await driver.connect()
    await driver.exchange(raw(1, 1, 5), raw(0))
    server.requests.clear()
    await driver.exchange(raw(2, 1, 5), raw(0))
    await driver.exchange(raw(3, 1, 6), raw(0))
    await driver.close()
    assert [r for r in server.requests if r.function > 4] == [
        Request(16, 0, 1),
        Request(16, 1, 1),
        Request(16, 0, 1),
    ]


async def test_write_is_what_is_due_then_the_heartbeat_and_no_read(server: ModbusServer) -> None:
    device_map = a_map({"discrete:0": Wire.BOOL}, {"coil:0": Wire.BOOL, "holding:1": Wire.U16})
    driver = driver_of(server, device_map)
    await driver.connect()
    server.requests.clear()
    await driver.write(raw(1, 1, 5))
    await driver.write(raw(2, 0, 5))
    assert server.requests == [
        Request(15, 0, 1),
        Request(16, 1, 1),
        Request(16, 0, 1),
        Request(15, 0, 1),
        Request(16, 0, 1),
    ]
    server.requests.clear()
    await driver.exchange(raw(3, 0, 5), raw(0, 0))
    await driver.close()
    assert {r.function for r in server.requests if r.function > 4} == {16}, "confirmed is confirmed"
    assert await server.get(3, 0, 2) == [3, 5] and await server.get(1, 0) == [False]


async def test_refresh_due_writes_unchanged_outputs_again(
    server: ModbusServer,
) -> None:
    driver = driver_of(server, a_map({}, {"coil:0": Wire.BOOL}), refresh_s=0.0)
    await driver.connect()
    await driver.exchange(raw(1, 1), raw(0))
    server.requests.clear()
    await driver.exchange(raw(1, 1), raw(0))
    await driver.close()
    assert Request(15, 0, 1) in server.requests


async def test_connected_again_all_outputs_are_written(server: ModbusServer) -> None:
    driver = driver_of(server, a_map({}, {"coil:0": Wire.BOOL, "holding:1": Wire.U16}))
    await driver.connect()
    await driver.exchange(raw(1, 0, 0), raw(0))
    await driver.connect()
    server.requests.clear()
    await driver.exchange(raw(1, 0, 0), raw(0))
    await driver.close()
    assert {r.function for r in server.requests} == {15, 16, 4}


async def test_connect_writes_nothing(server: ModbusServer) -> None:
    driver = driver_of(server, a_map({"coil:1": Wire.BOOL}, {"coil:0": Wire.BOOL}))
    await driver.connect()
    await driver.close()
    assert {r.function for r in server.requests} == {1, 4}


async def test_unused_cells_that_the_device_refuses_are_left_out(server: ModbusServer) -> None:
    """The server has no input registers 10 to 13, between two that the map has."""
    driver = driver_of(server, a_map({"input:9": Wire.U16, "input:14": Wire.U16}, {}))
    await driver.connect()
    server.requests.clear()
    await driver.exchange(raw(1), raw(0, 0, 0))
    await driver.close()
    reads = [r for r in server.requests if r.function == 4]
    assert reads == [Request(4, 0, 1), Request(4, 9, 1), Request(4, 14, 1)]


async def test_missing_input_fails_the_connect_and_is_named(server: ModbusServer) -> None:
    driver = driver_of(server, a_map({"input:12": Wire.U16}, {}))
    with pytest.raises(DeviceError, match=r"printer: input:12 .*exception 2 \(illegal address\)"):
        await driver.connect()


async def test_missing_output_fails_the_exchange_before_the_heartbeat(server: ModbusServer) -> None:
    driver = driver_of(server, a_map({}, {"coil:4000": Wire.BOOL}))
    await driver.connect()
    server.requests.clear()
    with pytest.raises(DeviceError, match=r"coil:4000 .* refused with exception 2"):
        await driver.exchange(raw(1, 1), raw(0))
    assert Request(16, 0, 1) not in server.requests


async def test_server_gone_fails_the_exchange_and_back_serves_again() -> None:
    server = ModbusServer()
    await server.start()
    driver = driver_of(server, a_map({"holding:1": Wire.U16}, {"holding:1": Wire.U16}))
    _, port = host_and_port(server.address)
    await driver.connect()
    await server.stop()
    inputs = raw(7, 7)
    with pytest.raises(DeviceError, match="printer: the device closed the connection"):
        await driver.write(raw(1, 9))
    with pytest.raises(NotThere, match=f"printer: no connection to 127.0.0.1:{port}"):
        await driver.connect()
    with pytest.raises(DeviceError, match="printer: not connected"):
        await driver.exchange(raw(1, 9), inputs)
    assert inputs.tolist() == [7, 7]
    server = ModbusServer(port)
    await server.start()
    await driver.connect()
    await driver.exchange(raw(1, 9), inputs)
    assert inputs.tolist() == [0, 9]
    await driver.close()
    await driver.close()
    await server.stop()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.1:1502", ("10.0.0.1", 1502)),
        ("coupler", ("coupler", 502)),
        ("[::1]:99", ("::1", 99)),
        ("[::1]", ("::1", 502)),
    ],
)
def test_address(address: str, expected: tuple[str, int]) -> None:
    assert host_and_port(address) == expected


@pytest.mark.parametrize("address", ["", ":502", "host:", "host:99999", "host:x"])
def test_address_that_cannot_be_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        host_and_port(address)


def test_factory_opens_modbus_and_refuses_unknown_protocols() -> None:
    device_map = a_map({}, {})
    assert isinstance(open_driver("a", "127.0.0.1:502", device_map, 1.0), ModbusDriver)
    with pytest.raises(ValueError, match='write "modbus" or "opcua"'):
        open_driver("a", "x", DeviceMap("profinet", (), ()), 1.0)
