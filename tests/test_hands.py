"""Who commands a cell, and what a person may do in Manual and Maintenance: jogs and single steps."""

from __future__ import annotations

import dataclasses

import pytest
from scada_line import device, line_of
from scan_bench import PERIOD_NS, Bench

from cellrt import Cause, Cell, Input, Interlock, Output, Sequence, Step, always, safe, to
from cellrt.commander import Commander
from cellrt.line.spec import CellSpec
from cellrt.packml import Command, Control, Mode, State
from cellrt.scan.commands import Operation, Origin, Refusal
from cellrt.scan.plan import OUTPUT_HEAD, Plan
from cellrt.supervisor import Goal, Supervisor
from cellrt.wire import Point, Wire

UP, SPEED = OUTPUT_HEAD, OUTPUT_HEAD + 1
INPUTS = {"guard_closed": Wire.BOOL, "door_shut": Wire.BOOL, "high": Wire.BOOL, "low": Wire.BOOL}
AFAR = [Origin.SUPERVISOR, Origin.SCADA]


class Lift(Cell):
    """Goes up and down; its door counts only while it works. Its brake is nobody's to jog."""

    guard_closed: bool = Input()
    door_shut: bool = Input()
    high: bool = Input()
    low: bool = Input()
    up: bool = Output(safe=always(to(False)), jog=True)
    speed_mm_s: float = Output(
        safe=safe(stop=to(5.0), process=to(0.0), comms=to(0.0), guard=to(0.0), estop=to(0.0)),
        jog=True,
        low=0.0,
        high=50.0,
    )
    brake: bool = Output(safe=always(to(False)))
    interlocks = (
        Interlock("guard_closed", Cause.GUARD),
        Interlock("door_shut", only_running=True),
    )
    sequence = Sequence(
        Step("lifting", {"high": "lowering"}, within_s=0.5), Step("lowering", {"low": "lifting"})
    )

    def execute(self) -> None:
        self.up = True

    def work_complete(self) -> bool:
        return self.unit.step == 1


@pytest.fixture(scope="module")
def plan() -> Plan:
    io = device("io", INPUTS)
    outputs = (
        Point("up", "coil:0", Wire.BOOL),
        Point("speed_mm_s", "holding:0", Wire.U16),
        Point("brake", "coil:1", Wire.BOOL),
    )
    io = dataclasses.replace(io, map=dataclasses.replace(io.map, outputs=outputs))
    joined = {p.name: ("io", p.name) for p in (*io.map.inputs, *outputs)}
    reactions = {p.name: Lift.fields[p.name].safe or {} for p in outputs}
    return line_of("lift", [io], {"lift": CellSpec("lift", Lift, {}, joined, reactions)})


@pytest.fixture(params=["compiled", "plain"])
def bench(request: pytest.FixtureRequest, plan: Plan) -> Bench:
    """A lift at rest, guard and door shut."""
    bench = Bench(plan, request.param == "compiled")
    bench.sample(guard_closed=1, door_shut=1)
    bench.scan(2)
    return bench


def take(bench: Bench, mode: Mode = Mode.MANUAL) -> None:
    assert bench.asked(Operation.COMMANDER, 0, Control.LOCAL) is Refusal.ACCEPTED
    assert bench.asked(Operation.MODE, 0, mode) is Refusal.ACCEPTED


def jog(bench: Bench, tag: str = "up", raw: int = 1, **more: Origin) -> Refusal:
    number = bench.plan.terminal_of[f"lift.{tag}"]
    return bench.asked(Operation.JOG, number, raw, for_ns=5 * PERIOD_NS, **more)


@pytest.mark.parametrize("origin", AFAR)
def test_cell_commanded_from_afar_a_person_may_only_stop_it(bench: Bench, origin: Origin) -> None:
    packml, mode = Operation.PACKML, Operation.MODE
    assert bench.asked(packml, 0, Command.RESET) is Refusal.NOT_IN_COMMAND
    assert bench.asked(mode, 0, Mode.MANUAL) is Refusal.NOT_IN_COMMAND
    assert bench.asked(packml, 0, Command.RESET, origin=origin) is Refusal.ACCEPTED
    bench.scan(2)
    assert bench["lift.unit.state"] == State.IDLE
    assert bench.asked(packml, 0, Command.STOP) is Refusal.ACCEPTED


