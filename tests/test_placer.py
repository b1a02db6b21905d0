"""The placer's cell with its simulated machine: each board placed completely, or not at all."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from virtual_line import S_NS, Line, kill_scan

from cellrt import Result, Route, State
from cellrt.line.load import load_line
from cellrt.packml import Command
from cellrt.supervisor import Goal
from cellrt.tags import Scalar
from cellrt.testing import Golden, OpenLine
from cells.feeders import LANES
from cells.placer import Placer
from cells.work import PLACED
from hw_sim.feeders import REEL

STATION = Path(__file__).parent / "stations" / "place_station.toml"
LINE = load_line(STATION)
STEPS = Placer.sequence.names
PARTS = 300


class Station(Line):
    """The station in virtual time, running unless told otherwise; nothing fails by chance."""

    look_s = 0.01

    def __init__(self, compiled: bool = True) -> None:
        super().__init__(LINE, compiled=compiled)
        for name in ("lost_ppm", "drop_ppm", "clog_ppm"):
            self.plant[f"placer.{name}"] = 0.0
        self.pursue(Goal.RUN)
        self.go(0.05)
        for n in range(LANES):
            self.plant[f"placer.feeders.lanes.{n}.error_ppm"] = 0.0

    def __getitem__(self, name: str) -> Scalar:
        """A tag of the placer's cell."""
        return self.read(f"placer.{name}")

    @property
    def step(self) -> str:
        return self.step_of("placer")

    def comes_to(self, step: str, within_s: float = 120.0) -> Station:
        """Run until the placer is in a step."""
        return self.until(lambda: self.step == step, within_s)

    def took_state(self, state: str) -> bool:
        """Whether the placer ever was in that state."""
        told = self.journal.entries(10**6, "placer")
        return any(e["event"] == "State" and e["to"] == state for e in told)

    def held(self) -> bool:
        return bool(self["unit.state"] == State.HELD)

    def leaves(self) -> tuple[Result, Route, dict[str, int]]:
        """The board in the placer, when it has arrived at the outfeed: as believed, and as it is."""
        number = self["board.id"]
        self.until(lambda: self.read("outfeed.board.id") == number, 200.0)
        assert self.plant["coupler.outfeed.board.id"] == number
        belief = (self.read(f"outfeed.board.{name}") for name in ("result", "route"))
        result, route = (int(value) for value in belief)
        return Result(result), Route(route), self.truth()

    def truth(self) -> dict[str, int]:
        """The board on the outfeed's belt, as it is."""
        names = ("placed", "missing", "defective")
        return {name: int(self.plant[f"coupler.outfeed.board.{name}"]) for name in names}

    def pass_on(self, boards: int) -> dict[int, dict[str, int]]:
        """Until the magazine has so many boards; how those were that passed by the outfeed."""
        seen = {}
        while int(self.read("magazine.unit.boards_in")) < boards:
            assert self.now_ns < 300 * S_NS, f"{self.step}, {self.first_out('placer')!r}"
            self.go(0.1)
            if number := int(self.plant["coupler.outfeed.board.id"]):
                seen[number] = self.truth()
        return seen


GOOD = (Result.GOOD, Route.LINE, {"placed": PARTS, "missing": 0, "defective": 0})


def lane(n: int, tag: str) -> str:
    return f"placer.feeders.lanes.{n}.{tag}"


