"""The unloading robot's devices: how the arm moves and stops, the shared zone, gripper, racks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_line import PlainLine
from robot_bench import RobotBench, robot_plant
from sim_bench import PERIOD_NS

from cellrt.compiler.plain import plain
from hw_sim.places import HOME, MAGAZINE_A, MAGAZINE_B, NEST, REACH_MM, SCRAP, STAND, ZONE_Y_MM
from hw_sim.plant import Plant, sow
from hw_sim.robot import STOP_MM_S2, X_MM_S, Axis
from hw_sim.unloader import (
    MAGAZINE_AWAY_S,
    MAGAZINE_COMES_S,
    MAGAZINE_MORE_S,
    PICKED_UP_S,
    STAND_COMES_S,
)

DT_S = PERIOD_NS * 1e-9


def with_board() -> RobotBench:
    """The arm is drawn in before the nest, with a board in its gripper."""
    bench = RobotBench()
    bench.to_nest()
    bench.go(NEST)
    bench.go(NEST, reach=True)
    bench.grip()
    bench.go(NEST)
    assert bench.read("unloader.part_present")
    return bench


def take_to(bench: RobotBench, place: int, slot: int) -> None:
    bench.go(place, slot)
    bench.go(place, slot, reach=True)
    bench.release()
    bench.go(place, slot)


@settings(max_examples=100)
@given(
    st.floats(0.0, 2000.0),
    st.floats(0.0, 2000.0),
    st.floats(50.0, 2000.0),
    st.floats(500.0, 10000.0),
)
def test_axis_moves_in_a_trapezoid_and_arrives(
    from_mm: float, to_mm: float, top_mm_s: float, most_mm_s2: float
) -> None:
    axis: Any = plain(Axis, Axis.zeros().view("u1"))
    axis.at_mm, axis.target_mm = from_mm, to_mm
    scans, way_mm, low, high = 0, abs(to_mm - from_mm), min(from_mm, to_mm), max(from_mm, to_mm)
    while not axis.arrived():
        before_mm_s = axis.speed_mm_s
        axis.approach(top_mm_s, most_mm_s2, DT_S)
        scans += 1
        assert abs(axis.speed_mm_s) <= top_mm_s + 1e-9
        stepped = abs(axis.speed_mm_s - before_mm_s) <= most_mm_s2 * DT_S + 1e-6
        assert stepped or axis.at_mm == to_mm, "only a last remnant of speed may vanish"
        assert low - 1e-6 <= axis.at_mm <= high + 1e-6, "never beyond its target"
        assert scans < 10_000
    ramps_mm = top_mm_s**2 / most_mm_s2
    if way_mm >= ramps_mm:
        least_s = way_mm / top_mm_s + top_mm_s / most_mm_s2
    else:
        least_s = 2.0 * (way_mm / most_mm_s2) ** 0.5
    assert least_s - 2 * DT_S <= scans * DT_S <= least_s + 5 * DT_S


def test_not_homed_any_other_order_is_refused() -> None:
    bench = RobotBench(home=False)
    bench.order(MAGAZINE_A, 3)
    assert bench.read("robot.fault") and bench.read("robot.order_taken") == 1
    bench.run(1.0)
    assert bench.at_mm() == (0.0, 0.0, 0.0)
    bench.set({"robot.run": False})
    bench.step()
    assert not bench.read("robot.fault")
    bench.go(HOME)
    assert bench.read("robot.homed") and bench.read("robot.at_position") == HOME


@pytest.mark.parametrize(
    ("position", "slot", "targets_mm"),
    [
        (MAGAZINE_A, 50, (0.0, 0.0, 0.0)),
        (STAND, 10, (0.0, 0.0, 0.0)),
        (7, 0, (0.0, 0.0, 0.0)),
        (0, 0, (1900.0, 0.0, 0.0)),
        (0, 0, (500.0, 100.0, 300.0)),
    ],
)
def test_order_out_of_reach_is_refused(
    position: int, slot: int, targets_mm: tuple[float, float, float]
) -> None:
    bench = RobotBench()
    before = bench.at_mm()
    for axis, mm in zip("xyz", targets_mm, strict=True):
        bench.write(f"robot.{axis}_target_mm", mm)
    bench.order(position, slot)
    bench.run(1.0)
    assert bench.read("robot.fault") and bench.at_mm() == before


def test_order_by_coordinates_goes_there() -> None:
    bench = RobotBench()
    for axis, mm in (("x", 777.0), ("z", 123.0)):
        bench.write(f"robot.{axis}_target_mm", mm)
    bench.go(0)
    assert bench.at_mm() == (777.0, 0.0, 123.0)
    assert bench.read("robot.at_position") == 0


def test_reaching_in_nothing_moves_along_but_home_which_draws_in_first() -> None:
    bench = RobotBench()
    bench.go(MAGAZINE_B, 20)
    bench.go(MAGAZINE_B, 20, reach=True)
    inside = bench.at_mm()
    bench.order(MAGAZINE_A, 20)
    bench.run(1.0)
    assert bench.read("robot.fault") and bench.at_mm() == inside
    bench.set({"robot.run": False})
    bench.step()
    bench.order(HOME)
    while bench.read("robot.order_done") != bench.orders:
        x_mm, y_mm, z_mm = bench.at_mm()
        assert y_mm == 0.0 or (x_mm, z_mm) == (inside[0], inside[2])
        assert x_mm == inside[0] or z_mm == 600.0
        bench.step()


def test_run_off_is_a_controlled_stop_and_on_again_the_order_goes_on() -> None:
    bench = RobotBench()
    bench.order(STAND)
    bench.until(lambda: float(bench.read("robot.x.speed_mm_s")) >= X_MM_S)
    at_mm = bench.at_mm()[0]
    bench.set({"robot.run": False})
    bench.until(lambda: not bench.read("robot.moving"))
    stopped_mm = bench.at_mm()[0]
    assert stopped_mm - at_mm == pytest.approx(X_MM_S**2 / (2.0 * STOP_MM_S2), abs=10.0)
    bench.run(1.0)
    assert bench.at_mm()[0] == stopped_mm
    bench.set({"robot.run": True})
    bench.until(lambda: bench.read("robot.order_done") == bench.orders)
    assert bench.read("robot.at_position") == STAND


@pytest.mark.parametrize("cause", ["estop", "heartbeat"])
def test_moving_power_lost_stops_first_and_moves_again_only_when_run_is_given_anew(
    cause: str,
) -> None:
    bench = RobotBench()
    bench.order(STAND)
    bench.until(lambda: float(bench.read("robot.x.speed_mm_s")) >= X_MM_S)
    if cause == "estop":
        bench.set({"safety.panel_estop_pressed": True})
        bench.run(0.03)
        assert bench.read("robot.moving") and bench.read("robot.power_on"), "category 1"
    else:
        bench.beating.discard("robot")
        bench.run(0.6)
    bench.run(0.4)
    assert not bench.read("robot.moving") and not bench.read("robot.power_on")
    stopped = bench.at_mm()
    bench.set({"safety.panel_estop_pressed": False})
    bench.beating.add("robot")
    bench.press_reset()
    bench.run(1.0)
    assert bench.read("robot.power_on") and bench.at_mm() == stopped
    bench.set({"robot.run": False})
    bench.step()
    bench.set({"robot.run": True})
    bench.until(lambda: bench.read("robot.order_done") == bench.orders)


def test_manual_moves_at_most_250_mm_s_and_only_with_the_enabling_switch() -> None:
    bench = RobotBench()
    bench.set({"robot.panel_manual_key": True})
    before = bench.at_mm()
    bench.order(STAND)
    bench.run(1.0)
    assert bench.at_mm() == before
    bench.set({"robot.panel_enabling_pressed": True})
    fastest = 0.0
    while bench.read("robot.order_done") != bench.orders:
        bench.step()
        fastest = max(fastest, bench.speed_mm_s())
    assert 150.0 < fastest <= 250.0
    bench.order(NEST)
    bench.run(1.0)
    bench.set({"robot.panel_enabling_pressed": False})
    bench.run(0.2)
    assert bench.speed_mm_s() == 0.0


def test_board_travels_arm_stops_before_the_zone_and_after_it_goes_in() -> None:
    bench = RobotBench()
    bench.go(NEST)
    bench.load()
    bench.set({"unloader.nest_run": True}, infeed_run=True)
    bench.run(0.1)
    bench.order(NEST, reach=True)
    bench.until("robot.zone_stop")
    bench.run(0.3)
    assert bench.read("robot.fault") and not bench.read("robot.moving")
    assert 0.0 < bench.at_mm()[1] <= ZONE_Y_MM
    bench.until("unloader.nest_seated")
    bench.set({"unloader.nest_run": False, "robot.run": False}, infeed_run=False)
    bench.run(0.3)
    bench.set({"robot.run": True})
    bench.until("robot.reached_in")


def test_arm_in_the_zone_belt_stands_and_no_board_comes() -> None:
    bench = RobotBench()
    bench.go(NEST)
    bench.go(NEST, reach=True)
    bench.load()
    bench.set({"unloader.nest_run": True}, infeed_run=True)
    bench.run(5.0)
    assert bench.read("unloader.nest.speed_mm_s") == 0.0
    assert not bench.read("unloader.nest_entry")
    bench.go(NEST)
    bench.until("unloader.nest_seated")


def test_gripped_board_laid_into_a_slot_is_stored() -> None:
    bench = with_board()
    assert bench.counted() == {"entered": 1, "in_line": 1}
    bench.go(MAGAZINE_A, 7)
    assert bench.read("unloader.slot_free")
    take_to(bench, MAGAZINE_A, 7)
    assert bench.counted() == {"entered": 1, "stored": 1}
    assert bench.read("unloader.racks.0.slots") == 1 << 7
    assert not bench.read("unloader.slot_free")


@pytest.mark.parametrize(("place", "way"), [(STAND, "rework"), (SCRAP, "scrapped")])
def test_gripped_board_laid_down_is_counted_by_its_place(place: int, way: str) -> None:
    bench = with_board()
    take_to(bench, place, 0)
    assert bench.counted() == {"entered": 1, way: 1}


def test_gripped_board_laid_back_into_the_nest_lies_there() -> None:
    bench = with_board()
    bench.go(NEST, reach=True)
    bench.release()
    assert bench.read("unloader.nest_seated") and bench.read("unloader.barcode") == 1


@pytest.mark.parametrize("how", ["occupied", "opened", "dropped", "no magazine"])
def test_board_that_finds_no_place_falls_and_a_person_takes_it_away(how: str) -> None:
    bench = with_board()
    if how == "dropped":
        bench.set({"unloader.drop": True})
        bench.step()
    elif how == "opened":
        bench.release()
    else:
        if how == "occupied":
            bench.write("unloader.racks.0.slots", 1)
        bench.set({"unloader.racks.0.none_left": True})
        bench.write("unloader.racks.0.here", how == "occupied")
        take_to(bench, MAGAZINE_A, 0)
    bench.step()
    assert not bench.read("unloader.part_present") and not bench.read("unloader.floor_clear")
    assert bench.counted() == {"entered": 1, "in_line": 1}
    bench.run(PICKED_UP_S)
    assert bench.read("unloader.floor_clear")
    assert bench.counted() == {"entered": 1, "scrapped": 1}


@pytest.mark.parametrize("cause", ["power", "heartbeat"])
def test_gripper_without_power_holds_its_board_and_stays_as_it_is(cause: str) -> None:
    bench = with_board()
    bench.set({"safety.panel_estop_pressed": cause == "power"})
    if cause == "heartbeat":
        bench.beating.discard("unloader")
    bench.run(0.6)
    bench.set({"unloader.release": True})
    bench.run(5.0)
    bench.set({"safety.panel_estop_pressed": False})
    bench.beating.add("unloader")
    bench.press_reset()
    bench.run(2.0)
    assert bench.read("unloader.part_present"), "the command was not given anew"


@pytest.mark.parametrize("rack", [0, 1, 2])
def test_requested_rack_is_fetched_and_comes_back_empty(rack: int) -> None:
    bench = RobotBench()
    bench.write(f"unloader.racks.{rack}.slots", 5)
    bench.set({f"unloader.racks.{rack}.request": True})
    gone_s = bench.until(lambda: not bench.read(f"unloader.racks.{rack}.here"), 200.0)
    bench.set({f"unloader.racks.{rack}.request": False})
    back_s = bench.until(f"unloader.racks.{rack}.here", 60.0)
    assert bench.read(f"unloader.racks.{rack}.slots") == 0
    if rack == 2:
        assert gone_s == pytest.approx(STAND_COMES_S, abs=0.1)
        assert bench.counted() == {}
    else:
        assert MAGAZINE_COMES_S <= gone_s <= MAGAZINE_COMES_S + MAGAZINE_MORE_S + 0.1
        assert back_s == pytest.approx(MAGAZINE_AWAY_S, abs=0.1)
        assert bench.counted() == {"magazines_out": 1}


def test_request_taken_back_and_arm_reaching_in_keep_the_magazine() -> None:
    bench = RobotBench()
    bench.set({"unloader.racks.0.request": True})
    bench.run(MAGAZINE_COMES_S - 1.0)
    bench.set({"unloader.racks.0.request": False})
    bench.step()
    bench.go(MAGAZINE_A, 4)
    bench.go(MAGAZINE_A, 4, reach=True)
    bench.set({"unloader.racks.0.request": True})
    bench.run(MAGAZINE_COMES_S + MAGAZINE_MORE_S + 1.0)
    assert bench.read("unloader.racks.0.here")
    bench.go(MAGAZINE_A, 4)
    bench.run(0.1)
    assert not bench.read("unloader.racks.0.here")


def test_nobody_brings_an_empty_magazine_none_is_there() -> None:
    bench = RobotBench()
    bench.set({"unloader.racks.1.request": True, "unloader.racks.1.none_left": True})
    bench.run(300.0)
    assert not bench.read("unloader.racks.1.here")
    bench.set({"unloader.racks.1.none_left": False})
    bench.step()
    assert bench.read("unloader.racks.1.here")


def test_wired_gripper_knows_where_the_arm_is_one_scan_later() -> None:
    bench = RobotBench()
    bench.go(SCRAP)
    bench.go(SCRAP, reach=True)
    bench.step()
    assert bench.read("unloader.arm_y_mm") == REACH_MM


def test_a_board_carried_is_the_same_plain_and_compiled() -> None:
    compiled, uncompiled = Plant(robot_plant(), seed=3), PlainLine(robot_plant(), PERIOD_NS)
    sow(uncompiled.image, 3)
    orders = [(HOME, 0, False), (NEST, 0, False), (NEST, 0, True), (NEST, 0, False)]
    orders += [(MAGAZINE_B, 2, False), (MAGAZINE_B, 2, True), (MAGAZINE_B, 2, False)]
    for image in (compiled.image, uncompiled.image):
        image.write(image.layout.find("unloader.nest.board.id"), 4711)
        image.write(image.layout.find("unloader.nest.position_mm"), 230.0)
    for k in range(3300):
        number = min(k // 470, len(orders) - 1)
        position, slot, reach = orders[number]
        for image in (compiled.image, uncompiled.image):
            for device in ("robot", "unloader", "safety"):
                image.write(image.layout.find(f"{device}.heartbeat"), k)
            for tag, value in (
                ("robot.run", k > 10),
                ("robot.position", position),
                ("robot.slot", slot),
                ("robot.reach", reach),
                ("robot.order", number + 1),
                ("unloader.grip", number == 2 and k % 470 > 200),
                ("unloader.release", number == 5 and k % 470 > 200),
            ):
                image.write(image.layout.find(tag), value)
        compiled.tick(uncompiled.now_ns, DT_S)
        uncompiled.scan()
    assert compiled.read("unloader.racks.1.slots") == 1 << 2
    assert compiled.image.bytes.tobytes() == uncompiled.image.bytes.tobytes()
