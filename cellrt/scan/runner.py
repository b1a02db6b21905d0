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
from cellrt.scan.solve import passed_over
from cellrt.scan.tables import Tables, Work, initial_image, tables, work
from cellrt.tags import Record
from cellrt.wire import Floats, Ints

Command = Sequence[int]
PlainRow = tuple[int, Any, Callable[[], None]]
"""Scanned every so many scans, the record, its scan."""


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
    parts.step(t, w, entries, base, inputs, reals, now, scan, ep)


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
        self._plain: list[list[PlainRow]] = []
        if compiled:
            self.entries = addresses(plan.assembly.types(), progress)
        else:
            self._plain = [
                self._plain_rows(a) for a in (plan.assembly.links, plan.assembly.members)
            ]

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
        assembly, rows = self.plan.assembly, []
        for name, kind in records.items():
            record: Any = plain(kind, self.image.bytes, assembly.layout.offsets[name])
            rows.append((assembly.every.get(name, 1), record, record.scan))
        return rows

    def _solve_plain(self, now_ns: int) -> None:
        """What `scan.solve.solve` does, in the interpreter, so that a breakpoint in a cell works."""
        schedule, period_s = self.tables.schedule, self.tables.dt_s
        for copies, records in zip(
            (schedule.to_links, schedule.to_members), self._plain, strict=True
        ):
            for source, target, size in copies.tolist():
                self.image.bytes[target : target + size] = self.image.bytes[source : source + size]
            for every, record, scan in records:
                due = self.scan % every == 0
                if due or passed_over(record.now_ns, now_ns, every, period_s):
                    record.now_ns, record.dt_s = now_ns, period_s * every
                    scan()