def begun() -> Station:
    """A station with a third of a board placed."""
    station = Station()
    station.until(lambda: int(station["placed"]) > PARTS // 3)
    return station


def test_one_board(line: OpenLine, golden: Golden) -> None:
    station = line(STATION, sim=True).start()
    station.step(until="placer.filling", timeout_s=10.0)
    names = ("unit.state", "unit.step", "belt_run", "unclamp", "clamped", "unclamped", "look")
    more = ("fiducials_found", "place", "begun", "place_done", "board.work_done")
    trace = station.trace(*(f"placer.{name}" for name in (*names, *more)))
    station.step(until="placer.emptying").step(until="placer.empty")
    golden("placer_one_board", trace)


def test_boards_follow_each_other_in_about_22_s() -> None:
    station = Station()
    times = []
    for _ in range(4):
        station.comes_to("counting")
        times.append(station.now_ns * 1e-9)
        assert station.leaves() == GOOD
    assert all(21.0 < b - a < 23.0 for a, b in pairwise(times))


def test_compiled_and_plain_do_the_same() -> None:
    """Up to the first parts, of lanes that often fail and one that is blocked."""
    images = []
    for compiled in (True, False):
        station = Station(compiled)
        for n in range(LANES):
            station.plant[lane(n, "error_ppm")] = 0.1e6
        station.tags["placer.error_window"] = 2000
        station.go(20.0)
        images.append(station.twin.runner.image.bytes.tobytes())
        assert any(station[f"feeders.lanes.{n}.blocked"] for n in range(LANES))
        assert int(station["placed"]) > 20
    assert images[0] == images[1]


def test_look_ends_while_held_and_aborted_the_board_is_looked_at_anew() -> None:
    """What the machine still says of the earlier look is no answer to the new one."""
    station = Station().comes_to("looking")
    station.command("placer", Command.HOLD)
    station.until(lambda: station["fiducials_found"])
    station.command("placer", Command.ABORT)
    station.go(1.0)
    station.pursue(Goal.RUN)
    assert station.leaves() == GOOD


def test_slow_polls_what_an_earlier_look_found_is_no_answer_to_a_later_one() -> None:
    """Held when the first look had found them; the second one finds none."""
    station = Station().comes_to("looking")
    station.command("placer", Command.HOLD)
    station.until(lambda: station["fiducials_found"])
    station.plant["placer.lost_ppm"] = 1e9
    station.command("placer", Command.UNHOLD)
    told = station.go_slowly(10.0, every=75).journal.entries(20, "placer")
    steps = {e["to"] for e in told if e["event"] == "Step"}
    assert "reclamping" in steps and "placing" not in steps
    assert not station.plant["placer.fault"]


@pytest.fixture(scope="module")
def moments() -> dict[str, int]:
    """Each step of the second board's way, and the scan after a few in which it is there."""
    station, seen = Station(), dict[str, int]()
    station.comes_to("emptying")
    while station["board.id"] != 2 or station.step != "emptying":
        station.go(0.01)
        after = 700 if station.step == "placing" else 5
        seen.setdefault(station.step, station.twin.runner.scan + after)
    seen.setdefault("emptying", station.twin.runner.scan + 5)
    return seen


@pytest.mark.parametrize("blow", ["stop", "hold", "abort", "cut"])
def test_interrupted_in_any_step_it_goes_on_and_every_board_is_good(
    blow: str, moments: dict[str, int]
) -> None:
    assert len(moments) >= 9
    for step, scan in moments.items():
        station = Station()
        station.go((scan - station.twin.runner.scan) * 0.01)
        if blow == "cut":
            kill_scan(station)
        else:
            station.pursue(Goal.REST)
            station.command("placer", Command[blow.upper()])
        station.go(30.0)
        ends = {"stop": State.STOPPED, "hold": State.HELD, "abort": State.ABORTED}
        assert station["unit.state"] == ends.get(blow, State.STOPPED), f"{step}: {blow}"
        assert not (station.plant["placer.belt_run"] or station.plant["placer.place"]), step
        station.pursue(Goal.RUN)
        if blow == "hold":
            station.command("placer", Command.UNHOLD)
        seen = station.pass_on(3)
        assert {2, 3} <= set(seen) and all(truth == GOOD[2] for truth in seen.values()), step
        assert station.read("magazine.failed") == 0, step
        census = station.census()
        assert census["entered"] == census["stored"] + census["in_line"], step


def test_power_cut_then_let_go_by_hand_is_scrap() -> None:
    station = begun()
    station.plant["safety.panel_estop_pressed"] = True
    station.go(1.0)
    assert station["unit.state"] == State.ABORTED and station["clamped"] and station["begun"]
    station.plant["placer.hand_opens"] = True
    station.go(0.1)
    station.plant["placer.hand_opens"] = False
    station.plant["safety.panel_estop_pressed"] = False
    station.plant["safety.panel_reset_pressed"] = True
    station.go(0.5)
    station.plant["safety.panel_reset_pressed"] = False
    station.go(2.0)
    station.pursue(Goal.RUN)
    result, route, truth = station.leaves()
    assert (result, route) == (Result.FAILED, Route.REMOVAL)
    assert truth["missing"] > 100 and truth["placed"] + truth["missing"] == PARTS
    station.comes_to("counting")
    assert station.leaves() == GOOD


@pytest.mark.parametrize(
    ("tags", "route"),
    [
        ({"result": int(Result.FAILED)}, Route.LINE),
        ({"route": int(Route.REWORK)}, Route.REWORK),
        ({"printed_ns": -3601 * S_NS}, Route.REMOVAL),
        ({"id": 77}, Route.REMOVAL),
    ],
    ids=["failed", "rework", "too_old", "stranger"],
)
def test_board_not_to_be_placed_passes_through(tags: dict[str, int], route: Route) -> None:
    station = Station()
    station.comes_to("filling")
    for tag, value in tags.items():
        station.tags[f"placer.infeed.hears.board.{tag}"] = value
        station.tags[f"infeed.board.{tag}"] = value
        station.tags[f"infeed.outfeed.says.board.{tag}"] = value
    station.comes_to("releasing")
    number = station["board.id"]
    station.until(lambda: station.read("outfeed.board.id") == number)
    assert station.read("outfeed.board.route") == route
    assert not int(station.read("outfeed.board.work_done")) & PLACED
    assert station.plant["coupler.outfeed.board.placed"] == 0
    assert station.plant["coupler.outfeed.board.missing"] == 0
    station.comes_to("counting")
    assert station.leaves() == GOOD, "the next one is placed"


def test_fiducials_lost_once_the_board_is_clamped_anew_and_placed() -> None:
    station = Station()
    station.plant["placer.lost_ppm"] = 1e9
    station.comes_to("reclamping")
    station.plant["placer.lost_ppm"] = 0.0
    assert station.leaves() == GOOD
    assert station["lost_in_row"] == 0


def test_fiducials_lost_twice_is_suspect_and_three_in_a_row_hold() -> None:
    station = Station()
    station.plant["placer.lost_ppm"] = 1e9
    for number in (1, 2, 3):
        station.comes_to("suspect")
        result, route, truth = station.leaves()
        assert (result, route) == (Result.FAILED, Route.REWORK)
        assert truth["placed"] == truth["missing"] == 0
        assert station["lost_in_row"] == number
    station.until(station.held)
    assert station.first_out("placer") == "fiducials_seen"
    station.plant["placer.lost_ppm"] = 0.0
    station.go(60.0)
    assert station.held(), "only a person goes on"
    station.command("placer", Command.UNHOLD)
    station.comes_to("counting")
    assert station.leaves() == GOOD and station.first_out("placer") == ""


def test_lane_with_too_many_errors_is_blocked_stood_in_for_and_used_again_when_mended() -> None:
    station = Station()
    station.plant[lane(2, "error_ppm")] = 0.9e6
    station.tags["placer.error_window"] = 2000
    station.until(lambda: bool(station["feeders.lanes.2.blocked"]))
    assert 2 <= int(station["feeders.lanes.2.errors"]) <= 8, "750 ppm of 2000 picks is 1.5"
    station.comes_to("counting")
    assert station.leaves() == GOOD
    assert 0 < int(station["feeders.lanes.12.picks"]) < 30
    assert station["unit.state"] in (State.EXECUTE, State.SUSPENDED)
    station.until(lambda: not station["feeders.lanes.2.blocked"], 200.0)
    picks = int(station["feeders.lanes.12.picks"])
    station.until(lambda: int(station["feeders.lanes.2.picks"]) == 30, 60.0)
    assert station["feeders.lanes.12.picks"] == picks


def test_lanes_that_are_well_are_not_blocked() -> None:
    """At 400 ppm a window of 20,000 picks has 8 errors; 15 are allowed."""
    station = Station()
    for n in range(LANES):
        station.plant[lane(n, "error_ppm")] = 400.0
        station.plant[lane(n, "left")] = 1_000_000
    station.go(1800.0)
    assert not any(station[f"feeders.lanes.{n}.blocked"] for n in range(LANES))
    assert int(station.read("magazine.good")) > 75 and station.read("magazine.failed") == 0


@pytest.mark.parametrize("tag", ["reel", "part"])
def test_wrong_reel_is_not_used_and_holds_when_nothing_stands_in(tag: str) -> None:
    station = Station()
    station.plant[lane(1, tag)] = 999
    station.comes_to("counting")
    assert station.leaves() == GOOD
    assert station["feeders.lanes.1.picks"] == 0 and station["feeders.lanes.11.picks"] == 30
    station.plant[lane(11, tag)] = 999
    station.until(station.held)
    assert station.first_out("placer") == "reels_right" and station["feeders.lane_in_need"] == 2
    assert station["placed"] == 0, "between two boards"
    station.comes_to("counting", 250.0)
    assert station.leaves() == GOOD, "the right ones were brought"


def test_reel_runs_empty_in_a_board_it_holds_and_goes_on_with_the_next() -> None:
    station = Station()
    station.plant[lane(0, "left")] = 12
    station.plant[lane(10, "left")] = 0
    station.until(station.held)
    assert station.step == "placing" and station["placed"] == 12
    assert station.first_out("placer") == "parts_enough" and station["feeders.lane_in_need"] == 1
    station.go(0.02)
    assert not station.plant["placer.place"] and station["clamped"]
    station.comes_to("counting", 250.0)
    assert station.leaves() == GOOD
    assert station.first_out("placer") == ""


def asked(station: Station, n: int) -> list[int]:
    """The reels that were asked for in a lane, in turn."""
    told = station.journal.entries(10**6, "placer")
    tag = f"placer.feeders.lanes.{n}.supply.asked"
    return [e["to"] for e in told if e["event"] == "Changed" and e["tag"] == tag]


def picked(station: Station) -> list[int]:
    """Parts that left each lane's reels, by what was brought and what is left."""
    return [
        REEL * (1 + int(station.plant[lane(n, "supply.brought")]))
        - int(station.plant[lane(n, "left")])
        for n in range(LANES)
    ]


def test_reels_run_low_the_next_ones_are_asked_for_and_come_in_time() -> None:
    """No board waits, no other lane stands in, and no part is lost on the way."""
    station = Station()
    for n in range(3):
        station.plant[lane(n, "left")] = 600 + 10 * n
    gone = picked(station)
    seen = station.pass_on(9)
    assert all(truth == GOOD[2] for truth in seen.values())
    for n in range(3):
        assert asked(station, n) == [5001 + n, 0] and station[f"feeders.lanes.{n}.left"] > REEL
    assert not station.took_state("Held")
    used = [a - b for a, b in zip(picked(station), gone, strict=True)]
    assert used == [int(station.plant[lane(n, "picks")]) for n in range(LANES)]
    assert used[10:] == [0] * 10


def test_wrong_reel_brought_is_refused_and_asked_for_anew() -> None:
    station = Station()
    station.plant[lane(0, "left")] = 500
    station.plant[lane(0, "supply.mistaken")] = 5002
    station.until(lambda: station["feeders.lanes.0.reel"] == 5002, 200.0)
    picks = int(station.plant[lane(0, "picks")])
    station.until(lambda: station["feeders.lanes.0.reel"] == 5001, 200.0)
    assert station.plant[lane(0, "picks")] in (picks, 0), "none of the wrong parts"
    assert asked(station, 0)[:3] == [5001, 0, 5001]
    assert station.plant[lane(0, "supply.brought")] == 2
    assert not station.took_state("Held"), "the other lane stood in"
    station.comes_to("counting")
    assert station.leaves() == GOOD


def test_stock_has_none_the_placer_is_held_and_goes_on_at_the_delivery() -> None:
    station = Station()
    for n in (0, 10):
        station.plant[lane(n, "left")] = 40 if n == 0 else 0
        station.plant[lane(n, "supply.none_left")] = True
    station.until(station.held, 200.0)
    station.go(400.0)
    assert station.held() and station.first_out("placer") == "parts_enough"
    assert station["feeders.lane_in_need"] == 1 and station["feeders.lanes.0.supply.asked"] == 5001
    assert station.plant[lane(0, "picks")] == 40, "a reel is used up"
    station.plant[lane(10, "supply.none_left")] = False
    station.until(lambda: station["unit.state"] == State.EXECUTE, 1.0)
    station.comes_to("counting")
    assert station.leaves() == GOOD
    assert asked(station, 0) == [5001], "it stands"


def test_restarted_while_a_reel_is_on_its_way_it_comes_once() -> None:
    station = Station()
    station.plant[lane(0, "left")] = 500
    station.go(60.0)
    kill_scan(station)
    station.pursue(Goal.RUN)
    station.go(250.0)
    assert station.plant[lane(0, "supply.brought")] == 1
    assert station["feeders.lanes.0.supply.asked"] == 0


def test_wrong_splice_quarantines_the_board_that_got_parts_of_it() -> None:
    station = begun()
    picks = int(station.plant[lane(5, "picks")])
    station.plant[lane(5, "reel")] = 999
    station.plant[lane(5, "picks")] = picks + 1
    assert station.leaves()[:2] == (Result.FAILED, Route.REMOVAL)
    station.comes_to("counting")
    assert station.leaves() == GOOD
    assert station["feeders.lanes.5.picks"] == picks + 1


def test_machine_that_counts_a_part_too_few_the_board_is_scrap(line: OpenLine) -> None:
    station = line(STATION, sim=True).start().step(until="placer.placing")
    station.force("placer.placed", PARTS - 1).step(until="placer.releasing")
    assert station["placer.board.result"] == Result.FAILED
    assert station["placer.board.route"] == Route.REMOVAL
    assert station["placer.board.work_done"] == 0


def test_too_few_nozzles_hold_until_they_are_clean() -> None:
    station = begun()
    for n in range(5):
        station.plant[f"placer.nozzles.{n}.clogged"] = True
    station.until(station.held)
    assert station.first_out("placer") == "nozzles_enough"
    station.comes_to("counting", 200.0)
    assert station.leaves() == GOOD


@pytest.mark.parametrize("tag", ["recipe.version", "feeders.lanes.0.parts_wanted"])
def test_recipe_refused_by_the_machine_no_board_is_asked_for(tag: str) -> None:
    """One that is being changed, or has more parts than the machine places."""
    station = Station()
    station.comes_to("placing")
    station.tags[f"placer.{tag}"] = 0 if tag == "recipe.version" else 900
    assert station.leaves() == GOOD, "the board at work is finished by the old one"
    station.go(60.0)
    assert station.step == "empty" and not station["infeed.says.machine_ready"]
    station.tags[f"placer.{tag}"] = 2 if tag == "recipe.version" else 20
    station.comes_to("counting")
    assert station["placed"] == (PARTS if tag == "recipe.version" else PARTS - 10)


def test_correction_reaches_the_parts() -> None:
    station = Station()
    station.tags["placer.offset_x_um_wanted"] = 90.0
    station.comes_to("placing")
    station.plant["placer.belt.board.offset_x_um"] = 90.0
    station.comes_to("counting")
    assert station.plant["placer.belt.board.shifted"] == 0


def test_parameters_that_make_no_program_are_unfit() -> None:
    lanes = {f"feeders.lanes.{n}.{p}_wanted": 0 for n in range(LANES) for p in ("part", "parts")}
    assert Placer.unfit(lanes) == "0 parts for a board; the machine places 1 to 1000"
    some = lanes | {"feeders.lanes.3.parts_wanted": 20}
    assert "lane 3 gives 20 parts of no part number" in str(Placer.unfit(some))
    assert Placer.unfit(some | {"feeders.lanes.3.part_wanted": 101}) is None
