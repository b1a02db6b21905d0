"""The printer: what it prints, what it refuses, and the truth about a board beside the report."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from sim_bench import Bench

from cellrt.chance import normal
from cellrt.tags import Scalar
from hw_sim.paste import LIFE_S, PASTE
from hw_sim.printer import LOW_PCT
from hw_sim.stock import COMES_S, MORE_S


def at_stop(seed: int = 1) -> Bench:
    """A plant with a bare board at the printer's stop."""
    bench = Bench(seed)
    bench.load()
    bench.to_printer()
    return bench


def print_one(bench: Bench) -> tuple[float, float]:
    """Print one more board and pass it on; its true offsets."""
    bench.load()
    bench.to_printer()
    bench.print_board()
    offset = tuple(float(bench.read(f"printer.belt.board.offset_{a}_um")) for a in "xy")
    bench.to_outfeed()
    bench.to_magazine()
    bench.index()
    return offset[0], offset[1]


def start(bench: Bench, **settings: Scalar) -> None:
    bench.set({f"printer.{name}": value for name, value in settings.items()})
    bench.set({"printer.print_start": True})
    bench.run(0.1)


def test_clamped_board_is_printed_in_14_to_16_s() -> None:
    bench = at_stop()
    assert 14.0 <= bench.print_board() <= 16.0
    assert bench.read("printer.belt.board.prints") == 1
    assert not bench.read("printer.fault")


@pytest.mark.parametrize(
    ("clamped", "settings"),
    [
        (False, {}),
        (True, {"pressure_setpoint_N": 5.0}),
        (True, {"stroke_speed_mm_s": 0.0}),
        (True, {"stroke_speed_mm_s": 300.0}),
    ],
)
def test_start_that_cannot_be_is_a_fault_until_it_is_taken_back(
    clamped: bool, settings: Mapping[str, Scalar]
) -> None:
    bench = at_stop()
    if clamped:
        bench.clamp()
    start(bench, **settings)
    assert bench.read("printer.fault")
    assert not bench.read("printer.printing")
    bench.run(20.0)
    assert bench.read("printer.belt.board.prints") == 0
    bench.set({"printer.print_start": False})
    bench.step()
    assert not bench.read("printer.fault")


def test_clamped_without_a_board_start_is_a_fault() -> None:
    bench = Bench()
    bench.clamp()
    start(bench)
    assert bench.read("printer.fault")
    assert bench.read("printer.barcode") == 0


def test_clamp_closing_start_is_refused_until_it_is_closed() -> None:
    bench = at_stop()
    bench.set({"printer.clamp": True})
    bench.step()
    start(bench)
    assert bench.read("printer.fault")


def test_start_held_on_prints_once() -> None:
    bench = at_stop()
    bench.clamp()
    start(bench)
    bench.run(60.0)
    assert bench.read("printer.belt.board.prints") == 1
    assert bench.read("printer.print_done")


def test_start_dropped_early_print_goes_through() -> None:
    bench = at_stop()
    bench.clamp()
    start(bench)
    bench.set({"printer.print_start": False})
    bench.until("printer.print_done")


@pytest.mark.parametrize(
    ("after_s", "defective"), [(2.0, False), (8.0, True), (13.0, True)], ids=str
)
@pytest.mark.parametrize("cause", ["clamp", "power", "heartbeat"])
def test_print_cut_short_is_scrap_once_the_stroke_has_begun(
    cause: str, after_s: float, defective: bool
) -> None:
    bench = at_stop()
    bench.clamp()
    start(bench)
    bench.run(after_s)
    if cause == "clamp":
        bench.set({"printer.clamp": False})
    elif cause == "power":
        bench.set({"safety.panel_estop_pressed": True})
    else:
        bench.beating.discard("printer")
    bench.run(1.0)
    assert not bench.read("printer.printing")
    assert not bench.read("printer.print_done")
    assert bench.read("printer.fault")
    assert bench.read("printer.belt.board.defective") == defective


def test_board_printed_twice_is_scrap() -> None:
    bench = at_stop()
    bench.print_board()
    assert not bench.read("printer.belt.board.defective")
    bench.print_board()
    assert bench.read("printer.belt.board.prints") == 2
    assert bench.read("printer.belt.board.defective")


