"""The whole SMT line beaten at random, by a seed: commands, lost devices, kills, e-stop, guards, faults.

After every blow the plant's account closes, nothing moves at rest, and nothing starts by itself. After a
person has cleared the line it works again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from blows import Beaten
from smt import OUT, TOLD, accounted, changed, started, warm

from cellrt.packml import Command, State

SOAK = os.environ.get("CELLRT_SOAK") == "1"
SEEDS = range(200) if SOAK else (7, 9)
BLOWS = 12 if SOAK else 5
PAUSES_S = (5.0, 30.0, 120.0, 300.0) if SOAK else (5.0, 30.0, 60.0)
THROUGH_S, BOARDS = 600.0, 10


@pytest.fixture(scope="module")
def warm_line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return changed(tmp_path_factory.mktemp("warm"), end=warm())


@pytest.fixture
def beaten(warm_line: Path) -> Iterator[Beaten]:
    """A line that has run for a while; what its witness saw amiss fails the test."""
    line = Beaten(started(warm_line), 1)
    line.run(420.0)
    yield line
    assert not line.wrong, "\n".join(line.told)


@pytest.mark.parametrize("seed", SEEDS)
def test_beaten_line_loses_nothing_and_works_again(warm_line: Path, seed: int) -> None:
    beaten = Beaten(started(warm_line, seed), seed)
    beaten.run(beaten.chance.choice((100.0, 500.0)))
    for _ in range(BLOWS):
        beaten.blow()
        beaten.mend()
        beaten.run(beaten.chance.choice(PAUSES_S))
    beaten.clear()
    beaten.run(THROUGH_S)
    line, told = beaten.line, "\n".join(beaten.told)
    through = line.journal.departed["robot"]
    beaten.run(THROUGH_S)
    beaten.check_boards()
    assert not beaten.wrong, told
    assert line.journal.departed["robot"] >= through + BOARDS, f"{told}\n{beaten.stuck()}"
    census, boards = line.census(), line.journal.boards
    assert [census[n] for n in OUT] == [boards[n] for n in TOLD], told


def test_deaf_oven_cleared_its_chain_obeys_the_line_again(beaten: Beaten) -> None:
    """A drive that lost the heartbeat wants its command anew; its own run-out hides for a while that it
    does not obey."""
    beaten.cut_off("reflow", True, 2.0)
    beaten.run(5.0)
    assert beaten.line.state("reflow") is State.ABORTED
    beaten.mend()
    beaten.run(10.0)
    assert beaten.line.plant["reflow.chain_motor.on"] and beaten.line.plant["reflow.fan_motor.on"]
    assert beaten.line.state("reflow") is State.EXECUTE


def test_chain_stands_against_its_command_the_oven_aborts_and_says_so(beaten: Beaten) -> None:
    beaten.line.plant["reflow.chain_motor.locked"] = True
    beaten.run(10.0)
    assert beaten.stuck()["reflow"] == "ABORTED chain_turns"
    beaten.mend()
    beaten.run(10.0)
    assert beaten.line.plant["reflow.chain_motor.on"]
    assert beaten.line.state("reflow") is State.EXECUTE


def wants_a_person(beaten: Beaten, cell: str, device: str) -> bool:
    """RUN is asked anew, then the cell loses its device for a while: it is left aborted."""
    beaten.mend()
    beaten.run(1.0)
    beaten.cut_off(device, False, 2.0)
    beaten.run(10.0)
    return beaten.line.state(cell) is State.ABORTED


def test_suspended_when_run_was_asked_a_lost_device_wants_a_person(beaten: Beaten) -> None:
    """A cell that only waited for boards has worked, and is not started by itself."""
    assert beaten.line.state("unload") is State.SUSPENDED
    assert wants_a_person(beaten, "unload", "transport")


def test_held_when_run_was_asked_a_lost_device_wants_a_person(beaten: Beaten) -> None:
    beaten.line.command("loader", Command.HOLD)
    beaten.run(5.0)
    assert beaten.line.state("loader") is State.HELD
    assert wants_a_person(beaten, "loader", "transport")


@pytest.mark.parametrize(
    ("command", "state"),
    [(Command.COMPLETE, State.COMPLETING), (Command.STOP, State.STOPPING)],
    ids=lambda e: e.name,
)
def test_oven_runs_out_when_run_was_asked_a_lost_device_wants_a_person(
    beaten: Beaten, command: Command, state: State
) -> None:
    beaten.line.command("reflow", command)
    beaten.run(5.0)
    assert beaten.line.state("reflow") is state
    assert wants_a_person(beaten, "reflow", "reflow")


def test_unread_board_pushed_off_is_rejected_to_plant_and_journal(beaten: Beaten) -> None:
    beaten.line.plant["printer.smeared"] = True
    beaten.run(60.0)
    beaten.line.plant["printer.smeared"] = False
    beaten.run(120.0)
    assert beaten.line.census()["rejected"] > 0
    assert accounted(beaten.line)
