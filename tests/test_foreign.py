"""Somebody else's machine in a line: SMEMA contacts and PackML tags, over either protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from virtual_line import Line

from cellrt.packml import State
from cellrt.supervisor import Goal

LINE = Path(__file__).parent / "lines" / "foreign_line.toml"


def virtual(path: Path, **machine: float) -> Line:
    """The line at work; tags of the machine are set by hand."""
    line = Line(path)
    for tag, value in machine.items():
        line.plant[f"foreign.{tag}"] = value
    line.pursue(Goal.RUN)
    return line


def machine(line: Line) -> State:
    return State(int(line.read("foreign.machine_state")))


def account(line: Line) -> tuple[dict[str, int], dict[str, int]]:
    """The line's boards and the plant's: what came is what went and what is there."""
    census, boards = line.census(), dict(line.journal.boards)
    assert census["entered"] == census["stored"] + census["in_line"]
    assert boards["completed"] + boards.get("rejected", 0) == census["stored"]
    return boards, census


@pytest.fixture(params=["opcua", "modbus"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The line file as it stands, or switched to the machine's other interface."""
    if request.param == "opcua":
        yield LINE
        return
    text = LINE.read_text().replace("foreign.toml", "foreign_modbus.toml")
    text = text.replace("opc.tcp://192.168.10.21:4840", "192.168.10.21:502")
    text = text.replace("sim.foreign:Foreign", "sim.foreign:ForeignModbus")
    cells = Path(__file__).parents[1] / "cells"
    (tmp_path / "line.toml").write_text(text.replace("../../cells", str(cells)))
    yield tmp_path / "line.toml"


def test_boards_go_through_and_its_failed_ones_have_failed(path: Path) -> None:
    line = virtual(path, fail_share=0.3)
    line.go(400.0)
    boards, census = account(line)
    assert census["stored"] > 10
    assert 0 < boards["rejected"] < boards["completed"]


def test_execute_stop_leads_the_machine_to_stopped_and_start_back() -> None:
    line = virtual(LINE)
    line.go(100.0)
    line.pursue(Goal.STOP)
    line.go(60.0)
    assert (line.state("foreign"), machine(line)) == (State.STOPPED, State.STOPPED)
    before = account(line)[1]["stored"]
    line.pursue(Goal.RUN)
    line.go(100.0)
    assert account(line)[1]["stored"] > before + 2


def test_execute_machine_aborts_cell_aborts_and_goes_on_when_it_is_well() -> None:
    line = virtual(LINE)
    line.go(100.0)
    line.plant["foreign.fault"] = True
    line.go(5.0)
    assert (line.state("foreign"), machine(line)) == (State.ABORTED, State.ABORTED)
    assert line.read("foreign.unit.first_out") != 0
    line.plant["foreign.fault"] = False
    before = account(line)[1]["stored"]
    line.pursue(Goal.RUN)
    line.go(120.0)
    assert account(line)[1]["stored"] > before + 2
    assert (line.state("foreign"), machine(line)) == (State.EXECUTE, State.EXECUTE)


def test_machine_that_cannot_be_cleared_aborts_the_cell_again_and_is_named() -> None:
    line = virtual(LINE)
    line.go(50.0)
    line.plant["foreign.fault"] = True
    line.go(5.0)
    line.pursue(Goal.RUN)
    line.go(70.0)
    assert line.state("foreign") is State.ABORTED
    rule = int(line.read("foreign.unit.first_out")) - 1
    assert line.plan.rules("foreign")[rule] == "machine_follows"