def test_settings_changed_during_a_print_count_for_the_next() -> None:
    bench = at_stop()
    bench.clamp()
    start(bench, correction_x_um=0.0)
    bench.set({"printer.stroke_speed_mm_s": 0.0, "printer.correction_x_um": 150.0})
    bench.until("printer.print_done")
    assert abs(float(bench.read("printer.offset_x_um"))) < 50.0


def test_correction_moves_the_print() -> None:
    plain, corrected = at_stop(), at_stop()
    corrected.set({"printer.correction_x_um": 40.0, "printer.correction_y_um": -25.0})
    for bench in (plain, corrected):
        bench.print_board()
    for axis, by_um in (("x", 40.0), ("y", -25.0)):
        moved = [float(b.read(f"printer.offset_{axis}_um")) for b in (plain, corrected)]
        assert moved[1] - moved[0] == pytest.approx(by_um)


def test_same_seed_prints_alike_and_another_seed_otherwise() -> None:
    one, same, other = (print_one(Bench(seed)) for seed in (7, 7, 8))
    assert one == same != other


def test_what_a_board_gets_does_not_depend_on_the_boards_before() -> None:
    """Board 2 is the second print of one plant and the first of the other."""
    bench, skipped = at_stop(), at_stop()
    bench.print_board()
    first = float(bench.read("printer.offset_x_um"))
    for each in (bench, skipped):
        each.to_outfeed()
        each.to_magazine()
        each.index()
    for each in (bench, skipped):
        each.load()
        each.to_printer()
        each.print_board()
    seconds = [b.read("printer.offset_x_um") for b in (bench, skipped)]
    assert seconds[0] == seconds[1] != first


def test_warm_frame_prints_off_and_the_encoders_do_not_see_it() -> None:
    bench = at_stop()
    bench.write("printer.temperature_degC", 30.0)
    bench.print_board()
    told = float(bench.read("printer.offset_x_um"))
    assert float(bench.read("printer.belt.board.offset_x_um")) - told > 18.0


def test_front_and_rear_stroke_are_6_um_apart() -> None:
    bench = Bench()
    offsets = [print_one(bench)[1] for _ in range(2)]
    draws = [5.0 * normal(int(bench.read("printer.seed")), 0, board, 3) for board in (1, 2)]
    bias = [o - d for o, d in zip(offsets, draws, strict=True)]
    assert bias == pytest.approx([3.0, -3.0])


def test_pressure_and_stroke_show_the_squeegee_at_work() -> None:
    bench = at_stop()
    bench.clamp()
    start(bench, pressure_setpoint_N=90.0, stroke_speed_mm_s=50.0)
    bench.until(lambda: float(bench.read("printer.stroke_mm")) > 100.0)
    assert bench.read("printer.pressure_N") == pytest.approx(90.0, abs=0.1)
    bench.until("printer.print_done")
    bench.run(5.0)
    assert bench.read("printer.pressure_N") == 0.0
    assert bench.read("printer.stroke_mm") == 300.0


def test_wipe_takes_25_s_and_clears_the_count() -> None:
    bench = Bench()
    print_one(bench)
    assert bench.read("printer.prints_since_wipe") == 1
    bench.set({"printer.wipe_start": True})
    bench.step()
    assert bench.until(lambda: not bench.read("printer.wiping")) == pytest.approx(25.0, abs=0.05)
    assert bench.read("printer.prints_since_wipe") == 0


def test_wipe_cut_short_counts_for_nothing() -> None:
    bench = Bench()
    print_one(bench)
    bench.set({"printer.wipe_start": True})
    bench.run(10.0)
    bench.set({"safety.panel_guard_open": True})
    bench.run(30.0)
    assert not bench.read("printer.wiping")
    assert bench.read("printer.prints_since_wipe") == 1


def test_start_during_a_wipe_is_refused() -> None:
    bench = at_stop()
    bench.clamp()
    bench.set({"printer.wipe_start": True})
    bench.run(1.0)
    start(bench)
    assert bench.read("printer.fault")


