"""Optical inspection: the plant's defects, false calls and escapes, and what the cell makes of them."""

from __future__ import annotations

import pytest
from inspection import BLOWS, Inspection, blow_of

from cellrt import Result, Route
from cellrt.packml import Command, State
from cellrt.testing.plugin import Golden, OpenLine
from cells.work import VIEWED

STEPS = (
    "filling", "judging", "looking", "settling", "looking_again", "deciding", "deliver", "emptying",
)  # fmt: skip
TRUTH = "aoi.stage.belt.board"
PERFECT = {"aoi__defect_ppm": 0.0, "aoi__false_ppm": 0.0}
FALSE_ALARMS = {"aoi__defect_ppm": 0.0, "aoi__false_ppm": 20_000.0, "aoi__cleared": 1.0}
"""Every board is called, and cleared by the second look."""


def viewed(line: Inspection) -> Inspection:
    """Run until the board in the AOI, or the next one, has its verdict."""
    line.until(lambda: int(line.read("aoi.board.work_done")) & VIEWED == 0)
    return line.until(lambda: int(line.read("aoi.board.work_done")) & VIEWED != 0)


def looking(line: Inspection) -> Inspection:
    """Run until the AOI begins a look."""
    return line.until(lambda: line.at("aoi", "looking"), 150.0)


def calm(line: Inspection) -> Inspection:
    """Let no number of calls be a storm."""
    return line.set(aoi__storm_ppm=1e6)


def test_one_board_golden(line: OpenLine, golden: Golden) -> None:
    """Nothing was placed and soldered: every part is called by both looks."""
    station = line("lines/inspection_line.toml", sim=True).start()
    trace = station.trace(
        "aoi.unit.step", "aoi.run", "aoi.look_start", "aoi.again", "aoi.busy", "aoi.done",
        "aoi.looks", "aoi.calls", "aoi.board.id", "aoi.board.result", "aoi.board.route",
        "aoi.board.work_done",
    )  # fmt: skip
    station.step(until="aoi.emptying", timeout_s=120.0).step(until="aoi.empty", timeout_s=20.0)
    golden("aoi_one_board", trace)


def test_well_board_is_good_after_one_look_of_12_to_14_s() -> None:
    line = looking(Inspection().tamper(**PERFECT))
    began_ns = line.now_ns
    line.until(lambda: not line.at("aoi", "looking"))
    assert 12.0 <= (line.now_ns - began_ns) * 1e-9 <= 14.3
    viewed(line)
    assert line.read("aoi.board.result") == Result.GOOD and line.read("aoi.looks") == 1
    assert line.read("aoi.called") == line.plant[f"{TRUTH}.defects"] == 0


@pytest.mark.parametrize(
    ("truth", "calls"),
    [
        ({"missing": 2, "placed": 298}, {"missing": 2}),
        ({"placed": 295}, {"missing": 5}),
        ({"shifted": 3}, {"shifted": 3}),
        ({"missing": 1, "shifted": 1}, {"missing": 1, "shifted": 1}),
        ({"prints": 0}, {"solder": 300}),
        ({"peak_degC": 210.0}, {"solder": 300}),
    ],
)
def test_what_is_truly_wrong_is_called_and_goes_to_rework(
    truth: dict[str, float], calls: dict[str, int]
) -> None:
    line = calm(looking(Inspection().tamper(**PERFECT, aoi__escapes=0.0)))
    line.tamper(**{f"aoi__stage__belt__board__{tag}": value for tag, value in truth.items()})
    viewed(line)
    told = {kind: line.read(f"aoi.calls_{kind}") for kind in ("missing", "shifted", "solder")}
    assert told == {"missing": 0, "shifted": 0, "solder": 0} | calls
    assert line.plant[f"{TRUTH}.defects"] == line.read("aoi.calls") == sum(calls.values())
    assert line.read("aoi.board.result") == Result.FAILED and line.read("aoi.looks") == 2
    assert line.read("aoi.board.route") == Route.REWORK


@pytest.mark.parametrize(
    "truth",
    [
        {"volume_pct": 60.0},
        {"offset_x_um": 250.0},
        {"peak_degC": 225.0},
        {"peak_degC": 258.0},
        {"liquid_s": 30.0},
        {"defective": True},
    ],
    ids=lambda truth: next(iter(truth)),
)
def test_board_made_badly_has_more_bad_joints(truth: dict[str, float]) -> None:
    line = looking(calm(Inspection().tamper(**PERFECT).set(aoi__parts_wanted=2000)))
    settings = {"placed": 2000, **truth}
    line.tamper(**{f"aoi__stage__belt__board__{tag}": value for tag, value in settings.items()})
    viewed(line)
    assert 0 < int(line.plant[f"{TRUTH}.defects"]) < 200


def test_false_calls_are_cleared_by_the_second_look() -> None:
    line = calm(Inspection().tamper(**FALSE_ALARMS))
    for n in range(1, 4):
        viewed(line)
        assert line.read("aoi.board.result") == Result.GOOD and line.read("aoi.looks") == 2
        assert line.read("aoi.called") == line.read("aoi.cleared") == n


def test_false_calls_that_stay_go_to_rework() -> None:
    line = calm(viewed(Inspection().tamper(**(FALSE_ALARMS | {"aoi__cleared": 0.0}))))
    assert line.read("aoi.board.route") == Route.REWORK
    assert line.plant[f"{TRUTH}.defects"] == 0 < int(line.read("aoi.calls"))


