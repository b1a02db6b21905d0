"""Transport: zones, and a reject conveyor that lets no bad board past and loses no good one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from virtual_line import Line

from cellrt.line.load import load_line
from cellrt.packml import Command, State
from cellrt.supervisor import Goal

LINE = load_line(Path(__file__).parent / "lines" / "sorting_line.toml")


@pytest.fixture
def line() -> Line:
    virtual = Line(LINE)
    virtual.pursue(Goal.RUN)
    return virtual


def take_away(line: Line) -> int:
    """A hand takes the board from the last zone, and says so to its cell; the board's number."""
    number = int(line.plant["transport.zones.3.belt.board.id"])
    line.plant["transport.zones.3.belt.board.id"] = 0
    line.tags["oven_infeed.board.id"] = 0
    return number


def test_bad_boards_go_aside_and_good_ones_on_in_order(line: Line) -> None:
    passed = []
    for _ in range(9):
        line.go(30.0)
        passed.append(take_away(line))
    line.go(0.1)
    assert passed == list(range(1, 2 * len(passed), 2))
    census, boards = line.census(), line.journal.boards
    assert boards["rejected"] == census["rejected"] >= len(passed) - 1
    assert census["entered"] == census["rejected"] + census["in_line"] + len(passed)


def test_full_stack_holds_the_sorter_until_a_person_has_emptied_it(line: Line) -> None:
    line.plant["transport.ejector.stacked"] = 10
    line.go(3.5)
    line.plant["transport.ejector.full_s"] = -60.0
    line.go(26.5)
    take_away(line)
    line.go(25.0)
    assert line.read("sorting.unit.state") == State.HELD
    assert line.read("sorting.board.id") == 2 and line.census()["rejected"] == 0
    line.go(80.0)
    assert line.read("sorting.unit.state") in (State.EXECUTE, State.SUSPENDED)
    assert line.census()["rejected"] == line.journal.boards["rejected"] >= 1


@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.8, 1.4, 1.8])
def test_pushing_stopped_and_started_again_loses_no_board(line: Line, after_s: float) -> None:
    line.go(20.0)
    take_away(line)
    line.until(lambda: line.step_of("sorting") == "pushing")
    line.go(after_s)
    line.command("sorting", Command.ABORT)
    line.go(5.0)
    assert line.read("sorting.unit.state") == State.ABORTED
    line.pursue(Goal.RUN)
    line.go(30.0)
    census = line.census()
    assert census["entered"] == census["rejected"] + census["in_line"] + 1
    assert line.read("sorting.unit.state") in (State.EXECUTE, State.SUSPENDED)
    assert census["rejected"] >= 1


def test_plant_is_found_as_the_line_file_says() -> None:
    start = {"transport.ejector.stacked": 4, "transport.zones.2.speed_mm_s": 80.0}
    found = Line(replace(LINE, sim=replace(LINE.sim, start=start)))
    assert {tag: found.plant[tag] for tag in start} == start


@pytest.mark.parametrize(
    ("tag", "value", "says"),
    [
        ("transport.zone.2.speed_mm_s", 80.0, "is no tag of a simulated device"),
        ("transport.push", 1, "transport.push is bool and cannot be 1"),
        ("transport.ejector.stacked", 1.5, "is int and cannot be 1.5"),
    ],
)
def test_plant_cannot_be_found_so(tag: str, value: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Line(replace(LINE, sim=replace(LINE.sim, start={tag: value})))


@pytest.mark.parametrize(
    "wire",
    [
        ("transport.push", "transport.zones.9.run"),
        ("transport.push", "transport.ejector.stacked"),
    ],
)
def test_wire_that_joins_no_two_tags_is_refused(wire: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="joins no two tags of one type"):
        Line(replace(LINE, sim=replace(LINE.sim, wires=(wire,))))
