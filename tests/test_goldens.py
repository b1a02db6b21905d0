"""Golden traces of the cells whose own tests have none: boards through each."""

from __future__ import annotations

from pathlib import Path

from oven_bench import recipe

from cellrt.testing import Golden, OpenLine

LINES = Path(__file__).parent / "lines"


def test_board_through_the_buffer(line: OpenLine, golden: Golden) -> None:
    station = line(LINES / "buffer_line.toml", sim=True).start()
    station.step(until="buffer.filling", timeout_s=60.0)
    names = ("unit.state", "unit.step", "belt_run", "lift_run", "lift_to", "slot", "in_position")
    more = ("slot_occupied", "count", "board.id", "leaving.id")
    trace = station.trace(*(f"buffer.{name}" for name in (*names, *more)))
    station.step(until="buffer.emptying").step(until="buffer.waiting")
    golden("buffer_one_board", trace)


def test_board_from_the_loader_over_a_conveyor(line: OpenLine, golden: Golden) -> None:
    station = line(LINES / "buffer_line.toml", sim=True).start()
    loader = ("unit.step", "board.id")
    conveyor = ("unit.state", "unit.step", "board_at_entry", "board_at_exit", "run", "board.id")
    trace = station.trace(
        *(f"loader.{name}" for name in loader), *(f"infeed.{name}" for name in conveyor)
    )
    station.step(until="buffer.filling", timeout_s=60.0).step(until="buffer.waiting")
    golden("infeed_one_board", trace)


def test_board_through_a_warm_oven(line: OpenLine, golden: Golden) -> None:
    station = line(LINES / "oven_line.toml", sim=True).start()
    for n in range(8):
        station.plant[f"reflow.zones.{n}.temperature_degC"] = recipe(1)[f"zone_{n + 1}_degC"]
    station.step(until="reflow.loaded", timeout_s=400.0).command("infeed", "Hold")
    names = ("unit.state", "unit.step", "entry_run", "chain_run", "exit_run", "fans_run")
    more = ("board_at_chain", "board_at_chain_end", "count", "board.id", "leaving.id")
    trace = station.trace(*(f"reflow.{name}" for name in (*names, *more, "leaving.work_done")))
    station.step(until="reflow.leaving.id", timeout_s=600.0)
    station.step(until="buffer.board.id", timeout_s=60.0)
    golden("reflow_one_board", trace)


def test_good_board_goes_on_and_a_failed_one_aside(line: OpenLine, golden: Golden) -> None:
    station = line(LINES / "sorting_line.toml", sim=True).start()
    station.step(until="sorting.filling", timeout_s=60.0)
    names = ("unit.step", "board_at_entry", "board_at_exit", "run", "push", "pusher_home")
    trace = station.trace(*(f"sorting.{name}" for name in (*names, "board.id", "board.result")))
    station.step(until="sorting.pushing").step(until="sorting.empty")
    golden("sorting_two_boards", trace)


def test_board_into_the_magazine(line: OpenLine, golden: Golden) -> None:
    station = line(LINES / "buffer_line.toml", sim=True).start()
    station.step(until="magazine.pulling", timeout_s=90.0)
    names = ("unit.step", "magazine_entry", "magazine_loaded", "magazine_in_position")
    more = ("magazine_run", "magazine_index", "board.id", "good")
    trace = station.trace(*(f"magazine.{name}" for name in (*names, *more)))
    station.step(until="magazine.indexing").step(until="magazine.waiting")
    golden("magazine_one_board", trace)
