"""The scan's grid in virtual time: late scans, what follows them, and how long a scan spins."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from moved_loop import MovedLoop
from scada_line import device, line_of

from cellrt import Cell
from cellrt.line.spec import CellSpec
from cellrt.runtime.region import Status
from cellrt.scan import spin as spinning
from cellrt.scan.events import Event
from cellrt.scan.plan import Plan

MS, S = 1_000_000, 1_000_000_000
PERIOD_NS = 10 * MS


class Drum(Cell):
    """A cell that is there."""


@pytest.fixture(scope="module")
def plan() -> Plan:
    return line_of("drum", [device("fan", {})], {"drum": CellSpec("drum", Drum, {}, {}, {})})


class Script:
    """A loop that does as it is told. `notes`: each scan's number and when it began.

    `stalls_ns`: how long each scan takes; `late_ns`: by how much the sleep before it ends late.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.loop = MovedLoop(plan, folder, self._scan)
        self.stalls_ns: list[int] = []
        self.late_ns: list[int] = []
        self.notes: list[tuple[int, int]] = []

    def _scan(self, _: int) -> None:
        n, loop = len(self.notes), self.loop
        self.notes.append((loop.number, loop.now_ns))
        loop.pass_ns(self.stalls_ns[n])
        loop.wake_late(self.late_ns[n + 1] if n + 1 < len(self.late_ns) else 0)
        if n + 1 == len(self.stalls_ns):
            loop.stop()

    def run(self, stalls_ns: list[int], late_ns: list[int] | None = None) -> None:
        """One scan for each stall."""
        self.stalls_ns, self.late_ns = stalls_ns, late_ns or []
        self.notes = []
        self.loop.wake_late(self.late_ns[0] if self.late_ns else 0)
        self.loop.run()


@pytest.fixture(scope="module")
def script(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Script:
    return Script(plan, tmp_path_factory.mktemp("moved"))


def by_hand(now_ns: int, stalls_ns: list[int], late_ns: list[int]) -> list[tuple[int, int]]:
    """Numbers and begins of the scans, by the rule and without haste.

    The next scan is the first one of the grid that is still due when the last one has ended, and at
    least half a period after that one's begin.
    """
    told, ended_ns, began_ns = [], now_ns, now_ns - PERIOD_NS
    number = now_ns // PERIOD_NS
    for stall_ns, late in itertools.zip_longest(stalls_ns, late_ns, fillvalue=0):
        number += 1
        while number * PERIOD_NS < ended_ns or number * PERIOD_NS - began_ns < PERIOD_NS // 2:
            number += 1
        due_ns = number * PERIOD_NS
        began_ns = due_ns + late if due_ns > ended_ns else ended_ns
        ended_ns = began_ns + stall_ns
        told.append((number, began_ns))
    return told


spans = st.one_of(st.just(0), st.integers(0, 3 * PERIOD_NS), st.integers(0, 40 * PERIOD_NS))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(spans, spans), min_size=1, max_size=40))
@example([(6 * MS, 0), (0, 6 * MS), (0, 0)])
def test_scans_stalled_at_random_are_those_of_the_rule(
    script: Script, both: list[tuple[int, int]]
) -> None:
    stalls_ns, late_ns = [s for s, _ in both], [late for _, late in both]
    status, before = script.loop.status, script.loop.status.copy()
    expected = by_hand(script.loop.now_ns, stalls_ns, late_ns)
    script.run(stalls_ns, late_ns)
    assert script.notes == expected
    gaps = [b - a - 1 for (a, _), (b, _) in itertools.pairwise(expected)]
    told = {
        t // PERIOD_NS: n for _, t, kind, _, n, *_ in script.loop.events() if kind == Event.OVERRUN
    }
    assert told == {b: n for (b, _), n in zip(expected[1:], gaps, strict=True) if n}
    assert status[Status.SCANS] - before[Status.SCANS] == len(expected)
    passed = status[Status.OVERRUNS] - before[Status.OVERRUNS] - sum(gaps)
    assert passed >= 0, "some may follow the last scan"
    assert status[Status.BACK_TO_BACK] == 0


def test_sixty_thousand_scans_stalled_for_30_ms_each_second_every_overrun_counted_once(
    script: Script,
) -> None:
    """In each second 98 scans are made and two lost."""
    status, before = script.loop.status, script.loop.status.copy()
    stall = [0] * 60_000
    stall[::98] = [30 * MS] * len(stall[::98])
    script.run(stall)
    script.loop.events()
    numbers = [number for number, _ in script.notes]
    begins = [began for _, began in script.notes]
    assert len(numbers) == 60_000
    assert min(b - a for a, b in itertools.pairwise(begins)) >= PERIOD_NS
    missed = numbers[-1] - numbers[0] + 1 - 60_000
    assert missed == 2 * len(stall[::98])
    assert status[Status.OVERRUNS] - before[Status.OVERRUNS] == missed
    assert status[Status.BACK_TO_BACK] == 0


