"""The very loop that runs a line, by a clock that a test moves: a minute of scans in no time."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cellrt.runtime.child import Order, Station
from cellrt.runtime.region import Status, sections
from cellrt.runtime.scan import loop_arguments, make_ready
from cellrt.scan.clock import LATE, LOOK, NOW, SLEPT, Moved
from cellrt.scan.executive import run_scans
from cellrt.scan.plan import Plan
from cellrt.scan.recorder import begin, longest
from cellrt.scan.spin import spin
from cellrt.shared import ringfile
from cellrt.shared.memory import create
from cellrt.shared.ring import RingReader
from cellrt.tags import WORD
from cellrt.wire import Ints

Entry = Callable[[int], None]


class MovedLoop:
    """A line's executive with `entry`, which gets a record's address, for every cell's machine code.

    In there a test lets time pass, and ends the loop.
    """

    def __init__(self, plan: Plan, folder: Path, entry: Entry) -> None:
        region = create(sections(plan), plan.hash)
        ring = folder / "ring"
        ringfile.create(ring, plan.hash, longest(plan), 1 << 20)
        order = Order("", region.fd, plan.hash, "", 0, "", str(ring), 1, {}, plain=True)
        self.plan, self.period_ns = plan, plan.line.period_ns
        self.station = Station(order, plan, region)
        self.status = self.station.status
        self.status[Status.SPEED_PPM] = 1_000_000
        self.runner, desk = make_ready(self.station)
        begin(desk.recorder, self.runner.work, self.runner.inputs, 0, 1)
        self._entry = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(entry)
        address = ctypes.cast(self._entry, ctypes.c_void_p).value
        self.runner.entries = np.full(len(plan.assembly.types()), address, np.int64)
        self.clock = Moved(np.zeros(4, np.int64))
        self._stamp = plan.layout.place(f"{plan.cells[0]}.now_ns")[0] // WORD
        self._events = RingReader(region.section("events"))
        meter = desk.meter._replace(clock=self.clock)
        still = spin(self._spin, 1, wanted=False)
        self.desk = desk._replace(clock=self.clock, spin=still, meter=meter)

    @property
    def _spin(self) -> Ints:
        return self.status[Status.EARLY_NS :][:3]

    @property
    def now_ns(self) -> int:
        return int(self.clock.words[NOW])

    @property
    def slept(self) -> int:
        """How often it has slept."""
        return int(self.clock.words[SLEPT])

    @property
    def number(self) -> int:
        """The present scan's."""
        return int(self.runner.image.views.words[self._stamp]) // self.period_ns

    def spin(self, look_ns: int) -> None:
        """Let the loop spin before each scan; a look at the clock takes `look_ns`."""
        self._get_up_early(look_ns, spins=True)

    def nap(self, look_ns: int) -> None:
        """Let it get up as early, and sleep once more."""
        self._get_up_early(look_ns, spins=False)

    def _get_up_early(self, look_ns: int, *, spins: bool) -> None:
        self.clock.words[LOOK] = look_ns
        self.desk = self.desk._replace(spin=spin(self._spin, self.period_ns, wanted=spins))

    def pass_ns(self, span_ns: int) -> None:
        """Time passes."""
        self.clock.words[NOW] += span_ns

    def wake_late(self, late_ns: int) -> None:
        """From now on each sleep ends so late."""
        self.clock.words[LATE] = late_ns

    def stop(self) -> None:
        """The present scan is the last one."""
        self.status[Status.STOP] = 1

    def run(self) -> int:
        """Scan until stopped; how many scans."""
        self.status[Status.STOP] = 0
        return int(run_scans(*loop_arguments(self.station, self.runner, self.desk)))

    def events(self) -> list[list[int]]:
        """Events since the last time."""
        events: list[list[int]] = []
        while (read := self._events.read()[0]).size:
            events += read.tolist()
        return events
