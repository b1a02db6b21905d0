"""The unloading robot's cell: where boards go, what holds it, and every step interrupted."""

from __future__ import annotations

import pytest
from virtual_line import GONE_SCANS, plant_scan, restarted

from cellrt.handover import Result, Route
from cellrt.packml import Mode
from cellrt.tags import Scalar
from cellrt.testing import Golden, OpenLine, Plant, TestLine
from cellrt.twin import Twin
from cells.rack import MAGAZINE_SLOTS, STAND_SLOTS
from cells.robot import Robot

LINE = "lines/robot_line.toml"
FULL = (1 << MAGAZINE_SLOTS) - 1
STEPS = [s for s in Robot.sequence.names if s not in ("board_lost", "homing")]


class Unloading:
    """The line and its plant. Boards come good, if nothing else is said."""

    def __init__(self, line: TestLine) -> None:
        self.line = line

    @property
    def plant(self) -> Plant:
        return self.line.plant

    def set(self, tag: str, value: Scalar) -> None:
        """A tag of the line, as another machine or an earlier day left it."""
        self.line.runner.image[tag] = value

    def counted(self) -> dict[str, int]:
        return {k: v for k, v in self.plant.census().items() if v and k != "entered"}

    def in_line(self) -> int:
        """Boards on the conveyor, in the nest and in the gripper."""
        belts = ("coupler.infeed", "unloader.nest", "unloader.gripper")
        return sum(self.plant[f"{belt}.board.id"] != 0 for belt in belts)

    def until(self, place: str, timeout_s: float = 60.0) -> Unloading:
        self.line.step(until=place, timeout_s=timeout_s)
        return self

    def judge(self, result: Result, route: Route) -> Unloading:
        """Boards come with this result and route from now on."""
        self.set("infeed.result", int(result))
        self.set("infeed.route", int(route))
        return self

    def unload(self, boards: int = 1) -> Unloading:
        """So many boards from the nest to where they go."""
        for _ in range(boards):
            self.until("robot.releasing").until("robot.waiting")
        return self

    def power_cut(self) -> None:
        """The scan is gone and comes back with what was retained; the plant's heartbeats stood still."""
        twin, old = self._twin, self.line.runner
        for n in range(old.scan, old.scan + GONE_SCANS):
            plant_scan(twin, old.work.outputs, n)
        twin.runner = self.line.runner = new = restarted(old)
        self.line._commander.epoch = new.epoch

    @property
    def _twin(self) -> Twin:
        assert self.line._twin is not None
        return self.line._twin


@pytest.fixture
def unloading(line: OpenLine) -> Unloading:
    """Everything in Execute, the arm homed, the first board on its way."""
    return Unloading(line(LINE, sim=True).start())


def first_out(unloading: Unloading) -> str:
    told = [e for e in unloading.line.events if e["event"] == "Tripped" and e["cell"] == "robot"]
    return str(told[-1]["rule"]) if told else ""


def test_one_board_from_the_nest_into_the_magazine(unloading: Unloading, golden: Golden) -> None:
    trace = unloading.until("robot.filling").line.trace(
        *("robot.unit.step", "robot.nest_run", "robot.nest_seated", "robot.grip", "robot.release"),
        *("robot.part_present", "robot.slot_free", "robot.arm.order", "robot.arm.order_done"),
        *("robot.arm.position", "robot.arm.reach", "robot.arm.nest_zone", "robot.stored"),
    )
    unloading.unload()
    golden("robot_unloads", trace)


@pytest.mark.parametrize("slot", [0, MAGAZINE_SLOTS - 2])
def test_one_board_after_the_other_takes_8_to_12_s_each(unloading: Unloading, slot: int) -> None:
    unloading.set("robot.store.active", 1)
    unloading.set("robot.store.racks.1.filled", slot)
    unloading.until("robot.leaving")
    began_s = unloading.line.now_s
    unloading.until("robot.releasing").until("robot.leaving")
    assert 8.0 <= unloading.line.now_s - began_s <= 12.0


@pytest.mark.parametrize(
    ("result", "route", "way"),
    [
        (Result.GOOD, Route.LINE, "stored"),
        (Result.FAILED, Route.REWORK, "rework"),
        (Result.FAILED, Route.LINE, "rework"),
        (Result.UNKNOWN, Route.LINE, "rework"),
        (Result.FAILED, Route.REMOVAL, "scrapped"),
    ],
)
def test_board_goes_by_result_and_route(
    unloading: Unloading, result: Result, route: Route, way: str
) -> None:
    unloading.judge(result, route).unload(2)
    assert unloading.counted()[way] == 2
    cell = {"stored": "stored", "rework": "reworked", "scrapped": "scrapped"}[way]
    assert unloading.line[f"robot.{cell}"] == 2
    if way == "stored":
        assert unloading.plant["unloader.racks.0.slots"] == 0b11


def test_board_that_is_not_who_it_should_be_goes_to_the_scrap_box(unloading: Unloading) -> None:
    unloading.until("infeed.full")
    unloading.plant["coupler.infeed.board.id"] = 4711
    unloading.unload()
    assert unloading.counted()["scrapped"] == 1


