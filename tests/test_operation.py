"""A running station in a person's hands: forces, commanders, modes, parameters, recipes, the I/O view."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from recipe_files import recipe, station_with_recipes
from running import RunningLine, running
from typer.testing import CliRunner, Result

from cellrt.app.cli import app
from cellrt.packml import State

pytestmark = pytest.mark.real_time

SPEED = 10


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """The station at ten times its speed, all of it in Execute; the tests share it in their order."""
    folder = tmp_path_factory.mktemp("operation")
    station = station_with_recipes(folder / "lines")
    with running(folder, station, "--sim", "--speed", SPEED) as started:
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


def test_recipe_downloaded_is_read_back_and_worked_by(line: RunningLine) -> None:
    names = ("recipe.number", "recipe.version", "pressure_N_wanted", "wipe_after")
    tags = [f"printer.{name}" for name in names]
    assert line.read(*tags) == [1, 3, 80.0, 15], "the loader's product is 1"
    told = done(line, "recipe", "download", 2)
    assert "recipe 2 version 7, Thick board: printer" in told
    assert line.read(*tags) == [2, 7, 95.0, 9]
    changes = [e for _, e in line.events("event = 'Parameter'")]
    versions = [e["after_bits"] for e in changes if e["tag"] == "printer.recipe.version"]
    assert versions == [0, 7], "asked for no board while it was changed"
    assert changes[-1]["tag"] == "printer.recipe.version"


def test_recipe_is_checked_as_it_is_now_before_any_of_it_is_sent(line: RunningLine) -> None:
    path = line.spec.path.parent / "recipes" / "two.toml"
    text, before = path.read_text(), line.last_event()
    path.write_text(recipe(2, "Thick board", 8, pressure_N_wanted=500.0))
    said = refused(line, "recipe", "download", 2)
    assert f"{path}:" in said and "cannot be 500.0; give a number 30..150 N" in said
    path.write_text(text)
    assert "no recipe 3; choose among 1, 2" in refused(line, "recipe", "download", 3)
    assert "choose among printer" in refused(line, "recipe", "download", 2, "--cell", "infeed")
    sent = [e for n, e in line.events("event = 'Command'") if n > before]
    assert not [e for e in sent if e["operation"] == "Parameter"]


def test_running_parameters_are_compared_and_written_back(line: RunningLine) -> None:
    file = line.spec.path
    before = file.read_text()
    done(line, "recipe", "download", 1, "--cell", "printer")
    done(line, "set", "printer.volume_pct_wanted", 1.5)
    line.wait(lambda: line.read("printer.volume_pct_wanted") == [1.5], "the parameter")
    told = done(line, "params", "diff", file)
    assert told == "printer.volume_pct_wanted: 0 in the file, 1.5 running  %\n"
    assert done(line, "params", "save", file) == "printer.volume_pct_wanted\n"
    after = file.read_text()
    assert [row for row in after.splitlines() if row not in before.splitlines()] == [
        "params = {volume_pct_wanted = 1.5}"
    ]
    assert "was changed since" in refused(line, "params", "diff", file), "it runs by the old one"
    file.write_text(before)


def test_io_view_shows_every_point_once_where_there_is_no_terminal(line: RunningLine) -> None:
    shown = done(line, "io")
    for device in line.spec.devices.values():
        for point in (*device.map.inputs, *device.map.outputs):
            assert f" {device.name}.{point.name} " in shown and f" {point.address} " in shown
    assert "BAD" not in shown
    assert "no device 'coupla'; did you mean 'coupler'" in refused(line, "io", "coupla")


def test_io_view_marks_a_forced_input_and_still_shows_what_the_field_says(
    line: RunningLine,
) -> None:
    done(line, "force", "loader.stack_present", "false", "--for", 3600)
    line.wait(lambda: line.read("loader.stack_present") == [False], "the forced input")
    (row,) = [r for r in done(line, "io", "coupler").splitlines() if " coupler.stack_present " in r]
    cells = [cell.strip() for cell in row.split("│")]
    done(line, "unforce", "--all")
    assert (cells[3:5], cells[6], cells[8]) == (["1", "1"], "0", "loader.stack_present")
