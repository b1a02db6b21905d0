"""The scan killed, or io, at any moment of a board's way through the station: in virtual time.

What real processes show at twenty moments is shown here at hundreds: the line that a person starts again
loses no board, doubles none, and goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cellrt.app.simulate import VirtualLine
from cellrt.line.load import load_line
from cellrt.packml import State
from cellrt.runtime.scan import take_up
from cellrt.scan.runner import Runner
from cellrt.supervisor import Goal
from cellrt.twin import one_plant_scan
from cellrt.wire import Ints

LINE = load_line(Path(__file__).parents[1] / "cells" / "print_station.toml")
SOAK = os.environ.get("CELLRT_SOAK") == "1"
S_NS = 1_000_000_000
WARM_S = 200
CYCLE_SCANS = 3600
"""More than a board's way through the printer, in scans from `WARM_S` on."""
EVERY_SCANS = 13 if SOAK else 277
GONE_SCANS = 250
STALE_SCANS = 20

Blow = Callable[[VirtualLine], None]


def kill_scan(line: VirtualLine) -> None:
    """The last outputs stand, the heartbeat with them; then a new scan with what was retained."""
    old = line.twin.runner
    kept = np.array([bits(old, n) for n in range(len(old.plan.retained))], np.int64)
    for n in range(old.scan, old.scan + GONE_SCANS):
        plant_scan(line, old.work.outputs, n)
    new = Runner(old.plan, epoch=old.epoch + 1)
    new.scan = old.scan + GONE_SCANS
    take_up(new, kept, new.now_ns)
    line.twin.runner = new
    line.supervisor.commander.epoch = new.epoch
    line.supervisor.fall(new.now_ns)


def kill_io(line: VirtualLine) -> None:
    """The devices hear the last outputs, and the scan sees the last inputs, soon as bad ones."""
    runner, outputs = line.twin.runner, line.twin.runner.work.outputs.copy()
    for n in range(GONE_SCANS):
        for sample in runner.plan.samples:
            runner.inputs[sample.base + 1] = n < STALE_SCANS
        scan = runner.scan
        line.journal.append(runner.step().copy())
        plant_scan(line, outputs, scan)


def plant_scan(line: VirtualLine, outputs: Ints, scan: int) -> None:
    tables, period_ns = line.twin.runner.tables, line.plan.line.period_ns
    reals = outputs.view(np.float64)
    one_plant_scan(line.twin.plant, outputs, reals, scan * period_ns, scan, tables.dt_s)


def bits(runner: Runner, n: int) -> int:
    """A retained tag as the scan publishes it."""
    leaf = runner.plan.retained[n]
    value = runner.image.read(leaf)
    return int(np.float64(value).view(np.int64)) if leaf.field.kind is float else int(value)


def run(line: VirtualLine, for_s: float) -> None:
    for _ in line.run(round(for_s * S_NS)):
        pass


@pytest.mark.parametrize("blow", [kill_scan, kill_io])
def test_killed_at_any_moment_a_restart_loses_no_board(blow: Blow) -> None:
    rejected = set()
    for moment in range(0, CYCLE_SCANS, EVERY_SCANS):
        line = VirtualLine(LINE)
        line.pursue(Goal.RUN)
        run(line, WARM_S + moment * 0.01)
        through = line.journal.departed["magazine"]
        blow(line)
        run(line, 3.0)
        states = {line.read(f"{cell}.unit.state") for cell in line.plan.cells}
        assert states <= {State.STOPPED, State.ABORTED}, f"{moment}: started by itself"

        line.pursue(Goal.RUN)
        run(line, 150.0)
        states = {line.read(f"{cell}.unit.state") for cell in line.plan.cells}
        assert states <= {State.EXECUTE, State.SUSPENDED}, f"{moment}: {states}"
        events, census = line.journal.entries(last=10**6), line.census()
        stored = [
            e["board"] for e in events if e["event"] == "BoardOut" and e["cell"] == "magazine"
        ]
        assert stored == list(range(1, census["stored"] + 1)), f"{moment}: each once, in order"
        assert census["entered"] == census["stored"] + census["in_line"], moment
        assert census["stored"] >= through + 3, f"{moment}: boards flow"
        rejected.add(line.journal.boards["rejected"])
    assert rejected == {0, 1}, "at most the board whose print was cut short"
