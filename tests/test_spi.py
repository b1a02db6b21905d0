"""Paste inspection: what the machine measures against the truth, and what the cell makes of it."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inspection import BLOWS, Inspection, blow_of

from cellrt import Result, Route
from cellrt.packml import Command, State
from cellrt.testing.plugin import Golden, OpenLine
from cells.spi import Spi, Verdict, used_pct
from cells.work import MEASURED, PRINTED

STEPS = ("filling", "judging", "looking", "settling", "deliver", "emptying")
TRUTH = "spi.stage.belt.board"


def measured(line: Inspection) -> Inspection:
    """Run until the board in the SPI, or the next one, has its verdict."""
    line.until(lambda: int(line.read("spi.board.work_done")) & MEASURED == 0)
    return line.until(lambda: int(line.read("spi.board.work_done")) & MEASURED != 0)


def looking(line: Inspection) -> Inspection:
    """Run until the SPI begins a look."""
    return line.until(lambda: line.at("spi", "looking"))


def test_one_board_golden(line: OpenLine, golden: Golden) -> None:
    station = line("lines/inspection_line.toml", sim=True).start()
    trace = station.trace(
        "spi.unit.step", "spi.run", "spi.look_start", "spi.busy", "spi.done", "spi.barcode",
        "spi.board.id", "spi.board.result", "spi.board.work_done", "spi.verdict", "spi.used_up_pct",
    )  # fmt: skip
    station.step(until="spi.emptying", timeout_s=90.0).step(until="spi.empty", timeout_s=20.0)
    golden("spi_one_board", trace)


def test_measures_the_truth_within_its_own_error() -> None:
    line, errors = Inspection(), []
    for _ in range(20):
        measured(line)
        for axis in ("offset_x_um", "offset_y_um"):
            errors.append(float(line.read(f"spi.{axis}")) - float(line.plant[f"{TRUTH}.{axis}"]))
        true_pct = float(line.plant[f"{TRUTH}.volume_pct"])
        assert line.read("spi.volume_pct") == pytest.approx(true_pct, abs=1.2)
        assert float(line.read("spi.least_pct")) < true_pct - 15.0
        assert float(line.read("spi.most_pct")) > true_pct + 15.0
        groups = [float(line.read(f"spi.groups.{n}.volume_pct")) for n in range(8)]
        assert statistics.mean(groups) == pytest.approx(float(line.read("spi.volume_pct")))
    assert 0.6 < statistics.pstdev(errors) < 1.5
    assert {line.journal.boards["rejected"], line.read("spi.fails_in_row")} == {0}


def test_volume_falls_from_print_to_print_until_the_wipe() -> None:
    line, volumes = Inspection(), []
    for _ in range(30):
        measured(line)
        volumes.append(float(line.read("spi.volume_pct")))
    early = statistics.mean(volumes[0:5] + volumes[15:20])
    late = statistics.mean(volumes[10:15] + volumes[25:30])
    assert 1.0 < early - late < 7.0, "some 4 %, with sigma 3 % a board"


@pytest.mark.parametrize(
    ("tag", "value", "verdict"),
    [
        ("volume_pct", 100.0, Verdict.PASS),
        ("volume_pct", 84.0, Verdict.WARN),
        ("volume_pct", 75.0, Verdict.FAIL),
        ("volume_pct", 0.0, Verdict.FAIL),
        ("volume_pct", 160.0, Verdict.FAIL),
        ("offset_x_um", 65.0, Verdict.WARN),
        ("offset_x_um", -85.0, Verdict.FAIL),
        ("offset_y_um", 85.0, Verdict.FAIL),
        ("theta_mdeg", -60.0, Verdict.FAIL),
    ],
)
def test_verdict_follows_what_is_true_of_the_board(
    tag: str, value: float, verdict: Verdict
) -> None:
    line = looking(Inspection())
    settings: dict[str, float] = {"offset_x_um": 0.0, "offset_y_um": 0.0, "volume_pct": 100.0}
    for name, each in (settings | {tag: value}).items():
        line.tamper(**{f"spi__stage__belt__board__{name}": each})
    measured(line)
    assert line.read("spi.verdict") == verdict
    failed = verdict is Verdict.FAIL
    assert line.read("spi.board.result") == (Result.FAILED if failed else Result.GOOD)
    assert line.read("spi.board.route") == Route.LINE, "the reject conveyor takes it off"
    assert line.read("spi.fails_in_row") == failed


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_print_cut_short_is_failed_by_the_printer_and_passes_through(share: float) -> None:
    line = Inspection()
    line.until(lambda: float(line.read("printer.pressure_N")) > 10.0)
    line.until(lambda: float(line.read("printer.stroke_mm")) > share * 300.0)
    blow_of("power", "printer")(line)
    line.until(lambda: line.read("aoi.board.id") == 1)
    truth = "aoi.stage.belt.board"
    assert line.plant[f"{truth}.defective"]
    assert float(line.plant[f"{truth}.volume_pct"]) < 60.0 * share
    assert line.read("aoi.board.result") == Result.FAILED
    assert line.read("aoi.board.work_done") == 0, "neither printed well nor measured"


def test_print_cut_short_that_the_printer_passed_is_seen() -> None:
    line = Inspection()
    line.until(lambda: float(line.read("printer.pressure_N")) > 10.0)
    blow_of("power", "printer")(line)
    line.set(printer__board__result=0, printer__board__work_done=PRINTED, printer__started=False)
    measured(line)
    assert line.read("spi.board.id") == 1 and line.read("spi.verdict") == Verdict.FAIL


def test_three_failures_in_a_row_hold_until_a_person_unholds() -> None:
    line = Inspection().tamper(printer__paste__clogged=True)
    line.until(lambda: line.state("spi") is State.HELD, 200.0)
    assert line.read("spi.fails_in_row") == 3
    assert line.go(20.0).state("spi") is State.HELD, "nobody else takes it up again"
    line.tamper(printer__paste__clogged=False)
    line.command("spi", Command.UNHOLD)
    line.until(lambda: line.read("spi.verdict") == Verdict.PASS, 150.0)
    assert line.state("spi") in (State.EXECUTE, State.SUSPENDED)
    assert line.read("spi.fails_in_row") == 0


def test_held_by_failures_a_reset_begins_a_new_count() -> None:
    line = Inspection().tamper(printer__paste__clogged=True)
    line.until(lambda: line.state("spi") is State.HELD, 200.0)
    line.tamper(printer__paste__clogged=False)
    blow_of("stop", "spi")(line)
    line.until(lambda: line.read("spi.verdict") == Verdict.PASS, 200.0)


@pytest.mark.parametrize("machine", ["printer", "spi"])
def test_board_that_cannot_be_read_goes_out_by_removal_untouched(machine: str) -> None:
    smeared = {f"{machine}__{'stage__' if machine == 'spi' else ''}smeared": True}
    line = Inspection().tamper(**smeared)
    line.until(lambda: line.read("outfeed.board.id") == 1)
    assert line.read("outfeed.board.route") == Route.REMOVAL
    assert line.read("outfeed.board.result") == Result.FAILED
    done = int(line.read("outfeed.board.work_done"))
    assert done == (PRINTED if machine == "spi" else 0)
    line.until(lambda: line.journal.departed["magazine"] == 1)
    assert line.plant["coupler.tally.stored"] == 1 and line.read("magazine.failed") == 1
    assert line.plant["aoi.calls"] == 0, "nobody looked"


def test_another_board_than_announced_is_not_measured() -> None:
    line = Inspection()
    line.until(lambda: line.at("printer", "releasing"))
    line.set(printer__board__id=77).until(lambda: line.read("aoi.board.id") == 77)
    assert line.read("aoi.board.route") == Route.REMOVAL
    assert not int(line.read("aoi.board.work_done")) & MEASURED


def test_recipe_that_the_machine_refuses_brings_no_board_in() -> None:
    line = Inspection()
    line.until(lambda: line.at("spi", "emptying"))
    line.set(spi__stencil_um_wanted=300.0, spi__recipe__version=2).go(60.0)
    assert line.plant["spi.recipe.refused"] and line.read("spi.recipe_refused")
    assert line.read("spi.stencil_um") == 120.0 and line.read("spi.board.id") == 0
    line.set(spi__stencil_um_wanted=150.0)
    measured(line)
    assert line.plant["spi.recipe.version_active"] == 2
    assert 70.0 < float(line.read("spi.volume_pct")) < 90.0, "of a thicker stencil"


def test_recipe_changed_while_a_board_is_measured_counts_from_the_next() -> None:
    line = looking(Inspection()).go(2.0)
    line.set(spi__recipe__version=5).go(3.0)
    assert line.at("spi", "looking") and line.plant["spi.recipe.version_active"] == 1
    measured(line).until(lambda: line.plant["spi.recipe.version_active"] == 5)


def test_look_that_never_ends_aborts_and_is_done_again() -> None:
    line = looking(Inspection()).tamper(spi__stage__hangs=True)
    line.until(lambda: line.state("spi") is State.ABORTED)
    line.tamper(spi__stage__hangs=False)
    blow_of("abort", "spi")(line)
    measured(line)
    assert line.read("spi.verdict") == Verdict.PASS and line.stored()[:1] in ([], [1])


def test_look_without_power_ends_without_a_result() -> None:
    line = looking(Inspection()).go(3.0)
    assert line.plant["spi.stage.busy"]
    line.tamper(safety__panel_estop_pressed=True).go(20.0)
    assert not line.plant["spi.stage.busy"] and not line.plant["spi.stage.done"]
    assert line.plant["spi.stage.left_s"] == 0.0 and line.plant["spi.stage.looked"] == 0


@pytest.mark.parametrize("blow", BLOWS)
@pytest.mark.parametrize("step", STEPS)
def test_interrupted_in_any_step_goes_on_with_the_board_it_has(step: str, blow: str) -> None:
    line = Inspection()
    line.until(lambda: line.journal.departed["magazine"] == 1)
    line.until(lambda: line.at("spi", step))
    board = int(line.read("spi.board.id") or line.read("printer.board.id"))
    blow_of(blow, "spi")(line)
    line.until(lambda: line.journal.departed["magazine"] >= board + 1, 300.0)
    stored, census = line.stored(), line.census()
    assert stored == list(range(1, len(stored) + 1)), "each once, in order"
    assert census["entered"] == census["stored"] + census["in_line"]
    failed = int(line.read("magazine.failed"))
    assert failed <= (blow in ("abort", "power", "kill")), "at most the print that was cut short"


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(0.001, 1e3))
def test_used_up_is_over_100_just_outside_the_limits(
    value: float, low: float, width: float
) -> None:
    high = low + width
    used = used_pct(value, low, high)
    assert (used <= 100.0 + 1e-6) or not low <= value <= high
    assert (used >= 100.0 - 1e-6) or low <= value <= high


def test_limits_that_leave_nothing_between_them_are_unfit() -> None:
    values = {n: f.default for n, f in Spi.fields.items() if f.default is not None}
    assert Spi.unfit(values) is None
    told = Spi.unfit(values | {"height_least_um": 150.0})
    assert told == "height_least_um must be less than height_most_um"