def test_paste_runs_low_and_nobody_brings_any_unasked() -> None:
    bench = at_stop()
    bench.write("printer.paste_pct", LOW_PCT)
    bench.step()
    assert not bench.read("printer.paste_low")
    bench.print_board()
    assert bench.read("printer.paste_low")
    bench.run(COMES_S + MORE_S)
    assert bench.read("printer.paste_low")


def test_paste_asked_for_comes_once_and_fresh_and_the_answer_stands() -> None:
    bench = Bench()
    bench.write("printer.paste_pct", 10.0)
    bench.write("printer.paste.age_s", 10_000.0)
    bench.set({"printer.supply.asked": 306})
    took_s = bench.until("printer.supply.supplied", COMES_S + MORE_S)
    assert took_s >= COMES_S
    assert bench.read("printer.paste_pct") == 100.0 and bench.read("printer.paste.number") == 306
    assert float(bench.read("printer.paste.age_s")) < 0.1
    bench.run(COMES_S + MORE_S)
    assert bench.read("printer.supply.brought") == 1 and bench.read("printer.supply.supplied")
    bench.set({"printer.supply.asked": 0})
    bench.step()
    assert not bench.read("printer.supply.supplied")


def test_paste_asked_for_is_not_put_on_during_a_print() -> None:
    bench = at_stop()
    bench.clamp()
    start(bench)
    bench.set({"printer.supply.asked": PASTE})
    bench.write("printer.supply.asked_s", COMES_S + MORE_S)
    bench.run(10.0)
    assert bench.read("printer.printing") and bench.read("printer.supply.brought") == 0
    bench.until("printer.print_done")
    bench.step()
    assert bench.read("printer.supply.brought") == 1


def test_request_taken_back_is_forgotten() -> None:
    bench = Bench()
    bench.set({"printer.supply.asked": PASTE})
    bench.run(COMES_S - 1.0)
    bench.set({"printer.supply.asked": 0})
    bench.step()
    bench.set({"printer.supply.asked": PASTE})
    bench.run(COMES_S - 1.0)
    assert bench.read("printer.supply.brought") == 0


@pytest.mark.parametrize("older_s", [-60.0, 60.0])
def test_paste_past_its_life_does_not_solder(older_s: float) -> None:
    bench = at_stop()
    bench.write("printer.paste.age_s", LIFE_S + older_s)
    bench.print_board()
    assert bench.read("printer.belt.board.defective") == (older_s > 0)


def volumes(bench: Bench, count: int) -> list[float]:
    """True volume of so many boards more, without their chance."""
    found = []
    for _ in range(count):
        bench.load()
        bench.to_printer()
        bench.print_board()
        board, seed = int(bench.read("printer.barcode")), int(bench.read("printer.seed"))
        volume = float(bench.read("printer.belt.board.volume_pct"))
        found.append(volume - 3.0 * normal(seed, 0, board, 5))
        bench.to_outfeed()
        bench.to_magazine()
        bench.index()
    return found


def test_each_print_leaves_less_paste_until_the_stencil_is_wiped() -> None:
    bench = Bench()
    before = volumes(bench, 4)
    assert before == pytest.approx([100.0, 99.6, 99.2, 98.8], abs=0.5)
    bench.set({"printer.wipe_start": True})
    bench.step()
    bench.until(lambda: not bench.read("printer.wiping"))
    assert bench.read("printer.wipes") == 1
    assert volumes(bench, 1)[0] == pytest.approx(100.0, abs=0.7)


def test_paste_dries_by_15_pct_in_half_an_hour_and_no_further() -> None:
    bench = Bench()
    bench.run(60.0)
    assert float(bench.read("printer.paste.dry_pct")) == pytest.approx(0.5, abs=0.01)
    assert float(bench.read("printer.paste.pause_s")) == pytest.approx(60.0, abs=0.1)
    bench.write("printer.paste.dry_pct", 14.9)
    bench.run(30.0)
    assert bench.read("printer.paste.dry_pct") == 15.0


def test_dry_paste_leaves_less_and_the_next_print_mends_it() -> None:
    bench = Bench()
    bench.write("printer.paste.dry_pct", 15.0)
    assert volumes(bench, 2) == pytest.approx([85.0, 99.6], abs=0.3)


