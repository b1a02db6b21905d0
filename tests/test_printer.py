"""The printer's cell: recipe, corrections, wipes, and dry paste."""

from __future__ import annotations

import statistics

import pytest
from inspection import Inspection, blow_of

from cellrt import Result, Route
from cellrt.packml import State
from cells.printer import Printer


def printed(line: Inspection) -> Inspection:
    """Run until the next board is printed."""
    line.until(lambda: not line.at("printer", "releasing"), 150.0)
    return line.until(lambda: line.at("printer", "releasing"), 150.0)


def prints(line: Inspection, count: int, tag: str) -> list[float]:
    """What is true of so many boards printed next."""
    return [float(printed(line).plant[f"printer.belt.board.{tag}"]) for _ in range(count)]


def test_each_stroke_has_a_correction_of_its_own() -> None:
    line = Inspection().set(printer__front_x_um_wanted=50.0, printer__rear_x_um_wanted=-50.0)
    offsets = prints(line, 6, "offset_x_um")
    assert min(offsets[0::2]) > 25.0 and max(offsets[1::2]) < -25.0


@pytest.mark.parametrize("wanted_pct", [-4.0, 4.0])
def test_volume_is_corrected_through_the_pressure(wanted_pct: float) -> None:
    plain, corrected = Inspection(), Inspection().set(printer__volume_pct_wanted=wanted_pct)
    means = [statistics.mean(prints(line, 3, "volume_pct")) for line in (plain, corrected)]
    assert means[1] - means[0] == pytest.approx(wanted_pct, abs=0.1)
    assert abs(float(corrected.read("printer.pressure_setpoint_N")) - 80.0) <= 15.0


def test_stencil_is_wiped_by_count() -> None:
    line = Inspection().set(printer__wipe_after=3)
    prints(line, 6, "id")
    assert line.plant["printer.wipes"] == 1
    line.until(lambda: line.plant["printer.wipes"] == 2)
    assert line.plant["printer.prints_since_wipe"] == 0


def test_wipe_asked_for_is_given_once() -> None:
    line = Inspection()
    prints(line, 2, "id")
    line.set(printer__wipes_asked=1)
    prints(line, 4, "id")
    assert line.plant["printer.wipes"] == 1
    assert line.plant["printer.prints_since_wipe"] == 4


def test_wipe_interrupted_is_done_again() -> None:
    line = Inspection()
    prints(line, 1, "id")
    line.set(printer__wipes_asked=1).until(lambda: bool(line.plant["printer.wiping"]))
    blow_of("power", "printer")(line.go(10.0))
    assert line.plant["printer.wipes"] == 0
    line.until(lambda: line.plant["printer.wipes"] == 1)


@pytest.mark.parametrize(("pause_s", "wasted"), [(300.0, 0), (700.0, 0), (2000.0, 1)])
def test_after_a_pause_the_paste_is_kneaded_and_the_first_print_wasted(
    pause_s: float, wasted: int
) -> None:
    line = Inspection()
    line.tamper(printer__paste__pause_s=pause_s, printer__paste__dry_pct=min(15.0, pause_s / 120.0))
    line.until(lambda: line.at("printer", "filling"))
    kneaded = pause_s >= 600.0
    assert (float(line.plant["printer.paste.pause_s"]) < 60.0) == kneaded
    line.until(lambda: line.read("spi.board.id") == 1)
    assert line.read("spi.board.result") == (Result.FAILED if wasted else Result.GOOD)
    assert line.read("spi.board.route") == Route.LINE
    line.until(lambda: line.read("spi.board.id") == 2)
    assert line.read("spi.board.result") != Result.FAILED


def test_low_paste_with_a_wipe_due_is_waited_for_and_taken_up_again() -> None:
    line = Inspection().set(printer__wipe_after=1).tamper(printer__paste_pct=15.1)
    line.until(lambda: line.state("printer") is State.HELD)
    line.until(lambda: line.state("printer") is State.EXECUTE)
    printed(line)


def asked(line: Inspection) -> list[int]:
    """What the printer asked for, in turn."""
    told = line.journal.entries(10**6, "printer")
    return [e["to"] for e in told if e["event"] == "Changed" and e["tag"] == "printer.supply.asked"]


