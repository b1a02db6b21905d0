"""Boards on belts: one owner, no leaps, nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_bench import BELTS, PERIOD_NS, Bench

from hw_sim.belt import BOARD_MM, FASTEST_MM_S
from hw_sim.coupler import CONVEYOR_MM, Coupler
from hw_sim.plant import assemble, boards, census
from hw_sim.printer import BELT_MM, Printer
from hw_sim.safety_plc import SafetyPlc
from hw_sim.zone import EXIT_MM

STARTS_MM = {
    "coupler.infeed": 0.0,
    "printer.belt": CONVEYOR_MM,
    "coupler.outfeed": CONVEYOR_MM + BELT_MM,
    "coupler.magazine": 2 * CONVEYOR_MM + BELT_MM,
}
"""Where each belt begins, from the line's beginning."""

COMMANDS = (
    "coupler.push",
    "coupler.infeed_run",
    "coupler.outfeed_run",
    "coupler.magazine_run",
    "coupler.magazine_index",
    "coupler.magazine_exchange",
    "printer.belt_run",
    "printer.clamp",
    "printer.print_start",
    "safety.panel_guard_open",
)
MOTORS = {"coupler.infeed_run", "coupler.outfeed_run", "coupler.magazine_run", "printer.belt_run"}


def places(bench: Bench) -> dict[int, float]:
    """Leading edge of every board in line, from the line's beginning."""
    found = {}
    for belt, start_mm in STARTS_MM.items():
        number = int(bench.read(f"{belt}.board.id"))
        if number:
            found[number] = start_mm + float(bench.read(f"{belt}.position_mm"))
    return found


def test_board_travels_from_the_stack_to_the_magazine() -> None:
    bench = Bench()
    bench.load()
    assert bench.counted() == {"entered": 1, "in_line": 1}
    bench.to_printer()
    assert bench.read("printer.barcode") == 1
    bench.print_board()
    bench.to_outfeed()
    bench.to_magazine()
    assert bench.read("coupler.magazine.board.prints") == 1
    assert not bench.read("coupler.magazine.board.defective")
    bench.index()
    assert bench.counted() == {"entered": 1, "stored": 1}


def test_empty_line_sees_nothing() -> None:
    bench = Bench()
    bench.run(1.0)
    seen = ("infeed_entry", "infeed_exit", "outfeed_entry", "outfeed_exit")
    for sensor in (*seen, "magazine_entry", "magazine_loaded", "magazine_full"):
        assert not bench.read(f"coupler.{sensor}")
    assert bench.read("coupler.stack_present")
    assert bench.read("coupler.pusher_home")
    assert bench.read("coupler.magazine_in_position")


def test_pusher_waits_for_a_belt_that_runs() -> None:
    bench = Bench()
    bench.set(push=True)
    bench.run(5.0)
    assert not bench.read("coupler.pusher_out")
    assert boards(bench.image) == []
    bench.set(infeed_run=True)
    bench.until("coupler.pusher_out", 1.0)
    assert boards(bench.image) == [1]


def test_pusher_that_stays_out_brings_one_board() -> None:
    bench = Bench()
    bench.set({"printer.belt_run": True}, push=True, infeed_run=True)
    bench.until("printer.board_at_stop")
    bench.run(5.0)
    assert bench.read("coupler.pusher_out")
    assert census(bench.image)["entered"] == 1


def test_belt_accelerates_to_its_setpoint_and_brakes() -> None:
    bench = Bench()
    bench.set(infeed_run=True, infeed_speed_mm_s=300.0)
    bench.run(0.15)
    assert bench.read("coupler.infeed_actual_mm_s") == pytest.approx(150.0)
    bench.run(0.5)
    assert bench.read("coupler.infeed_actual_mm_s") == 300.0
    bench.set(infeed_run=False)
    bench.run(0.31)
    assert bench.read("coupler.infeed_actual_mm_s") == 0.0


def test_stopped_at_its_sensor_stays_there() -> None:
    bench = Bench()
    bench.load()
    before = places(bench)
    bench.set({"printer.belt_run": True})
    bench.run(10.0)
    assert places(bench) == before
    assert bench.read("coupler.infeed_exit")
    assert not bench.read("printer.board_at_entry")


def test_not_stopped_stands_at_the_belts_end_while_the_next_stands() -> None:
    bench = Bench()
    bench.load()
    bench.set(infeed_run=True)
    bench.run(10.0)
    assert places(bench) == {1: CONVEYOR_MM}
    assert not bench.read("printer.board_at_entry")


def test_not_stopped_runs_on_over_a_next_belt_that_runs() -> None:
    bench = Bench()
    bench.load()
    bench.set({"printer.belt_run": True}, infeed_run=True, outfeed_run=True)
    bench.until("coupler.outfeed_exit")
    assert boards(bench.image) == [1]


