"""Before a line starts: can this machine scan it in its period? The very loop that will run it is timed,
on memory of its own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cellrt.line.spec import Policy
from cellrt.report import tasks
from cellrt.runtime.child import Station
from cellrt.runtime.region import Status, sections
from cellrt.scan.executive import Desk, run_scans
from cellrt.scan.recorder import longest
from cellrt.shared import ringfile
from cellrt.shared.memory import create

SCANS = 300
AT_MOST_S = 1.0
SHARE = 0.6
"""What a scan in which every task is due may take of its period: the rest is for io, for other processes,
and for scans that take longer than most."""

AS_FAST_AS_CAN_BE = 1
"""Wall period in ns: the next scan is always late."""


@dataclass(frozen=True)
class Cost:
    """What scans take on this machine: the median of a whole one, and of each task; us."""

    scan_us: float
    tasks_us: Mapping[str, float]

    @property
    def worst_us(self) -> float:
        """A scan in which every task is due."""
        return max(self.scan_us, sum(self.tasks_us.values()))

    def refusal(self, line: str, wall_period_us: float, speed: float) -> str | None:
        """Why a line cannot be held at this period, and the mend; None where it can."""
        if self.worst_us <= SHARE * wall_period_us:
            return None
        slowest = max(self.tasks_us, key=lambda name: self.tasks_us[name])
        of_these = ", ".join(f"task {name} {us:.0f} us" for name, us in self.tasks_us.items())
        most = speed * SHARE * wall_period_us / self.worst_us
        return (
            f"{line} cannot be scanned in its period: a scan takes {self.worst_us:.0f} us here "
            f"({of_these}) and may take {SHARE:.0%} of {wall_period_us:.0f} us; take a longer "
            f"period_ms, a --speed of at most {most:.2g}, or a longer period_ms for some cells of "
            f"task {slowest}"
        )


@contextmanager
def private(station: Station) -> Iterator[Station]:
    """A station of the same line with memory and a recording of its own."""
    plan = station.plan
    region = create(sections(plan), plan.hash)
    with TemporaryDirectory(prefix="cellrt-trial-", dir="/dev/shm") as folder:
        ring = Path(folder, "ring")
        ringfile.create(ring, plan.hash, longest(plan))
        order = replace(station.order, fd=region.fd, ring=str(ring), spin=False)
        copy = Station(order, plan, region)
        copy.status[Status.SPEED_PPM] = plan.line.period_ns * 1_000_000 // AS_FAST_AS_CAN_BE
        copy.status[Status.START_NS] = time.monotonic_ns()
        yield copy
    os.close(region.fd)


def measure(station: Station, arguments: tuple[Any, ...]) -> Cost:
    """Let the loop scan with these arguments, one scan behind the other, and see what it takes."""
    desk: Desk = arguments[2]
    desk.meter.rules[:, 1] = Policy.SKIP
    loop, until_s = threading.Thread(target=run_scans, args=arguments), time.monotonic() + AT_MOST_S
    loop.start()
    while station.status[Status.SCANS] < SCANS and time.monotonic() < until_s:
        time.sleep(0.001)
    station.status[Status.STOP] = 1
    loop.join()
    told = {
        name: row["exec_us"]["p50"] for name, row in tasks(station.plan, station.region).items()
    }
    return Cost(told.pop(station.plan.tasks[-1].name), told)