def test_magazine_full_is_fetched_while_the_other_is_filled(unloading: Unloading) -> None:
    unloading.set("robot.store.racks.0.filled", MAGAZINE_SLOTS - 1)
    unloading.plant["unloader.racks.0.slots"] = FULL >> 1
    unloading.unload(2)
    assert (
        unloading.line["robot.store.racks.0.request"] and unloading.line["robot.store.active"] == 1
    )
    assert unloading.plant["unloader.racks.1.slots"] == 1
    unloading.line.step(
        until=lambda: not unloading.line["robot.store.racks.0.here"], timeout_s=180.0
    )
    unloading.line.step(until="robot.store.racks.0.here")
    assert unloading.line["robot.store.racks.0.filled"] == 0
    assert not unloading.line["robot.store.racks.0.request"]
    assert unloading.counted()["magazines_out"] == 1


def test_no_magazine_there_holds_with_the_board_in_the_nest_until_one_comes(
    unloading: Unloading,
) -> None:
    for n in (0, 1):
        unloading.plant[f"unloader.racks.{n}.here"] = False
        unloading.plant[f"unloader.racks.{n}.none_left"] = True
    unloading.until("robot.Held")
    assert first_out(unloading) == "magazine_here"
    unloading.line.step(500)
    assert unloading.line["robot.Held"] and unloading.line["robot.nest_seated"]
    unloading.plant["unloader.racks.1.none_left"] = False
    unloading.line.step(until="robot.store.racks.1.here")
    unloading.line.step(10).command("robot", "unhold")
    unloading.unload()
    assert unloading.plant["unloader.racks.1.slots"] == 1


def test_no_magazine_there_failed_boards_go_on(unloading: Unloading) -> None:
    for n in (0, 1):
        unloading.plant[f"unloader.racks.{n}.here"] = False
        unloading.plant[f"unloader.racks.{n}.none_left"] = True
    unloading.judge(Result.FAILED, Route.REWORK)
    unloading.unload()
    assert unloading.counted()["rework"] == 1


def test_stand_full_holds_until_a_person_has_emptied_it(unloading: Unloading) -> None:
    unloading.judge(Result.FAILED, Route.REWORK)
    unloading.set("robot.store.racks.2.filled", STAND_SLOTS)
    unloading.plant["unloader.racks.2.slots"] = (1 << STAND_SLOTS) - 1
    unloading.until("robot.Held")
    assert first_out(unloading) == "stand_has_room"
    unloading.line.step(
        until=lambda: unloading.line["robot.store.racks.2.filled"] == 0, timeout_s=90.0
    )
    unloading.line.step(until="robot.store.racks.2.here")
    unloading.line.step(10).command("robot", "unhold")
    unloading.unload()
    assert unloading.plant["unloader.racks.2.slots"] == 1


def test_slot_that_has_a_board_already_is_passed_over(unloading: Unloading) -> None:
    unloading.plant["unloader.racks.0.slots"] = 0b11
    unloading.unload()
    assert unloading.plant["unloader.racks.0.slots"] == 0b111
    assert unloading.line["robot.store.racks.0.filled"] == 3


@pytest.mark.parametrize("step", ["drawing", "carrying", "inserting"])
def test_board_dropped_stops_the_arm_and_wants_a_person(unloading: Unloading, step: str) -> None:
    unloading.until(f"robot.{step}").line.step(20)
    unloading.plant["unloader.drop"] = True
    unloading.line.step(2)
    unloading.plant["unloader.drop"] = False
    unloading.until("robot.Held", 1.0).line.step(30)
    assert first_out(unloading) == "board_lost within 0.1 s"
    stands = [unloading.plant[f"robot.{axis}.at_mm"] for axis in "xyz"]
    unloading.line.command("robot", "unhold").step(100)
    assert unloading.line["robot.Held"], "the board still lies on the floor"
    assert stands == [unloading.plant[f"robot.{axis}.at_mm"] for axis in "xyz"]
    unloading.line.step(until="robot.floor_clear", timeout_s=100.0)
    unloading.line.step(100)
    assert unloading.line["robot.Held"], "not by itself"
    unloading.line.command("robot", "unhold")
    unloading.unload()
    assert unloading.counted() == {"scrapped": 1, "stored": 1, "in_line": unloading.in_line()}
    assert unloading.line["robot.scrapped"] == 1 and unloading.line["robot.stored"] == 1


def test_board_taken_out_of_the_nest_wants_a_person_and_the_next_is_unloaded(
    unloading: Unloading,
) -> None:
    unloading.until("robot.choosing")
    for n in (0, 1):
        unloading.plant[f"unloader.racks.{n}.here"] = False
    unloading.until("robot.Held")
    unloading.plant["unloader.nest.board.id"] = 0
    for n in (0, 1):
        unloading.plant[f"unloader.racks.{n}.here"] = True
    unloading.line.step(30).command("robot", "unhold").step(10)
    unloading.until("robot.Held", 5.0)
    assert first_out(unloading) == "board_lost within 0.1 s"
    unloading.line.step(30).command("robot", "unhold")
    unloading.unload()
    assert unloading.line["robot.scrapped"] == 1 and unloading.line["robot.stored"] == 1


