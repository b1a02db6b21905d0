"""Overrun policies under stalls at random: the loop that runs a line, by a moved clock, beside the documented
rule in plain Python. Who changes the one has to change the other."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_tasks import EVERY, MS, PERIOD_NS, Timed, declared, plan_of

from cellrt.line.spec import INTERLOCKS, Policy, TaskSpec
from cellrt.runtime.region import Status
from cellrt.scan.events import Event

Where = str
"""Where a stall comes: `wake`, before a scan; `fast` or `slow`, within that cell's logic."""

Stalls = Mapping[int, tuple[int, Where]]
"""By the number of the scan among those made: ns, where."""

Decision = tuple[str, int, int]
"""Task, times slower (0: its cells stop safely), number of the scan that carries it out."""


class Stalled(Timed):
    """The loop, with stalls."""

    def __init__(self, plan_tasks: Mapping[str, TaskSpec], folder: Path, stalls: Stalls) -> None:
        super().__init__(plan_of(**plan_tasks), folder)
        self._stalls, self._made, self._last = stalls, -1, -1
        self.wakes_ns: list[int] = []

    def _scan(self, record: int) -> None:
        cell, image = self._cells[record], self.loop.runner.image.views
        now, dt = self._stamps[cell]
        number = int(image.words[now]) // PERIOD_NS
        if number != self._last:  # the first cell of another scan
            self._last, self._made = number, self._made + 1
            self.wakes_ns.append(self.loop.now_ns)
            late_ns, where = self._stalls.get(self._made + 1, (0, ""))
            self.loop.wake_late(late_ns if where == "wake" else 0)
            self.left -= 1
            if self.left == 0:
                self.loop.stop()
        if image.reals[dt] == 0.0:
            self.looks[cell].append(number)
            return
        self.scans[cell].append(number)
        stall_ns, where = self._stalls.get(self._made, (0, ""))
        self.loop.pass_ns(stall_ns if where == cell else 0)

    def decisions(self) -> tuple[list[Decision], int]:
        """What was decided, and how many scans the events say were passed over."""
        names, decided, passed = [t.name for t in self.loop.plan.tasks], list[Decision](), 0
        for _, t_ns, kind, subject, a, b, *_ in self.loop.events():
            if kind == Event.TASK:
                decided.append((names[subject], b, t_ns // PERIOD_NS))
            elif kind == Event.OVERRUN:
                passed += a
        return decided, passed


@dataclass
class ByRule:
    """A task as README and docstrings have it. `every`: base periods in one of its own."""

    name: str
    cell: Where
    every: int
    budget_ns: int
    policy: Policy
    after: int
    pace: int = 1
    scans: list[int] = field(default_factory=list)
    missed: int = 0
    over_budget: int = 0
    overruns: int = 0
    in_a_row: int = 0
    with_room: int = 0
    was_over: bool = False
    asked: int | None = None

    def is_due(self, scan: int) -> bool:
        """Once in a period: in its first scan, or a later one of its first half. What is left of the
        period in which a line begins is none of its tasks'."""
        period = self.every * self.pace
        if scan % period == 0:
            return True
        begun = scan < period or any(
            made // period == scan // period for made in self.scans[-period:]
        )
        return not begun and scan % period <= period / 2

    def gone_by(self, scan: int) -> int:
        """Periods since the last scan without one; none before the first."""
        period, last = self.every * self.pace, self.scans[-1] if self.scans else None
        return 0 if last is None else len(range(last // period + 1, scan // period))

    def note(self, scan: int, missed: int, took_ns: int) -> None:
        """A scan was made. What follows is told to the next one."""
        budget_ns = self.budget_ns * self.pace
        over = took_ns > budget_ns
        self.scans.append(scan)
        self.missed += missed
        self.over_budget += over
        if over or (missed and not self.was_over):  # behind a long scan it is the same overrun
            self.overruns += 1
            self.in_a_row += 1
            self.with_room = 0
        else:
            self.in_a_row = 0
            self.with_room = self.with_room + 1 if took_ns <= budget_ns / 2 else 0
        self.was_over = over
        if self.policy is Policy.SAFE_STOP and self.in_a_row == self.after:
            self.asked = 0
        elif self.policy is Policy.DEGRADE and self.in_a_row == self.after and self.pace < 8:
            self.asked, self.in_a_row = 2 * self.pace, 0
        elif self.with_room >= 100 and self.pace > 1:
            self.asked, self.with_room = self.pace // 2, 0


@dataclass
class LineByRule:
    """The whole line: which scans are made, and when."""

    tasks: list[ByRule]
    whole: ByRule
    passed_over: int = 0
    told_passed: int = 0
    made: list[int] = field(default_factory=list)
    wakes_ns: list[int] = field(default_factory=list)
    decided: list[Decision] = field(default_factory=list)

    def run(self, scans: int, stalls: Stalls) -> None:
        now_ns, scan, skipped = 0, 1, 0
        for k in range(scans):
            stall_ns, where = stalls.get(k, (0, ""))
            due_ns = scan * PERIOD_NS
            if now_ns < due_ns:  # who does not sleep does not wake late
                now_ns = due_ns + (stall_ns if where == "wake" else 0)
            woke_ns = now_ns
            self.made.append(scan)
            self.wakes_ns.append(woke_ns)
            self._carry_out(scan)
            for task in self.tasks:
                if task.is_due(scan):
                    took_ns = stall_ns if where == task.cell else 0
                    now_ns += took_ns
                    task.note(scan, task.gone_by(scan), took_ns)
            self.whole.note(scan, skipped, now_ns - woke_ns)
            self.told_passed += skipped
            ready_ns = max(now_ns, woke_ns + PERIOD_NS // 2)
            following = max(scan + 1, -(-ready_ns // PERIOD_NS))
            skipped = following - scan - 1
            self.passed_over += skipped
            scan = following

    def _carry_out(self, scan: int) -> None:
        for task in (*self.tasks, self.whole):
            if task.asked is not None:
                self.decided.append((task.name, task.asked, scan))
                task.pace = task.asked or task.pace
                task.asked = None


@st.composite
def stalls(draw: st.DrawFn) -> dict[int, tuple[int, Where]]:
    """Rows of like scans, with calm between them: long enough, at times, for a pace to come back."""
    drawn, at = dict[int, tuple[int, Where]](), 0
    row = st.tuples(
        st.one_of(st.integers(0, 5), st.just(230)),
        st.integers(1, 8),
        st.one_of(st.integers(1, 12), st.integers(1, 45), st.integers(1, 250)),
        st.sampled_from(("wake", "fast", "fast", "slow")),
    )
    for calm, length, stall_ms, where in draw(st.lists(row, max_size=6)):
        at += calm + 1
        for _ in range(length):
            drawn[at] = stall_ms * MS, where
            at += EVERY if where == "slow" else 1
    return drawn


BUDGETS_MS = st.one_of(st.none(), st.integers(1, 10))
POLICIES = st.sampled_from((Policy.DEGRADE, *Policy))
RULES = st.tuples(POLICIES, st.integers(1, 4), BUDGETS_MS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("oracle")


def spec(name: str, period_ns: int, rule: tuple[Policy, int, int | None]) -> TaskSpec:
    policy, after, budget_ms = rule
    more: dict[str, float] = {"after": after}
    if budget_ms is not None:
        more["budget_us"] = budget_ms * 1e3
    return declared(name, period_ns, policy, **more)


def by_rule(task: TaskSpec, cell: Where) -> ByRule:
    budget_ns = task.period_ns if task.budget_us is None else round(task.budget_us * 1e3)
    assert task.after is not None
    return ByRule(task.name, cell, task.period_ns // PERIOD_NS, budget_ns, task.policy, task.after)


@settings(max_examples=60, deadline=None)
@given(stalls(), RULES, RULES, st.integers(1, 12), st.integers(1, 900))
def test_stalled_at_random_the_line_does_as_the_rule_says(
    folder: Path,
    stalls: Stalls,
    fast: tuple[Policy, int, int | None],
    slow: tuple[Policy, int, int | None],
    after: int,
    scans: int,
) -> None:
    tasks = {
        "quick": spec("quick", PERIOD_NS, fast),
        "rare": spec("rare", EVERY * PERIOD_NS, slow),
        INTERLOCKS: spec(INTERLOCKS, PERIOD_NS, (Policy.SAFE_STOP, after, None)),
    }
    line = Stalled(tasks, folder, stalls)
    line.run(scans)
    rule = LineByRule(
        [by_rule(tasks["quick"], "fast"), by_rule(tasks["rare"], "slow")],
        by_rule(tasks[INTERLOCKS], ""),
    )
    rule.run(scans, stalls)
    assert line.wakes_ns == rule.wakes_ns
    assert all(b - a >= PERIOD_NS // 2 for a, b in itertools.pairwise(line.wakes_ns))
    for task in rule.tasks:
        assert line.scans[task.cell] == task.scans, task.name
        assert line.looks[task.cell] == sorted({*rule.made} - {*task.scans}), "never left out"
    for task in (*rule.tasks, rule.whole):
        told = line.count(task.name)
        wanted = (len(task.scans), task.missed, task.over_budget, task.overruns)
        assert (told["scans"], told["missed"], told["over_budget"], told["overruns"]) == wanted
    status, (decided, passed) = line.loop.status, line.decisions()
    assert decided == rule.decided
    assert status[Status.BACK_TO_BACK] == 0 and status[Status.OVERRUNS] == rule.passed_over
    assert passed == rule.told_passed == rule.whole.missed
