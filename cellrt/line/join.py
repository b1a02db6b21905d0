"""Tags joined to points: every input and output to exactly one, and no output point to two tags."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cellrt.line.device_map import LoadedMap, overlap
from cellrt.line.model import CellTable
from cellrt.line.problem import choose, nearest
from cellrt.line.source import Keys, Source
from cellrt.line.spec import DeviceSpec
from cellrt.tags import Leaf, Record, Role, find, leaves
from cellrt.wire import DeviceMap, Point, kind_of

Place = tuple[str, str]
"""(device, point)"""


@dataclass(frozen=True)
class Joint:
    """A tag, the point that it is to be joined to, and where in the file that is said."""

    cell: str
    leaf: Leaf
    keys: Keys
    place: Place

    @property
    def tag(self) -> str:
        """`press.valve.open`"""
        return f"{self.cell}.{self.leaf.path}"

    @property
    def role(self) -> str:
        """input or output"""
        return self.leaf.field.role.value

    @property
    def by_own_name(self) -> bool:
        """Nothing is said of this tag but its cell's device."""
        return self.keys[-1] == "device"


@dataclass(frozen=True)
class Joiner:
    """What tags can be joined to. `devices` has None for one whose own description is at fault.

    `shared` is the table `[io]`, for tags that many cells have.
    """

    source: Source
    devices: Mapping[str, LoadedMap | None]
    shared: Mapping[str, str]

    def joints(self, name: str, kind: type[Record], cell: CellTable) -> list[Joint]:
        """Every input and output of one cell, with its point.

        A tag is looked for in the cell's `io`, in `[io]`, then by its own name in its device.
        """
        tags = joinable(kind)
        self._refuse_strangers(name, kind, cell)
        if cell.device is not None and cell.device not in self.devices:
            mend = choose(cell.device, self.devices)
            self.source.fault(("cells", name, "device"), f"unknown device {cell.device!r}", mend)
        joints = [self._joint(name, find(kind, tag), cell) for tag in tags]
        return [joint for joint in joints if joint is not None and self._fits(joint)]

    def check_shared(self, kinds: Iterable[type[Record]]) -> None:
        """Each tag in `[io]` must be a tag of some cell."""
        there = {tag for kind in kinds for tag in joinable(kind)}
        for tag in self.shared:
            if tag not in there:
                what = f"no cell has an input or output {tag!r}"
                self.source.fault(("io", tag), what, choose(tag, there))

    def check_writers(self, joints: Iterable[Joint]) -> None:
        """No two outputs to one point."""
        writers: dict[Place, str] = {}
        for joint in (j for j in joints if j.leaf.field.role is Role.OUTPUT):
            first = writers.setdefault(joint.place, joint.tag)
            if first != joint.tag:
                what = f"outputs {first} and {joint.tag} both write {'.'.join(joint.place)}"
                self.source.fault(joint.keys, what, "give each output a point of its own")

    def _refuse_strangers(self, name: str, kind: type[Record], cell: CellTable) -> None:
        tags, every = joinable(kind), {path for path, _ in leaves(kind)}
        for tag in (t for t in cell.io if t not in tags):
            what, mend = f"{name} has no input or output {tag!r}", choose(tag, tags)
            if tag in every:
                what, mend = f"{name}.{tag} is neither input nor output", "take it out of `io`"
            self.source.fault(("cells", name, "io", tag), what, mend)

    def _joint(self, name: str, leaf: Leaf, cell: CellTable) -> Joint | None:
        """Where a tag is to go; a problem when that is nowhere, twice or not a point."""
        tag = leaf.path
        keys: Keys = ("cells", name, "io", tag)
        if tag in cell.io and tag in self.shared:
            line = self.source.line(("io", tag))
            what = f"{name}.{tag} is mapped twice, here and in [io] (line {line})"
            self.source.fault(keys, what, "drop one of the two")
        elif tag in cell.io:
            return self._written(name, leaf, keys, cell.io[tag])
        elif tag in self.shared:
            return self._written(name, leaf, ("io", tag), self.shared[tag])
        elif cell.device is None:
            what = f"{leaf.field.role.value} {name}.{tag} is mapped nowhere"
            self.source.fault(("cells", name), what, _add(tag, "device", "point"))
        elif cell.device in self.devices:
            return Joint(name, leaf, ("cells", name, "device"), (cell.device, tag))
        return None

    def _written(self, name: str, leaf: Leaf, keys: Keys, place: str) -> Joint | None:
        device, _, point = place.partition(".")
        if not point:
            what = f'{name}.{leaf.path} = "{place}" names no point'
            self.source.fault(keys, what, 'write "device.point"')
        elif device not in self.devices:
            what = f"unknown device {device!r}"
            self.source.fault(keys, what, choose(device, self.devices))
        else:
            return Joint(name, leaf, keys, (device, point))
        return None

    def _fits(self, joint: Joint) -> bool:
        """The point is there, in the right direction, and of a width that the tag can have."""
        device, name = joint.place
        loaded = self.devices[device]
        if loaded is None:
            return False
        points = {p.name: p for p in _points(loaded.map, joint.role)}
        if name not in points:
            self._not_there(joint, loaded.map, points)
            return False
        try:
            kind_of(points[name], joint.leaf)
        except ValueError as error:
            line = loaded.source.line((f"{joint.role}s", name))
            mend = f"give tag and point ({loaded.map.path}:{line}) one type"
            self.source.fault(joint.keys, f"{joint.cell}.{error}", mend)
            return False
        return True

    def _not_there(self, joint: Joint, device: DeviceMap, points: Mapping[str, Point]) -> None:
        name = joint.place[1]
        other = "output" if joint.role == "input" else "input"
        what, mend = f"{device.path} has no {joint.role} {name!r}", choose(name, points)
        if name in {p.name for p in _points(device, other)}:
            what = f"{joint.role} {joint.tag} is mapped to {'.'.join(joint.place)}, an {other}"
            mend = f"choose an {joint.role} of {device.path}"
        elif joint.by_own_name:
            what = f"{joint.role} {joint.tag} is mapped nowhere: {what}"
            mend = _add(joint.leaf.path, joint.place[0], nearest(name, points) or "point")
        self.source.fault(joint.keys, what, mend)


