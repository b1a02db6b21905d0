"""The reflow oven in a line: warm-up, profiles of the shipped products, and everything that cannot wait."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oven_bench import MASS_PCT, OvenLine, recipe
from virtual_line import kill_scan

from cellrt import Result, Route
from cellrt.packml import Command, State
from cellrt.supervisor import Goal
from cells.profile import peak_limit_degC, predict
from cells.reflow import Reflow
from hw_sim.reflow import CHAIN_MM

PRODUCTS = (1, 2, 3)
WORKING = (State.EXECUTE, State.SUSPENDED)
FULL_S = 420.0
"""From the first board on the chain to a full oven, and some."""

Saved = list[Any]


def zones_of(settings: dict[str, Any]) -> list[float]:
    return [settings[f"zone_{n + 1}_degC"] for n in range(8)]


@pytest.fixture(scope="module")
def line() -> OvenLine:
    return OvenLine("oven_line.toml")


@pytest.fixture(scope="module")
def begun(line: OvenLine) -> Saved:
    """A warm oven that gives the first of its four boards, with the next one before it."""
    line.start().go(1.0)
    line.warm()
    line.until(lambda: line["reflow.count"] == 4, 600.0)
    line.command("loader", Command.HOLD)
    line.until(lambda: line["reflow.leaving.id"] != 0, 600.0)
    line.command("loader", Command.UNHOLD)
    line.go(0.5)
    return line.save()


@pytest.fixture(scope="module")
def filled(line: OvenLine, begun: Saved) -> Saved:
    """An oven in the midst of production."""
    line.take_up(begun).start().go(FULL_S)
    return line.save()


@pytest.fixture
def few(line: OvenLine, begun: Saved) -> Iterator[OvenLine]:
    yield line.take_up(begun)


@pytest.fixture
def full(line: OvenLine, filled: Saved) -> Iterator[OvenLine]:
    yield line.take_up(filled)


def conserved(line: OvenLine) -> None:
    """No board lost or doubled, by the plant's count; and the line believes in as many."""
    census = line.census()
    assert census["entered"] == census["stored"] + census["in_line"]
    believed = sum(
        int(line[tag] != 0)
        for tag in (
            *(f"{c}.board.id" for c in ("infeed", "reflow", "buffer", "outfeed", "magazine")),
            *("reflow.leaving.id", "buffer.leaving.id"),
            *(f"reflow.passengers.{n}.board.id" for n in range(24)),
            *(f"buffer.stored.{n}.id" for n in range(20)),
        )
    )
    assert abs(believed - census["in_line"]) <= 1, "one may be between loader and infeed"


def judged_rightly(line: OvenLine) -> None:
    """What the line says of a board is what its true profile says, but for the probe's own error."""
    assert line.truth
    for number in line.results:
        peak_degC, liquid_s = line.truth[number]
        if 237.0 <= peak_degC <= 243.0 and 47.0 <= liquid_s <= 88.0:
            assert line.results[number] == (Result.GOOD, Route.LINE), number
        elif not (233.0 <= peak_degC <= 247.0 and 43.0 <= liquid_s <= 92.0):
            assert line.results[number][0] == Result.FAILED, number
    assert sorted(line.truth) == list(range(min(line.truth), max(line.truth) + 1)), "in order"


def test_cold_oven_lets_the_first_board_in_when_all_zones_are_warm() -> None:
    line = OvenLine("oven_line.toml").start()
    warm_s = line.until_s(lambda: line["reflow.warm"], 2400.0)
    assert 20 * 60 < warm_s < 30 * 60
    assert line["reflow.count"] == 0 and line.plant["reflow.count"] == 0
    for n in range(8):
        off_K = float(line.plant[f"reflow.zones.{n}.temperature_degC"]) - float(
            line[f"reflow.zone_{n + 1}_degC"]
        )
        assert abs(off_K) < 3.1
    assert line.until_s(lambda: line.plant["reflow.count"] == 1, 60.0) < 30.0


@pytest.mark.parametrize("product", PRODUCTS)
def test_shipped_product_comes_out_within_the_pastes_window_as_predicted(product: int) -> None:
    wanted = recipe(product)
    assert Reflow.unfit(wanted) is None
    line = OvenLine("oven_line.toml", **wanted)
    line.tags["reflow.recipe.number"] = product
    line.mass_pct = MASS_PCT[product]
    line.start().go(1.0)
    line.warm()
    line.go(1100.0)
    assert len(line.truth) >= 20
    model = predict(wanted["belt_wanted_mm_s"], zones_of(wanted), wanted["board_lag_s"])
    for number, (peak_degC, liquid_s) in line.truth.items():
        assert 235.0 <= peak_degC <= peak_limit_degC(wanted["class_degC"])
        assert 45.0 <= liquid_s <= 90.0
        assert abs(peak_degC - model.peak_degC) < 2.0
        assert abs(liquid_s - model.liquid_s) < 3.0
        assert line.results[number] == (Result.GOOD, Route.LINE)
    assert line.plant["reflow.recipe.active"] == product


