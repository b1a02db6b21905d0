"""Forces in the scan: what the logic sees, what goes out, what safety forbids, and when they end."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scada_line import device, line_of
from scan_bench import EVER, PERIOD_NS, Bench

from cellrt import Cause, Cell, Input, Interlock, Output, Var, always, run_out, safe, to
from cellrt.declared import tags_read
from cellrt.journal import Journal
from cellrt.line.spec import CellSpec, SimSpec
from cellrt.packml import Command
from cellrt.scan.commands import Operation, Refusal
from cellrt.scan.plan import OUTPUT_HEAD, Plan
from cellrt.scan.runner import Runner
from cellrt.wire import Point, Wire

INPUTS = {"guard_closed": Wire.BOOL, "door_shut": Wire.BOOL, "part_here": Wire.BOOL}
VALVE, SPEED, FAN = OUTPUT_HEAD, OUTPUT_HEAD + 1, OUTPUT_HEAD + 2


class Stamper(Cell):
    """Opens its valve on a part; safety is a tag and a method."""

    guard_closed: bool = Input()
    door_shut: bool = Input()
    part_here: bool = Input()
    level_mm: float = Input(unit="mm")
    valve: bool = Output(safe=always(to(False)))
    speed_mm_s: float = Output(safe=always(to(0.0)), unit="mm/s", low=0.0, high=400.0)
    fan: bool = Output(
        safe=safe(
            stop=run_out(0.05, False),
            process=to(False),
            comms=to(False),
            guard=to(False),
            estop=to(False),
        )
    )
    scans: int = Var()
    interlocks = (Interlock("guard_closed", Cause.GUARD), Interlock("secure", Cause.ESTOP))

    def secure(self) -> bool:
        return self.locked()

    def locked(self) -> bool:
        return self.door_shut

    def always(self) -> None:
        self.valve = self.part_here
        self.speed_mm_s = self.level_mm


def stamping(*, safety: tuple[str, ...] = (), power: str | None = None) -> Plan:
    """Two stampers that see the same guard and the same level."""
    io = device("io", INPUTS)
    level = Point("level", "input:9", Wire.U16, scale=0.5, offset=-10.0)
    outputs = (
        Point("valve", "coil:0", Wire.BOOL),
        Point("speed", "holding:1", Wire.U16, scale=0.1),
        Point("fan", "coil:2", Wire.BOOL),
    )
    points = dataclasses.replace(io.map, inputs=(*io.map.inputs, level), outputs=outputs)
    io = dataclasses.replace(io, map=points)
    shared = {tag: ("io", tag) for tag in INPUTS} | {"level_mm": ("io", "level")}
    own = {"valve": ("io", "valve"), "speed_mm_s": ("io", "speed"), "fan": ("io", "fan")}
    reactions = {tag: Stamper.fields[tag].safe or {} for tag in own}
    cells = {
        "a": CellSpec("a", Stamper, {}, shared | own, reactions),
        "b": CellSpec("b", Stamper, {}, shared, {}),
    }
    plan = line_of("stamping", [io], cells)
    sim = SimSpec(power=power)
    return Plan(dataclasses.replace(plan.line, sim=sim, safety=safety))


@pytest.fixture(scope="module")
def plan() -> Plan:
    return stamping()


@pytest.fixture(params=["compiled", "plain"])
def bench(request: pytest.FixtureRequest, plan: Plan) -> Bench:
    return at_work(plan, request.param == "compiled")


def at_work(plan: Plan, compiled: bool) -> Bench:
    """Both cells in Execute, guard and door shut."""
    bench = Bench(plan, compiled)
    bench.sample(guard_closed=1, door_shut=1)
    bench.start()
    return bench


def test_forced_input_every_tag_of_its_point_shows_it_whatever_is_sampled(bench: Bench) -> None:
    assert bench.force("a.part_here", True) is Refusal.ACCEPTED
    assert bench["a.part_here"] and bench["b.part_here"]
    assert bench.sent(VALVE) == [1], "the logic of that very scan has seen it"
    bench.sample(part_here=0)
    bench.scan()
    assert bench["b.part_here"]
    bench.force("b.level_mm", 32.5)
    assert bench["a.level_mm"] == bench["b.level_mm"] == 32.5


def test_unforced_input_shows_the_last_sample_though_no_fresh_one_comes(bench: Bench) -> None:
    bench.sample(level=60)
    bench.force("a.level_mm", 300.0)
    assert bench.sent(SPEED) == [3000]
    bench.unforce("b.level_mm")
    assert bench["a.level_mm"] == bench["b.level_mm"] == 20.0


def test_force_past_its_time_ends_by_itself_and_is_told(bench: Bench) -> None:
    bench.force("a.part_here", True, for_ns=3 * PERIOD_NS)
    shown = []
    for _ in range(5):
        shown.append(bench["a.part_here"])
        bench.scan()
    assert shown == [True] * 4 + [False]
    (ended,) = bench.told("Unforced")
    assert ended["tag"] == "a.part_here" and ended["expired"]
    assert bench.runner.work.forces[0] == 0


def test_forced_output_goes_out_and_leaves_nothing_behind(bench: Bench) -> None:
    bench.force("a.valve", True)
    bench.force("a.speed_mm_s", 123.4)
    assert bench.sent(VALVE, SPEED) == [1, 1234]
    assert bench["a.valve"] is False, "the tag shows what the logic wants"
    bench.unforce()
    assert bench.sent(VALVE, SPEED) == [0, 0]


def test_forced_output_its_cell_loses_a_guard_is_safe_in_that_scan(bench: Bench) -> None:
    bench.force("a.valve", True)
    bench.force("a.fan", True)
    bench.sample(guard_closed=0)
    bench.scan()
    assert bench.sent(VALVE, FAN) == [0, 0]
    assert bench.force("a.valve", True) is Refusal.ACCEPTED
    assert bench.sent(VALVE) == [0], "nor does a new force bring it back"


def test_forced_output_that_runs_out_is_off_when_it_has(bench: Bench) -> None:
    bench.force("a.fan", True)
    bench.ask(Operation.PACKML, 0, Command.STOP)
    sent = []
    for _ in range(12):
        bench.scan()
        sent.append(bench.sent(FAN)[0])
    assert 1 in sent and sent[-1] == 0


def test_forced_input_of_a_device_that_is_not_well_makes_it_no_better(bench: Bench) -> None:
    bench.force("a.part_here", True)
    bench.runner.inputs[bench.plan.samples[0].base + 1] = 0
    bench.scan()
    assert bench["a.part_here"] and not bench["a.unit.io_good"]
    assert bench.sent(VALVE) == [0]


@pytest.mark.parametrize("tag", ["a.guard_closed", "b.door_shut"])
def test_tag_of_a_guard_or_an_estop_is_never_forced(bench: Bench, tag: str) -> None:
    assert bench.force(tag, False) is Refusal.SAFETY
    assert bench[tag] and bench.runner.work.forces[0] == 0


def test_points_of_a_safety_device_are_never_forced() -> None:
    free = {stamping().terminals[n].name for n in stamping().safety_terminals}
    assert free == {"a.guard_closed", "a.door_shut"}
    for plan in (stamping(safety=("io",)), stamping(power="io")):
        assert len(plan.safety_terminals) == len(plan.terminals)


def test_condition_relies_on_the_tags_of_the_methods_it_calls() -> None:
    assert tags_read(Stamper, "secure") == {"door_shut"}
    assert tags_read(Stamper, "guard_closed") == {"guard_closed"}


@pytest.mark.parametrize(
    ("target", "raw", "for_ns", "refusal"),
    [
        (99, 1, EVER, Refusal.UNKNOWN_TARGET),
        (-1, 1, EVER, Refusal.UNKNOWN_TARGET),
        ("a.part_here", 2, EVER, Refusal.OUT_OF_LIMITS),
        ("a.level_mm", 70_000, EVER, Refusal.OUT_OF_LIMITS),
        ("a.speed_mm_s", 4001, EVER, Refusal.OUT_OF_LIMITS),
        ("a.speed_mm_s", 4000, EVER, Refusal.ACCEPTED),
        ("a.part_here", 1, 0, Refusal.EXPIRED),
        ("a.part_here", 1, -1, Refusal.EXPIRED),
    ],
)
def test_force_that_cannot_be_is_refused(
    bench: Bench, target: int | str, raw: int, for_ns: int, refusal: Refusal
) -> None:
    number = bench.plan.terminal_of[target] if isinstance(target, str) else target
    bench.ask(Operation.FORCE, number, raw, for_ns)
    assert bench.answer() is refusal
    assert bench.runner.work.forces[0] == (refusal is Refusal.ACCEPTED)


def test_new_scan_process_has_no_forces_and_the_journal_knows(plan: Plan) -> None:
    bench, journal = at_work(plan, compiled=False), Journal(plan)
    bench.force("a.part_here", True)
    bench.force("a.valve", False)
    bench.force("a.valve", True)
    journal.append(bench.runner.work.events[: bench.runner.work.event_count[0]])
    assert set(journal.forces) == {"a.valve"}
    assert journal.forces["a.valve"]["value"] is True
    began = bench.runner.work.events[:1].copy()
    began[0] = 0, 0, 1, 0, 2, 0, 0, 0
    journal.append(began)
    assert not journal.forces
    assert Runner(plan, compiled=False).work.forces[0] == 0


FORCES = st.lists(
    st.tuples(
        st.sampled_from([Operation.FORCE, Operation.FORCE, Operation.UNFORCE]),
        st.integers(-1, 8),
        st.integers(0, 2),
        st.integers(0, 6),
        st.integers(0, 3),
    ),
    max_size=12,
)


@settings(max_examples=30, deadline=None)
@given(FORCES)
def test_forces_at_random_compiled_and_plain_are_the_same_and_count_right(
    asked: Sequence[tuple[Operation, int, int, int, int]],
) -> None:
    plan = stamping()
    benches = [at_work(plan, compiled) for compiled in (True, False)]
    for operation, target, raw, periods, scans in asked:
        for bench in benches:
            bench.ask(operation, target, raw, periods * PERIOD_NS)
            bench.sample(part_here=raw & 1, level=raw * 100)
            bench.scan(scans)
        one, other = (b.runner.work for b in benches)
        assert one.image.bytes.tobytes() == other.image.bytes.tobytes()
        assert one.outputs.tolist() == other.outputs.tolist()
        assert one.forces[0] == sum(one.forced_until_ns != 0)
    assert benches[0].events == benches[1].events