def joinable(kind: type[Record]) -> list[str]:
    """Paths of the inputs and outputs of a type."""
    return [path for path, field in leaves(kind) if field.role in (Role.INPUT, Role.OUTPUT)]


def check_stations(devices: Iterable[DeviceSpec], source: Source) -> None:
    """Two entries for one station must not write the same register, heartbeats included."""
    for first, second in itertools.combinations(devices, 2):
        pairs = itertools.product(_written_points(first), _written_points(second))
        both = [a.name for a, b in pairs if overlap(a, b)]
        if _station(first) == _station(second) and both:
            what = f"{first.name} and {second.name} are one station and both write {both[0]!r}"
            mend = "describe it once, or give the second another address"
            source.fault(("devices", second.name, "address"), what, mend)


def _station(device: DeviceSpec) -> tuple[str, str, int]:
    unit = device.map.unit_id if device.map.protocol == "modbus" else 0
    return device.map.protocol, device.address.lower(), unit


def _written_points(device: DeviceSpec) -> Iterator[Point]:
    yield from device.map.outputs
    if device.map.heartbeat:
        yield device.map.heartbeat


def _points(device: DeviceMap, role: str) -> tuple[Point, ...]:
    return device.inputs if role == "input" else device.outputs


def _add(tag: str, device: str, point: str) -> str:
    """The line to add; a tag inside a record has a dot in its name and so needs quotes."""
    key = f'"{tag}"' if "." in tag else tag
    return f'add `{key} = "{device}.{point}"` to its io'
