"""The report of a run: what the scan did, what the boards did, and how the host behaved."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cellrt.narrate import words
from cellrt.packml import State
from cellrt.runtime.region import HEALTH_WORDS, Health, Status
from cellrt.scan.histogram import BINS, merged, summary
from cellrt.scan.meter import COUNTS, Count
from cellrt.scan.plan import Plan
from cellrt.shared.memory import Region
from cellrt.supervisor import Read
from cellrt.wire import Ints

Report = dict[str, Any]


def steal_ticks() -> int:
    """Clock ticks that the hypervisor kept from this machine, so far (the eighth of /proc/stat)."""
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8])


def process_began_ns() -> int:
    """Monotonic time at which the kernel started this process (/proc/self/stat, field 22); 10 ms fine."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    age_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - ticks * 10**9 // os.sysconf("SC_CLK_TCK")
    return time.monotonic_ns() - age_ns


def boards(counts: Mapping[str, int], census: Mapping[str, int] | None) -> Report:
    """The journal's count of boards. Of those that came in and are still there a simulated plant's own is
    told: a board on its way out of the loader's stack lies in the line before a cell knows of it. A real
    plant does not count, and `in_line` is None.
    """
    told = {
        name: counts.get(name, 0)
        for name in ("entered", "completed", "rejected", "rework", "scrapped")
    }
    if census is None:
        return {**told, "in_line": None}
    return {**told, "entered": census["entered"], "in_line": census["in_line"]}


def cells(plan: Plan, read: Read, departed: Mapping[str, int]) -> Report:
    """Each cell's PackML state, the boards that left it, and why it stands where it does."""
    told = {}
    for cell in plan.cells:
        first_out = int(read(f"{cell}.unit.first_out"))
        row: Report = {"state": words(State(int(read(f"{cell}.unit.state"))))}
        row["boards"] = departed.get(cell, 0)
        if first_out:
            row["first_out"] = plan.rules(cell)[first_out - 1]
        told[cell] = row
    return told


def scan(plan: Plan, region: Region) -> Report:
    """How the scan kept its time; microseconds."""
    status = region.section("status").words
    return {
        "period_us": plan.line.period_ns / 1e3,
        "count": int(status[Status.SCANS]),
        "overruns": int(status[Status.OVERRUNS]),
        "back_to_back": int(status[Status.BACK_TO_BACK]),
        "wake_us": summary(region.section("lateness").words[:BINS]),
        "exec_us": summary(region.section("execution").words[:BINS]),
        "early_us": int(status[Status.EARLY_NS]) / 1e3,
        "spins": bool(status[Status.SPINS]),
        "scheduler": "fifo" if status[Status.FIFO] else "other",
        "tasks": tasks(plan, region),
    }


def tasks(plan: Plan, region: Region) -> Report:
    """What each task's scans cost, and how it fared; the last one is the scan as a whole."""
    told, size = {}, len(plan.tasks)
    counts = region.section("tasks").words[: COUNTS * size].reshape(size, COUNTS)
    times = region.section("task-execution").words[: BINS * size].reshape(size, BINS)
    for task, row, bins in zip(plan.tasks, counts, times, strict=True):
        told[task.name] = {
            "period_us": task.period_ns / 1e3,
            "policy": task.policy.name.lower(),
            "budget_us": task.budget_us,
            "scans": int(row[Count.SCANS]),
            "missed": int(row[Count.MISSED]),
            "over_budget": int(row[Count.OVER_BUDGET]),
            "overruns": int(row[Count.OVERRUNS]),
            "times_slower": int(row[Count.MULTIPLE]),
            "exec_us": summary(bins),
        }
    return told


def tasks_line(told: Report) -> str:
    """Tasks as a person looks at them: what they take, and what they missed."""
    lines = []
    for name, task in told.items():
        slower = f", {task['times_slower']} times slower" if task["times_slower"] > 1 else ""
        lines.append(
            f"{name} ({task['policy']}{slower}) p50 {task['exec_us']['p50']:.1f} "
            f"p99 {task['exec_us']['p99']:.1f} us, missed {task['missed']}, "
            f"over budget {task['over_budget']}"
        )
    return "tasks  " + "  ".join(lines)


def input_age_ms(plan: Plan, region: Region) -> Report:
    """Age of devices' samples when a scan took them in, of all together and of each protocol's."""
    protocols = np.array([s.device.map.protocol for s in plan.samples])
    ages = _ages(plan, region)
    told = {str(p): _age_ms(ages[protocols == p]) for p in np.unique(protocols)}
    return {**_age_ms(ages), "by_protocol": told}


def _ages(plan: Plan, region: Region) -> Ints:
    """int64[devices, BINS]."""
    return region.section("ages").words.reshape(-1, BINS)[: len(plan.devices)]


def _age_ms(ages: Ints) -> dict[str, float]:
    """Milliseconds of wall time."""
    told = summary(merged(ages), 1e6)
    del told["p999"]
    return told


def io(plan: Plan, region: Region) -> Report:
    """Each device: whether it answers now, exchanges that failed, attempts before it first was there,
    the age of its samples when a scan took them in (milliseconds), round trips in microseconds."""
    told = {}
    ages = _ages(plan, region)
    rtt = region.section("rtt").words.reshape(-1, BINS)
    health = (
        region.section("io").words[: len(plan.devices) * HEALTH_WORDS].reshape(-1, HEALTH_WORDS)
    )
    for number, (name, device) in enumerate(plan.line.devices.items()):
        times = summary(rtt[number])
        told[name] = {
            "protocol": device.map.protocol,
            "ok": bool(health[number, Health.OK]),
            "errors": int(health[number, Health.ERRORS]),
            "absent": int(health[number, Health.ABSENT]),
            "age_ms": _age_ms(ages[number : number + 1]),
            "rtt_us": {"p50": times["p50"], "p99": times["p99"]},
        }
    return told


def host() -> Report:
    """Where it ran."""
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


class ReportError(Exception):
    """A report could not be written where it was asked for."""


def check_place(path: Path | None) -> None:
    """Raises ReportError when no report could be written to `path`; asked before a run begins."""
    if path is not None and not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise ReportError(f"--report {path}: {path.parent} is no folder that can be written to")


def write(path: Path, report: Report | list[Report]) -> None:
    """Write a report, or a list of them, whole or not at all. Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(report, indent=2) + "\n")
    fresh.replace(path)