def held(line: Inspection) -> bool:
    """Whether the printer was ever held."""
    told = line.journal.entries(10**6, "printer")
    return any(e["event"] == "State" and e["to"] == "Held" for e in told)


@pytest.mark.parametrize(
    "tag", [{"printer__paste_pct": 39.0}, {"printer__paste__age_s": 28_000.0}], ids=["low", "old"]
)
def test_paste_asked_for_in_time_comes_and_no_board_waits_for_it(tag: dict[str, float]) -> None:
    line = Inspection().tamper(**tag).go(400.0)
    assert asked(line) == [305, 0] and line.plant["printer.supply.brought"] == 1
    assert not line.read("printer.supply.supplied") and not held(line)
    assert float(line.plant["printer.paste.age_s"]) < 400.0


@pytest.mark.parametrize(
    ("tag", "rule"),
    [
        ({"printer__paste_pct": 15.1}, "paste_enough"),
        ({"printer__paste__age_s": 28_800.0}, "paste_alive"),
        ({"printer__paste__number": 301}, "paste_right"),
    ],
    ids=["low", "past_life", "another"],
)
def test_no_fresh_paste_comes_the_printer_is_held_and_goes_on_with_it(
    tag: dict[str, float], rule: str
) -> None:
    """Paste past its life, or of another kind, prints nothing."""
    line = Inspection().tamper(printer__supply__none_left=True)
    line.until(lambda: line.at("printer", "clamping")).tamper(**tag)
    line.until(lambda: line.state("printer") is State.HELD)
    line.go(300.0)
    assert line.first_out("printer") == rule and line.state("printer") is State.HELD
    prints = int(line.plant["printer.prints_since_wipe"])
    assert prints == (rule == "paste_enough")
    line.tamper(printer__supply__none_left=False)
    line.until(lambda: line.state("printer") is State.EXECUTE)
    line.until(lambda: line.journal.departed["printer"] >= 3, 200.0)
    left = [e for e in line.journal.entries(10**6, "printer") if e["event"] == "BoardOut"]
    assert all(e["result"] == "Good" for e in left)
    assert line.plant["printer.supply.brought"] == 1


def test_wrong_paste_brought_is_refused_and_asked_for_anew() -> None:
    line = Inspection().tamper(printer__supply__mistaken=301, printer__paste_pct=30.0)
    line.until(lambda: line.plant["printer.paste.number"] == 301, 200.0)
    line.until(lambda: line.state("printer") is State.HELD)
    assert line.first_out("printer") == "paste_right"
    printed_before = line.plant["printer.prints_since_wipe"]
    line.until(lambda: line.plant["printer.paste.number"] == 305, 200.0)
    assert line.plant["printer.prints_since_wipe"] == printed_before
    assert asked(line)[:3] == [305, 0, 305] and line.plant["printer.supply.brought"] == 2
    printed(line)


def test_life_that_is_shorter_than_its_warning_is_unfit() -> None:
    lives = {"paste_life_s": 900.0, "paste_ahead_s": 900.0}
    assert "paste_ahead_s 900 is not under paste_life_s 900" in str(Printer.unfit(lives))
    assert Printer.unfit(lives | {"paste_ahead_s": 899.0}) is None


def test_recipe_of_another_version_brings_no_board_in() -> None:
    line = Inspection().set(printer__recipe__version=0).go(60.0)
    assert line.read("printer.board.id") == 0
    line.set(printer__recipe__version=2, printer__pressure_N_wanted=90.0)
    printed(line)
    assert line.plant["printer.recipe.version_active"] == 2
    assert line.plant["printer.pressure_set_N"] == 90.0


def test_failed_board_passes_through_unprinted() -> None:
    line = Inspection().set(printer__recipe__version=0)
    line.until(lambda: line.at("infeed", "full"))
    line.set(infeed__board__result=int(Result.FAILED)).go(1.0).set(printer__recipe__version=1)
    line.until(lambda: line.read("spi.board.id") == 1)
    assert line.read("spi.board.result") == Result.FAILED
    assert line.plant["spi.stage.belt.board.prints"] == 0
    line.until(lambda: line.journal.departed["magazine"] == 1)
    assert line.plant["spi.stage.looked"] != 1 and line.plant["aoi.stage.looked"] != 1
