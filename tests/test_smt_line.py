"""The whole line: cold start to fifty boards, stops that run the oven out, a machine of somebody else's."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from smt import CELLS, SMT, accounted, changed, gaps_s, started, warm
from virtual_line import S_NS, Line

from cellrt.packml import State
from cellrt.supervisor import Goal

BOARDS = 50
WORKING = {State.EXECUTE, State.SUSPENDED}


@pytest.fixture(scope="module")
def fifty() -> Line:
    """From cold, the oven's warm-up included, until fifty boards are through; every reel of the program
    and the paste run low meanwhile."""
    line = started().go(1.0)
    line.plant["printer.paste_pct"] = 45.0
    for n in range(10):
        line.plant[f"placer.feeders.lanes.{n}.left"] = 700 + 40 * n
    while line.journal.departed["robot"] < BOARDS:
        assert line.now_ns < 4000 * S_NS, f"{line.journal.departed['robot']} boards only"
        line.go(10.0)
    return line


@pytest.fixture(scope="module")
def warm_line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The line file with an oven that is warm."""
    return changed(tmp_path_factory.mktemp("warm"), end=warm())


def inside_oven(line: Line) -> int:
    """Boards on the chain, truly."""
    return int(line.plant["reflow.count"])


def test_cold_start_fifty_boards_come_through_and_all_are_accounted_for(fifty: Line) -> None:
    assert accounted(fifty)
    assert fifty.states() <= WORKING
    assert fifty.journal.boards["completed"] >= 0.9 * BOARDS


def test_takt_is_that_of_the_slowest_machine(fifty: Line) -> None:
    takt_s = statistics.mean(gaps_s(fifty, "robot"))
    assert 20.0 <= takt_s <= 24.0
    placer_s = min(gaps_s(fifty, "placer"))
    assert placer_s / takt_s > 0.9, "OEE of the bottleneck without faults"


def test_reels_and_paste_are_asked_for_in_time_and_no_machine_waits_for_them(fifty: Line) -> None:
    told = fifty.journal.entries(10**9)
    asked = [e["tag"] for e in told if e["event"] == "Changed" and e["to"]]
    lanes = [f"placer.feeders.lanes.{n}.supply.asked" for n in range(10)]
    assert sorted(tag for tag in asked if "supply" in tag) == [*lanes, "printer.supply.asked"]
    places = [*(tag.removesuffix(".asked") for tag in lanes), "printer.supply"]
    assert [fifty.plant[f"{place}.brought"] for place in places] == [1] * 11
    assert not [e for e in told if e["event"] == "State" and e["to"] == "Held"]


def test_boards_waited_for_the_oven_to_be_warm(fifty: Line) -> None:
    soldered = fifty.journal.entries(10**9, "reflow")
    first_s = next(e["t_ns"] / S_NS for e in soldered if e["event"] == "BoardIn")
    assert 20 * 60 < first_s < 30 * 60


def test_same_seed_same_hashes_and_another_seed_others(warm_line: Path) -> None:
    told = []
    for seed in (1, 1, 2):
        line = started(warm_line, seed)
        line.go(900.0)
        told.append((line.twin.runner.image.hash(), line.journal.hash()))
    assert told[0] == told[1] != told[2]


def test_full_line_stop_runs_the_oven_out_and_start_goes_on(warm_line: Path) -> None:
    line = started(warm_line)
    line.go(1200.0)
    inside = inside_oven(line)
    assert inside > 5
    line.pursue(Goal.STOP)
    line.go(700.0)
    assert line.states() == {State.STOPPED}
    assert inside_oven(line) == 0
    assert accounted(line)
    through = line.journal.departed["robot"]
    line.pursue(Goal.RUN)
    line.go(1800.0)
    assert line.states() <= WORKING
    assert accounted(line)
    assert line.journal.departed["robot"] > through + 20


def test_full_line_abort_loses_no_board(warm_line: Path) -> None:
    line = started(warm_line)
    line.go(1000.0)
    line.pursue(Goal.ABORT)
    line.go(900.0)
    assert line.states() == {State.ABORTED}
    assert accounted(line)
    line.pursue(Goal.RUN)
    line.go(2400.0)
    assert accounted(line)
    assert line.journal.departed["robot"] > 40


@pytest.mark.parametrize("product", [2, 3])
def test_other_products_are_made_by_their_own_recipes(tmp_path: Path, product: int) -> None:
    """Boards of another mass: every profile in the window, and as many boards as of the first."""
    loader = 'device = "transport"\nto = "infeed"'
    path = changed(
        tmp_path, (loader, f"{loader}\nparams = {{ product = {product} }}"), end=warm(product)
    )
    line = started(path)
    line.go(1800.0)
    assert accounted(line) and line.states() <= WORKING
    assert line.read("reflow.recipe.number") == line.read("placer.recipe.number") == product
    left = [e for e in line.journal.entries(10**9, "reflow") if e["event"] == "BoardOut"]
    assert len(left) > 40 and all(e["result"] == "Good" for e in left)
    assert line.journal.boards["completed"] > 30


def test_inspection_by_a_foreign_machine_boards_come_through(tmp_path: Path) -> None:
    """One machine switched in the line file; nothing but its settings in the recipes knows."""
    (tmp_path / "recipes").mkdir()
    for recipe in (CELLS / "recipes").glob("*.toml"):
        text = recipe.read_text().partition("[aoi]")[0]
        (tmp_path / "recipes" / recipe.name).write_text(text)
    path = changed(
        tmp_path,
        ('map = "aoi.toml"', 'map = "foreign.toml"'),
        ("hw_sim.aoi:Aoi", "hw_sim.foreign:Foreign"),
        (
            'type = "cells.aoi:Aoi"\n',
            'type = "cells.foreign:ForeignMachine"\nparams = { failed_route = 900 }\n',
        ),
        ("aoi.stage.belt", "aoi.belt"),
        ('"recipes"', f'"{tmp_path}/recipes"'),
        end=warm() + '"aoi.fail_share" = 0.2\n',
    )
    line = started(path)
    line.go(1800.0)
    assert accounted(line)
    assert line.states() <= WORKING
    boards = line.journal.boards
    assert boards["completed"] > 20 and boards["rework"] > 0


def test_shipped_line_file_is_the_one_that_make_run_shows() -> None:
    assert f"LINE ?= cells/{SMT.name}" in (SMT.parents[1] / "Makefile").read_text()