def test_defects_that_escape_are_passed_and_the_plant_knows() -> None:
    line = looking(Inspection().tamper(**PERFECT, aoi__escapes=1.0))
    viewed(line.tamper(aoi__stage__belt__board__shifted=4))
    assert line.read("aoi.board.result") == Result.GOOD
    assert line.plant[f"{TRUTH}.defects"] == 4


def test_same_board_looked_at_again_gives_the_same_calls() -> None:
    line = calm(Inspection().tamper(aoi__false_ppm=20_000.0, aoi__defect_ppm=20_000.0))
    line.until(lambda: line.at("aoi", "settling"))
    first = int(line.plant["aoi.calls"])
    blow_of("abort", "aoi")(line)
    looking(line).until(lambda: line.at("aoi", "settling"))
    assert line.plant["aoi.looks"] == 1 and line.plant["aoi.calls"] == first > 0


def test_boards_of_a_long_run_are_called_and_reworked_as_often_as_the_rates_say() -> None:
    line = Inspection()
    line.until(lambda: line.journal.departed["magazine"] >= 150, 4000.0)
    called, cleared = int(line.read("aoi.called")), int(line.read("aoi.cleared"))
    assert 14 <= called <= 43, "18 % of 150 boards, within 3 sigma"
    assert 2 <= called - cleared <= 18, "6 % of 150 boards, within 3 sigma"
    assert line.read("magazine.failed") in range(called - cleared - 1, called - cleared + 1)
    assert float(line.read("aoi.calls_ppm")) < 3000.0
    assert (line.now_ns * 1e-9) / 150 < 22.0, "takt"


def test_storm_of_calls_holds_and_passes_nothing_by_default() -> None:
    line = Inspection().tamper(**PERFECT)
    line.until(lambda: line.journal.departed["magazine"] >= 2)
    line.tamper(aoi__glare=True)
    line.until(lambda: line.state("aoi") is State.HELD, 300.0)
    assert float(line.read("aoi.calls_ppm")) > 5000.0
    through = line.journal.departed["magazine"]
    assert through <= 7, "five boards' calls are enough"
    line.go(120.0)
    assert line.state("aoi") is State.HELD, "nobody else takes it up again"
    assert line.journal.departed["magazine"] <= through + 2

    line.tamper(aoi__glare=False)
    line.command("aoi", Command.UNHOLD)
    line.until(lambda: line.journal.departed["magazine"] >= through + 4, 200.0)
    assert line.state("aoi") is not State.HELD
    assert int(line.read("magazine.failed")) >= 4, "all that the lamp dazzled"


def test_one_board_full_of_defects_is_no_storm() -> None:
    line = looking(Inspection().tamper(**PERFECT))
    viewed(line.tamper(aoi__stage__belt__board__peak_degC=20.0))
    assert int(line.read("aoi.calls")) > 280 and line.read("aoi.board.route") == Route.REWORK
    line.until(lambda: line.journal.departed["magazine"] >= 3, 200.0)
    assert line.state("aoi") in (State.EXECUTE, State.SUSPENDED)


def test_board_that_failed_before_passes_through_without_a_look() -> None:
    line = Inspection()
    line.until(lambda: line.at("spi", "looking"))
    line.tamper(spi__stage__belt__board__volume_pct=50.0)
    line.until(lambda: line.read("aoi.board.id") == 1)
    line.until(lambda: line.read("outfeed.board.id") == 1)
    assert line.read("outfeed.board.result") == Result.FAILED
    assert not int(line.read("outfeed.board.work_done")) & VIEWED
    assert line.read("outfeed.board.route") == Route.LINE


def test_board_that_cannot_be_read_is_not_looked_at() -> None:
    line = Inspection().tamper(aoi__stage__smeared=True)
    line.until(lambda: line.read("outfeed.board.id") == 1)
    assert line.read("outfeed.board.route") == Route.REMOVAL and line.plant["aoi.looks"] == 0


def test_program_that_the_machine_has_not_got_brings_no_board_in() -> None:
    line = Inspection()
    line.set(aoi__recipe__version=0).go(90.0)
    assert line.read("aoi.board.id") == 0 and line.read("spi.board.id") == 1
    line.set(aoi__recipe__version=7, aoi__parts_wanted=250)
    viewed(line)
    assert line.plant["aoi.parts"] == 250 and line.plant["aoi.recipe.version_active"] == 7


@pytest.mark.parametrize("blow", BLOWS)
@pytest.mark.parametrize("step", STEPS)
def test_interrupted_in_any_step_goes_on_with_the_board_it_has(step: str, blow: str) -> None:
    line = calm(Inspection().tamper(**FALSE_ALARMS))
    line.until(lambda: line.journal.departed["magazine"] == 1, 150.0)
    line.until(lambda: line.at("aoi", step))
    board = int(line.read("aoi.board.id") or line.read("spi.board.id"))
    blow_of(blow, "aoi")(line)
    line.until(lambda: line.journal.departed["magazine"] >= board + 1, 300.0)
    stored, census = line.stored(), line.census()
    assert stored == list(range(1, len(stored) + 1)), "each once, in order"
    assert census["entered"] == census["stored"] + census["in_line"]
    failed = int(line.read("magazine.failed"))
    assert failed <= (blow in ("abort", "power", "kill")), "at most the print that was cut short"
