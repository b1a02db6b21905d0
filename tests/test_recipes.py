"""Recipes and parameters at a desk: what is loaded, what is refused, what is written back."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from recipe_files import recipe, station_with_recipes
from typer.testing import CliRunner, Result

from cellrt import retained
from cellrt.app.cli import app
from cellrt.line.load import LineError, load_line
from cellrt.recording.header import describe, recorded_line
from cellrt.runtime.watcher import state_dir
from cellrt.scan.plan import Plan
from cellrt.scan.tables import initial_image

CELL = """
from cellrt import Array, Cell, Parameter, Record, array


class Deck(Record):
    speed_mm_s: float = Parameter(5.0, low=1.0, high=10.0)
    tilt_deg: float = Parameter(0.0, low=0.0, high=10.0)


class Sieve(Cell):
    decks: Array[Deck] = array(3)
    low_mm: float = Parameter(1.0, unit="mm", low=0.0, high=10.0)
    high_mm: float = Parameter(2.0, unit="mm", low=0.0, high=10.0)

    @classmethod
    def unfit(cls, parameters):
        if parameters["low_mm"] >= parameters["high_mm"]:
            return "nothing lies between low_mm and high_mm"
        return None
"""
SIEVE = """# a comment
[line]
name = "sieve"
period_ms = 10  # another

