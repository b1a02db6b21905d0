"""A line under test: time moved by hand, inputs forced, tags traced."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from cellrt.commander import Commander
from cellrt.compiler.entry import Progress
from cellrt.line.problem import choose
from cellrt.line.spec import LineSpec
from cellrt.narrate import Entry, Narrator, sentence, words
from cellrt.packml import Command, State
from cellrt.scan.commands import Operation, Origin
from cellrt.scan.plan import SAMPLE_HEAD, Plan, Sample
from cellrt.scan.runner import Runner
from cellrt.scan.tables import check_carried, raw_value
from cellrt.supervisor import Goal, Supervisor
from cellrt.tags import Leaf, Role, Scalar
from cellrt.testing.plant import Plant
from cellrt.testing.trace import Trace, shown
from cellrt.wire import Point

__tracebackhide__ = True
"""A failing test's traceback ends at the test's own line."""

V = TypeVar("V")
Until = str | Callable[[], bool]
STARTED = (State.EXECUTE, State.SUSPENDED)


class NotReached(AssertionError):
    """What `step(until=...)` waited for did not come in time; says how the line stands."""


class TestLine:
    """A line in virtual time. Without `sim` every input is what `force` makes it, at first 0.

    Time stands still but for `step`, `start` and `stop`. Devices are good until `quality` says
    otherwise. Unknown names raise LookupError, with the nearest that there are.
    """

    __test__ = False

    def __init__(
        self,
        line: LineSpec,
        *,
        seed: int | None = None,
        sim: bool = False,
        compiled: bool = True,
        progress: Progress | None = None,
    ) -> None:
        self._twin = None
        self._plant = None
        if sim:
            from cellrt.app.simulate import VirtualLine

            virtual = VirtualLine(line, seed=seed, compiled=compiled, progress=progress)
            self._twin, self.plan = virtual.twin, virtual.plan
            self._plant = Plant(virtual.plant, virtual.census)
            self.runner: Runner = virtual.twin.runner
        else:
            self.plan = Plan(line)
            self.runner = Runner(self.plan, compiled=compiled, progress=progress)
        self.events: list[Entry] = []
        """Everything that the scans reported, in words."""
        self._narrator = Narrator(self.plan)
        self._commander = Commander(1, Origin.SUPERVISOR)
        self._supervisor = Supervisor(self.plan, self._commander)
        self._leaves = {leaf.path: leaf for leaf in self.plan.layout.tags()}
        self._places = dict(_places(self.plan, self._leaves))
        self._inputs = {
            leaf.path: (self.plan.samples[number], point, raw, leaf)
            for number, _, point, raw, leaf in self.plan.joined(Role.INPUT)
        }
        self._commands: list[list[int]] = []
        self._traces: list[Trace] = []
        self._cells = {name: number for number, name in enumerate(self.plan.cells)}
        self._samples = {sample.device.name: sample for sample in self.plan.samples}
        for sample in self.plan.samples:
            self.runner.inputs[sample.base : sample.base + SAMPLE_HEAD] = 1

    def __repr__(self) -> str:
        return f"<{self.plan.line.name} at {self.now_s:g} s>"

    def __getitem__(self, name: str) -> Scalar:
        """A tag's value, by `cell.tag`.

        For the name of a step or of a PackML state, `press.working` or `press.Held`: whether the
        cell is in it.
        """
        if (leaf := self._leaves.get(name)) is not None:
            return self.runner.image.read(leaf)
        place, number = _found(name, self._places, "tag", (*self._leaves, *self._places))
        return self.runner.image.read(place) == number

    @property
    def plant(self) -> Plant:
        """With `sim`: the simulated plant as it truly is, to be read and set."""
        if self._plant is None:
            raise LookupError(f"{self.plan.line.name} has no plant here; open it with sim=True")
        return self._plant

    @property
    def now_s(self) -> float:
        """Logical time."""
        return self.runner.now_ns * 1e-9

    def force(self, tag: str, value: Scalar) -> TestLine:
        """Make an input what it is to be, at the wire, from the next scan on.

        Every tag joined to the same point shows it. With `sim` it stands in for what the simulated
        device says, until `release`. Raises ValueError for what the tag or the wire cannot carry.
        """
        sample, point, raw, leaf = self._input(tag)
        check_carried(point, leaf, value)
        self._put(sample, raw, raw_value(point, leaf, value))
        return self

    def release(self, tag: str) -> TestLine:
        """With `sim`: let the simulated device say again what a forced input is."""
        _, _, raw, _ = self._input(tag)
        if self._twin:
            self._twin.forced.pop(raw, None)
        return self

    def quality(self, device: str, good: bool) -> TestLine:
        """Make a device good or bad, as the age of its samples would."""
        sample = _found(device, self._samples, "device")
        self._put(sample, sample.base + 1, int(good))
        return self

    def command(self, cell: str, command: Command | str) -> TestLine:
        """Give a cell a PackML command, `"hold"`, in the next scan; its answer is among `events`."""
        number = _found(cell, self._cells, "cell")
        if isinstance(command, str):
            command = _found(command.upper(), Command.__members__, "command")
        now_ns = self.runner.now_ns
        self._commands.append(
            self._commander.command(Operation.PACKML, number, int(command), now_ns)
        )
        return self

    def start(self, timeout_s: float = 60.0) -> TestLine:
        """Bring every cell to Execute, as an operator's start does. Raises NotReached."""
        return self._pursue(Goal.RUN, STARTED, timeout_s)

    def stop(self, timeout_s: float = 120.0) -> TestLine:
        """End the work in the machines and bring every cell to Stopped. Raises NotReached."""
        return self._pursue(Goal.STOP, (State.STOPPED,), timeout_s)

    def step(
        self, scans: int = 1, *, until: Until | None = None, timeout_s: float = 60.0
    ) -> TestLine:
        """Scan so many times; or until what `line[until]` says, or a function, is true.

        Not at all when it is true already. Raises NotReached after `timeout_s` of logical time.
        """
        if until is None:
            for _ in range(scans):
                self._scan()
        elif isinstance(until, str):
            self._scan_until(lambda: bool(self[until]), until, timeout_s)
        else:
            self._scan_until(until, getattr(until, "__name__", "until"), timeout_s)
        return self

    def trace(self, *patterns: str) -> Trace:
        """Trace, from the next scan on, every tag that matches.

        `*` stands for what is between two dots: `press.*` are the tags that the cell declares
        itself, after its PackML state and step. Clocks and parameters have to be named in full.
        """
        tags = list(dict.fromkeys(tag for p in patterns for tag in self._matching(p)))
        self._traces.append(Trace(tags))
        return self._traces[-1]

    def _matching(self, pattern: str) -> list[str]:
        if pattern in self._leaves:
            return [pattern]
        matches = re.compile(re.escape(pattern).replace(r"\*", r"[^.]*")).fullmatch
        tags = [t for t, leaf in self._leaves.items() if matches(_own(t)) and _is_news(leaf)]
        if not tags:
            among = (*(f"{cell}.*" for cell in self._cells), *self._leaves)
            raise LookupError(f"no tag matches {pattern!r}; {choose(pattern, among)}")
        return tags

    def _shown(self, tag: str) -> str:
        value = self.runner.image.read(self._leaves[tag])
        cell, _, path = tag.partition(".")
        if path == "unit.state":
            return words(State(int(value)))
        return self._narrator.step_name(cell, int(value)) if path == "unit.step" else shown(value)

    def _pursue(self, goal: Goal, ends: tuple[State, ...], timeout_s: float) -> TestLine:
        """The supervisor leads; once there, only the test commands."""

        def reached() -> bool:
            return all(self[f"{cell}.unit.state"] in ends for cell in self.plan.cells)

        self._supervisor.pursue(goal)
        try:
            self._scan_until(reached, f"every cell in {words(ends[0])}", timeout_s)
        finally:
            self._supervisor.pursue(Goal.REST)
        return self

    def _scan_until(self, reached: Callable[[], bool], what: str, timeout_s: float) -> None:
        end_ns = self.runner.now_ns + round(timeout_s * 1e9)
        while not reached():
            if self.runner.now_ns >= end_ns:
                raise NotReached(f"{what}: not within {timeout_s:g} s\n{self._standing(what)}")
            self._scan()

    def _scan(self) -> None:
        runner, now_ns = self.runner, self.runner.now_ns
        self._commands += self._supervisor.decide(now_ns, self.__getitem__)
        self._commands = self._commands[runner.set_commands(self._commands) :]
        events = self._twin.step() if self._twin else runner.step()
        self.events += [self._narrator.tell(row) for row in events.tolist()]
        for trace in self._traces:
            trace.note(now_ns, tuple(self._shown(tag) for tag in trace.tags))

    def _input(self, tag: str) -> tuple[Sample, Point, int, Leaf]:
        if tag in self._leaves and tag not in self._inputs:
            role, cell = self._leaves[tag].field.role.value, tag.partition(".")[0]
            inputs = ", ".join(t for t in self._inputs if t.startswith(f"{cell}.")) or "none"
            raise LookupError(f"{tag} is {role}, not input; inputs of {cell} are {inputs}")
        return _found(tag, self._inputs, "input")

    def _put(self, sample: Sample, index: int, raw: int) -> None:
        """A value into the inputs, as a fresh sample brings it."""
        self.runner.inputs[index] = raw
        self.runner.inputs[sample.base] += 1
        if self._twin:
            self._twin.forced[index] = raw

    def _standing(self, what: str) -> str:
        """Where every cell is, the tags of the cell that was waited for, and what came last."""
        told = [f"{self.plan.line.name} at {self.now_s:g} s:"]
        for cell in self.plan.cells:
            state, step = self._shown(f"{cell}.unit.state"), self._shown(f"{cell}.unit.step")
            told.append(f"  {cell} is {state}" + (f", step {step}" if step else ""))
            if first_out := self._narrator.first_out(cell, int(self[f"{cell}.unit.first_out"])):
                told[-1] += f", first out {first_out}"
            if cell == what.partition(".")[0] or len(self.plan.cells) == 1:
                own = (t for t in self._matching(f"{cell}.*") if ".unit." not in t)
                told.append("    " + " ".join(f"{t.split('.')[1]}={self._shown(t)}" for t in own))
        return "\n".join([*told, "last events:", *map(sentence, self.events[-6:])])


def _places(plan: Plan, leaves: Mapping[str, Leaf]) -> Iterator[tuple[str, tuple[Leaf, int]]]:
    """By `cell.step` and `cell.State`: the tag that tells, and what it says there."""
    for name, cell in plan.line.cells.items():
        for number, step in enumerate(cell.type.sequence.names):
            yield f"{name}.{step}", (leaves[f"{name}.unit.step"], number)
        for state in State:
            yield f"{name}.{words(state)}", (leaves[f"{name}.unit.state"], int(state))


def _own(tag: str) -> str:
    """A tag's name as patterns see it: state and step count as the cell's own."""
    return tag.replace(".unit.", ".") if tag.endswith((".unit.state", ".unit.step")) else tag


def _is_news(leaf: Leaf) -> bool:
    """A trace need not show clocks, which always change, and parameters, which never do."""
    clock = leaf.field.unit == "ns" or leaf.path.endswith(".dt_s")
    return not clock and leaf.field.role is not Role.PARAMETER


def _found(name: str, there: Mapping[str, V], what: str, names: Iterable[str] = ()) -> V:
    if name not in there:
        raise LookupError(f"no {what} {name!r}; {choose(name, names or there)}")
    return there[name]
