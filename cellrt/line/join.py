"""Tags joined to points: every input and output to exactly one, and no output point to two tags."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cellrt.line.device_map import LoadedMap, overlap
from cellrt.line.model import CellTable
from cellrt.line.problem import choose
from cellrt.line.source import Keys, Source
from cellrt.line.spec import DeviceSpec
from cellrt.tags import Record, Role, find, leaves
from cellrt.wire import Point, kind_of

Place = tuple[str, str]
"""(device, point)"""


@dataclass(frozen=True)
class Joiner:
    """What tags can be joined to. `devices` has None for one whose own description is at fault.

    `shared` is the table `[io]`, for tags that many cells have.
    """

    source: Source
    devices: Mapping[str, LoadedMap | None]
    shared: Mapping[str, str]

    def join(self, name: str, kind: type[Record], cell: CellTable) -> dict[str, Place]:
        """Every input and output of one cell, with its point.

        A tag is looked for in the cell's `io`, in `[io]`, then by its own name in its device.
        """
        tags = joinable(kind)
        self._refuse_strangers(name, kind, cell)
        if cell.device is not None and cell.device not in self.devices:
            what = f"unknown device {cell.device!r}"
            self._fault(("cells", name, "device"), what, choose(cell.device, self.devices))
        places: dict[str, Place] = {}
        for tag, role in tags.items():
            for keys, place in self._places(name, tag, cell):
                if self._fits(name, kind, tag, role, keys, place):
                    places[tag] = place
        return places

    def check_shared(self, kinds: Iterable[type[Record]]) -> None:
        """Each tag in `[io]` must be a tag of some cell."""
        there = {tag for kind in kinds for tag in joinable(kind)}
        for tag in self.shared:
            if tag not in there:
                self._fault(
                    ("io", tag), f"no cell has an input or output {tag!r}", choose(tag, there)
                )

    def check_writers(self, joined: Mapping[str, Mapping[str, Place]]) -> None:
        """No two outputs to one point."""
        writers: dict[Place, str] = {}
        for name, places in joined.items():
            for tag, place in places.items():
                device = self.devices[place[0]]
                if device is None or place[1] not in {p.name for p in device.map.outputs}:
                    continue
                writer = writers.setdefault(place, f"{name}.{tag}")
                if writer != f"{name}.{tag}":
                    what = f"output {name}.{tag} and output {writer} both write {'.'.join(place)}"
                    keys = self._keys(name, tag)
                    self._fault(keys, what, "give each output a point of its own")

    def _keys(self, name: str, tag: str) -> Keys:
        """Where it is said what a tag is joined to."""
        if ("cells", name, "io", tag) in self.source.lines:
            return ("cells", name, "io", tag)
        return ("io", tag) if tag in self.shared else ("cells", name, "device")

    def _refuse_strangers(self, name: str, kind: type[Record], cell: CellTable) -> None:
        tags, every = joinable(kind), dict(leaves(kind))
        for tag in cell.io:
            keys = ("cells", name, "io", tag)
            if tag in tags:
                continue
            if tag in every:
                self._fault(
                    keys, f"{name}.{tag} is neither input nor output", "take it out of `io`"
                )
            else:
                self._fault(keys, f"{name} has no input or output {tag!r}", choose(tag, tags))

    def _places(self, name: str, tag: str, cell: CellTable) -> Iterator[tuple[Keys, Place]]:
        """Where a tag is mapped to; problems when that is nowhere, twice or not a point."""
        keys: Keys = ("cells", name, "io", tag)
        written = cell.io.get(tag, self.shared.get(tag))
        if tag in cell.io and tag in self.shared:
            line = self.source.line(("io", tag))
            what = f"{name}.{tag} is mapped twice, here and in [io] (line {line})"
            self._fault(keys, what, "drop one of the two")
        elif written is not None:
            keys = keys if tag in cell.io else ("io", tag)
            device, dot, point = written.partition(".")
            if not dot or not point:
                self._fault(keys, f"{tag} = {written!r} is no point", 'write "device.point"')
            elif device not in self.devices:
                self._fault(keys, f"unknown device {device!r}", choose(device, self.devices))
            else:
                yield keys, (device, point)
        elif cell.device is None:
            what, mend = (
                f"{name}.{tag} is mapped nowhere",
                f'add `{tag} = "device.point"` to its io',
            )
            self._fault(("cells", name), what, mend)
        elif cell.device in self.devices:
            yield ("cells", name, "device"), (cell.device, tag)

    def _fits(
        self, name: str, kind: type[Record], tag: str, role: Role, keys: Keys, place: Place
    ) -> bool:
        """The point is there, in the right direction, and of a width that the tag can have."""
        device, point_name = place
        loaded = self.devices[device]
        if loaded is None:
            return False
        points = {p.name: p for p in self._points(loaded, role)}
        if point_name not in points:
            what, mend = self._not_there(f"{name}.{tag}", role, place, loaded, points)
            if keys[-1] == "device":
                what = f"{role.value} {name}.{tag} is mapped nowhere: {what}"
                mend = f"{mend} Else map it in the cell's io or add it to the device map"
            self._fault(keys, what, mend)
            return False
        try:
            kind_of(points[point_name], find(kind, tag))
        except ValueError as error:
            section = "inputs" if role is Role.INPUT else "outputs"
            where = f"{loaded.source.path}:{loaded.source.line((section, point_name))}"
            self._fault(keys, f"{name}.{error}", f"give tag and point ({where}) one type")
            return False
        return True

    def _not_there(
        self, tag: str, role: Role, place: Place, loaded: LoadedMap, points: Iterable[str]
    ) -> tuple[str, str]:
        device, point = place
        other = Role.OUTPUT if role is Role.INPUT else Role.INPUT
        if point in {p.name for p in self._points(loaded, other)}:
            what = f"{role.value} {tag} is mapped to {device}.{point}, which is an {other.value}"
            return what, f"choose one of the {role.value}s in {loaded.map.path}"
        return f"{loaded.map.path} has no {role.value} {point!r}", choose(point, points)

    def _points(self, loaded: LoadedMap, role: Role) -> tuple[Point, ...]:
        return loaded.map.inputs if role is Role.INPUT else loaded.map.outputs

    def _fault(self, keys: Keys, what: str, mend: str) -> None:
        self.source.fault(keys, what, mend)


def joinable(kind: type[Record]) -> dict[str, Role]:
    """Inputs and outputs of a type, by path."""
    roles = (Role.INPUT, Role.OUTPUT)
    return {path: field.role for path, field in leaves(kind) if field.role in roles}


def check_shared_registers(devices: Mapping[str, DeviceSpec], source: Source) -> None:
    """Two entries for one station must not write the same register, heartbeats included."""
    there = list(devices.values())
    for place, device in enumerate(there):
        for other in (d for d in there[:place] if _station(d) == _station(device)):
            for a, b in itertools.product(_written(device), _written(other)):
                if overlap(a, b):
                    what = f"{device.name}.{a.name} and {other.name}.{b.name} are the same register"
                    mend = "describe the station once, or give the second another address"
                    source.fault(("devices", device.name, "address"), what, mend)


def _station(device: DeviceSpec) -> tuple[str, str, int]:
    unit = device.map.unit_id if device.map.protocol == "modbus" else 0
    return device.map.protocol, device.address.lower(), unit


def _written(device: DeviceSpec) -> tuple[Point, ...]:
    heartbeat = device.map.heartbeat
    return (*device.map.outputs, *([heartbeat] if heartbeat else []))
