"""A line's scan as an object: the step, compiled or plain, on memory of its own.

The real-time scan, the twin, the replay and the tests all drive this; they differ in where inputs come
from and in what moves time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cellrt.compiler.cache import cached_njit
from cellrt.compiler.entry import Progress, addresses
from cellrt.compiler.plain import plain
from cellrt.image import Image
from cellrt.scan import step as parts
from cellrt.scan.plan import COMMAND_WORDS, COMMANDS_A_SCAN, Plan
from cellrt.scan.solve import is_due
from cellrt.scan.tables import Tables, Work, initial_image, tables, work
from cellrt.tags import Record
from cellrt.wire import Floats, Ints

Command = Sequence[int]
PlainRow = tuple[Any, Callable[[], None]]
"""A record and its scan."""


@cached_njit
def compiled_step(
    t: Tables,
    w: Work,
    entries: Ints,
    base: int,
    inputs: Ints,
    reals: Floats,
    now: int,
    scan: int,
    ep: int,
) -> None:
    parts.step(t, w, entries, base, inputs, reals, now, scan, ep, None)


@cached_njit
def compiled_read(t: Tables, w: Work, inputs: Ints, reals: Floats, now_ns: int, epoch: int) -> None:
    parts.read(t, w, inputs, reals, now_ns, epoch)


@cached_njit
def compiled_write(t: Tables, w: Work, now_ns: int, scan: int, epoch: int) -> None:
    parts.write(t, w, now_ns, scan, epoch)


class Runner:
    """One line's scan. `scan` counts scans; logical time is `scan * period_ns` from `start_ns`."""

    def __init__(
        self,
        plan: Plan,
        *,
        compiled: bool = True,
        epoch: int = 1,
        progress: Progress | None = None,
    ) -> None:
        self.plan = plan
        self.image: Image = initial_image(plan)
        self.tables: Tables = tables(plan)
        self.work: Work = work(plan, self.image)
        self.inputs: Ints = np.zeros(plan.input_words, np.int64)
        self.input_reals: Floats = self.inputs.view(np.float64)
        self.epoch = epoch
        self.scan = 0
        self.compiled = compiled
        self.entries: Ints = np.zeros(0, np.int64)
        self._links: list[PlainRow] = []
        self._members: list[PlainRow] = []
        if compiled:
            self.entries = addresses(plan.assembly.types(), progress)
        else:
            self._links = self._plain_rows(plan.assembly.links)
            members = plan.assembly.members
            self._members = self._plain_rows({n: members[n] for n in plan.assembly.by_task})

    @property
    def now_ns(self) -> int:
        """Logical time of the next scan."""
        return self.scan * self.plan.line.period_ns

    def set_commands(self, commands: Sequence[Command]) -> int:
        """Put commands into the next scan; how many there was room for."""
        base, count = self.plan.commands_base, min(len(commands), COMMANDS_A_SCAN)
        self.inputs[base] = count
        for n, command in enumerate(commands[:count]):
            at = base + 1 + n * COMMAND_WORDS
            self.inputs[at : at + COMMAND_WORDS] = command
        return count

    def step(self) -> Ints:
        """One scan; its events, as rows of EVENT_WORDS (a view that the next scan overwrites)."""
        now_ns, args = self.now_ns, (self.tables, self.work)
        if self.compiled:
            compiled_step(
                *args,
                self.entries,
                self.image.address,
                self.inputs,
                self.input_reals,
                now_ns,
                self.scan,
                self.epoch,
            )
        else:
            compiled_read(*args, self.inputs, self.input_reals, now_ns, self.epoch)
            self._solve_plain(now_ns)
            compiled_write(*args, now_ns, self.scan, self.epoch)
        self.scan += 1
        self.inputs[self.plan.commands_base] = 0
        return self.work.events[: self.work.event_count[0]]

    def _plain_rows(self, records: Mapping[str, type[Record]]) -> list[PlainRow]:
        layout, rows = self.plan.layout, []
        for name, kind in records.items():
            record: Any = plain(kind, self.image.bytes, layout.offsets[name])
            rows.append((record, record.scan))
        return rows

    def _solve_plain(self, now_ns: int) -> None:
        """What `scan.solve.solve` does, in the interpreter, so that a breakpoint in a cell works."""
        schedule, pace, dt_s = self.tables.schedule, self.work.pace, self.tables.dt_s
        self._copy(schedule.to_links)
        self._scan_plain(self._links, now_ns, dt_s)
        self._copy(schedule.to_members)
        for k, (every, first, end) in enumerate(schedule.tasks.tolist()):
            period = every * int(pace.multiple[k])
            if is_due(self.scan, int(pace.scanned[k]), period):
                self._scan_plain(self._members[first:end], now_ns, dt_s * period)
                pace.scanned[k] = self.scan
            else:
                between = [r for r in self._members[first:end] if r[0].looks_between]
                self._scan_plain(between, now_ns, 0.0)

    def _scan_plain(self, rows: Sequence[PlainRow], now_ns: int, dt_s: float) -> None:
        for record, scan in rows:
            record.now_ns, record.dt_s = now_ns, dt_s
            scan()

    def _copy(self, copies: Ints) -> None:
        for source, target, size in copies.tolist():
            self.image.bytes[target : target + size] = self.image.bytes[source : source + size]
