"""The scan killed, or io, at any moment of a board's way through the station: in virtual time.

What real processes show at twenty moments is shown here at hundreds: the line that a person starts again
loses no board, doubles none, and goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from virtual_line import Line, kill_io, kill_scan

from cellrt.line.load import load_line
from cellrt.packml import State
from cellrt.supervisor import Goal

LINE = load_line(Path(__file__).parents[1] / "cells" / "print_station.toml")
SOAK = os.environ.get("CELLRT_SOAK") == "1"
WARM_S = 200
CYCLE_SCANS = 3600
"""More than a board's way through the printer, in scans from `WARM_S` on."""
EVERY_SCANS = 13 if SOAK else 277

Blow = Callable[[Line], None]


@pytest.mark.parametrize("blow", [kill_scan, kill_io])
def test_killed_at_any_moment_a_restart_loses_no_board(blow: Blow) -> None:
    rejected = set()
    for moment in range(0, CYCLE_SCANS, EVERY_SCANS):
        line = Line(LINE)
        line.pursue(Goal.RUN)
        line.go(WARM_S + moment * 0.01)
        through = line.journal.departed["magazine"]
        blow(line)
        line.go(3.0)
        states = line.states()
        assert states <= {State.STOPPED, State.ABORTED}, f"{moment}: started by itself"

        line.pursue(Goal.RUN)
        line.go(150.0)
        states = line.states()
        assert states <= {State.EXECUTE, State.SUSPENDED}, f"{moment}: {states}"
        census = line.census()
        assert line.stored() == list(range(1, census["stored"] + 1)), (
            f"{moment}: each once, in order"
        )
        assert census["entered"] == census["stored"] + census["in_line"], moment
        assert census["stored"] >= through + 3, f"{moment}: boards flow"
        rejected.add(line.journal.boards["rejected"])
    assert rejected == {0, 1}, "at most the board whose print was cut short"
