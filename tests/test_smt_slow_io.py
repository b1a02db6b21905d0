"""The SMT line behind slow polls: no handshake relies on a pulse that the field may miss.

At fifteen times real time a device that is polled every 50 ms is heard every 750 ms of the line's time.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from smt import accounted, changed, started, warm
from virtual_line import S_NS, Line, plant_scan

from cellrt.packml import State
from cellrt.twin import one_exchange_in

SPEED = 15
BOARDS = 8


def go_slowly(line: Line, for_s: float, every: int) -> None:
    """Samples and outputs go by only in every so many scans; watchdogs count the wall clock."""
    twin, runner = line.twin, line.twin.runner
    outputs, commands = runner.work.outputs.copy(), list[list[int]]()
    walls = [f"{device}.wall_ns" for device in line.plan.devices]
    for n in range(round(for_s * S_NS) // line.plan.line.period_ns):
        scan = runner.scan
        if n % every == 0:
            one_exchange_in(twin.plant, runner.inputs, runner.input_reals, scan)
        if n % 10 == 0:
            commands += line.supervisor.decide(line.now_ns, line.read)
            for wall in walls:
                line.plant[wall] = 1 + line.now_ns // SPEED
        commands = commands[runner.set_commands(commands) :]
        line.journal.append(runner.step().copy())
        if n % every == 0:
            outputs[:] = runner.work.outputs
        plant_scan(twin, outputs, scan)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The line with a warm oven whose every board gets a false call at the first look."""
    calls = '"aoi.false_ppm" = 20000.0\n"aoi.cleared" = 1.0\n'
    storm = ('type = "cells.aoi:Aoi"\n', 'type = "cells.aoi:Aoi"\nparams = { storm_ppm = 1e6 }\n')
    return changed(tmp_path_factory.mktemp("slow"), storm, end=warm() + calls)


def test_slow_polls_every_board_is_looked_at_twice_and_none_is_lost(path: Path) -> None:
    line = started(path).go(5.0)
    go_slowly(line, 900.0, every=75)
    assert line.states() <= {State.EXECUTE, State.SUSPENDED}, line.told()
    assert accounted(line)
    assert line.journal.boards["completed"] >= BOARDS
    assert line.read("aoi.cleared") >= BOARDS
