"""`cellrt twin` and `cellrt replay`: lines in virtual time."""

from __future__ import annotations

import math
import time
from pathlib import Path

from cellrt import report
from cellrt.app.refusals import UsageError
from cellrt.app.simulate import VirtualLine
from cellrt.compare import compare
from cellrt.line.load import load_line
from cellrt.moves import at
from cellrt.recording.reader import check_sound
from cellrt.replay import replay, same_layout
from cellrt.supervisor import Goal

LONGEST_S = 366 * 86_400.0


def run_twin(
    path: Path,
    for_s: float,
    seed: int | None = None,
    *,
    compiled: bool = True,
    report_at: Path | None = None,
) -> report.Report:
    """Run a line's twin for so much logical time; its report. Raises UsageError for an absurd time."""
    if not (math.isfinite(for_s) and 0 < for_s <= LONGEST_S):
        raise UsageError(f"--for {for_s:g}: a time in seconds, above 0 and at most a year")
    report.check_place(report_at)
    began_s, steal = time.monotonic(), report.steal_ticks()
    virtual = VirtualLine(load_line(path), seed=seed, compiled=compiled)
    ready_s = time.monotonic()
    virtual.pursue(Goal.RUN)
    for _ in virtual.run(round(for_s * 1e9)):
        pass
    ended_s = time.monotonic()
    told = twin_report(virtual, for_s)
    told["speed"] = round(for_s / (ended_s - ready_s), 1)
    told["host"] = {
        "wall_s": round(ended_s - began_s, 3),
        "steal_ticks": report.steal_ticks() - steal,
        "compile_s": round(ready_s - began_s, 3),
        **report.host(),
    }
    if report_at is not None:
        report.write(report_at, told)
    return told


def twin_report(virtual: VirtualLine, for_s: float) -> report.Report:
    """What a run's report says, as far as virtual time has it; nothing here depends on the wall clock."""
    plan, journal = virtual.plan, virtual.journal
    return {
        "line": plan.line.name,
        "duration_s": for_s,
        "scan": {
            "period_us": plan.line.period_ns / 1e3,
            "count": virtual.twin.runner.scan,
            "overruns": 0,
        },
        "boards": report.boards(journal.boards, virtual.census()),
        "cells": report.cells(plan, virtual.read, journal.departed),
        "hashes": {
            "layout": plan.hash,
            "image": virtual.twin.runner.image.hash(),
            "journal": journal.hash(),
        },
    }


def replay_lines(
    path: Path,
    line: Path | None,
    *,
    verify: bool,
    at_s: float | None,
    tag: str | None,
    damaged: bool,
) -> tuple[list[str], int]:
    """What a replay tells, and the exit code: 0 the same, 1 other than recorded.

    The logic of today is held against the recording to the bit; where it is another one, or has another
    layout, its results are shown beside the recorded ones, unless `verify`. Raises RecordingError for a
    damaged recording, unless `damaged`: then what is sound of it is replayed.
    """
    if (at_s is None) != (tag is None):
        raise UsageError("--at and --tag go together: a time in seconds, and the tag to look at")
    spec = load_line(line) if line else None
    if at_s is not None and tag is not None:
        return at(path, round(at_s * 1e9), tag, spec).lines(), 0
    if not damaged:
        check_sound(path)
    if verify or same_layout(path, spec):
        replayed = replay(path, spec)
        if verify or replayed.faithful or not replayed.edited:
            return replayed.lines(), int(not replayed.faithful)
    compared = compare(path, spec)
    return compared.lines(), int(not compared.same)
