"""A line made ready to scan: its assembly, and where every sample, command and output has its place.

A plan is made from a line's description alone; two processes that make it from the same description have
the same one, and `hash` proves it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from cellrt.assembly import Assembly
from cellrt.declared import all_interlocks, rules, tags_read
from cellrt.handover import Handover
from cellrt.image import Layout
from cellrt.interlock import Cause
from cellrt.line.spec import INTERLOCKS, DeviceSpec, LineSpec, Policy, TaskSpec
from cellrt.tags import Leaf, Record, Role
from cellrt.wire import Point

SAMPLE_HEAD = 2
"""Words before a device's raw values in the inputs: number of the sample, and whether it is good."""

OUTPUT_HEAD = 2
"""Words before the raw values in the outputs: the scan's count (the heartbeat), and its epoch."""

COMMAND_WORDS = 8
COMMANDS_A_SCAN = 16


@dataclass(frozen=True)
class Sample:
    """A device's place in the inputs and outputs. `raw` counts the device's counter, which comes first."""

    device: DeviceSpec
    base: int
    raw: int
    output_base: int

    @property
    def first_raw(self) -> int:
        """Where the raw values begin in the inputs."""
        return self.base + SAMPLE_HEAD


@dataclass(frozen=True)
class Terminal:
    """A point of a device in its place: the index of its raw value in the inputs or in the outputs, and
    the tags that are joined to it."""

    device: str
    point: Point
    role: Role
    raw: int
    tags: tuple[Leaf, ...]

    @property
    def name(self) -> str:
        """Its first tag, or where there is none, device and point."""
        return self.tags[0].path if self.tags else f"{self.device}.{self.point.name}"


