"""The supervisor by itself: what it makes of a line that fell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cellrt.commander import Commander
from cellrt.line.load import load_line
from cellrt.packml import State
from cellrt.scan.commands import Origin
from cellrt.scan.plan import Plan
from cellrt.supervisor import (
    CALM_NS,
    RESTARTS_IN_A_ROW,
    SETTLED_NS,
    Goal,
    Supervisor,
)

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


class Unattended:
    """An armed station whose cells all stand, and are well, and a supervisor that may restart it."""

    def __init__(self, goal: Goal = Goal.RUN, restarts: int = 0) -> None:
        line = replace(load_line(STATION), unattended=True)
        self.supervisor = Supervisor(Plan(line), Commander(1, Origin.SUPERVISOR))
        self.supervisor.resume(goal, restarts, 0)
        self.now_ns = 0

    def read(self, tag: str) -> int:
        if tag.endswith(".unit.state"):
            return int(State.STOPPED)
        return int(tag.endswith((".io_good", ".mode", "unattended_armed", "guards_unbroken")))

    def falls(self) -> bool:
        """It falls, and is left alone for a while; whether it is to run again."""
        self.supervisor.fall(self.now_ns)
        self.now_ns += SETTLED_NS
        self.supervisor.decide(self.now_ns, self.read)
        return self.supervisor.goal is Goal.RUN


def test_falls_again_and_again_is_left_to_a_person_who_may_ask_anew() -> None:
    line = Unattended()
    assert [line.falls() for _ in range(RESTARTS_IN_A_ROW + 2)] == [True] * 3 + [False] * 2
    line.supervisor.pursue(Goal.RUN)
    assert line.falls()


def test_long_calm_restarts_count_anew() -> None:
    line = Unattended()
    for _ in range(2 * RESTARTS_IN_A_ROW):
        assert line.falls()
        line.now_ns += CALM_NS


def test_brain_gone_its_successor_counts_restarts_on() -> None:
    line = Unattended()
    assert line.falls() and line.falls()
    heir = Unattended(line.supervisor.goal)
    heir.supervisor.resume(Goal.RUN, line.supervisor.restarts, line.supervisor.restarted_ns)
    heir.now_ns = line.now_ns
    assert [heir.falls(), heir.falls()] == [True, False]
