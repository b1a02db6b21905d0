"""How simulated devices write their maps down: points by their width, and what every device shows."""

from __future__ import annotations

from cellrt.wire import DeviceMap, Point, Wire
from hw_sim.device import WATCHDOG_MS

Points = tuple[Point, ...]


def bit(name: str, address: str) -> Point:
    return Point(name, address, Wire.BOOL)


def u16(name: str, address: str, scale: float = 1.0) -> Point:
    return Point(name, address, Wire.U16, scale)


def i16(name: str, address: str, scale: float = 1.0) -> Point:
    return Point(name, address, Wire.I16, scale)


def u32(name: str, address: str, scale: float = 1.0) -> Point:
    return Point(name, address, Wire.U32, scale)


def i32(name: str, address: str) -> Point:
    return Point(name, address, Wire.I32)


def f64(name: str, address: str) -> Point:
    return Point(name, address, Wire.F64)


def modbus_map(inputs: Points, outputs: Points) -> DeviceMap:
    """Registers; heartbeat and counter are the first of their tables."""
    return DeviceMap(
        protocol="modbus",
        watchdog_ms=WATCHDOG_MS,
        heartbeat=u16("heartbeat", "holding:0"),
        counter=u16("counter", "input:0"),
        inputs=inputs,
        outputs=outputs,
    )


def opcua_map(namespace: str, inputs: Points, outputs: Points) -> DeviceMap:
    """Nodes."""
    return DeviceMap(
        protocol="opcua",
        namespace=namespace,
        watchdog_ms=WATCHDOG_MS,
        heartbeat=u32("heartbeat", "Heartbeat"),
        counter=u32("counter", "Counter"),
        inputs=inputs,
        outputs=outputs,
    )


def health_registers(discrete: int, word: int) -> Points:
    """Power and watchdog, at two bits and two words from there on."""
    return (
        bit("power_on", f"discrete:{discrete}"),
        bit("watchdog.safe", f"discrete:{discrete + 1}"),
        u16("watchdog.trips", f"input:{word}"),
        u16("watchdog.tripped_ms", f"input:{word + 1}"),
    )


WATCHDOG_NODES: Points = (
    bit("watchdog.safe", "Watchdog.Safe"),
    u32("watchdog.trips", "Watchdog.Trips"),
    u32("watchdog.tripped_ms", "Watchdog.TrippedMs"),
)