def test_arm_jammed_is_named_and_cleared_goes_on(unloading: Unloading) -> None:
    unloading.until("robot.carrying").line.step(20)
    unloading.plant["robot.jammed"] = True
    unloading.until("robot.Aborted")
    assert first_out(unloading).startswith("carrying within")
    unloading.plant["robot.jammed"] = False
    unloading.line.start()
    unloading.unload()
    assert unloading.counted()["stored"] == 1


def test_arm_in_the_zone_during_a_transport_is_an_abort(unloading: Unloading) -> None:
    unloading.until("robot.filling").line.force("robot.arm.nest_zone", True).step(2)
    assert not unloading.line["robot.nest_run"]
    assert first_out(unloading) == "zone_unshared"


def test_key_to_manual_holds_the_robot(unloading: Unloading) -> None:
    unloading.until("robot.carrying").line.force("robot.arm.automatic", False)
    unloading.until("robot.Held", 1.0)
    assert first_out(unloading) == "in_automatic"


@pytest.mark.parametrize("blow", ["hold", "stop", "abort", "estop", "power cut"])
@pytest.mark.parametrize("step", STEPS)
def test_interrupted_in_any_step_goes_on_and_every_board_is_laid_down_once(
    unloading: Unloading, step: str, blow: str
) -> None:
    line = unloading.until(f"robot.{step}").line
    line.step({"releasing": 15, "gripping": 15}.get(step, 8))
    if blow == "hold":
        line.command("robot", "hold")
        unloading.until("robot.Held", 70.0).line.step(100)
        line.command("robot", "unhold")
    elif blow == "stop":
        line.command("robot", "stop")
        unloading.until("robot.Stopped", 70.0)
    elif blow == "abort":
        line.command("robot", "abort").step(200)
    elif blow == "estop":
        unloading.plant["safety.panel_estop_pressed"] = True
        line.step(200)
        unloading.plant["safety.panel_estop_pressed"] = False
        unloading.plant["safety.panel_reset_pressed"] = True
        line.step(50)
        unloading.plant["safety.panel_reset_pressed"] = False
        line.step(10)
    else:
        unloading.power_cut()
    line.start(120.0)
    unloading.unload(2)
    stored = int(unloading.line["robot.stored"])
    assert stored >= 2
    assert unloading.counted() == {"stored": stored, "in_line": unloading.in_line()}
    assert unloading.plant["unloader.racks.0.slots"] == (1 << stored) - 1
    assert unloading.plant["unloader.fallen"] == 0


def test_in_maintenance_the_arm_goes_at_most_250_mm_s(unloading: Unloading) -> None:
    unloading.until("robot.drawing").set("robot.unit.mode", int(Mode.MAINTENANCE))
    unloading.line.step(20)
    fastest_mm_s = 0.0
    for _ in range(800):
        unloading.set("robot.unit.step_asked", True)
        unloading.line.step()
        speeds = [float(unloading.plant[f"robot.{axis}.speed_mm_s"]) for axis in "xyz"]
        fastest_mm_s = max(fastest_mm_s, sum(s * s for s in speeds) ** 0.5)
    assert 150.0 < fastest_mm_s <= 250.0


def test_starved_is_suspended_and_the_next_board_is_unloaded(unloading: Unloading) -> None:
    unloading.line.force("loader.stack_present", False)
    unloading.until("robot.Suspended", 100.0)
    unloading.line.release("loader.stack_present")
    unloading.unload()
    assert unloading.line["robot.Execute"]


def test_stopped_line_keeps_its_request_for_an_empty_magazine(unloading: Unloading) -> None:
    unloading.set("robot.store.racks.0.filled", MAGAZINE_SLOTS)
    unloading.line.step(10).stop()
    unloading.line.step(
        until=lambda: not unloading.line["robot.store.racks.0.here"], timeout_s=180.0
    )
    unloading.line.step(until="robot.store.racks.0.here")
    unloading.line.step(100)
    assert (
        unloading.line["robot.store.racks.0.here"]
        and unloading.line["robot.store.racks.0.filled"] == 0
    )


@pytest.mark.parametrize("scans", range(5))
@pytest.mark.parametrize("step", ["robot.gripping", "robot.releasing"])
def test_power_cut_while_the_board_changes_hands_loses_and_doubles_none(
    unloading: Unloading, step: str, scans: int
) -> None:
    """The gripper closes for 40 scans before it holds the board, and lets go of it in the first."""
    unloading.until(step).line.step(scans + (38 if step == "robot.gripping" else 0))
    unloading.power_cut()
    unloading.line.start()
    unloading.unload(2)
    stored = int(unloading.line["robot.stored"])
    assert unloading.counted() == {"stored": stored, "in_line": unloading.in_line()}
    assert unloading.plant["unloader.racks.0.slots"] == (1 << stored) - 1