def test_kneading_mends_two_thirds_of_the_dryness() -> None:
    bench = Bench()
    bench.write("printer.paste.dry_pct", 15.0)
    bench.set({"printer.knead_start": True})
    bench.step()
    assert bench.until(lambda: not bench.read("printer.kneading")) == pytest.approx(12.0, abs=0.05)
    assert float(bench.read("printer.paste.pause_s")) < 1.0
    assert volumes(bench, 1)[0] == pytest.approx(95.0, abs=0.3)


def test_kneading_cut_short_counts_for_nothing() -> None:
    bench = Bench()
    bench.write("printer.paste.dry_pct", 15.0)
    bench.set({"printer.knead_start": True})
    bench.run(5.0)
    bench.set({"safety.panel_guard_open": True})
    bench.run(8.0)
    assert not bench.read("printer.kneading")
    assert bench.read("printer.paste.dry_pct") == 15.0


@pytest.mark.parametrize("under_way", ["knead_start", "wipe_start"])
def test_start_while_the_stencil_is_not_free_is_refused(under_way: str) -> None:
    bench = at_stop()
    bench.clamp()
    bench.set({f"printer.{under_way}": True})
    bench.run(1.0)
    start(bench)
    assert bench.read("printer.fault")


def test_harder_squeegee_leaves_less_paste() -> None:
    bench = Bench()
    bench.set({"printer.pressure_setpoint_N": 90.0})
    assert volumes(bench, 1)[0] == pytest.approx(97.0, abs=0.3)


def test_clogged_apertures_leave_little_until_the_wipe() -> None:
    bench = Bench()
    bench.write("printer.paste.clogged", True)
    assert volumes(bench, 1)[0] < 72.0
    bench.set({"printer.wipe_start": True})
    bench.step()
    bench.until(lambda: not bench.read("printer.wiping"))
    assert volumes(bench, 1)[0] > 98.0


def test_printed_twice_has_too_much_paste_and_cut_short_too_little() -> None:
    twice = at_stop()
    twice.print_board()
    twice.print_board()
    assert float(twice.read("printer.belt.board.volume_pct")) > 140.0
    short = at_stop()
    short.clamp()
    start(short)
    short.until(lambda: float(short.read("printer.stroke_mm")) > 150.0)
    short.set({"printer.clamp": False})
    short.run(0.1)
    assert 15.0 < float(short.read("printer.belt.board.volume_pct")) < 35.0


def test_board_knows_when_it_was_printed() -> None:
    bench = at_stop()
    took_s = bench.print_board()
    age_s = (bench.now_ns - int(bench.read("printer.belt.board.printed_ns"))) * 1e-9
    assert 0.0 < age_s < took_s
    assert 0.0 < abs(float(bench.read("printer.belt.board.theta_mdeg"))) < 15.0


def test_settings_of_a_recipe_are_taken_over_or_refused_as_a_whole() -> None:
    bench = Bench()
    bench.set({"printer.recipe.number": 7, "printer.recipe.version": 3})
    bench.set({"printer.pressure_setpoint_N": 70.0})
    bench.step()
    assert bench.read("printer.recipe.active") == 7 and bench.read("printer.pressure_set_N") == 70.0
    bench.set({"printer.recipe.version": 4, "printer.pressure_setpoint_N": 5.0})
    bench.step()
    assert bench.read("printer.recipe.refused")
    assert bench.read("printer.recipe.version_active") == 3
    assert bench.read("printer.pressure_set_N") == 70.0


def test_recipe_sent_during_a_print_is_taken_over_after_it() -> None:
    bench = at_stop()
    bench.clamp()
    start(bench)
    bench.set({"printer.recipe.number": 7, "printer.recipe.version": 3})
    bench.run(1.0)
    assert bench.read("printer.recipe.active") == 0
    bench.until("printer.print_done")
    bench.step()
    assert bench.read("printer.recipe.active") == 7


def test_smeared_barcode_is_not_read_and_the_board_can_still_be_printed() -> None:
    bench = at_stop()
    bench.write("printer.smeared", True)
    bench.step()
    assert bench.read("printer.barcode") == 0
    bench.print_board()
    assert bench.read("printer.belt.board.prints") == 1
