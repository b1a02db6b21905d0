"""What each task's scans cost, measured inside the scan, and what follows where they cost too much.

A task overruns when it takes longer than its budget, or when a whole period of it went by without a scan
and that was not its own doing: what is missed behind a scan that took too long is the same overrun. What
follows is its policy:

* `skip`: nothing but the count; what was missed is not made up for.
* `degrade`: after so many overruns in a row the task is scanned at half the pace, at most `SLOWEST` times
  slower, and again at the pace before when it has long had room for that. Its `dt_s` goes with it.
* `safe_stop`: after so many in a row its cells go to their safe reaction.

Whatever its policy, a task's interlocks are looked at in every scan that is made. The decision to change a
pace or to stop depends on the clock, so it is no part of a scan: it enters the next one as a command, is
recorded as such, and is replayed.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from cellrt.compiled import compiled
from cellrt.scan.clock import Clock, look
from cellrt.scan.histogram import count
from cellrt.wire import Ints


class Count(IntEnum):
    """Words of a task's row in the section `tasks`."""

    SCANS = 0
    MISSED = 1  # periods that went by without a scan
    OVER_BUDGET = 2  # scans that took longer than the budget
    OVERRUNS = 3  # of these, and of scans before which one was missed
    IN_A_ROW = 4
    WITH_ROOM = 5  # scans in a row without an overrun that would do at twice the pace
    MULTIPLE = 6  # times slower than declared
    ASKED = 7  # what the next scan is told: 0 nothing, else the multiple wanted, or STOP
    WAS_OVER = 8  # 1 when the last scan took longer than the budget


COUNTS = len(Count)
STOP = -1
SLOWEST = 8
ROOM_FOR = 100
"""Scans in a row that must have had room before a task goes faster again."""

SCANS, MISSED, OVER_BUDGET, OVERRUNS, IN_A_ROW, WITH_ROOM, MULTIPLE, ASKED, WAS_OVER = map(
    int, Count
)
DEGRADE, SAFE_STOP = 1, 2
"""As in `line.spec.Policy`."""


class Meter(NamedTuple):
    """`rules` int64[tasks + 1, 3]: budget in ns, policy, overruns in a row that bring it about; the last
    row is that of the scan as a whole, in which the interlocks are looked at. `counts` int64[tasks + 1,
    COUNTS] and `execution` int64[tasks + 1, BINS] are kept where others may read them.
    """

    clock: Clock
    rules: Ints
    counts: Ints
    execution: Ints


@compiled
def begin(meter: Meter | None) -> int:
    """When the first task begins; what is not measured begins at no time."""
    return 0 if meter is None else look(meter.clock)


@compiled
def measure(meter: Meter | None, k: int, missed: int, multiple: int, began_ns: int) -> int:
    """Task `k` was scanned after it had missed some; when the next one begins."""
    if meter is None:
        return 0
    ended_ns = look(meter.clock)
    note(meter, k, missed, multiple, ended_ns - began_ns)
    return ended_ns


@compiled
def note(meter: Meter, k: int, missed: int, multiple: int, took_ns: int) -> None:
    """Count a scan of task `k`, and decide what follows."""
    row, budget_ns = meter.counts[k], meter.rules[k, 0] * multiple
    count(meter.execution[k], took_ns)
    row[SCANS] += 1
    row[MISSED] += missed
    row[MULTIPLE] = multiple
    over, was_over = took_ns > budget_ns, row[WAS_OVER] != 0
    row[OVER_BUDGET] += over
    row[WAS_OVER] = over
    if over or (missed > 0 and not was_over):
        row[OVERRUNS] += 1
        row[IN_A_ROW] += 1
        row[WITH_ROOM] = 0
    else:
        row[IN_A_ROW] = 0
        row[WITH_ROOM] = row[WITH_ROOM] + 1 if 2 * took_ns <= budget_ns else 0
    decide(row, meter.rules[k], multiple)


@compiled
def decide(row: Ints, rule: Ints, multiple: int) -> None:
    """What the next scan is to be told, once for each row of overruns."""
    if row[IN_A_ROW] == rule[2] and rule[1] == SAFE_STOP:
        row[ASKED] = STOP
    elif row[IN_A_ROW] == rule[2] and rule[1] == DEGRADE and multiple < SLOWEST:
        row[ASKED], row[IN_A_ROW] = 2 * multiple, 0
    elif row[WITH_ROOM] >= ROOM_FOR and multiple > 1:
        row[ASKED], row[WITH_ROOM] = multiple // 2, 0
