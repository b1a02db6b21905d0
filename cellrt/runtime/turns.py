"""When io speaks with a device: just before a scan, and once more right behind it.

A sample that lies there until a scan takes it in is as much older, and an output that lies there until the
next poll is as much later. So a device is asked so early that its answer comes just before a scan.
"""

from __future__ import annotations

import math

from cellrt.runtime.child import Station
from cellrt.runtime.region import Status

HEARD_S = 5e-3
"""Scans are so far apart, or further, that io listens behind all of them; of faster ones behind one in so
long. A look costs io a tenth of a millisecond, and a line at 15 times its speed has a scan every 0.7."""

RARE = 999
"""One answer in a thousand may take longer than what is taken for a device's: see `Lead.learn`."""

PARTS = 4096
"""An answer that took longer adds a quarter, which is forgotten within RARE others."""


class Scans:
    """Which scan is due when, on the monotonic clock in s. Nothing is known before the first is due."""

    def __init__(self, station: Station) -> None:
        self._station = station

    def is_known(self) -> bool:
        """Whether there is a scan process, or was one."""
        return int(self._station.status[Status.START_NS]) != 0

    @property
    def _start_s(self) -> float:
        return int(self._station.status[Status.START_NS]) * 1e-9

    @property
    def period_s(self) -> float:
        """From one scan to the next."""
        return self._station.wall_period_ns * 1e-9

    def due_s(self, scan: int) -> float:
        """When a scan is due."""
        return self._start_s + scan * self.period_s

    def first_after(self, moment_s: float) -> int:
        """The first scan that is due after a moment."""
        return math.floor((moment_s - self._start_s) / self.period_s) + 1

    def heard_after(self, moment_s: float) -> int:
        """The next scan to listen behind when no sample is on its way to an earlier one."""
        return self.first_after(moment_s) + max(math.ceil(HEARD_S / self.period_s) - 1, 0)

    def poll_s(self, declared_s: float, stale_s: float) -> float:
        """How often a device is asked, that is to be asked every `declared_s` and is stale after `stale_s`:
        once for a scan is enough, where two scans come before it is stale (one sample may be lost)."""
        if not self.is_known() or 2 * self.period_s > stale_s:
            return declared_s
        return max(declared_s, self.period_s)

    def nearest_s(self, moment_s: float, apart_s: float) -> float:
        """When the scan nearest to a moment is due. The moment itself, where moments that are `apart_s`
        apart would meet one scan twice, or nothing is known of scans."""
        if not self.is_known() or apart_s < self.period_s:
            return moment_s
        return self.due_s(round((moment_s - self._start_s) / self.period_s))


class Lead:
    """How long before a scan a device is asked: as long as its answers take, waking up included.

    A decaying quantile, as the scan's spin has it: it rises by RARE of its PARTS when an answer took
    longer, else it falls by one, and so comes to rest where one in a thousand takes longer. Never more
    than from one poll to the next; an answer that took longer than that teaches nothing, since no lead
    would have helped: a host that stalls its guest twice in a thousand answers would drive it there.
    """

    def __init__(self) -> None:
        self.s = 1e-3

    def learn(self, took_s: float, most_s: float) -> None:
        """An answer was there `took_s` after it was time to ask; polls are `most_s` apart."""
        if took_s <= most_s:
            part_s = self.s / PARTS
            self.s += RARE * part_s if took_s > self.s else -part_s
        self.s = min(self.s, most_s)
