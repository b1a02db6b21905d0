"""The lift buffer in a line: first in, first out, through every interruption; and what it does not believe."""

from __future__ import annotations

from typing import Any

import pytest
from oven_bench import OvenLine
from virtual_line import kill_scan

from cellrt.packml import Command, State
from cellrt.supervisor import Goal

WORKING = (State.EXECUTE, State.SUSPENDED)
Saved = list[Any]


@pytest.fixture(scope="module")
def line() -> OvenLine:
    return OvenLine("buffer_line.toml")


@pytest.fixture(scope="module")
def flowing(line: OvenLine) -> Saved:
    """Boards go through; none is stored for long."""
    line.start().go(120.0)
    return line.save()


@pytest.fixture(scope="module")
def stocked(line: OvenLine, flowing: Saved) -> Saved:
    """Seven boards in slots, after eight had gone through."""
    line.take_up(flowing).command("outfeed", Command.HOLD)
    line.until(lambda: line["buffer.count"] == 7, 200.0)
    return line.save()


def in_order(line: OvenLine) -> None:
    """Boards come out as they went in, each once, and none is lost."""
    boards, census = line.stored(), line.census()
    assert boards == list(range(boards[0], boards[0] + len(boards)))
    assert census["stored"] == boards[-1]
    assert census["entered"] == census["stored"] + census["in_line"]


def test_taking_and_giving_is_no_bottleneck(line: OvenLine, flowing: Saved) -> None:
    line.take_up(flowing).start()
    before = line.census()["stored"]
    line.go(360.0)
    assert line.census()["stored"] - before >= 360.0 / 18.0
    in_order(line)


def test_full_buffer_says_so_and_takes_none_until_one_has_gone(
    line: OvenLine, stocked: Saved
) -> None:
    line.take_up(stocked).start()
    line.command("outfeed", Command.HOLD)
    for _ in range(60):
        line.go(5.0)
        believed = int(line["buffer.count"]) + int(line["buffer.board.id"] != 0)
        assert line["infeed.outfeed.hears.room"] in (20 - believed, 0)
    assert line["buffer.count"] == line.plant["buffer.tally.in_line"] == 20
    assert line["infeed.board.id"] != 0
    line.command("outfeed", Command.UNHOLD)
    line.go(600.0)
    in_order(line)


def test_filled_and_emptied_at_once_with_many_in_slots_stays_under_18_s_a_board(
    line: OvenLine, stocked: Saved
) -> None:
    line.take_up(stocked).start()
    line.command("outfeed", Command.UNHOLD)
    line.go(30.0)
    came = int(line["buffer.unit.boards_in"]) + int(line["buffer.unit.boards_out"])
    line.go(180.0)
    moved = int(line["buffer.unit.boards_in"]) + int(line["buffer.unit.boards_out"]) - came
    assert moved / 2 >= 180.0 / 18.0
    assert line["buffer.count"] >= 4, "taking goes before giving"
    in_order(line)


@pytest.mark.parametrize("moment_s", [0.0, 0.8, 1.7, 2.5, 4.15, 5.0, 6.6, 9.1])
@pytest.mark.parametrize("what", ["stop", "hold", "abort", "power cut"])
def test_interrupted_at_any_moment_the_order_stands(
    line: OvenLine, stocked: Saved, what: str, moment_s: float
) -> None:
    line.take_up(stocked).start()
    line.command("outfeed", Command.UNHOLD)
    line.go(5.0 + moment_s)
    if what == "stop":
        line.pursue(Goal.STOP)
        line.until(lambda: line.state("magazine") is State.STOPPED, 130.0)
    elif what == "power cut":
        kill_scan(line)
        line.go(3.0)
        assert line.state("buffer") is State.STOPPED
    elif what == "hold":
        line.command("buffer", Command.HOLD)
        line.until(lambda: line.state("buffer") is State.HELD, 70.0)
        line.command("buffer", Command.UNHOLD)
    else:
        line.command("buffer", Command.ABORT)
        line.go(3.0)
        assert line.state("buffer") is State.ABORTED
    line.start().go(200.0)
    assert line.state("buffer") in WORKING
    assert len(line.stored()) >= 10
    in_order(line)


@pytest.mark.parametrize("board", [0, 999])
def test_slot_that_holds_what_it_should_not_aborts(
    line: OvenLine, stocked: Saved, board: int
) -> None:
    """A board that was taken out by hand, or laid in."""
    line.take_up(stocked).start()
    line.go(3.0)
    first, count = int(line["buffer.first"]), int(line["buffer.count"])
    slot = (first + (1 if board == 0 else count + 1)) % 20
    line.plant[f"buffer.slots.{slot}.board.id"] = board
    line.command("outfeed", Command.UNHOLD)
    line.until(lambda: line.state("buffer") is State.ABORTED, 120.0)
    assert line["buffer.unit.first_out"] == 4
