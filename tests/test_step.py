"""The step in virtual time: slow cells, outputs before the logic has spoken and after it, lost events."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scada_line import device, line_of

from cellrt import Cause, Cell, Output, Var, always, hold, keep, run_out, safe, stay, to
from cellrt.line.spec import CellSpec
from cellrt.scan.events import Event, emit
from cellrt.scan.executive import outputs_to_rest
from cellrt.scan.plan import OUTPUT_HEAD, Plan
from cellrt.scan.runner import Runner
from cellrt.scan.step import write
from cellrt.scan.tables import EVENTS_A_SCAN
from cellrt.wire import Point, Wire

EVERY = 10
BRAKE, DAMPER = OUTPUT_HEAD, OUTPUT_HEAD + 1


class Drum(Cell):
    """Scanned in every tenth scan; at rest its brake is on and its damper open."""

    period_ms = 100
    scans: int = Var()
    brake: bool = Output(
        safe=safe(stop=to(True), process=to(True), comms=to(True), guard=to(True), estop=to(False))
    )
    damper: bool = Output(
        safe=safe(
            stop=hold(5.0, True), process=to(True), comms=to(True), guard=to(True), estop=to(True)
        )
    )

    def always(self) -> None:
        self.scans += 1


class Oven(Cell):
    """Its fan runs out for five seconds."""

    fan: bool = Output(safe=always(run_out(5.0, False)))

    def always(self) -> None:
        self.fan = True


@pytest.fixture
def plan() -> Plan:
    fan = device("fan", {})
    points = tuple(
        Point(name, f"coil:{n}", Wire.BOOL) for n, name in enumerate(("brake", "damper"))
    )
    fan = dataclasses.replace(fan, map=dataclasses.replace(fan.map, outputs=points))
    joined = {p.name: ("fan", p.name) for p in points}
    reactions = {name: Drum.fields[name].safe or {} for name in joined}
    return line_of("drum", [fan], {"drum": CellSpec("drum", Drum, {}, joined, reactions)})


@pytest.fixture(params=["compiled", "plain"])
def runner(request: pytest.FixtureRequest, plan: Plan) -> Runner:
    return Runner(plan, compiled=request.param == "compiled")


def scans(runner: Runner) -> object:
    return runner.image.read(runner.plan.layout.find("drum.scans"))


def test_slow_cell_on_time_is_scanned_in_every_tenth_scan(runner: Runner) -> None:
    for _ in range(5 * EVERY):
        runner.step()
    assert scans(runner) == 5


def test_slow_cell_its_scan_passed_over_is_scanned_in_the_next(runner: Runner) -> None:
    runner.scan = 1
    for _ in range(5 * EVERY):
        runner.step()
        runner.scan += 1  # an overrun: scan numbers stay odd, no tenth one ever comes
    assert scans(runner) == 9


def test_slow_cell_not_scanned_yet_outputs_are_at_rest(runner: Runner) -> None:
    runner.scan = 1
    runner.step()
    assert scans(runner) == 0
    assert runner.work.outputs[[BRAKE, DAMPER]].tolist() == [1, 1]


def test_power_up_output_with_nothing_to_hold_is_at_rest(runner: Runner) -> None:
    runner.step()
    assert scans(runner) == 1
    assert runner.work.outputs[[BRAKE, DAMPER]].tolist() == [1, 1]


@pytest.mark.parametrize(("cause", "brake"), [(Cause.NONE, 1), (Cause.STOP, 1), (Cause.ESTOP, 0)])
def test_last_outputs_keep_to_a_cause_worse_than_a_stop(
    plan: Plan, cause: Cause, brake: int
) -> None:
    runner = Runner(plan, compiled=False)
    runner.image.write(plan.layout.find("drum.unit.cause"), int(cause))
    outputs_to_rest(runner.tables, runner.work)
    assert runner.work.outputs[BRAKE] == brake


@pytest.mark.parametrize("lost", [0, 1, 7])
def test_more_events_than_a_scan_holds_the_last_one_counts_the_others(
    plan: Plan, lost: int
) -> None:
    work = Runner(plan, compiled=False).work
    room = EVENTS_A_SCAN - 1
    for n in range(room + lost):
        emit(work, 5, Event.BOARD_IN, n, 1000 + n, 2, 3, 4)
    assert work.event_count[0] == room + (lost > 0)
    assert work.events[:room, 3].tolist() == list(range(room))
    if lost:
        expected = np.array([0, 5, Event.LOST, 0, lost, 0, 0, 0])
        assert work.events[room].tolist() == expected.tolist()


def test_output_that_has_run_out_stays_off_when_the_cause_changes() -> None:
    io = device("io", {})
    fan = Point("fan", "coil:0", Wire.BOOL)
    io = dataclasses.replace(io, map=dataclasses.replace(io.map, outputs=(fan,)))
    reactions = {"fan": Oven.fields["fan"].safe or {}}
    runner = Runner(
        line_of(
            "oven", [io], {"oven": CellSpec("oven", Oven, {}, {"fan": ("io", "fan")}, reactions)}
        ),
        compiled=False,
    )
    sent = []
    for scan in range(1500):  # Stopped at first; Aborted by the silent device when power-up is over
        if scan in (1100, 1300):
            runner.set_commands([[1, 0, 1, 0, (8, 9)[scan == 1300], 10**15, 0, 1]])
        runner.step()
        sent.append(int(runner.work.outputs[OUTPUT_HEAD]))
    assert sent[:400] == [1] * 400, "it runs out first"
    assert not any(sent[600:]), "neither Abort nor Clear brings it back"


class Vice(Cell):
    """Lets go only when nothing is amiss any more."""

    grip: bool = Output(safe=safe(to(False), to(False), stay(False), stay(False), stay(False)))


def test_output_that_stays_keeps_its_last_value_until_a_milder_cause_takes_over() -> None:
    io = device("io", {})
    grip = Point("grip", "coil:0", Wire.BOOL)
    io = dataclasses.replace(io, map=dataclasses.replace(io.map, outputs=(grip,)))
    reactions = {"grip": Vice.fields["grip"].safe or {}}
    spec = CellSpec("vice", Vice, {}, {"grip": ("io", "grip")}, reactions)
    runner = Runner(line_of("vice", [io], {"vice": spec}), compiled=False)
    runner.work.outputs[OUTPUT_HEAD] = 1

    def sent(cause: Cause, after_s: float) -> int:
        runner.image.write(runner.plan.layout.find("vice.unit.cause"), int(cause))
        write(runner.tables, runner.work, round(after_s * 1e9), 1, 1)
        return int(runner.work.outputs[OUTPUT_HEAD])

    assert [sent(Cause.GUARD, 1e6), sent(Cause.ESTOP, 2e6), sent(Cause.STOP, 3e6)] == [1, 1, 0]


class Caller(Cell):
    """Asks another controller for something, whatever its own state."""

    ask: bool = Output(safe=always(keep(False)))

    def always(self) -> None:
        self.ask = True


def test_output_that_is_kept_goes_on_in_every_state_and_rests_when_the_scan_ends() -> None:
    io = device("io", {})
    ask = Point("ask", "coil:0", Wire.BOOL)
    io = dataclasses.replace(io, map=dataclasses.replace(io.map, outputs=(ask,)))
    reactions = {"ask": Caller.fields["ask"].safe or {}}
    spec = CellSpec("caller", Caller, {}, {"ask": ("io", "ask")}, reactions)
    runner = Runner(line_of("caller", [io], {"caller": spec}), compiled=False)
    for _ in range(3200):  # Stopped, then Aborted: the device says nothing
        runner.step()
        assert runner.work.outputs[OUTPUT_HEAD] == 1
    assert runner.image.read(runner.plan.layout.find("caller.unit.cause")) == Cause.COMMS
    outputs_to_rest(runner.tables, runner.work)
    assert runner.work.outputs[OUTPUT_HEAD] == 0
