"""What edited logic would have done: its results beside the recorded ones, scan by scan.

It is given the recorded inputs and goes its own way from the first keyframe on: the plant that is recorded
does not answer to it. So what comes first is what counts; what follows from it shows how far it leads.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellrt.compiler.entry import Progress
from cellrt.handover import Link
from cellrt.line.spec import LineSpec
from cellrt.narrate import words
from cellrt.packml import State
from cellrt.recording.header import Header, describe, edited, planned
from cellrt.recording.mapping import Mapping
from cellrt.recording.reader import Finding, RecordingReader
from cellrt.replay import restore
from cellrt.scan.plan import Plan
from cellrt.scan.records import BEGIN, SCAN
from cellrt.scan.runner import Runner
from cellrt.scan.tape import EPOCH
from cellrt.tags import Role

SHOWN = 40
"""Rows that are worth a person's time."""
SAME = "="


@dataclass(frozen=True)
class Row:
    """From scan number `scan` on, at logical time `t_ns`, a result was one thing and would be another.

    `edited` is "=" where it is again what was recorded.
    """

    scan: int
    t_ns: int
    name: str
    recorded: str
    edited: str


@dataclass(frozen=True)
class Comparison:
    """`scans` up to number `last`; in `differing` of them a result differs. `rows` whenever one begins to
    differ, differs otherwise, or no longer does: the first SHOWN of `rows_in_all`. `scans_of`: how many
    scans each result differs in. `edited`: what was edited; `changes`: what is not where it was.
    """

    header: Header
    scans: int
    last: int
    differing: int
    rows: tuple[Row, ...]
    rows_in_all: int
    scans_of: dict[str, int]
    edited: tuple[str, ...]
    changes: tuple[str, ...]
    findings: tuple[Finding, ...]
    cut_bytes: int

    @property
    def same(self) -> bool:
        """The edited logic would have done the same in every scan."""
        return self.scans > 0 and not self.differing

    def lines(self) -> list[str]:
        """For people."""
        period_s = self.header.period_ns / 1e9
        told = [
            f"{self.header.line}: {self.scans} scans of {period_s * 1e3:g} ms, up to {self.last * period_s:.3f} s"
        ]
        told += [f"edited: {name}" for name in self.edited]
        told += [f"layout: {change}" for change in self.changes]
        told += [f"{f.scan * period_s:10.3f} s  scan {f.scan}: {f}" for f in self.findings]
        if self.rows:
            first = self.rows[0]
            told.append(
                f"first divergence: scan {first.scan}, {first.t_ns / 1e9:.3f} s, {first.name}"
            )
            told += _table(self.rows)
        if self.rows_in_all > len(self.rows):
            told.append(f"and {self.rows_in_all - len(self.rows)} more rows")
        told += [f"{name}: other in {scans} scans" for name, scans in self.scans_of.items()]
        return [*told, f"{self.differing} differing scans"]


def compare(
    path: Path,
    line: LineSpec | None = None,
    *,
    compiled: bool = True,
    progress: Progress | None = None,
) -> Comparison:
    """Replay a recording by the logic of today, without ever setting it right, and compare results.

    `line` None: the line as it was recorded, by today's cells. Raises RecordingError, LineError, CompileError.
    """
    reader = RecordingReader(path)
    plan = planned(reader.header, line)
    runner = Runner(plan, compiled=compiled, progress=progress)
    beside = Beside(reader, runner)
    for kind in reader.walk():
        if kind == SCAN:
            beside.scan()
        elif kind == BEGIN:
            beside.begin()
    return Comparison(
        reader.header,
        beside.scans,
        reader.scan,
        beside.differing,
        tuple(beside.rows),
        beside.rows_in_all,
        beside.scans_of,
        edited(reader.header, plan),
        beside.mapping.changes,
        tuple(reader.findings),
        reader.cut_bytes,
    )


