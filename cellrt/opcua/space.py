"""The address space of a line: Objects/<line>/<cell>/<record>/<tag>, handovers, diagnostics."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from asyncua import ua
from asyncua.ua.object_ids import ObjectIds

from cellrt.figures import FIGURES, Told
from cellrt.opcua.commands import TYPES, Target, write_parameter
from cellrt.opcua.mirror import PUBLISHED_CHANGES, SHED_CHANGES, Row
from cellrt.opcua.nodes import Nodes, name_of, standard
from cellrt.opcua.units import engineering_units, eu_range
from cellrt.opcua.users import Rank
from cellrt.scan.commands import Send
from cellrt.scan.plan import Plan
from cellrt.scan.snapshot import (
    EPOCH,
    FORCES,
    SCAN,
    SNAPSHOT_HEAD,
    UNSAVED,
    image_base,
    snapshot_words,
)
from cellrt.tags import WORD, Field, Record, Role, places
from cellrt.timing import SCAN as SCAN_TIMING
from cellrt.timing import TASK as TASK_TIMING
from cellrt.timing import Timing, timing_words

OBJECTS = standard(ObjectIds.ObjectsFolder)
EMPTY = {
    ua.VariantType.Boolean: False,
    ua.VariantType.Int32: 0,
    ua.VariantType.Int64: 0,
    ua.VariantType.Double: 0.0,
    ua.VariantType.String: "",
    ua.VariantType.LocalizedText: ua.LocalizedText(""),
    ua.VariantType.NodeId: ua.NodeId(),
    ua.VariantType.UInt32: 0,
}


@dataclass
class Space:
    """A line's nodes: the rows that the mirror serves, and who takes what is written to which.

    A tag's identifier is its name, `printer.pressure_N`. The server's own begin with `/`, or with
    the cell's name and `PackML`. So a client's references survive all but a renaming.
    """

    plan: Plan
    nodes: Nodes
    send: Send
    figures: Told
    kept: frozenset[str] = frozenset()
    """Tags with a history."""
    speed: float = 1.0
    """Logical time per wall time."""
    rows: list[Row] = field(default_factory=list)
    writes: dict[ua.NodeId, Target] = field(default_factory=dict)

    def __post_init__(self) -> None:
        plan = self.plan
        self._image = image_base(plan) * WORD
        self._good = {
            leaf.path: SNAPSHOT_HEAD + plan.samples[number].base + 1
            for number, _, _, _, leaf in plan.joined(Role.INPUT)
        }

    def add_record(self, parent: ua.NodeId, path: str, kind: type[Record]) -> None:
        """A folder for each record in a record, a variable for each tag; `path` is the record's."""
        for tag in kind.fields.values():
            if not tag.is_record:
                self.add_tag(parent, f"{path}.{tag.name}", tag)
            for place in places(tag) if tag.is_record else ():
                inside = f"{path}.{place}"
                folder = self.nodes.folder(parent, inside, place, first_line(tag.kind))
                self.add_record(folder, inside, tag.kind)

    def add_tag(self, parent: ua.NodeId, path: str, tag: Field) -> None:
        """A tag with its unit and range; a parameter may be written."""
        limits, number = eu_range(tag), self.plan.parameter_of.get(path)
        kind = ObjectIds.AnalogUnitType if tag.unit else ObjectIds.BaseDataVariableType
        if limits:
            kind = ObjectIds.AnalogItemType
        writable = number is not None
        node = self.add_row(
            parent, path, tag.name, path, TYPES[tag.kind], doc=tag.doc, writable=writable, kind=kind
        )
        if tag.unit:
            self.nodes.standard_property(node, "EngineeringUnits", engineering_units(tag.unit))
        if limits:
            self.nodes.standard_property(node, "EURange", limits)
        if number is not None:
            write = partial(write_parameter, self.send, number, tag)
            self.writes[node] = Target(Rank.ENGINEER, write)

    def add_row(
        self,
        parent: ua.NodeId,
        identifier: str,
        name: str,
        tag: str,
        variant_type: ua.VariantType,
        show: Callable[[Any], Any] | None = None,
        *,
        doc: str = "",
        is_array: bool = False,
        writable: bool = False,
        kind: int = ObjectIds.BaseDataVariableType,
        names_in: int | None = None,
        property_of: int | None = None,
    ) -> ua.NodeId:
        """A variable that shows a tag, as `show` makes it if given."""
        leaf = self.plan.layout.find(tag)
        value = ua.Variant([] if is_array else EMPTY[variant_type], variant_type, None, is_array)
        node = self.nodes.variable(
            parent,
            identifier,
            name,
            value,
            doc=doc,
            writable=writable,
            kind=kind,
            history=identifier in self.kept,
            names_in=names_in,
            property_of=property_of,
        )
        place, good = self._image + leaf.offset, self._good.get(tag)
        self.rows.append(Row(node, place, leaf.field.kind, variant_type, show, good))
        return node

    def add_figure(
        self,
        parent: ua.NodeId,
        name: str,
        cell: int,
        figure: str,
        *,
        names_in: int,
        doc: str,
        kind: int = ObjectIds.BaseDataVariableType,
    ) -> ua.NodeId:
        """A variable that shows a figure of cell number `cell`. An array is told anew when the time
        since the reset has changed, whose place it has in the mirror.
        """
        dtype, at, *_ = FIGURES.fields[figure]  # type: ignore[index]
        lies: type[Any] = float if dtype.base.kind == "f" else int
        variant_type = ua.VariantType.Float if lies is float else ua.VariantType.Int32
        shown = self.figures[cell]
        identifier = f"{name_of(parent)}.{name}"
        value = ua.Variant(shown[figure].tolist(), variant_type)
        node = self.nodes.variable(
            parent, identifier, name, value, doc=doc, names_in=names_in, kind=kind
        )
        place = snapshot_words(self.plan) * WORD + cell * FIGURES.itemsize
        if dtype.shape:
            self.rows.append(Row(node, place, int, variant_type, lambda _: shown[figure].tolist()))
        else:
            self.rows.append(Row(node, place + at, lies, variant_type))
        return node

    def add_word(
        self,
        parent: ua.NodeId,
        name: str,
        word: int,
        kind: type[Any],
        doc: str,
        unit: str = "",
        high: float = 0.0,
    ) -> None:
        """A variable that shows a word of the mirror: the head's, a sample's, a timing, the server's own.
        One with a unit ranges from 0 to `high`."""
        value = ua.Variant(kind(0), TYPES[kind])
        definition = ObjectIds.AnalogItemType if unit else ObjectIds.BaseDataVariableType
        identifier = f"{name_of(parent)}/{name}"
        node = self.nodes.variable(parent, identifier, name, value, doc=doc, kind=definition)
        if unit:
            self.nodes.standard_property(node, "EngineeringUnits", engineering_units(unit))
            self.nodes.standard_property(node, "EURange", ua.Range(0.0, high))
        self.rows.append(Row(node, word * WORD, kind, TYPES[kind]))