@pytest.mark.parametrize("origin", AFAR)
def test_cell_that_a_person_has_taken_afar_may_only_stop_it(bench: Bench, origin: Origin) -> None:
    take(bench, Mode.PRODUCTION)
    packml, mode = Operation.PACKML, Operation.MODE
    assert bench.asked(packml, 0, Command.RESET, origin=origin) is Refusal.NOT_IN_COMMAND
    assert bench.asked(mode, 0, Mode.MANUAL, origin=origin) is Refusal.NOT_IN_COMMAND
    assert bench.asked(packml, 0, Command.RESET) is Refusal.ACCEPTED
    assert bench.asked(packml, 0, Command.ABORT, origin=origin) is Refusal.ACCEPTED


@pytest.mark.parametrize("origin", AFAR)
def test_nobody_takes_or_releases_a_cell_from_afar(bench: Bench, origin: Origin) -> None:
    for control in Control:
        answer = bench.asked(Operation.COMMANDER, 0, control, origin=origin)
        assert answer is Refusal.NOT_IN_COMMAND
    assert bench.asked(Operation.COMMANDER, 0, 2) is Refusal.OUT_OF_LIMITS


def test_taking_releasing_and_modes_are_told_with_from_and_to(bench: Bench) -> None:
    take(bench)
    bench.asked(Operation.COMMANDER, 0, Control.LOCAL)
    bench.asked(Operation.COMMANDER, 0, Control.REMOTE)
    told = [
        (e["event"], e["from"], e["to"])
        for e in bench.events
        if e["event"] in ("Commander", "Mode")
    ]
    assert told == [
        ("Commander", "Remote", "Local"),
        ("Mode", "Production", "Manual"),
        ("Commander", "Local", "Remote"),
    ]


def test_jogged_output_is_on_as_long_as_it_is_asked_for(bench: Bench) -> None:
    take(bench)
    for _ in range(20):
        assert jog(bench) is Refusal.ACCEPTED
        assert bench.sent(UP) == [1] and bench["lift.up"]
    sent = []
    for _ in range(8):
        bench.scan()
        sent += bench.sent(UP)
    assert sent == [1] * 5 + [0] * 3 and not bench["lift.up"]


def test_jogged_value_goes_back_to_what_the_output_is_at_rest(bench: Bench) -> None:
    take(bench)
    assert jog(bench, "speed_mm_s", 20) is Refusal.ACCEPTED
    assert bench.sent(UP, SPEED) == [0, 20]
    bench.scan(6)
    assert bench.sent(SPEED) == [5]


@pytest.mark.parametrize("lost", ["guard_closed", "door_shut"])
def test_jogged_output_an_interlock_is_lost_it_is_safe_in_that_scan(
    bench: Bench, lost: str
) -> None:
    """The door counts too, though a cell at rest may stand open."""
    take(bench)
    jog(bench)
    bench.sample(**{lost: 0})
    bench.scan()
    assert bench.sent(UP) == [0]
    assert jog(bench) in (Refusal.NOT_WELL, Refusal.NOT_IN_THIS_STATE)
    assert bench.sent(UP) == [0]


def test_jogged_output_its_cell_leaves_manual_or_the_person_it_is_safe_in_that_scan(
    bench: Bench,
) -> None:
    take(bench)
    jog(bench)
    bench.asked(Operation.MODE, 0, Mode.PRODUCTION)
    assert bench.sent(UP) == [0]
    take(bench)
    jog(bench)
    assert bench.sent(UP) == [1]
    bench.asked(Operation.COMMANDER, 0, Control.REMOTE)
    assert bench.sent(UP) == [0]


def test_jog_that_may_not_be_is_refused(bench: Bench) -> None:
    assert jog(bench) is Refusal.NOT_IN_COMMAND
    take(bench, Mode.MAINTENANCE)
    assert jog(bench) is Refusal.NOT_IN_THIS_MODE
    take(bench)
    assert jog(bench, origin=Origin.SCADA) is Refusal.NOT_IN_COMMAND
    assert jog(bench, "brake") is jog(bench, "high") is Refusal.UNKNOWN_TARGET
    assert jog(bench, "speed_mm_s", 51) is Refusal.OUT_OF_LIMITS
    bench.asked(Operation.PACKML, 0, Command.ABORT)
    bench.scan(2)
    assert jog(bench) is Refusal.NOT_IN_THIS_STATE
    assert bench.sent(UP) == [0]


def test_cell_in_manual_does_not_start(bench: Bench) -> None:
    take(bench)
    bench.asked(Operation.PACKML, 0, Command.RESET)
    bench.scan(2)
    assert bench.asked(Operation.PACKML, 0, Command.START) is Refusal.NOT_IN_THIS_MODE
    assert jog(bench) is Refusal.ACCEPTED, "Idle is at rest as well"


