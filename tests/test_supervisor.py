"""The supervisor by itself: what it makes of a line that fell."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellrt.line.load import load_line
from cellrt.scan.commands import Origin
from cellrt.scan.plan import Plan
from cellrt.supervisor import Commander, Goal, Supervisor

STATION = Path(__file__).parents[1] / "cells" / "print_station.toml"


@pytest.mark.parametrize(
    ("goal", "after"),
    [
        (Goal.REST, Goal.REST),
        (Goal.RUN, Goal.RECOVER),
        (Goal.RECOVER, Goal.RECOVER),
        (Goal.STOP, Goal.STOP),
        (Goal.ABORT, Goal.ABORT),
    ],
)
def test_line_fell_a_stop_is_still_pursued_and_a_run_is_not(goal: Goal, after: Goal) -> None:
    supervisor = Supervisor(Plan(load_line(STATION)), Commander(1, Origin.SUPERVISOR))
    supervisor.pursue(goal)
    supervisor.fall(5_000_000_000)
    assert supervisor.goal is after
