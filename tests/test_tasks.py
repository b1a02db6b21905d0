"""Tasks: what an overrun does to each policy, what is counted, and that interlocks are always looked at."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moved_loop import MovedLoop
from scada_line import device, line_of

from cellrt import Cause, Cell, Input, Interlock, Output, State, Var, always, to
from cellrt.line.spec import INTERLOCKS, CellSpec, Policy, TaskSpec
from cellrt.narrate import Narrator, sentence, subject_of
from cellrt.report import tasks, tasks_line
from cellrt.runtime.region import Status
from cellrt.scan.commands import Operation, Origin
from cellrt.scan.events import Event
from cellrt.scan.meter import ROOM_FOR, SLOWEST
from cellrt.scan.plan import OUTPUT_HEAD, Plan
from cellrt.scan.runner import Runner
from cellrt.wire import Point, Wire

MS = 1_000_000
PERIOD_NS = 10 * MS
EVERY = 10
NEVER_NS = 2**62
GUARD, SAFE, DRIVE = Cause.GUARD, always(to(False)), OUTPUT_HEAD


class Fast(Cell):
    """Scanned in every scan."""


class Slow(Cell):
    """Scanned in every tenth one; its drive goes on whenever the guard is closed."""

    period_ms = 100
    guard_closed: bool = Input()
    drive: bool = Output(safe=SAFE)
    scans: int = Var()
    interlocks = (Interlock("guard_closed", GUARD),)

    def always(self) -> None:
        self.scans += 1
        self.drive = True


def plan_of(**declared: TaskSpec) -> Plan:
    io = device("io", {"guard_closed": Wire.BOOL})
    drive = (Point("drive", "coil:0", Wire.BOOL),)
    io = dataclasses.replace(io, map=dataclasses.replace(io.map, outputs=drive))
    joined = {name: ("io", name) for name in ("guard_closed", "drive")}
    cells = {
        "slow": CellSpec("slow", Slow, {}, joined, {"drive": SAFE}),
        "fast": CellSpec("fast", Fast, {}, {}, {}),
    }
    plan = line_of("two", [io], cells)
    return Plan(dataclasses.replace(plan.line, tasks=declared))


def declared(name: str, period_ns: int, policy: Policy, **more: float) -> TaskSpec:
    after, budget_us = more.get("after"), more.get("budget_us")
    return TaskSpec(name, period_ns, policy, budget_us, after and int(after))


class Bench:
    """The line's scan in the test's hands. The guard is closed, and every device well."""

    def __init__(self, compiled: bool) -> None:
        self.plan = plan_of()
        self.runner = Runner(self.plan, compiled=compiled)
        self.close(True)
        self.told: list[list[int]] = []

    def close(self, closed: bool) -> None:
        """A fresh sample that says so."""
        (place,), inputs = self.plan.samples, self.runner.inputs
        inputs[place.base] += 1
        inputs[place.base + 1], inputs[place.first_raw + 1] = 1, closed

    def scan(self, scans: int = 1, *commands: tuple[int, int, int]) -> None:
        """So many; commands (origin, task, times slower) come into the first."""
        words = [[0, o, Operation.TASK, task, n, 10**15, 0, 1] for o, task, n in commands]
        self.runner.set_commands(words)
        for _ in range(scans):
            self.told += self.runner.step().tolist()

    def __getitem__(self, tag: str) -> Any:
        return self.runner.image.read(self.plan.layout.find(tag))

    @property
    def drive(self) -> int:
        return int(self.runner.work.outputs[DRIVE])

    def start(self) -> None:
        """The slow cell is in Execute, in the scan behind one of its own."""
        for state in ("Resetting", "Execute"):
            unit = self.plan.layout.find("slow.unit.state")
            self.runner.image.write(unit, int(State[state.upper()]))
            self.scan(EVERY)
        assert self["slow.unit.state"] == State.EXECUTE and self.drive


@pytest.fixture(params=["compiled", "plain"])
def bench(request: pytest.FixtureRequest) -> Bench:
    made = Bench(request.param == "compiled")
    made.scan()
    made.start()
    return made


def test_guard_opens_between_two_scans_of_a_slow_cell_its_output_is_safe_at_once(
    bench: Bench,
) -> None:
    bench.scan(3)
    scans = bench["slow.scans"]
    bench.close(False)
    bench.scan()
    assert bench.drive == 0 and bench["slow.unit.cause"] == Cause.GUARD
    assert bench["slow.scans"] == scans, "the logic was not asked"
    assert bench["slow.unit.state"] == State.EXECUTE
    bench.close(True)
    bench.scan(2 * EVERY)
    assert bench["slow.unit.state"] == State.ABORTED, "nor is it forgotten"
    assert bench.plan.rules("slow")[bench["slow.unit.first_out"] - 1] == "guard_closed"


def test_task_told_to_be_slower_is_so_with_its_dt_and_its_interlocks_are_not(bench: Bench) -> None:
    slow = bench.plan.task_of("slow")
    bench.scan(1, (Origin.SCAN, slow, 4))
    scans, steps = bench["slow.scans"], set[float]()
    for _ in range(3 * 4 * EVERY):
        bench.scan()
        steps.add(bench["slow.dt_s"])
    assert bench["slow.scans"] == scans + 3
    assert sorted(steps) == pytest.approx([0.0, 0.4])
    bench.close(False)
    bench.scan()
    assert bench.drive == 0
    assert [row[4:6] for row in bench.told if row[2] == Event.TASK] == [[1, 4]]


def test_task_told_to_stop_its_cells_abort_and_say_why(bench: Bench) -> None:
    bench.scan(1, (Origin.SCAN, bench.plan.task_of("slow"), 0))
    assert bench.drive == 0, "in that scan"
    bench.scan(2 * EVERY)
    assert bench["slow.unit.state"] == State.ABORTED
    assert bench.plan.rules("slow")[bench["slow.unit.first_out"] - 1] == "overrun"
    assert bench["fast.unit.state"] == State.STOPPED and bench["fast.unit.tripped"] == 0


def test_line_told_to_stop_all_its_cells_abort(bench: Bench) -> None:
    bench.scan(1, (Origin.SCAN, -1, 0))
    bench.scan(2 * EVERY)
    assert bench["slow.unit.state"] == State.ABORTED and bench["fast.unit.state"] == State.ABORTED


@pytest.mark.parametrize(
    "command",
    [(Origin.SCADA, 0, 2), (Origin.SCAN, 2, 2), (Origin.SCAN, -1, 2), (Origin.SCAN, 0, -1)],
)
def test_what_is_not_the_scans_own_or_no_task_is_refused(
    bench: Bench, command: tuple[int, int, int]
) -> None:
    bench.told.clear()
    bench.scan(1, command)
    assert [bool(row[7]) for row in bench.told if row[2] == Event.COMMAND] == [True]
    assert bench.runner.work.pace.multiple.tolist() == [1, 1]


class Timed:
    """The loop by a moved clock; its cells do nothing but take time.

    `takes_ns[cell]`: how long each of its scans takes in turn; 0 when the list is at its end. `scans` and
    `looks`: numbers of the scans in which its logic was scanned, and in which only its interlocks were.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.loop = MovedLoop(plan, folder, self._scan)
        offsets = plan.layout.offsets
        base = self.loop.runner.image.address
        self._cells = {base + offsets[name]: name for name in plan.cells}
        stamps = {
            n: [plan.layout.place(f"{n}.{t}")[0] // 8 for t in ("now_ns", "dt_s")] for n in offsets
        }
        self._stamps = stamps
        self.takes_ns: dict[str, Iterator[int]] = {}
        self.scans: dict[str, list[int]] = {name: [] for name in plan.cells}
        self.looks: dict[str, list[int]] = {name: [] for name in plan.cells}
        self.left, self.stall_at_ns, self.stalls = 0, NEVER_NS, 0

    def _scan(self, record: int) -> None:
        cell, image = self._cells[record], self.loop.runner.image.views
        now, dt = self._stamps[cell]
        number = int(image.words[now]) // PERIOD_NS
        if image.reals[dt] == 0.0:
            self.looks[cell].append(number)
        else:
            self.scans[cell].append(number)
            self.loop.pass_ns(next(self.takes_ns.get(cell, iter(())), 0))
        if self.loop.now_ns >= self.stall_at_ns:
            self.loop.pass_ns(30 * MS)
            self.stall_at_ns += 1000 * MS
            self.stalls += 1
        if cell == "fast":
            self.left -= 1
            if self.left <= 0:
                self.loop.stop()

    def run(self, scans: int, **takes_ns: list[int]) -> None:
        """So many scans are made."""
        self.left, self.takes_ns = scans, {name: iter(t) for name, t in takes_ns.items()}
        self.loop.run()

    def count(self, task: str) -> dict[str, Any]:
        """What is reported of a task."""
        told: dict[str, Any] = tasks(self.loop.plan, self.loop.station.region)[task]
        return told

    def told(self) -> list[tuple[str, int]]:
        """Tasks and what was decided for them, in turn."""
        names = [t.name for t in self.loop.plan.tasks]
        return [(names[e[3]], e[5]) for e in self.loop.events() if e[2] == Event.TASK]


def timed(folder: Path, **declared: TaskSpec) -> Timed:
    return Timed(plan_of(**declared), folder)


def test_skip_overruns_are_counted_and_nothing_follows(tmp_path: Path) -> None:
    line = timed(tmp_path)
    line.run(50, fast=[0] * 5 + [25 * MS] * 10)
    fast, whole = line.count("10 ms"), line.count(INTERLOCKS)
    assert fast["policy"] == "skip" and fast["times_slower"] == 1
    assert fast["missed"] == whole["missed"] == line.loop.status[Status.OVERRUNS] == 20
    assert fast["over_budget"] == fast["overruns"] == 10
    assert line.told() == []


def test_what_is_missed_for_others_is_an_overrun_of_the_task_that_missed_it(
    tmp_path: Path,
) -> None:
    line = timed(tmp_path)
    line.run(50, slow=[25 * MS, 95 * MS])
    fast, slow = line.count("10 ms"), line.count("100 ms")
    assert fast["over_budget"] == slow["overruns"] == slow["missed"] == 0
    assert (fast["overruns"], fast["missed"]) == (2, 11)


def test_degrade_goes_slower_while_overruns_persist_and_comes_back_with_room(
    tmp_path: Path,
) -> None:
    line = timed(tmp_path, quick=declared("quick", PERIOD_NS, Policy.DEGRADE))
    line.run(20 + 3 * ROOM_FOR, fast=[0] * 5 + [15 * MS] * 10 + [10 * MS] * 5 + [9 * MS] * 300)
    assert line.told() == [("quick", 2), ("quick", 1)]
    quick = line.count("quick")
    assert quick["over_budget"] == 3, "at half the pace 15 ms are well within 20"
    assert line.loop.status[Status.BACK_TO_BACK] == 0
    made = sorted(line.scans["fast"] + line.looks["fast"])
    assert len(made) == len(set(made)) == line.loop.status[Status.SCANS]
    assert line.looks["fast"], "interlocks were looked at in the scans between"


def test_degrade_has_an_end(tmp_path: Path) -> None:
    line = timed(tmp_path, quick=declared("quick", PERIOD_NS, Policy.DEGRADE, after=1))
    line.run(60, fast=[900 * MS] * 60)
    assert line.told() == [("quick", 2), ("quick", 4), ("quick", SLOWEST)]


def test_safe_stop_comes_once_for_each_row_of_overruns(tmp_path: Path) -> None:
    line = timed(tmp_path, quick=declared("quick", PERIOD_NS, Policy.SAFE_STOP, after=2))
    line.run(40, fast=[0, 15 * MS, 0, 0, *[15 * MS] * 6, 0, 0, *[15 * MS] * 2])
    assert line.told() == [("quick", 0)] * 2


def test_budget_of_a_task_is_its_own(tmp_path: Path) -> None:
    slow = declared("rare", 100 * MS, Policy.SAFE_STOP, after=2, budget_us=2000)
    line = timed(tmp_path, rare=slow)
    line.run(100, fast=[3 * MS] * 100, slow=[2 * MS, 3 * MS, 2 * MS, 3 * MS, 3 * MS])
    assert line.told() == [("rare", 0)]
    rare, fast = line.count("rare"), line.count("10 ms")
    assert (rare["over_budget"], rare["missed"], fast["overruns"]) == (3, 0, 0)
    assert rare["exec_us"]["max"] == 3000 and fast["exec_us"]["max"] == 3000


def test_scan_that_is_late_two_seconds_on_end_the_whole_line_is_stopped(tmp_path: Path) -> None:
    line = timed(tmp_path)
    line.run(420, fast=[15 * MS] * 199 + [0] + [15 * MS] * 200)
    assert line.told() == [(INTERLOCKS, 0)]


@pytest.mark.parametrize("policy", Policy)
def test_sixty_thousand_scans_stalled_for_30_ms_each_second(tmp_path: Path, policy: Policy) -> None:
    """Whatever the policy: no burst, each overrun counted once, interlocks in every scan that is made."""
    line = timed(tmp_path, quick=declared("quick", PERIOD_NS, policy, after=1))
    line.stall_at_ns = 1005 * MS
    line.run(60_000)
    status, whole = line.loop.status, line.count(INTERLOCKS)
    assert line.stalls > 600 and status[Status.SCANS] == whole["scans"] == 60_000
    assert status[Status.BACK_TO_BACK] == 0
    for cell in ("fast", "slow"):
        made = sorted(line.scans[cell] + line.looks[cell])
        assert len(set(made)) == len(made) == 60_000
        assert made[-1] - made[0] + 1 - 60_000 == status[Status.OVERRUNS] == whole["missed"]
    assert whole["overruns"] == line.stalls
    quick, decided = line.count("quick"), line.told()
    if policy is Policy.SKIP:
        assert quick["overruns"] == line.stalls and not decided
    elif policy is Policy.SAFE_STOP:
        assert 0 < len(decided) == quick["overruns"] <= line.stalls
    else:
        paces = [1, *(n for _, n in decided)]
        assert all(b in (2 * a, a // 2) for a, b in itertools.pairwise(paces))
        assert min(paces) == 1 and 4 in paces


SPANS = st.one_of(st.just(0), st.integers(0, 12), st.integers(0, 150))


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Timed:
    return timed(tmp_path_factory.mktemp("timed"))


@settings(max_examples=100, deadline=None)
@given(st.lists(SPANS, max_size=80), st.lists(SPANS, max_size=10))
def test_tasks_at_random_are_scanned_and_counted_as_by_hand(
    line: Timed, fast_ms: list[int], slow_ms: list[int]
) -> None:
    before = {name: line.count(name) for name in ("10 ms", "100 ms")}
    last = {name: made[-1:] for name, made in line.scans.items()}
    for made in (line.scans, line.looks):
        made.update({name: [] for name in made})
    fast_ns, slow_ns = [ms * MS for ms in fast_ms], [ms * MS for ms in slow_ms]
    line.run(100, fast=fast_ns, slow=slow_ns)
    line.loop.events()
    numbers = line.scans["fast"]
    assert not line.looks["fast"] and sorted(line.scans["slow"] + line.looks["slow"]) == numbers
    for cell, task, period, takes in (
        ("fast", "10 ms", 1, fast_ns),
        ("slow", "100 ms", EVERY, slow_ns),
    ):
        scans, missed, overruns = by_hand(numbers, last[cell], period, takes)
        now = line.count(task)
        assert line.scans[cell] == scans
        assert now["missed"] - before[task]["missed"] == missed
        told = now["over_budget"] - before[task]["over_budget"]
        assert told == sum(t > period * PERIOD_NS for t in takes[: len(scans)])
        assert now["overruns"] - before[task]["overruns"] == overruns


def by_hand(
    numbers: list[int], last: list[int], period: int, takes_ns: list[int]
) -> tuple[list[int], int, int]:
    """A task's scans among those that were made, the periods it missed, its overruns.

    A period's scan is the first one made in its first half; `last` is the task's last scan before.
    """
    scans, missed, overruns, too_long = [], 0, 0, False
    takes = itertools.chain(takes_ns, itertools.repeat(0))
    behind = last[0] if last else 0
    for n in numbers:
        if n // period == behind // period or n % period > period / 2:
            continue
        gap = n // period - behind // period - 1 if behind else 0
        was, too_long = too_long, next(takes) > period * PERIOD_NS
        missed += gap
        overruns += too_long or (gap > 0 and not was)
        scans.append(n)
        behind = n
    return scans, missed, overruns


def test_tasks_are_told_in_a_line_for_people(tmp_path: Path) -> None:
    line = timed(tmp_path, quick=declared("quick", PERIOD_NS, Policy.DEGRADE, after=1))
    line.run(3, fast=[0, 40 * MS])
    line.run(10)
    said = tasks_line(tasks(line.loop.plan, line.loop.station.region))
    assert "quick (degrade, 2 times slower) p50 0.0 p99" in said
    assert "100 ms (skip)" in said and "interlocks (safe_stop)" in said


def test_decisions_are_told_in_words() -> None:
    narrator, slow = Narrator(plan_of()), plan_of().task_of("slow")
    told = [narrator.tell([1, 10**9, Event.TASK, slow, 1, n, 0, 0]) for n in (2, 0)]
    assert [sentence(entry).split(maxsplit=2)[2] for entry in told] == [
        "Task      100 ms           1/1 -> 1/2",
        "Task      100 ms           1/1 -> stopped safely",
    ]
    assert {subject_of(entry) for entry in told} == {"100 ms"}, "the journal finds them by it"
