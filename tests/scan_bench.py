"""A line's scan in the test's hands: samples and commands go in, answers and outputs come out."""

from __future__ import annotations

from cellrt.narrate import Entry, Narrator
from cellrt.packml import Command
from cellrt.scan.commands import Operation, Origin, Refusal
from cellrt.scan.plan import Plan
from cellrt.scan.runner import Runner
from cellrt.scan.tables import raw_value
from cellrt.tags import Scalar

PERIOD_NS = 10_000_000
EVER = 10**15


class Bench:
    """A runner whose inputs are samples, and whose events are told in words."""

    def __init__(self, plan: Plan, compiled: bool) -> None:
        self.plan, self.runner = plan, Runner(plan, compiled=compiled)
        self.narrator, self.number = Narrator(plan), 0
        self.waiting: list[list[int]] = []
        self.events: list[Entry] = []

    def sample(self, **raw: int) -> None:
        """A fresh sample of the device."""
        place, inputs = self.plan.samples[0], self.runner.inputs
        names = [p.name for p in place.device.map.inputs]
        for name, value in raw.items():
            inputs[place.first_raw + 1 + names.index(name)] = value
        inputs[place.base] += 1
        inputs[place.base + 1] = 1

    def start(self) -> None:
        """Every cell into Execute."""
        for command in (Command.RESET, Command.START):
            for cell in range(len(self.plan.cells)):
                self.ask(Operation.PACKML, cell, command, origin=Origin.SUPERVISOR)
            self.scan(3)

    def ask(
        self,
        operation: Operation,
        target: int,
        argument: int,
        for_ns: int = EVER,
        origin: Origin = Origin.OPERATOR,
    ) -> None:
        """A command in the next scan."""
        self.number += 1
        expires_ns = self.runner.now_ns + for_ns
        words = [self.number, int(origin), int(operation), target, argument, expires_ns, 0, 1]
        self.waiting.append(words)

    def asked(self, *what: int, origin: Origin = Origin.OPERATOR, for_ns: int = EVER) -> Refusal:
        """A command (operation, target, argument) and its answer."""
        operation, target, argument = what
        self.ask(Operation(operation), target, argument, for_ns, origin)
        return self.answer()

    def force(self, tag: str, value: Scalar, for_ns: int = EVER) -> Refusal:
        terminal = self.plan.terminal_of[tag]
        raw = raw_value(self.plan.terminals[terminal].point, self.plan.layout.find(tag), value)
        self.ask(Operation.FORCE, terminal, raw, for_ns)
        return self.answer()

    def unforce(self, tag: str | None = None) -> Refusal:
        self.ask(Operation.UNFORCE, -1 if tag is None else self.plan.terminal_of[tag], 0)
        return self.answer()

    def answer(self) -> Refusal:
        self.scan()
        (told,) = [e for e in self.events[-8:] if e.get("command") == self.number and "answer" in e]
        return next(r for r in Refusal if r.name.replace("_", "") == told["answer"].upper())

    def scan(self, scans: int = 1) -> None:
        for _ in range(scans):
            self.runner.set_commands(self.waiting)
            self.waiting = []
            self.events += [self.narrator.tell(row) for row in self.runner.step().tolist()]

    def __getitem__(self, tag: str) -> Scalar:
        return self.runner.image.read(self.plan.layout.find(tag))

    def sent(self, *places: int) -> list[int]:
        return [int(self.runner.work.outputs[place]) for place in places]

    def told(self, event: str) -> list[Entry]:
        return [e for e in self.events if e["event"] == event]
