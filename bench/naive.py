"""The print station as Python alone would run it: its cells uncompiled, their steps on `transitions`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from transitions import Machine

from bench.loop import scan_ns
from bench.places import STATION
from bench.registry import Bench, Pair, Round, subject
from cellrt.app.simulate import VirtualLine
from cellrt.line.load import load_line
from cellrt.sequence import Sequence
from cellrt.supervisor import Goal

LINE_UP_S = 60
SCANS, QUICK_SCANS = 500, 10
HASTE = 100
"""So many more scans of the compiled line, to measure them for about as long."""


def machine(sequence: Sequence) -> Any:
    """A cell's steps as `transitions` has them: a trigger for each condition."""
    return Machine(
        states=list(sequence.names) or ["none"],
        initial=(*sequence.names, "none")[0],
        transitions=[[c, s.name, target] for s in sequence.steps for c, target in s.goes.items()],
        auto_transitions=False,
        ignore_invalid_triggers=True,
    )


class Naive:
    """The line's logic in the interpreter; each scan offers every cell's conditions to its machine."""

    def __init__(self, line: VirtualLine) -> None:
        self.runner = line.twin.runner
        plan, records = self.runner.plan, [record for record, _ in self.runner._members]
        sequences = [plan.line.cells[name].type.sequence for name in plan.assembly.by_task]
        self.steps = [
            (record, machine(sequence), sequence.conditions)
            for record, sequence in zip(records, sequences, strict=True)
        ]

    def scan(self) -> None:
        self.runner.step()
        for record, steps, conditions in self.steps:
            holds = record.guards()
            for bit, condition in enumerate(conditions):
                if holds >> bit & 1:
                    steps.trigger(condition)


@subject(Bench("naive_python", "us/scan", "Python and transitions"))
def naive(quick: bool) -> Iterator[Round]:
    """Lines at work; their scans alone, their plants standing still meanwhile."""
    lines = [VirtualLine(load_line(STATION), compiled=compiled) for compiled in (True, False)]
    for line in lines:
        line.pursue(Goal.RUN)
        for _ in line.run((1 if quick else LINE_UP_S) * 1_000_000_000):
            pass
    ours, theirs = lines[0].twin.runner, Naive(lines[1])
    scans = QUICK_SCANS if quick else SCANS
    scan_ns(ours, 1)

    def one_round() -> Mapping[str, Pair]:
        ours_ns = scan_ns(ours, scans * HASTE)
        began_ns = time.perf_counter_ns()
        for _ in range(scans):
            theirs.scan()
        theirs_ns = (time.perf_counter_ns() - began_ns) / scans
        return {"naive_python": Pair(ours_ns / 1e3, theirs_ns / 1e3)}

    yield one_round
