"""A board under the squeegee is not let go, whatever stops the printer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from inspection import Inspection

from cellrt import Result
from cellrt.packml import Command, State
from cellrt.supervisor import Goal


def mid_stroke() -> Inspection:
    """The squeegee is half-way over the first board."""
    line = Inspection()
    return line.until(lambda: 100.0 < float(line.plant["printer.stroke_mm"]) < 200.0, 150.0)


def press_estop(line: Inspection) -> None:
    line.tamper(safety__panel_estop_pressed=True)


def open_guard(line: Inspection) -> None:
    line.tamper(safety__panel_guard_open=True)


def make_safe(line: Inspection) -> None:
    """What was pressed and opened is back, and the safety PLC reset by hand."""
    line.tamper(safety__panel_estop_pressed=False, safety__panel_guard_open=False).go(1.0)
    line.tamper(safety__panel_reset_pressed=True).go(0.5)
    line.tamper(safety__panel_reset_pressed=False).go(1.0)


@pytest.mark.parametrize("stop", [press_estop, open_guard])
def test_estop_or_guard_mid_stroke_clamp_stays_closed_until_cleared(
    stop: Callable[[Inspection], None],
) -> None:
    line = mid_stroke()
    line.pursue(Goal.REST)
    stop(line)
    for _ in range(300):
        line.go(0.1)
        assert line.plant["printer.clamp_jaw.closed"] == 1.0 and line.read("printer.clamp")
    assert line.state("printer") is State.ABORTED and not line.plant["printer.printing"]
    make_safe(line)
    assert line.plant["printer.clamp_jaw.closed"] == 1.0, "a reset moves nothing"
    line.command("printer", Command.CLEAR)
    line.until(lambda: line.plant["printer.unclamped"], 2.0)
    line.pursue(Goal.RUN)
    line.until(lambda: line.read("outfeed.board.id") != 0, 120.0)
    assert line.read("outfeed.board.result") == Result.FAILED


def test_aborted_mid_stroke_print_ends_by_itself_before_the_board_is_let_go() -> None:
    line = mid_stroke()
    line.pursue(Goal.REST)
    line.command("printer", Command.ABORT)
    while line.plant["printer.printing"]:
        line.go(0.1)
        assert line.plant["printer.clamp_jaw.closed"] == 1.0
    assert not line.plant["printer.belt.board.defective"]
    line.until(lambda: line.plant["printer.unclamped"], 30.0)


def test_aborted_mid_stroke_and_started_again_at_once_print_ends_before_the_board_goes() -> None:
    line = mid_stroke()
    line.pursue(Goal.REST)
    for command in (Command.ABORT, Command.CLEAR):
        line.command("printer", command)
        line.go(0.5)
    line.pursue(Goal.RUN)
    while line.plant["printer.printing"]:
        assert line.plant["printer.clamp_jaw.closed"] == 1.0
        line.go(0.1)
    assert not line.plant["printer.belt.board.defective"]
    line.until(lambda: line.read("outfeed.board.id") != 0, 120.0)
    assert line.read("outfeed.board.result") == Result.FAILED
