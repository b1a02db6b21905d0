"""A running station in a person's hands: forces, commanders, modes, parameters, recipes, the I/O view."""

from __future__ import annotations

from collections.abc import Iterator

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