@pytest.mark.parametrize(
    ("product", "changes", "says"),
    [
        (1, {"belt_wanted_mm_s": 8.0}, "at 8 mm/s the board would peak at 245.5 degC, 0.5 above"),
        (3, {"belt_wanted_mm_s": 9.0}, r"9 mm/s .* above the 240 of the Tc 245 less 5"),
        (1, {"belt_wanted_mm_s": 13.0}, "peak would be .* below the paste's 235 to 245"),
        (1, {"belt_wanted_mm_s": 12.0}, "time above liquidus would be 41.5 s, 3.5 below"),
        (2, {"zone_1_degC": 150.0}, "steepest rise would be .* above the paste's 0.5 to 2"),
        (1, {"class_degC": 240.0}, "above the 235 of the Tc 240 less 5"),
        (2, {"board_lag_s": 60.0}, "peak would be .* below"),
    ],
)
def test_settings_that_leave_the_window_are_refused_with_how_far(
    product: int, changes: dict[str, float], says: str
) -> None:
    refusal = Reflow.unfit({**recipe(product), **changes})
    assert refusal is not None and re.search(says, refusal), refusal


@settings(max_examples=25, deadline=None)
@given(slow=st.floats(6.0, 15.0), by=st.floats(0.5, 5.0), lag_s=st.floats(20.0, 80.0))
def test_slower_belt_makes_a_board_hotter_and_no_hotter_than_the_hottest_zone(
    slow: float, by: float, lag_s: float
) -> None:
    zones_degC = zones_of(recipe(1))
    hot, cool = predict(slow, zones_degC, lag_s), predict(slow + by, zones_degC, lag_s)
    assert cool.peak_degC < hot.peak_degC < max(zones_degC)


def test_full_oven_gives_a_board_at_least_every_21_s(full: OvenLine) -> None:
    before = int(full.plant["reflow.probe.count"])
    full.start().go(420.0)
    assert int(full.plant["reflow.probe.count"]) - before >= 20
    judged_rightly(full)
    conserved(full)


def test_blocked_oven_takes_no_more_than_fit_behind_it_and_never_stops(full: OvenLine) -> None:
    full.command("outfeed", Command.HOLD)
    for _ in range(120):
        full.go(10.0)
        assert full["reflow.chain_run"]
        inside = int(full["reflow.count"]) + int(full["reflow.leaving.id"] != 0)
        assert inside <= full["reflow.outfeed.hears.room"]
    assert full["reflow.count"] == 0 and full["buffer.count"] >= 19
    full.command("outfeed", Command.UNHOLD)
    full.start().go(600.0)
    judged_rightly(full)
    conserved(full)


@pytest.mark.parametrize("moment_s", [0.0, 2.2, 4.4, 9.0, 17.9])
@pytest.mark.parametrize("what", ["stop", "hold", "abort", "power cut"])
def test_interrupted_at_any_moment_no_board_is_lost(
    few: OvenLine, what: str, moment_s: float
) -> None:
    few.start().go(moment_s)
    if what == "stop":
        few.pursue(Goal.STOP)
        few.until(lambda: few.state() is State.STOPPED, 900.0)
        assert few["reflow.count"] == few["reflow.leaving.id"] == 0, "it has run out"
        few.until(lambda: few.state("magazine") is State.STOPPED, 60.0)
    elif what == "hold":
        few.command("reflow", Command.HOLD)
        few.until(lambda: few.state() is State.HELD, 70.0)
        few.go(500.0)
        assert few["reflow.count"] == 0, "boards run out while it is held"
        few.command("reflow", Command.UNHOLD)
    elif what == "abort":
        few.command("reflow", Command.ABORT)
        few.go(60.0)
        waits = few["reflow.leaving.id"] != 0
        assert few["reflow.chain_run"] or waits, "what is inside runs on, up to the exit"
    else:
        kill_scan(few)
        few.go(10.0)
        assert few.state() is State.STOPPED
        waits = few.plant["reflow.exit.board.id"] != 0
        assert few.plant["reflow.belt_actual_mm_s"] > 5.0 or waits, "the oven empties itself"
    few.warm()
    few.start().go(700.0)
    assert few.state() in WORKING
    assert few.census()["stored"] >= 8
    judged_rightly(few)
    conserved(few)


def test_estop_stops_chain_and_heat_at_once(full: OvenLine) -> None:
    full.plant["safety.panel_estop_pressed"] = True
    full.go(1.5)
    assert full.plant["reflow.belt_actual_mm_s"] == 0.0
    assert full.state() is State.ABORTED
    assert all(full[f"reflow.zones.{n}.duty_pct"] == 0.0 for n in range(8))


