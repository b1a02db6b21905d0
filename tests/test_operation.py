"""A running station in a person's hands: forces, commanders, modes, parameters, recipes, the I/O view."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from running import STATION, RunningLine, running
from typer.testing import CliRunner, Result

from cellrt.app.cli import app
from cellrt.packml import State

SPEED = 10


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """The station at ten times its speed, all of it in Execute; the tests share it in their order."""
    folder = tmp_path_factory.mktemp("operation")
    with running(folder, STATION, "--sim", "--speed", SPEED) as started:
        working = {State.EXECUTE, State.SUSPENDED}
        started.wait(lambda: started.states() <= working, "every cell at work")
        yield started


def at_desk(line: RunningLine, *arguments: object) -> Result:
    """A command of someone who looks at the running line."""
    env = {"CELLRT_STATE_DIR": str(line.folder / "state"), "COLUMNS": "160"}
    return CliRunner().invoke(app, [str(a) for a in arguments], env=env)


def done(line: RunningLine, *arguments: object) -> str:
    result = at_desk(line, *arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def refused(line: RunningLine, *arguments: object) -> str:
    result = at_desk(line, *arguments)
    assert result.exit_code == 2 and not result.stdout, result.output
    return result.stderr


def test_force_is_listed_shown_and_journalled_until_it_is_ended(line: RunningLine) -> None:
    assert done(line, "force") == ""
    done(line, "force", "loader.stack_present", "false", "--for", 3600)
    line.wait(lambda: line.read("loader.stack_present") == [False], "the forced input")
    listed = done(line, "force")
    assert "loader.stack_present = False" in listed and "s left" in listed
    line.wait(
        lambda: "FORCED 1: loader.stack_present = False" in line.told(), "the force in the view"
    )
    done(line, "unforce", "loader.stack_present")
    line.wait(lambda: line.read("loader.stack_present") == [True], "the input as it is")
    assert done(line, "force") == ""
    told = [(e["event"], e["tag"]) for _, e in line.events("event IN ('Forced', 'Unforced')")]
    assert told == [("Forced", "loader.stack_present"), ("Unforced", "loader.stack_present")]


def test_force_that_cannot_be_is_refused_with_a_reason(line: RunningLine) -> None:
    assert "nobody forces it" in refused(line, "force", "infeed.guards_closed", "true", "--for", 5)
    assert "nobody forces it" in refused(line, "force", "station.warning_lamp", "true", "--for", 5)
    assert "only inputs and outputs" in refused(line, "force", "infeed.board.id", "1", "--for", 5)
    assert "did you mean 'infeed.run'" in refused(line, "force", "infeed.rum", "1", "--for", 5)
    assert "true or false" in refused(line, "force", "infeed.run", "2", "--for", 5)
    assert "cannot be" in refused(line, "force", "printer.pressure_N", "1e9", "--for", 5)
    assert "neither true" in refused(line, "force", "infeed.run", "on", "--for", 5)
    assert "--for" in refused(line, "force", "infeed.run", "true")
    assert "--for" in refused(line, "force", "infeed.run", "true", "--for", "-1")
    assert "--all" in refused(line, "unforce")
    assert done(line, "force") == ""


def test_jog_is_hold_to_run_for_a_cell_in_hand_in_manual(line: RunningLine) -> None:
    assert "cellrt take" in refused(line, "jog", "outfeed", "run")
    done(line, "take", "outfeed")
    done(line, "cmd", "outfeed", "Stop")
    line.wait(lambda: line.read("outfeed.unit.state") == [State.STOPPED], "outfeed stopped")
    assert "cmd CELL Manual" in refused(line, "jog", "outfeed", "run")
    done(line, "cmd", "outfeed", "Manual")
    with ThreadPoolExecutor(1) as hand:
        jog = hand.submit(at_desk, line, "jog", "outfeed", "run", "--for", 3)
        line.wait(lambda: line.field.coils("coupler", 3)[2], "the belt's coil")
        result = jog.result()
        assert result.exit_code == 0, result.stderr
    line.wait(lambda: not line.field.coils("coupler", 3)[2], "the belt stands")
    assert "['run']" in refused(line, "jog", "outfeed", "board_at_exit")
    assert "none" in refused(line, "jog", "loader", "push")
    done(line, "cmd", "line", "run")
    assert line.read("outfeed.unit.state") == [State.STOPPED], "the supervisor leaves it alone"
    done(line, "cmd", "outfeed", "Production")
    done(line, "release", "outfeed")
    done(line, "cmd", "line", "run")
    working = {State.EXECUTE, State.SUSPENDED}
    line.wait(lambda: line.states() <= working, "every cell at work")


def test_two_commanders_the_second_is_refused(line: RunningLine) -> None:
    done(line, "take", "line")
    line.wait(lambda: line.read("magazine.unit.commander") == [1], "the commander")
    assert "no cell 'magasine'; did you mean 'magazine'" in refused(line, "take", "magasine")
    done(line, "release", "line")
    assert "cellrt take" in refused(line, "step", "printer")
