"""A line's tasks: the meter that watches them, and how its decisions come into the scan: as commands."""

from __future__ import annotations

import numpy as np

from cellrt.compiled import compiled
from cellrt.scan.clock import Clock
from cellrt.scan.commands import Operation, Origin
from cellrt.scan.histogram import BINS
from cellrt.scan.meter import ASKED, COUNTS, Meter
from cellrt.scan.plan import COMMAND_WORDS, Plan
from cellrt.wire import Ints

TASK, SCAN, NEVER = int(Operation.TASK), int(Origin.SCAN), 2**62

A_ROW = 3
"""Overruns in a row after which a policy is followed, where the line file does not say."""

A_LONG_ROW_NS = 2_000_000_000
"""The like for the scan as a whole: as many as there are scans in so long a wall time."""


def meter(plan: Plan, clock: Clock, wall_period_ns: int, counts: Ints, execution: Ints) -> Meter:
    """A plan's meter; `counts` and `execution` are room for what it counts."""
    rules = []
    for task in plan.tasks:
        wall_ns = task.period_ns * wall_period_ns // plan.line.period_ns
        budget_ns = wall_ns if task.budget_us is None else round(task.budget_us * 1e3)
        usual = max(A_LONG_ROW_NS // wall_ns, 100) if task is plan.tasks[-1] else A_ROW
        rules.append([budget_ns, int(task.policy), task.after or usual])
    rows, tasks = np.array(rules, np.int64), len(rules)
    return Meter(clock, rows, counts.reshape(tasks, COUNTS), execution.reshape(tasks, BINS))


@compiled
def decisions(meter: Meter, inputs: Ints, at: int, epoch: int) -> int:
    """Put what the scan is to be told into its commands, which begin at `at`; how many there are."""
    told, whole = 0, meter.rules.shape[0] - 1
    for k in range(whole + 1):
        asked = meter.counts[k, ASKED]
        if asked != 0:
            meter.counts[k, ASKED] = 0
            words = inputs[at + told * COMMAND_WORDS : at + (told + 1) * COMMAND_WORDS]
            words[0], words[1], words[2] = 0, SCAN, TASK
            words[3], words[4] = -1 if k == whole else k, max(asked, 0)
            words[5], words[6], words[7] = NEVER, 0, epoch
            told += 1
    return told
