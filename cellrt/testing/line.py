"""A line under test: time moved by hand, inputs forced, tags traced."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from cellrt.line.spec import LineSpec
from cellrt.narrate import Entry, Narrator
from cellrt.packml import Command
from cellrt.scan.commands import Operation, Origin
from cellrt.scan.plan import Plan
from cellrt.scan.runner import Runner
from cellrt.supervisor import Commander, Goal, Supervisor
from cellrt.tags import Leaf, Role, Scalar
from cellrt.wire import Ints, Point, Wire

Until = str | Callable[[], bool]


class NotReached(AssertionError):
    """What `step(until=...)` waited for did not come in time; says how the line stands."""


@dataclass
class Trace:
    """Tags of the line, one row for each scan in which one of them changed."""

    tags: Sequence[str]
    rows: list[tuple[int, tuple[Scalar, ...]]] = field(default_factory=list)

    def note(self, now_ns: int, values: tuple[Scalar, ...]) -> None:
        """A scan's values."""
        if not self.rows or self.rows[-1][1] != values:
            self.rows.append((now_ns, values))

    def __str__(self) -> str:
        head = ["t_ms", *self.tags]
        body = [[f"{t / 1e6:g}", *(_cell(v) for v in values)] for t, values in self.rows]
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        rows = ("  ".join(c.rjust(w) for c, w in zip(r, widths, strict=True)) for r in (head, *body))
        return "\n".join(rows) + "\n"


class TestLine:
    """A line in virtual time. Without `sim` every input is what `force` makes it."""

    __test__ = False

    def __init__(
        self, line: LineSpec, *, seed: int | None = None, sim: bool = False, compiled: bool = True
    ) -> None:
        self.plan = Plan(line)
        self._twin = None
        if sim:
            from cellrt.app.simulate import VirtualLine

            self._twin = VirtualLine(line, seed=seed, compiled=compiled).twin
            self.runner: Runner = self._twin.runner
        else:
            self.runner = Runner(self.plan, compiled=compiled)
        self.events: list[Entry] = []
        self._narrator = Narrator(self.plan)
        self._commander = Commander(1, Origin.OPERATOR)
        self._supervisor = Supervisor(self.plan, self._commander)
        self._leaves: dict[str, Leaf] = {leaf.path: leaf for leaf in self.plan.layout.tags()}
        self._raw = {t.path: (p, raw) for *_, p, raw, t in self.plan.joined(Role.INPUT)}
        self._commands: list[list[int]] = []
        self._traces: list[Trace] = []
        for sample in self.plan.samples:
            self.runner.inputs[sample.base : sample.base + 2] = 1, 1

    def __getitem__(self, tag: str) -> Scalar:
        """A tag's value. Raises KeyError naming the nearest tags."""
        return self.runner.image.read(self._leaf(tag))

    @property
    def now_s(self) -> float:
        """Logical time."""
        return self.runner.now_ns * 1e-9

    def force(self, tag: str, value: Scalar) -> None:
        """Make an input what it is to be, at the wire, from the next scan on.

        With `sim` it stands in for what the simulated device says.
        """
        if tag not in self._raw:
            raise KeyError(f"{tag} is no joined input; inputs are {', '.join(self._raw)}")
        point, index = self._raw[tag]
        raw = _raw(point, value)
        self.runner.inputs[index] = raw
        if self._twin:
            self._twin.forced[index] = raw
        for sample in self.plan.samples:
            self.runner.inputs[sample.base] += 1

    def quality(self, device: str, good: bool) -> None:
        """Make a device good or bad, as the age of its samples would."""
        sample = self.plan.samples[self.plan.devices.index(device)]
        self.runner.inputs[sample.base + 1] = good

    def command(self, cell: str, command: Command | str) -> None:
        """Give a cell a PackML command in the next scan."""
        wanted = Command[command.upper()] if isinstance(command, str) else command
        number = self.plan.cells.index(cell)
        self._commands.append(
            self._commander.command(Operation.PACKML, number, wanted, self.runner.now_ns)
        )

    def start(self, timeout_s: float = 30.0) -> TestLine:
        """Bring every cell to Execute, as an operator's start does."""
        return self.pursue(Goal.RUN, timeout_s)

    def pursue(self, goal: Goal, timeout_s: float = 120.0) -> TestLine:
        """Bring every cell where a goal wants it."""
        self._supervisor.pursue(goal)
        self.step()
        return self.step(until=lambda: self._supervisor.reached(self.__getitem__), timeout_s=timeout_s)

    def step(self, scans: int = 1, *, until: Until | None = None, timeout_s: float = 60.0) -> TestLine:
        """Scan so many times; or until a tag is true or a function says so, for at most `timeout_s`.

        Raises NotReached when logical time runs out first.
        """
        if until is None:
            for _ in range(scans):
                self._scan()
            return self
        reached = (lambda: bool(self[until])) if isinstance(until, str) else until
        end_ns = self.runner.now_ns + round(timeout_s * 1e9)
        while not reached():
            if self.runner.now_ns >= end_ns:
                raise NotReached(f"{until} not within {timeout_s:g} s; {self._standing()}")
            self._scan()
        return self

    def trace(self, *patterns: str) -> Trace:
        """Trace every tag that matches (`cell.*`) from now on."""
        tags = [t for t in self._leaves if any(fnmatch.fnmatchcase(t, p) for p in patterns)]
        if not tags:
            raise KeyError(f"no tag matches {', '.join(patterns)}")
        self._traces.append(Trace(tags))
        return self._traces[-1]

    def _scan(self) -> None:
        r, now_ns = self.runner, self.runner.now_ns
        self._commands += self._supervisor.decide(now_ns, self.__getitem__)
        sent = r.set_commands(self._commands)
        self._commands = self._commands[sent:]
        events: Ints = self._twin.step() if self._twin else r.step()
        self.events += [self._narrator.tell(row) for row in events.tolist()]
        for trace in self._traces:
            trace.note(now_ns, tuple(self[t] for t in trace.tags))

    def _leaf(self, tag: str) -> Leaf:
        if tag not in self._leaves:
            near = difflib.get_close_matches(tag, self._leaves, 3)
            raise KeyError(f"no tag {tag!r}; did you mean {', '.join(near) or 'another line'}?")
        return self._leaves[tag]

    def _standing(self) -> str:
        last = "; ".join(f"{e['event']} {e.get('cell', '')} {e.get('to', '')}" for e in self.events[-5:])
        return f"last events: {last or 'none'}"


def _raw(point: Point, value: Scalar) -> int:
    """The raw value for a tag's value."""
    if point.wire.is_float:
        return int(np.float64(value).view(np.int64))
    if point.wire is Wire.BOOL:
        return int(bool(value))
    return round((float(value) - point.offset) / point.scale)


def _cell(value: Scalar) -> str:
    if isinstance(value, bool):
        return "1" if value else "."
    return f"{value:.4g}" if isinstance(value, float) else str(value)