@pytest.mark.parametrize("stops", ["coupler.infeed_run", "printer.belt_run"])
def test_one_belt_stops_early_in_the_crossing_board_spans(stops: str) -> None:
    bench = Bench()
    bench.load()
    bench.set({"printer.belt_run": True}, infeed_run=True)
    bench.until("printer.board_at_entry")
    bench.set({stops: False})
    bench.run(10.0)
    assert bench.read("coupler.infeed_exit")
    assert bench.read("printer.board_at_entry")
    assert boards(bench.image) == [1]
    assert places(bench)[1] < CONVEYOR_MM + BOARD_MM / 2

    bench.set({stops: True})
    bench.step()
    bench.until("printer.board_at_stop")


def test_upstream_stops_late_in_the_crossing_next_belt_pulls_the_board_in() -> None:
    bench = Bench()
    bench.load()
    bench.set({"printer.belt_run": True}, infeed_run=True)
    bench.until(lambda: not bench.read("coupler.infeed_exit"))
    tail_mm = CONVEYOR_MM - (places(bench)[1] - BOARD_MM)
    assert EXIT_MM - 6.0 < tail_mm < EXIT_MM
    bench.set(infeed_run=False)
    bench.until("printer.board_at_stop")
    assert boards(bench.image) == [1]


def test_next_board_stops_behind_one_that_is_not_quite_across() -> None:
    bench = Bench()
    bench.load()
    bench.set({"printer.belt_run": True}, infeed_run=True)
    bench.until(lambda: bool(bench.read("printer.belt.board.id")))
    bench.set({"printer.belt_run": False})
    bench.run(0.5)
    bench.set(push=True)
    bench.run(10.0)
    first, second = places(bench)[1], places(bench)[2]
    assert CONVEYOR_MM < first < CONVEYOR_MM + BOARD_MM
    assert second == pytest.approx(first - BOARD_MM)


def test_occupied_belt_takes_no_second_board() -> None:
    bench = Bench()
    bench.load()
    bench.to_printer()
    bench.load()
    bench.set({"printer.clamp": True, "printer.belt_run": True}, infeed_run=True)
    bench.run(10.0)
    assert places(bench)[2] == CONVEYOR_MM
    assert boards(bench.image) == [2, 1]


def test_clamped_board_does_not_move_with_the_belt() -> None:
    bench = Bench()
    bench.load()
    bench.to_printer()
    bench.clamp()
    before = places(bench)
    bench.set({"printer.belt_run": True}, outfeed_run=True)
    bench.run(3.0)
    assert bench.read("printer.belt.speed_mm_s") == 200.0
    assert places(bench) == before


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sets(st.sampled_from(COMMANDS)), st.integers(1, 120)), min_size=4, max_size=12
    )
)
def test_any_commands_board_has_one_owner_and_never_leaps(
    script: list[tuple[set[str], int]],
) -> None:
    bench = Bench()
    bench.set(infeed_speed_mm_s=500.0, outfeed_speed_mm_s=500.0)
    most_mm = FASTEST_MM_S * PERIOD_NS * 1e-9
    before = places(bench)
    for commands, scans in script:
        # motors named are off: most of the time boards shall flow
        bench.set({c: (c in commands) != (c in MOTORS) for c in COMMANDS})
        for _ in range(scans):
            bench.step()
            now = places(bench)
            count = census(bench.image)
            on_belts = boards(bench.image)
            assert len(set(on_belts)) == len(on_belts) == count["in_line"]
            assert count["entered"] == count["stored"] + count["in_line"]
            for number in before.keys() & now.keys():
                assert 0.0 <= now[number] - before[number] <= most_mm + 1e-9
            assert all(n > max(before, default=0) for n in now.keys() - before.keys())
            before = now


def test_census_registers_belong_to_one_moment() -> None:
    bench = Bench()
    bench.set(dict.fromkeys(MOTORS, True))
    for k in range(6000):
        bench.set(push=k % 600 < 300, magazine_index=k % 1200 < 10)
        bench.step()
        told = {n: bench.read(f"coupler.census.{n}") for n in ("entered", "stored", "in_line")}
        assert told["entered"] == told["stored"] + told["in_line"]
    assert told["stored"] > 3


@pytest.mark.parametrize(
    ("belts", "power", "says"),
    [
        (
            [("coupler.infeed", "printer.conveyor")],
            None,
            "'printer.conveyor' is no belt; belts are",
        ),
        ([("coupler.infeed", "printer.belt")] * 2, None, "two belts meet at the end"),
        ([("printer.belt", "coupler.magazine")], None, "two belts meet at the beginning"),
        (BELTS, "printer", "'printer' is no device that gives power"),
        (BELTS, "plc", "'plc' is no device that gives power"),
    ],
)
def test_plant_that_cannot_be_is_refused(
    belts: list[tuple[str, str]], power: str | None, says: str
) -> None:
    devices = {"coupler": Coupler, "printer": Printer, "safety": SafetyPlc}
    with pytest.raises(ValueError, match=says):
        assemble(devices, belts, power)