@dataclass(frozen=True)
class Plan:
    """What a scan of the line works on."""

    line: LineSpec

    @cached_property
    def assembly(self) -> Assembly:
        """Cells, and the handovers between them."""
        period_ms = self.line.period_ns / 1e6
        cells: dict[str, type[Record]] = {name: c.type for name, c in self.line.cells.items()}
        every = {n: round(c.type.period_ms / period_ms) or 1 for n, c in self.line.cells.items()}
        hear: list[tuple[str, str]] = []
        tell: list[tuple[str, str]] = []
        for h in self.line.handovers:
            hear += [
                (f"{h.upstream}.says", f"{h.name}.up"),
                (f"{h.downstream}.says", f"{h.name}.down"),
            ]
            tell += [
                (f"{h.name}.state", f"{h.upstream}.state"),
                (f"{h.name}.state", f"{h.downstream}.state"),
                (f"{h.name}.up", f"{h.downstream}.hears"),
                (f"{h.name}.down", f"{h.upstream}.hears"),
            ]
        links: dict[str, type[Record]] = {h.name: Handover for h in self.line.handovers}
        return Assembly(cells, links, tuple(hear), tuple(tell), every)

    @property
    def layout(self) -> Layout:
        """Where every tag lies."""
        return self.assembly.layout

    @cached_property
    def cells(self) -> tuple[str, ...]:
        """Names of the cells; a cell's number in events and commands is its place."""
        return tuple(self.line.cells)

    @cached_property
    def tasks(self) -> tuple[TaskSpec, ...]:
        """The tasks as `assembly` has them, then the scan as a whole, in which interlocks are looked at."""
        declared = {t.period_ns: t for t in self.line.tasks.values() if t.name != INTERLOCKS}
        periods = [every * self.line.period_ns for every in self.assembly.periods]
        found = [declared.get(p) or TaskSpec(f"{p / 1e6:g} ms", p) for p in periods]
        stop = TaskSpec(INTERLOCKS, self.line.period_ns, Policy.SAFE_STOP)
        return (*found, self.line.tasks.get(INTERLOCKS, stop))

    def task_of(self, cell: str) -> int:
        """The number of a cell's task."""
        return self.assembly.periods.index(self.assembly.every[cell])

    @cached_property
    def handovers(self) -> tuple[str, ...]:
        return tuple(h.name for h in self.line.handovers)

    @cached_property
    def devices(self) -> tuple[str, ...]:
        return tuple(self.line.devices)

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """Every device's place, in the order of `devices`."""
        places, at, out = [], 0, OUTPUT_HEAD
        for device in self.line.devices.values():
            raw = 1 + len(device.map.inputs)
            places.append(Sample(device, at, raw, out))
            at += SAMPLE_HEAD + raw
            out += len(device.map.outputs)
        return tuple(places)

    @cached_property
    def commands_base(self) -> int:
        """Where the commands begin in the inputs: their number, then COMMAND_WORDS for each."""
        return sum(SAMPLE_HEAD + s.raw for s in self.samples)

    @property
    def input_words(self) -> int:
        """Length of the inputs of one scan, commands included."""
        return self.commands_base + 1 + COMMANDS_A_SCAN * COMMAND_WORDS

    @property
    def output_words(self) -> int:
        """Length of the outputs of one scan."""
        return OUTPUT_HEAD + sum(len(s.device.map.outputs) for s in self.samples)

    def joined(self, role: Role) -> Iterator[tuple[int, str, Point, int, Leaf]]:
        """Each joined tag: number of the device, cell, point, index of its raw value, tag."""
        for number, sample in enumerate(self.samples):
            name, points = sample.device.name, sample.device.map
            raws = {p.name: sample.first_raw + 1 + n for n, p in enumerate(points.inputs)}
            if role is Role.OUTPUT:
                raws = {p.name: sample.output_base + n for n, p in enumerate(points.outputs)}
            for cell in self.line.cells.values():
                for tag, (device, point) in cell.io.items():
                    if device != name:
                        continue
                    leaf = self.layout.find(f"{cell.name}.{tag}")
                    if leaf.field.role is role:
                        yield number, cell.name, points.find(point), raws[point], leaf

    @cached_property
    def terminals(self) -> tuple[Terminal, ...]:
        """Every point of every device, inputs first; its number in commands and events is its place."""
        found = []
        for role in (Role.INPUT, Role.OUTPUT):
            tags: dict[int, list[Leaf]] = {}
            for *_, raw, leaf in self.joined(role):
                tags.setdefault(raw, []).append(leaf)
            for sample in self.samples:
                points, raw = sample.device.map.inputs, sample.first_raw + 1
                if role is Role.OUTPUT:
                    points, raw = sample.device.map.outputs, sample.output_base
                for n, point in enumerate(points, raw):
                    name = sample.device.name
                    found.append(Terminal(name, point, role, n, tuple(tags.get(n, ()))))
        return tuple(found)

    @cached_property
    def terminal_of(self) -> Mapping[str, int]:
        """The number of the terminal that a tag is joined to, by tag."""
        return {t.path: n for n, each in enumerate(self.terminals) for t in each.tags}

    @cached_property
    def safety_terminals(self) -> frozenset[int]:
        """Terminals that nobody forces: every point of a safety device, and every input on which an
        interlock for the cause GUARD or ESTOP relies."""
        devices, tags = {*self.line.safety}, set()
        if self.line.sim.power is not None:
            devices |= {prefix + self.line.sim.power for prefix in self.line.sim.prefixes}
        for cell in self.line.cells.values():
            for rule in all_interlocks(cell.type):
                if rule.cause >= Cause.GUARD:
                    tags |= {f"{cell.name}.{tag}" for tag in tags_read(cell.type, rule.condition)}
        return frozenset(
            n
            for n, each in enumerate(self.terminals)
            if each.device in devices or not tags.isdisjoint(t.path for t in each.tags)
        )

    @cached_property
    def parameters(self) -> tuple[Leaf, ...]:
        """Tags that commands may write; a parameter's number in commands is its place."""
        return tuple(t for t in self.layout.tags() if t.field.role is Role.PARAMETER)

    @cached_property
    def parameter_of(self) -> Mapping[str, int]:
        """The number of a parameter, by tag."""
        return {leaf.path: n for n, leaf in enumerate(self.parameters)}

    @cached_property
    def retained(self) -> tuple[Leaf, ...]:
        """Tags that survive a crash and a power cut."""
        return tuple(t for t in self.layout.tags() if t.field.retain)

    @cached_property
    def told(self) -> tuple[Leaf, ...]:
        """Tags whose every change is an event; a tag's number there is its place."""
        return tuple(t for t in self.layout.tags() if t.field.told)

    def rules(self, cell: str) -> tuple[str, ...]:
        """Names of what can trip a cell, by bit; first-out n is rule n - 1."""
        return rules(self.line.cells[cell].type)

    @cached_property
    def hash(self) -> str:
        """sha256 over the image's layout and the places of inputs and outputs."""
        digest = hashlib.sha256(self.layout.hash.encode())
        for sample in self.samples:
            points = sample.device.map
            digest.update(repr((sample.base, points.inputs, points.outputs)).encode())
        for cell in self.line.cells.values():
            digest.update(repr(sorted(cell.io.items())).encode())
        return digest.hexdigest()