class Beside:
    """The logic of today beside a recording that is read."""

    def __init__(self, reader: RecordingReader, runner: Runner) -> None:
        self._reader, self._runner = reader, runner
        self.mapping = Mapping(reader.header, runner)
        self._tell = Teller(reader.header, runner.plan)
        self._before: dict[int, tuple[int, int]] = {}
        self.scans = self.differing = self.rows_in_all = 0
        self.rows: list[Row] = []
        self.scans_of: dict[str, int] = {}

    def begin(self) -> None:
        """Take up the keyframe read last: a recording's first, a restarted scan's, or one behind a gap."""
        restore(self._runner.work, self.mapping.state(self._reader.tape.frame))

    def scan(self) -> None:
        """One scan by what was recorded of it."""
        runner, tape = self._runner, self._reader.tape
        self.mapping.inputs(tape.inputs, runner.inputs)
        runner.scan, runner.epoch = self._reader.scan, int(tape.head[EPOCH])
        runner.step()
        self.scans += 1
        told, ours = self.mapping.results(tape.results), runner.work.results[self.mapping.compared]
        found = np.flatnonzero(told != ours)
        if found.size or self._before:
            self._note({int(k): (int(told[k]), int(ours[k])) for k in found})

    def _note(self, now: dict[int, tuple[int, int]]) -> None:
        """What differs in this scan, by place in `compared`, against what differed in the one before."""
        self.differing += bool(now)
        for k, (told, ours) in now.items():
            name = self._tell.name(int(self.mapping.compared[k]))
            self.scans_of[name] = self.scans_of.get(name, 0) + 1
            if self._before.get(k) != (told, ours):
                was = int(self._reader.tape.results[self.mapping.was[k]])
                self._row(k, self._tell.recorded(name, was), self._tell.edited(name, ours))
        for k in self._before.keys() - now.keys():
            name = self._tell.name(int(self.mapping.compared[k]))
            was = int(self._reader.tape.results[self.mapping.was[k]])
            self._row(k, self._tell.recorded(name, was), SAME)
        self._before = now

    def _row(self, k: int, recorded: str, edited_: str) -> None:
        self.rows_in_all += 1
        if len(self.rows) < SHOWN:
            scan, name = self._reader.scan, self._tell.name(int(self.mapping.compared[k]))
            t_ns = scan * self._reader.header.period_ns
            self.rows.append(Row(scan, t_ns, name, recorded, edited_))


class Teller:
    """Names and values of results for people: outputs in their points' values, states and steps by name."""

    def __init__(self, header: Header, plan: Plan) -> None:
        self._then, self._now = header, describe(plan)
        self._points = {
            f"output {t.device}.{t.point.name}": t.point
            for t in plan.terminals
            if t.role is Role.OUTPUT
        }

    def name(self, word: int) -> str:
        """Of a result's number today."""
        return self._now.results[word]

    def recorded(self, name: str, raw: int) -> str:
        """A recorded value."""
        return self._value(name, raw, self._then)

    def edited(self, name: str, raw: int) -> str:
        """A value of today."""
        return self._value(name, raw, self._now)

    def _value(self, name: str, raw: int, header: Header) -> str:
        if point := self._points.get(name.partition(" (")[0]):
            value = point.value(raw)
            return f"{value:.6g}" if isinstance(value, float) else str(value)
        owner, _, what = name.partition(" ")
        if owner in header.cells and what == "step":
            steps = header.cells[owner]
            return steps[raw] if 0 <= raw < len(steps) else str(raw)
        if what == "state":
            kind = State if owner in header.cells else Link
            return words(kind(raw)) if raw in {*map(int, kind)} else str(raw)
        return str(raw)


def _table(rows: tuple[Row, ...]) -> list[str]:
    """Rows under a head, recorded and edited side by side."""
    name = max(len(row.name) for row in rows)
    value = max(len("recorded"), *(len(row.recorded) for row in rows))
    told = [f"{'time':>12}  {'scan':>8}  {'':{name}}  {'recorded':>{value}} | edited"]
    for r in rows:
        at = f"{r.t_ns / 1e9:10.3f} s  {r.scan:>8}"
        told.append(f"{at}  {r.name:{name}}  {r.recorded:>{value}} | {r.edited}")
    return told
