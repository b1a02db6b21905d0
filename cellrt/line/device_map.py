"""A device map: what an integrator writes against the documentation of a device.

```toml
protocol = "modbus"                                   # or "opcua"
unit_id = 1                                           # Modbus; OPC UA has `namespace = "urn:..."`
watchdog_ms = 500
heartbeat = { holding = 0, type = "u16" }             # the line writes its scan count here
counter = { input = 0, type = "u16" }                 # the device counts here
[inputs]
at_stop = { discrete = 1 }
pressure_N = { input = 10, type = "u16", scale = 0.1 }
[outputs]
clamp = { coil = 0 }                                  # OPC UA: { node = "Clamp", type = "bool" }
```
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cellrt.line.model import MapFile, PointTable, shaped
from cellrt.line.problem import LineError, Problem
from cellrt.line.source import Keys, Source, read
from cellrt.wire import DeviceMap, Point, Wire

TABLES = ("coil", "discrete", "holding", "input")
"""Modbus' four tables; the first and third can be written."""
WRITABLE = ("coil", "holding")
ONE_BIT = ("coil", "discrete")


@dataclass(frozen=True)
class LoadedMap:
    """A map, and the file that it came from."""

    map: DeviceMap
    source: Source
    warnings: tuple[Problem, ...]


def load_map(path: Path) -> LoadedMap:
    """The device map at `path`. Raises LineError with everything that is wrong in it."""
    source = read(path)
    file = shaped(MapFile, source.data, (), source)
    if file is None:
        raise LineError(source.problems)
    if file.protocol == "opcua" and not file.namespace:
        mend = 'add `namespace = "urn:vendor:device"`'
        source.fault((), "an OPC UA map has no 'namespace'", mend)
    points = _Points(file.protocol, source)
    inputs = [points.point(("inputs", name), data) for name, data in file.inputs.items()]
    outputs = [points.point(("outputs", name), data, True) for name, data in file.outputs.items()]
    heartbeat = points.count("heartbeat", file.heartbeat, True)
    counter = points.count("counter", file.counter)
    points.one_name_each(file)
    points.apart((("counter",), counter), *_keyed("inputs", inputs))
    points.apart((("heartbeat",), heartbeat), *_keyed("outputs", outputs))
    if source.problems:
        raise LineError(source.problems)
    device = DeviceMap(
        file.protocol,
        tuple(p for p in inputs if p),
        tuple(p for p in outputs if p),
        heartbeat,
        counter,
        file.watchdog_ms,
        file.unit_id,
        file.namespace,
        str(path),
    )
    return LoadedMap(device, source, tuple(_warnings(device, source)))


