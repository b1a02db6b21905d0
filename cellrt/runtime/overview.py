"""What a person looks at of a running line, as plain data: the whole line, and each point of its devices."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from cellrt import report
from cellrt.narrate import Narrator, words
from cellrt.packml import Control, Mode, State
from cellrt.scan.plan import SAMPLE_HEAD, Terminal
from cellrt.scan.snapshot import Snapshot
from cellrt.scan.tables import raw_value
from cellrt.tags import Role

if TYPE_CHECKING:
    from cellrt.runtime.brain import Brain

Row = dict[str, Any]


def overview(brain: Brain) -> Row:
    """The line: its cells, how the scan and the devices keep time, forces, events."""
    plan, region = brain.plan, brain.station.region
    narrator = Narrator(plan)
    return brain.status() | {
        "now_s": brain.snapshot.now_ns / 1e9 if brain.snapshot else 0.0,
        "speed": brain.station.speed,
        "cells": [_cell(brain, narrator, cell) for cell in plan.cells],
        "timing": report.scan(plan, region),
        "input_age_ms": report.input_age_ms(plan, region),
        "devices": report.io(plan, region),
    }


def _cell(brain: Brain, narrator: Narrator, cell: str) -> Row:
    read = brain.read
    state = State(int(read(f"{cell}.unit.state")))
    step = narrator.step_name(cell, int(read(f"{cell}.unit.step")))
    return {
        "cell": cell,
        "copy": brain.plan.line.copy_of(cell),
        "last": cell in brain.plan.line.last_cells,
        "commander": words(Control(int(read(f"{cell}.unit.commander")))),
        "mode": words(Mode(int(read(f"{cell}.unit.mode")))),
        "state": words(state),
        "step": step if state is State.EXECUTE else "",
        "board": int(read(f"{cell}.board.id")),
        "boards_out": int(read(f"{cell}.unit.boards_out")),
        "first_out": narrator.first_out(cell, int(read(f"{cell}.unit.first_out"))),
    }


def points(brain: Brain, devices: Collection[str]) -> list[Row]:
    """Every point of the devices: address, raw value, value, quality, tags, what it is forced
    to; and how old its device's sample is, None where none ever came.

    An input's raw value is the device's last one, forced or not; an output's is what goes out.
    """
    if brain.snapshot is None:
        return []
    terminals = [t for t in brain.plan.terminals if t.device in devices]
    return [_point(brain, brain.snapshot, terminal) for terminal in terminals]


def _point(brain: Brain, snapshot: Snapshot, terminal: Terminal) -> Row:
    plan, point, force = brain.plan, terminal.point, brain.journal.forces.get(terminal.name)
    sample = plan.samples[plan.devices.index(terminal.device)]
    raw: int | None = None
    if terminal.role is Role.INPUT:
        raw = int(snapshot.samples[terminal.raw])
    elif terminal.tags:
        tag = terminal.tags[0]
        gated = brain.read(f"{tag.path.partition('.')[0]}.unit.cause")
        shown = force["value"] if force and not gated else snapshot.value(tag)
        raw = raw_value(point, tag, shown)
    good = bool(snapshot.samples[sample.first_raw - SAMPLE_HEAD + 1])
    return {
        "device": terminal.device,
        "point": point.name,
        "role": terminal.role.value,
        "address": point.address,
        "wire": point.wire.value,
        "raw": raw if raw is None or not point.wire.is_float else point.value(raw),
        "value": None if raw is None else point.value(raw),
        "unit": terminal.tags[0].field.unit if terminal.tags else "",
        "good": good,
        "age_s": brain.age_s(sample),
        "tags": [tag.path for tag in terminal.tags],
        "forced": force["value"] if force else None,
    }
