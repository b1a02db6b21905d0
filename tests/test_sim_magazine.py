"""The magazine: slots, the lift, exchange, and what an interruption leaves."""

from __future__ import annotations

import pytest
from sim_bench import Bench

from hw_sim.coupler import EXCHANGE_S, INDEX_S, SLOTS
from hw_sim.plant import census


def loaded() -> Bench:
    """A plant with a board in the magazine's slot."""
    bench = Bench()
    bench.load()
    bench.to_printer()
    bench.to_outfeed()
    bench.to_magazine()
    return bench


def edge(bench: Bench, command: str) -> None:
    bench.set({f"coupler.{command}": True})
    bench.step()
    bench.set({f"coupler.{command}": False})
    bench.step()


def test_loaded_sees_the_board_in_the_slot_and_not_at_the_entry() -> None:
    bench = loaded()
    assert bench.read("coupler.magazine_loaded")
    assert not bench.read("coupler.magazine_entry")
    assert not bench.read("coupler.outfeed_exit")


def test_index_moves_for_4_s_and_stores_the_board() -> None:
    bench = loaded()
    edge(bench, "magazine_index")
    assert not bench.read("coupler.magazine_in_position")
    assert not bench.read("coupler.magazine_loaded")
    assert census(bench.image)["stored"] == 1
    assert bench.until("coupler.magazine_in_position") == pytest.approx(INDEX_S, abs=0.05)


def test_index_held_moves_one_slot() -> None:
    bench = loaded()
    bench.set(magazine_index=True)
    bench.run(20.0)
    assert bench.read("coupler.lift.used") == 1


def test_index_from_an_empty_slot_stores_nothing() -> None:
    bench = Bench()
    bench.index()
    assert bench.read("coupler.lift.used") == 1
    assert census(bench.image)["stored"] == 0


def test_last_slot_used_is_full_and_takes_no_board() -> None:
    bench = loaded()
    bench.write("coupler.lift.used", SLOTS - 1)
    bench.index()
    assert bench.read("coupler.magazine_full")
    bench.index()
    assert bench.read("coupler.lift.used") == SLOTS

    bench.load()
    bench.to_printer()
    bench.to_outfeed()
    bench.set(outfeed_run=True, magazine_run=True)
    bench.run(10.0)
    assert bench.read("coupler.outfeed_exit")
    assert not bench.read("coupler.magazine_loaded")


def test_exchange_brings_an_empty_magazine_in_8_s() -> None:
    bench = loaded()
    bench.write("coupler.lift.used", SLOTS - 1)
    bench.index()
    edge(bench, "magazine_exchange")
    assert not bench.read("coupler.magazine_in_position")
    assert bench.read("coupler.magazine_full")
    took_s = bench.until("coupler.magazine_in_position")
    assert took_s == pytest.approx(EXCHANGE_S, abs=0.05)
    assert not bench.read("coupler.magazine_full")
    assert census(bench.image)["magazines_out"] == 1


def test_exchange_with_a_board_in_the_slot_takes_it_along() -> None:
    bench = loaded()
    edge(bench, "magazine_exchange")
    assert bench.counted() == {"entered": 1, "stored": 1}


@pytest.mark.parametrize("across_mm", [0.5, 30.0, 100.0, 130.0])
def test_board_across_the_entry_lift_stays(across_mm: float) -> None:
    bench = Bench()
    bench.load()
    bench.to_printer()
    bench.to_outfeed()
    bench.set(outfeed_run=True, magazine_run=True)
    bench.until(lambda: reached_mm(bench) >= across_mm)
    for command in ("magazine_index", "magazine_exchange"):
        edge(bench, command)
        assert bench.read("coupler.magazine_in_position")
        bench.set(outfeed_run=False, magazine_run=False)
        bench.run(0.3)
    assert bench.counted() == {"entered": 1, "in_line": 1}


def reached_mm(bench: Bench) -> float:
    """How far a board reaches into the magazine."""
    into = (bench.read("coupler.outfeed.overhang_mm"), bench.read("coupler.magazine.position_mm"))
    return max(float(mm) for mm in into)


def test_lift_between_slots_takes_no_board() -> None:
    bench = Bench()
    bench.load()
    bench.to_printer()
    bench.to_outfeed()
    edge(bench, "magazine_index")
    bench.set(outfeed_run=True, magazine_run=True)
    bench.run(3.0)
    assert not bench.read("coupler.magazine_entry")
    assert bench.read("coupler.outfeed_exit")
    bench.until("coupler.magazine_loaded")


def test_lift_leaves_while_a_board_comes_board_stays_on_the_outfeed() -> None:
    bench = Bench()
    bench.load()
    bench.to_printer()
    bench.to_outfeed()
    bench.set(outfeed_run=True, magazine_run=True)
    bench.until(lambda: float(bench.read("coupler.outfeed.position_mm")) > 590.0)
    edge(bench, "magazine_index")
    bench.run(2.0)
    assert bench.read("coupler.outfeed.overhang_mm") == 0.0


@pytest.mark.parametrize("again", ["magazine_index", "magazine_exchange"])
@pytest.mark.parametrize("command", ["magazine_index", "magazine_exchange"])
def test_lift_cut_short_stands_and_told_again_ends_the_move_that_it_began(
    command: str, again: str
) -> None:
    bench = loaded()
    edge(bench, command)
    bench.run(1.0)
    bench.beating.discard("coupler")
    bench.run(5.0)
    bench.beating.add("coupler")
    bench.run(20.0)
    assert not bench.read("coupler.magazine_in_position")
    edge(bench, again)
    bench.until("coupler.magazine_in_position", EXCHANGE_S)
    exchanges = int(command == "magazine_exchange")
    assert bench.read("coupler.lift.used") == 1 - exchanges
    assert census(bench.image)["magazines_out"] == exchanges
    assert census(bench.image)["stored"] == 1


def test_lift_cut_short_after_the_last_slot_is_not_full_before_it_has_ended_the_move() -> None:
    bench = loaded()
    bench.write("coupler.lift.used", SLOTS - 1)
    edge(bench, "magazine_index")
    bench.beating.discard("coupler")
    bench.run(5.0)
    assert not bench.read("coupler.magazine_full")
    bench.beating.add("coupler")
    bench.run(0.1)
    edge(bench, "magazine_index")
    bench.until("coupler.magazine_in_position")
    assert bench.read("coupler.magazine_full")