def span(point: Point) -> tuple[str, int, int]:
    """Table, first and last register of a point; an OPC UA node is a table of its own."""
    place, _, number = point.address.partition(":")
    if place not in TABLES or not number.isdigit():
        return point.address, 0, 0
    return place, int(number), int(number) + max(point.wire.bits // 16, 1) - 1


def overlap(a: Point, b: Point) -> bool:
    """Two points of one device share a register, a bit or a node."""
    (table, first, last), (other, start, end) = span(a), span(b)
    return table == other and first <= end and start <= last


def _keyed(table: str, points: Iterable[Point | None]) -> list[tuple[Keys, Point | None]]:
    return [((table, p.name), p) for p in points if p]


def _warnings(device: DeviceMap, source: Source) -> Iterable[Problem]:
    if device.heartbeat is None and device.outputs:
        yield source.problem(
            (),
            "has outputs but no heartbeat: the device cannot go safe by itself when the scan stops",
            'add `heartbeat = { holding = 0, type = "u16" }` if the device watches one',
        )
    if device.counter is None:
        yield source.problem(
            (),
            "has no counter: a device that answers with frozen data is not noticed",
            'add `counter = { input = 0, type = "u16" }` if the device has one',
        )


@dataclass(frozen=True)
class _Points:
    """The points of one map under check."""

    protocol: str
    source: Source

    def fault(self, keys: Keys, what: str, mend: str) -> None:
        self.source.fault(keys, f"{'.'.join(map(str, keys))} {what}", mend)

    def point(self, keys: Keys, data: object, written: bool = False) -> Point | None:
        """One point, or None with the problem noted."""
        table = shaped(PointTable, data, keys, self.source)
        if not str(keys[-1]) or any(c.isspace() for c in str(keys[-1])):
            self.fault(keys, "is no name for a point", "use letters, digits and _")
        if table is None:
            return None
        if self.protocol == "opcua":
            address = self._node(keys, table)
        else:
            address = self._register(keys, table, written)
        wire = self._wire(keys, table, address)
        if address is None or wire is None:
            return None
        point = Point(str(keys[-1]), address, wire, table.scale, table.offset)
        if span(point)[2] > 65535:
            self.fault(keys, "ends behind register 65535", "take an address that leaves it room")
        return point

    def count(self, name: str, data: object, written: bool = False) -> Point | None:
        """The heartbeat or the counter: a whole number, unscaled."""
        point = None if data is None else self.point((name,), data, written)
        if point and (point.wire is Wire.BOOL or point.wire.is_float):
            self.fault((name,), f"is {point.wire.value} but counts", 'give it `type = "u16"`')
        elif point and (point.scale, point.offset) != (1.0, 0.0):
            self.fault((name,), "is scaled but counts", "drop `scale` and `offset`")
        return point

    def one_name_each(self, file: MapFile) -> None:
        """An input and an output are told apart by name alone."""
        for name in file.outputs:
            if name in file.inputs:
                line = self.source.line(("inputs", name))
                self.fault(
                    ("outputs", name), f"is also an input (line {line})", "rename one of them"
                )

    def apart(self, *points: tuple[Keys, Point | None]) -> None:
        """No two of these may share a register."""
        there = [(keys, point) for keys, point in points if point]
        for place, (keys, point) in enumerate(there):
            for other, second in there[:place]:
                if overlap(point, second):
                    line, name = self.source.line(other), ".".join(map(str, other))
                    what = f"at {point.address} overlaps {name} at {second.address} (line {line})"
                    self.fault(keys, what, "give each point registers of its own")

    def _register(self, keys: Keys, table: PointTable, written: bool) -> str | None:
        places = [t for t in TABLES if getattr(table, t) is not None]
        if len(places) != 1 or table.node is not None:
            what = "needs exactly one Modbus table"
            self.fault(keys, what, "write one of `coil`, `discrete`, `holding`, `input`")
            return None
        if written and places[0] not in WRITABLE:
            self.fault(
                keys, f"is in {places[0]!r}, which cannot be written", "use `coil` or `holding`"
            )
        return f"{places[0]}:{getattr(table, places[0])}"

    def _node(self, keys: Keys, table: PointTable) -> str | None:
        if table.node is None or any(getattr(table, t) is not None for t in TABLES):
            self.fault(
                keys, "needs an OPC UA node and no Modbus table", 'write `node = "Folder.Name"`'
            )
            return None
        return table.node

    def _wire(self, keys: Keys, table: PointTable, address: str | None) -> Wire | None:
        one_bit = any(getattr(table, t) is not None for t in ONE_BIT)
        if table.type is None and not one_bit:
            self.fault(keys, "has no 'type'", 'give its width, such as `type = "u16"`')
            return None
        wire = Wire(table.type or "bool")
        if one_bit and wire is not Wire.BOOL:
            self.fault(
                keys, f"is one bit but of type {wire.value}", 'drop `type` or make it "bool"'
            )
        if table.scale == 0.0:
            self.fault(keys, "has a scale of 0", "give the value of one count")
        elif (wire is Wire.BOOL or wire.is_float) and (table.scale, table.offset) != (1.0, 0.0):
            self.fault(keys, f"is {wire.value} and cannot be scaled", "drop `scale` and `offset`")
        return wire