class Spinning:
    """A loop that spins. `busy_ns`: of each scan, spin and execution, together with its spin alone."""

    LOOK_NS = 500

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.loop = MovedLoop(plan, folder, self._scan)
        self.late_ns, self.takes_ns = [0], [0]
        self.left, self.count = 0, 0
        self.lengths: list[int] = []
        self.began: list[int] = []

    def _scan(self, _: int) -> None:
        loop, n = self.loop, self.count
        self.lengths.append(int(loop.status[Status.EARLY_NS]))
        self.began.append(loop.now_ns - loop.number * PERIOD_NS)
        loop.pass_ns(self.takes_ns[n % len(self.takes_ns)])
        loop.wake_late(self.late_ns[n % len(self.late_ns)])
        self.count += 1
        if self.count == self.left:
            loop.stop()

    def run(self, scans: int, late_ns: list[int], takes_ns: list[int]) -> None:
        """So many scans; how late sleeps end, and how long scans take, goes round and round."""
        self.late_ns, self.takes_ns, self.left, self.count = late_ns, takes_ns, scans, 0
        self.lengths, self.began = [], []
        self.loop.run()


@pytest.fixture
def spinner(plan: Plan, tmp_path: Path) -> Spinning:
    made = Spinning(plan, tmp_path)
    made.loop.spin(Spinning.LOOK_NS)
    return made


def test_sleeps_that_end_late_are_made_up_by_the_spin(spinner: Spinning) -> None:
    spinner.run(20_000, late_ns=[10_000, 12_000, 80_000, 11_000], takes_ns=[0])
    settled = spinner.began[10_000:]
    assert max(settled) < 2 * Spinning.LOOK_NS, "every scan begins on its edge"
    assert max(spinner.lengths[10_000:]) < 2 * 80_000, "for no more than it takes"


def test_machine_that_wakes_faster_the_spin_becomes_shorter(spinner: Spinning) -> None:
    spinner.run(30_000, late_ns=[2_000], takes_ns=[0])
    assert spinner.lengths[0] > 59_000
    assert 2_000 < spinner.lengths[-1] < 4_000


def test_stall_of_the_host_does_not_make_the_spin_long(spinner: Spinning) -> None:
    spinner.run(10_000, late_ns=[20_000] * 499 + [99 * MS], takes_ns=[0])
    assert max(spinner.lengths[5_000:]) < 40_000


def test_no_spin_scan_begins_as_late_as_its_second_sleep_ends(plan: Plan, tmp_path: Path) -> None:
    napper = Spinning(plan, tmp_path)
    napper.loop.nap(Spinning.LOOK_NS)
    napper.run(20_000, late_ns=[33_000, 14_000], takes_ns=[0])
    assert napper.loop.slept == 2 * 20_000
    late = itertools.cycle([14_000, 33_000])
    behind = [began - next(late) for began in napper.began[10_000:]]
    assert min(behind) > 0
    assert max(behind) <= 2 * Spinning.LOOK_NS
    assert 33_000 < max(napper.lengths[10_000:]) < 2 * 33_000


def test_without_time_to_get_up_early_a_scan_begins_as_late_as_the_sleep_ends(
    plan: Plan, tmp_path: Path
) -> None:
    sleeper = Spinning(plan, tmp_path)
    sleeper.run(100, late_ns=[33_000], takes_ns=[0])
    assert sleeper.lengths == [0] * 100
    assert sleeper.loop.slept == 100
    assert sleeper.began[1:] == [33_000] * 99


@given(
    st.lists(st.integers(0, 20 * MS), min_size=1, max_size=60),
    st.integers(200_000, 1_000 * MS),
    st.floats(0.0, 1.0),
)
def test_spin_and_scan_take_no_more_than_their_share_of_a_core(
    late_ns: list[int], wall_period_ns: int, execution: float
) -> None:
    spin = spinning.spin(np.zeros(3, np.int64), wall_period_ns)
    spin.words[spinning.EXECUTION] = int(execution * wall_period_ns)
    for late in late_ns:
        spinning.learn(spin, late)
        length, took = spin.words[spinning.LENGTH], spin.words[spinning.EXECUTION]
        assert length >= 0
        assert length == 0 or length + took <= spinning.CORE_SHARE * wall_period_ns


@pytest.mark.parametrize(
    ("runtime_us", "share"), [("950000", 0.95), ("-1", 1.0), ("100000", 0.1), ("", 0.95)]
)
def test_spin_follows_what_the_kernel_leaves_to_real_time_threads(
    tmp_path: Path, runtime_us: str, share: float
) -> None:
    if runtime_us:
        (tmp_path / "sched_rt_runtime_us").write_text(runtime_us + "\n")
        (tmp_path / "sched_rt_period_us").write_text("1000000\n")
    assert spinning.realtime_share(tmp_path) == share
    most_ns = spinning.spin(np.zeros(3, np.int64), PERIOD_NS, kernel=tmp_path).most_ns
    assert most_ns == int(min(0.6, 0.8 * share) * PERIOD_NS)