def line_words(plan: Plan) -> int:
    """Words that a mirror has of the line: a snapshot's, the units' figures, how it keeps its time."""
    return timing_base(plan) + timing_words(plan)


def timing_base(plan: Plan) -> int:
    """Word at which the last of these begin."""
    return snapshot_words(plan) + len(plan.cells) * FIGURES.itemsize // WORD


def add_handovers(space: Space, line: ua.NodeId) -> None:
    """Handovers/<upstream>downstream>: what both machines say, and the state."""
    folder = space.nodes.folder(line, "/Handovers", "Handovers")
    for name in space.plan.handovers:
        kind = space.plan.layout.instances[name]
        space.add_record(space.nodes.folder(folder, name, name, first_line(kind)), name, kind)


def add_diagnostics(space: Space, line: ua.NodeId) -> None:
    """Diagnostics: the scan, its tasks, the devices, what the server had no time for. Add them last."""
    plan, nodes = space.plan, space.nodes
    folder = nodes.folder(line, "/Diagnostics", "Diagnostics")
    space.add_word(folder, "Scan", SCAN, int, "number of the scan that is shown")
    space.add_word(folder, "Epoch", EPOCH, int, "starts of the scan process")
    space.add_word(folder, "Forces", FORCES, int, "inputs and outputs that are forced")
    space.add_word(folder, "RecordingUnsaved", UNSAVED, bool, "alarm: it cannot be put to disk")
    devices = nodes.folder(folder, "/Diagnostics/Devices", "Devices", "true: fresh and well")
    for sample in plan.samples:
        space.add_word(devices, sample.device.name, SNAPSHOT_HEAD + sample.base + 1, bool, "")
    add_timing(space, folder)
    own = line_words(plan)
    told, late = "changes told to clients", "changes put off because too many came at once"
    space.add_word(folder, "PublishedChanges", own + PUBLISHED_CHANGES, int, told)
    space.add_word(folder, "ShedChanges", own + SHED_CHANGES, int, late)


def add_timing(space: Space, diagnostics: ua.NodeId) -> None:
    """Diagnostics/Timing of the scan as a whole, Diagnostics/Tasks of each task."""
    plan, nodes, base = space.plan, space.nodes, timing_base(space.plan)
    timing = nodes.folder(diagnostics, "/Diagnostics/Timing", "Timing", "of the scan, on the wall")
    _add_timings(space, timing, base, SCAN_TIMING, plan.line.period_ns)
    tasks = nodes.folder(diagnostics, "/Diagnostics/Tasks", "Tasks", "cells of one period each")
    for number, task in enumerate(plan.tasks):
        folder = nodes.folder(tasks, f"/Diagnostics/Tasks/{task.name}", task.name)
        policy = ua.Variant(task.policy.name.lower(), ua.VariantType.String)
        doc = "what follows on overruns in a row"
        nodes.variable(folder, f"{name_of(folder)}/Policy", "Policy", policy, doc=doc)
        place = base + len(SCAN_TIMING) + number * len(TASK_TIMING)
        _add_timings(space, folder, place, TASK_TIMING, task.period_ns)


def _add_timings(
    space: Space, folder: ua.NodeId, place: int, figures: Sequence[Timing], period_ns: int
) -> None:
    for word, figure in enumerate(figures, place):
        kind, high = (float if figure.unit else int), figure.high or period_ns / 1e3 / space.speed
        space.add_word(folder, figure.name, word, kind, figure.doc, figure.unit, high)


def first_line(kind: type[Any]) -> str:
    """What a class says of itself, in one line."""
    return (inspect.getdoc(kind) or "").partition("\n")[0]
