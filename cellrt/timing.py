"""How a line keeps its time, as words that SCADA shows: what the scan counts in shared memory, summed up
outside of it. All of it is wall time, since the scan's start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cellrt.scan.meter import SLOWEST
from cellrt.scan.plan import Plan
from cellrt.wire import Ints

Told = dict[str, Any]


@dataclass(frozen=True)
class Timing:
    """A figure: its name, where a report has it, its unit and meaning. One without a unit is a count.

    `high` is the end of its range, which begins at 0; with None it is the scan's or the task's period
    on the wall.
    """

    name: str
    at: tuple[str, ...]
    unit: str = ""
    doc: str = ""
    high: float | None = None


def _summary(name: str, key: str, unit: str, doc: str, high: float | None = None) -> list[Timing]:
    shares = {
        "P50": "half of all are below it",
        "P99": "99 in 100 are below it",
        "Max": "the worst",
    }
    return [
        Timing(name + share, (key, share.lower()), unit, f"{doc}: {told}", high)
        for share, told in shares.items()
    ]


SCAN = (
    *_summary("Lateness", "wake_us", "us", "how late a scan wakes"),
    *_summary("Execution", "exec_us", "us", "what a scan takes"),
    *_summary("InputAge", "input_age_ms", "ms", "age of a sample when a scan takes it in", 1000.0),
    Timing("Overruns", ("overruns",), doc="scans that were passed over: their time had gone by"),
)
"""Of the scan as a whole."""

TASK = (
    *_summary("Execution", "exec_us", "us", "what a scan of the task's cells takes"),
    Timing("Budget", ("budget_us",), "us", "what a scan of them may take, at the declared pace"),
    Timing("Scans", ("scans",), doc="scans of the task"),
    Timing("OverBudget", ("over_budget",), doc="scans that took longer than the budget"),
    Timing("Missed", ("missed",), doc="periods that went by without a scan"),
    Timing("Overruns", ("overruns",), doc="scans over budget, or behind one that was missed"),
    Timing("TimesSlower", ("times_slower",), doc=f"pace: 1 as declared, up to {SLOWEST}"),
)
"""Of each task; the last one of a plan is the scan as a whole, in which interlocks are looked at."""


def timing_words(plan: Plan) -> int:
    """Words of a line's figures: SCAN, then TASK for each task."""
    return len(SCAN) + len(plan.tasks) * len(TASK)


def timing(plan: Plan, scan: Told, input_age_ms: Told, speed: float) -> Ints:
    """The figures from a report's `scan` and `input_age_ms`. Those with a unit are floats.

    A task without a budget has its period on the wall, which passes `speed` times as fast.
    """
    words = np.zeros(timing_words(plan), np.int64)
    whole, tasks = words[: len(SCAN)], words[len(SCAN) :].reshape(-1, len(TASK))
    _put(whole, SCAN, scan | {"input_age_ms": input_age_ms})
    for row, told in zip(tasks, scan["tasks"].values(), strict=True):
        budget_us = told["budget_us"] or told["period_us"] / speed
        slower = max(told["times_slower"], 1)
        _put(row, TASK, told | {"budget_us": budget_us, "times_slower": slower})
    return words


def _put(words: Ints, figures: tuple[Timing, ...], told: Told) -> None:
    reals = words.view(np.float64)
    for n, figure in enumerate(figures):
        value: Any = told
        for key in figure.at:
            value = value[key]
        (reals if figure.unit else words)[n] = value