[cells.sieve]
type = "sieve_for_tests:Sieve"
"""


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CELLRT_STATE_DIR", str(tmp_path / "state"))
    before = [*sys.path]
    yield
    sys.path[:] = before


def cellrt(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def line(tmp_path: Path) -> Path:
    return station_with_recipes(tmp_path / "lines")


@pytest.fixture
def sieve(tmp_path: Path) -> Path:
    (tmp_path / "sieve_for_tests.py").write_text(CELL)
    path = tmp_path / "sieve.toml"
    path.write_text(SIEVE)
    return path


def test_line_with_recipes_begins_with_that_of_the_loaders_product(line: Path) -> None:
    line.write_text(
        line.read_text().replace('to = "infeed"', 'to = "infeed"\nparams = { product = 2 }', 1)
    )
    plan = Plan(load_line(line))
    image = initial_image(plan)
    values = [
        image.read(plan.layout.find(f"printer.{tag}"))
        for tag in ("recipe.number", "recipe.version", "pressure_N_wanted", "wipe_after")
    ]
    assert values == [2, 7, 95.0, 9]


def test_product_without_a_recipe_is_refused(line: Path) -> None:
    line.write_text(
        line.read_text().replace('to = "infeed"', 'to = "infeed"\nparams = { product = 5 }', 1)
    )
    with pytest.raises(LineError, match="no recipe for product 5; choose among 1, 2"):
        load_line(line)


def test_setting_of_recipes_in_the_line_file_is_refused(line: Path) -> None:
    text = line.read_text().replace('to = "outfeed"', 'to = "outfeed"\nparams = { wipe_after = 3 }')
    line.write_text(text)
    at = text.splitlines().index("params = { wipe_after = 3 }") + 1
    with pytest.raises(LineError) as refused:
        load_line(line)
    assert f"{line}:{at}: printer.wipe_after is set by recipes; take it out" in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "wipe_after = 9",
            "wipe_after = 51",
            "printer.wipe_after cannot be 51; give a whole number",
        ),
        ("wipe_after = 9", "wipe_after = 9.5", "printer.wipe_after cannot be 9.5"),
        ("wipe_after = 9", "wipe_aftr = 9", "did you mean 'wipe_after'"),
        ("wipe_after = 9", "", "[printer] lacks 'wipe_after'; add `wipe_after = 15`"),
        ("[printer]", "[printr]", "'printr' is no cell of the line with settings of a recipe"),
        ("[printer]", "[infeed]", "'infeed' is no cell of the line with settings of a recipe"),
        ("version = 7", "version = 0", "version is 0 but must be 1 or more"),
        ("version = 7", "", "has no 'version'"),
        ("version = 7", "version = 7\nversoin = 8", "unknown key 'versoin'"),
        ("number = 2", "number = 1", "recipe 1 is there twice; give it a number of its own"),
        ("number = 2", "number = ", "mend the TOML there"),
    ],
)
def test_recipe_with_a_mistake_is_told_with_file_line_and_mend(
    line: Path, old: str, new: str, said: str
) -> None:
    path = line.parent / "recipes" / "two.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    for command in (("recipe", "check", line), ("check", line)):
        told = cellrt(*command)
        assert told.exit_code == 2 and said in told.stderr
        assert f"{path}:" in told.stderr


def test_recipes_are_listed_and_found_well(line: Path) -> None:
    assert "2 recipes, well" in cellrt("recipe", "check", line).stdout
    listed = cellrt("recipe", "list", line).stdout
    assert "1  version 3  Plain board" in listed and "2  version 7  Thick board" in listed
    assert "names no recipes" in cellrt("recipe", "list", Path("cells/print_station.toml")).stderr


def test_folder_without_recipes_is_refused(line: Path) -> None:
    for path in (line.parent / "recipes").iterdir():
        path.unlink()
    assert "has no recipe" in cellrt("check", line).stderr


def test_recorded_line_has_its_recipes_with_it(line: Path) -> None:
    header = describe(Plan(load_line(line)))
    (line.parent / "recipes" / "one.toml").write_text(recipe(1, "Changed since", 4))
    then = recorded_line(header).cells["printer"].params
    assert then["recipe.version"] == 3


def test_parameters_that_do_not_fit_together_are_refused_where_the_line_file_sets_them(
    sieve: Path,
) -> None:
    sieve.write_text(SIEVE + "params = { low_mm = 3.0 }\n")
    told = cellrt("check", sieve).stderr
    assert f"{sieve}:8: sieve: nothing lies between low_mm and high_mm; change its `params`" in told


def keep(line: Path, values: dict[str, bool | int | float]) -> None:
    """As the last run of the line would have left it."""
    path = state_dir(load_line(line).name) / "retained.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    retained.save(path, values)


def test_retained_parameters_are_shown_against_the_file_and_saved_into_it(sieve: Path) -> None:
    keep(sieve, {"sieve.low_mm": 1.5, "sieve.high_mm": 2.0})
    assert cellrt("params", "diff", sieve).stdout == (
        "sieve.low_mm: 1 in the file, 1.5 retained  mm\n"
    )
    assert cellrt("params", "save", sieve).stdout == "sieve.low_mm\n"
    assert sieve.read_text() == SIEVE + "params = {low_mm = 1.5}\n"
    assert load_line(sieve).cells["sieve"].params == {"low_mm": 1.5}
    assert cellrt("params", "save", sieve).stdout == ""
    assert "no difference" in cellrt("params", "diff", sieve).stdout
    assert not [*sieve.parent.glob(".*.new")]


@pytest.mark.parametrize("table", ["params = { low_mm = 0.5 }  # why\n", "params.low_mm = 0.5\n"])
def test_saving_keeps_comments_and_the_order_of_what_is_there(sieve: Path, table: str) -> None:
    sieve.write_text(SIEVE + table)
    keep(sieve, {"sieve.low_mm": 0.75, "sieve.high_mm": 2.0})
    assert cellrt("params", "save", sieve).exit_code == 0
    assert sieve.read_text() == SIEVE + table.replace("0.5", "0.75")


def test_saving_changes_a_list_where_it_has_the_record_and_adds_what_it_has_not(
    sieve: Path,
) -> None:
    sieve.write_text(
        SIEVE + "params.decks = [\n{ speed_mm_s = 2.0 }, # why\n{ speed_mm_s = 3.0 },\n]\n"
    )
    keep(sieve, {f"sieve.decks.{n}.speed_mm_s": float(n + 3) for n in range(3)})
    assert cellrt("params", "save", sieve).exit_code == 0
    assert "{ speed_mm_s = 3.0 }, # why\n{ speed_mm_s = 4.0 }" in sieve.read_text()
    speeds = [load_line(sieve).cells["sieve"].params[f"decks.{n}.speed_mm_s"] for n in range(2)]
    assert speeds == [3.0, 4.0]
    assert cellrt("params", "save", sieve).stdout == ""


def test_saving_what_makes_no_good_line_leaves_the_file_alone(sieve: Path) -> None:
    keep(sieve, {"sieve.low_mm": 9.0, "sieve.high_mm": 2.0})
    told = cellrt("params", "save", sieve)
    assert told.exit_code == 2 and "nothing lies between" in told.stderr
    assert sieve.read_text() == SIEVE
    assert not [*sieve.parent.glob(".*.new")]


def test_saving_a_file_that_changes_meanwhile_is_refused(
    sieve: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(sieve, {"sieve.low_mm": 1.5})
    edited = SIEVE.replace("another", "edited")

    def edit_and_load(path: Path) -> object:
        if path != sieve:
            sieve.write_text(edited)
        return load_line(path)

    monkeypatch.setattr("cellrt.app.params.load_line", edit_and_load)
    told = cellrt("params", "save", sieve)
    assert told.exit_code == 2 and "was changed meanwhile" in told.stderr
    assert sieve.read_text() == edited


def test_line_that_neither_runs_nor_ran_has_nothing_to_compare(sieve: Path) -> None:
    assert "nothing of it is retained" in cellrt("params", "diff", sieve).stderr


def test_saving_leaves_to_recipes_what_is_theirs(line: Path) -> None:
    before = line.read_text()
    keep(line, {"printer.wipe_after": 20, "printer.recipe.number": 2, "infeed.unit.boards_in": 4})
    assert (
        "printer.wipe_after: 15 in the file, 20 retained" in cellrt("params", "diff", line).stdout
    )
    assert cellrt("params", "save", line).stdout == ""
    assert line.read_text() == before


# Retained values: by name, whatever else has become of the line.


def test_retained_values_after_an_edit_go_to_the_tags_of_their_names(sieve: Path) -> None:
    """Tags have gone, come and moved; one has another type and one another range."""
    kept = {"sieve.low_mm": 1.5, "sieve.high_mm": 7.5, "sieve.gone": 3, "old.unit.boards_in": 8}
    keep(sieve, {**kept, "sieve.unit.boards_in": 12})
    (sieve.parent / "sieve_edited.py").write_text(
        CELL.replace("low_mm: float", "first: int = Parameter(5)\n    low_mm: float").replace(
            'Parameter(2.0, unit="mm", low=0.0, high=10.0)', "Parameter(2.0, low=0.0, high=5.0)"
        )
    )
    sieve.write_text(SIEVE.replace("sieve_for_tests", "sieve_edited"))
    plan = Plan(load_line(sieve))
    values, unknown = retained.load(state_dir("sieve") / "retained.json", plan)
    assert values == {"sieve.low_mm": 1.5, "sieve.unit.boards_in": 12}
    assert unknown == ["old.unit.boards_in", "sieve.gone", "sieve.high_mm"]
    keep(sieve, {"sieve.first": 1.5, "sieve.low_mm": True, "sieve.unit.boards_in": 2.0})
    values, unknown = retained.load(state_dir("sieve") / "retained.json", plan)
    assert not values and len(unknown) == 3, "nor is a value of another type taken"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text.replace("1.5", "2.5"), "checksum does not fit"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "version 2"),
        (lambda text: text[: len(text) // 2], "cut short"),
    ],
)
def test_retained_file_that_is_damaged_is_refused(sieve: Path, spoil, said: str) -> None:  # type: ignore[no-untyped-def]
    keep(sieve, {"sieve.low_mm": 1.5})
    path = state_dir("sieve") / "retained.json"
    assert json.loads(path.read_text())["version"] == 1
    path.write_text(spoil(path.read_text()))
    assert said in cellrt("params", "diff", sieve).stderr