def test_jam_stops_chain_and_heat_and_every_board_inside_is_suspect(full: OvenLine) -> None:
    full.start().plant["reflow.jam"] = True
    full.until(lambda: full["reflow.jammed"], 60.0)
    inside = int(full["reflow.count"])
    first = int(full["reflow.passengers.0.board.id"])
    full.go(2.0)
    assert full.state() is State.ABORTED
    assert full.plant["reflow.belt_actual_mm_s"] == 0.0
    assert all(full[f"reflow.zones.{n}.duty_pct"] == 0.0 for n in range(8))
    conserved(full)
    full.plant["reflow.jam"] = False
    full.command("reflow", Command.CLEAR)
    full.go(1.0)
    full.command("reflow", Command.RESET)
    full.go(1.0)
    full.command("reflow", Command.START)
    full.go(1000.0)
    assert full.state() in WORKING
    for number in range(first, first + inside):
        result, route = full.results[number]
        assert result == Result.FAILED and route in (Route.REWORK, Route.REMOVAL)
    assert full.results[first][1] == Route.REWORK, "cooled already when it stood"
    conserved(full)


def _burn_out(line: OvenLine) -> None:
    line.plant["reflow.zones.7.burnt_out"] = True


def _break_fan(line: OvenLine) -> None:
    line.plant["reflow.fan_broken"] = True


@pytest.mark.parametrize(("fault", "rule"), [(_burn_out, "zones_well"), (_break_fan, "fans_turn")])
def test_zone_or_fan_failed_oven_is_held_and_runs_out(
    full: OvenLine, fault: Callable[[OvenLine], None], rule: str
) -> None:
    full.start()
    fault(full)
    full.until(lambda: full.state() is State.HELD, 300.0)
    assert [i.condition for i in Reflow.interlocks].index(rule) == int(
        full["reflow.unit.first_out"]
    ) - 2
    assert full["reflow.chain_run"]
    full.go(600.0)
    assert full["reflow.count"] == 0 and full.state() is State.HELD
    judged_rightly(full)
    assert any(result == Result.FAILED for result, _ in full.results.values())
    conserved(full)


def test_heater_dead_from_the_start_oven_is_held_in_time_and_says_which_zone(
    line: OvenLine, begun: Saved
) -> None:
    line.take_up(begun).command("loader", Command.HOLD)
    line.until(lambda: line["reflow.count"] == 0 and line["reflow.leaving.id"] == 0, 600.0)
    line.plant["reflow.zones.4.burnt_out"] = True
    line.plant["reflow.zones.4.temperature_degC"] = 60.0
    line.tags["reflow.warm_within_s"] = 300.0
    line.tags["reflow.released"] = False
    line.go(290.0)
    assert line.state() in WORKING and not line["reflow.warm"]
    line.until(lambda: line.state() is State.HELD, 20.0)
    held_by = Reflow.interlocks[int(line["reflow.unit.first_out"]) - 2].condition
    assert (held_by, line["reflow.off_zone"]) == ("warm_in_time", 5)
    line.plant["reflow.zones.4.burnt_out"] = False
    line.plant["reflow.zones.4.temperature_degC"] = line["reflow.zone_5_degC"]
    line.command("reflow", Command.UNHOLD)
    line.until(lambda: line["reflow.warm"], 200.0)
    assert line.state() in WORKING


def test_welded_relay_the_cut_out_opens_and_the_oven_is_aborted(full: OvenLine) -> None:
    full.start().plant["reflow.zones.7.welded"] = True
    full.until(lambda: full["reflow.cut_out_open"], 900.0)
    full.go(1.0)
    assert full.state() is State.ABORTED
    hot_degC = full.plant["reflow.zones.7.temperature_degC"]
    full.go(60.0)
    assert full.plant["reflow.zones.7.temperature_degC"] < hot_degC < 325.0


def test_board_over_its_parts_ceiling_is_scrap(full: OvenLine) -> None:
    full.tags["reflow.class_now_degC"] = 236.0
    scrapped = full["reflow.scrapped"]
    full.start().go(60.0)
    assert full["reflow.scrapped"] > scrapped
    full.go(60.0)
    assert full.results[max(full.results)] == (Result.FAILED, Route.REMOVAL)


def test_new_settings_wait_until_the_last_board_is_out(few: OvenLine) -> None:
    few.start().tags["reflow.belt_wanted_mm_s"] = 10.0
    few.go(60.0)
    assert few["reflow.belt_now_mm_s"] == 10.33, "boards inside keep theirs"
    inside = few["reflow.count"]
    few.until(lambda: few["reflow.count"] == 0, 600.0)
    assert inside <= 5
    few.until(lambda: few["reflow.count"] > 0, 120.0)
    assert few.plant["reflow.belt_set_mm_s"] == pytest.approx(10.0)


def test_speed_that_the_oven_refuses_lets_no_board_in(few: OvenLine) -> None:
    few.start().tags["reflow.belt_wanted_mm_s"] = 30.0
    few.go(700.0)
    assert few["reflow.recipe_refused"] and few["reflow.count"] == 0
    assert few.plant["reflow.belt_set_mm_s"] == pytest.approx(10.33)


def test_boards_on_the_chain_never_touch(full: OvenLine) -> None:
    full.start()
    for _ in range(40):
        full.go(5.0)
        count = int(full.plant["reflow.count"])
        at_mm = [float(full.plant[f"reflow.passengers.{n}.position_mm"]) for n in range(count)]
        gaps = [a - b - 160.0 for a, b in pairwise(at_mm)]
        assert min(gaps) >= 29.0 and at_mm[0] < CHAIN_MM + 160.0