def in_maintenance(bench: Bench) -> None:
    """At work in its first step."""
    take(bench, Mode.MAINTENANCE)
    for command in (Command.RESET, Command.START):
        assert bench.asked(Operation.PACKML, 0, command) is Refusal.ACCEPTED
        bench.scan(2)
    assert bench["lift.unit.state"] == State.EXECUTE


def test_sequence_in_maintenance_makes_one_transition_for_each_step_asked(bench: Bench) -> None:
    in_maintenance(bench)
    bench.sample(high=1, low=1)
    bench.scan(100)
    assert bench["lift.unit.step"] == 0, "nor is a step late that waits for a person"
    for step in (1, 0, 1):
        assert bench.asked(Operation.STEP, 0, 0) is Refusal.ACCEPTED
        bench.scan(20)
        assert bench["lift.unit.step"] == step


def test_step_in_maintenance_whose_condition_does_not_come_is_late(bench: Bench) -> None:
    in_maintenance(bench)
    bench.scan(60)
    assert bench["lift.unit.state"] in (State.ABORTING, State.ABORTED)


def test_cell_in_maintenance_is_stopped_its_work_ends_without_steps(bench: Bench) -> None:
    in_maintenance(bench)
    bench.sample(high=1)
    bench.asked(Operation.PACKML, 0, Command.STOP)
    bench.scan(3)
    assert (bench["lift.unit.step"], bench["lift.unit.state"]) == (1, State.STOPPED)


def test_step_elsewhere_is_refused(bench: Bench) -> None:
    assert bench.asked(Operation.STEP, 0, 0) is Refusal.NOT_IN_COMMAND
    take(bench)
    assert bench.asked(Operation.STEP, 0, 0) is Refusal.NOT_IN_THIS_MODE
    take(bench, Mode.MAINTENANCE)
    assert bench.asked(Operation.STEP, 0, 0) is Refusal.NOT_IN_THIS_STATE


def test_counters_reset_by_who_commands_the_cell_boards_are_counted_from_nothing(
    bench: Bench,
) -> None:
    counts = [f"lift.unit.{count}" for count in ("boards_in", "boards_out", "defective_out")]
    for count in counts:
        bench.runner.image.write(bench.plan.layout.find(count), 7)
    assert bench.asked(Operation.RESET_COUNTERS, 0, 0) is Refusal.NOT_IN_COMMAND
    assert [bench[count] for count in counts] == [7, 7, 7]
    afar = Origin.SCADA
    assert bench.asked(Operation.RESET_COUNTERS, 0, 0, origin=afar) is Refusal.ACCEPTED
    assert [bench[count] for count in counts] == [0, 0, 0]


class Hall:
    """What a supervisor sees of the lift."""

    def __init__(self, plan: Plan) -> None:
        self.tags: dict[str, bool | int | float] = {
            "lift.unit.state": State.STOPPED,
            "lift.unit.mode": Mode.PRODUCTION,
            "lift.unit.io_good": True,
        }
        self.supervisor = Supervisor(plan, Commander(1, Origin.SUPERVISOR))

    def wants(self) -> list[int]:
        """PackML commands for now."""
        return [c[4] for c in self.supervisor.decide(0, self.read)]

    def read(self, tag: str) -> bool | int | float:
        return self.tags.get(tag, 0)


@pytest.mark.parametrize(
    ("tag", "value"), [("commander", Control.LOCAL), ("mode", Mode.MAINTENANCE)]
)
def test_supervisor_leaves_a_cell_in_hand_alone_but_for_a_stop(
    plan: Plan, tag: str, value: int
) -> None:
    hall = Hall(plan)
    before = hall.tags.get(f"lift.unit.{tag}", 0)
    hall.tags[f"lift.unit.{tag}"] = value
    hall.supervisor.pursue(Goal.RUN)
    assert not hall.wants() and hall.supervisor.reached(hall.read)
    hall.tags[f"lift.unit.{tag}"] = before
    assert not hall.wants(), "given back, it stands until the line is told to run anew"
    hall.supervisor.pursue(Goal.RUN)
    assert hall.wants() == [Command.RESET]
    hall.tags |= {f"lift.unit.{tag}": value, "lift.unit.state": State.EXECUTE}
    hall.supervisor.pursue(Goal.STOP)
    assert hall.wants() == [Command.STOP] and not hall.supervisor.reached(hall.read)
