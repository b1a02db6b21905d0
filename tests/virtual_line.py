"""A line with its plant in virtual time, and what tests do to it: look, meddle, command, wait, blow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from cellrt.app.simulate import VirtualLine
from cellrt.image import Image
from cellrt.line.load import load_line
from cellrt.line.spec import LineSpec
from cellrt.packml import Command, State
from cellrt.runtime.scan import take_up
from cellrt.scan.commands import Operation
from cellrt.scan.runner import Runner
from cellrt.tags import Scalar
from cellrt.twin import Twin, one_exchange_in, one_plant_scan
from cellrt.wire import Ints

S_NS = 1_000_000_000
GONE_SCANS = 250
"""How long a scan, or io, that was killed is gone."""
STALE_SCANS = 20
SPEED = 15
"""Of logical time to the wall clock's, behind slow polls."""

L = TypeVar("L", bound="Line")


class Line(VirtualLine):
    """`plant[tag]` is what is so, `read(tag)` what the line says of it, `tags[tag]` the same to be set."""

    look_s = 0.1
    """How often `until` looks."""

    def __init__(
        self, line: Path | LineSpec, *, seed: int | None = None, compiled: bool = True
    ) -> None:
        super().__init__(
            load_line(line) if isinstance(line, Path) else line, seed=seed, compiled=compiled
        )

    @property
    def tags(self) -> Image:
        """The line's tags, to be set as another cell, the line file or an earlier day would."""
        return self.twin.runner.image

    def go(self: L, for_s: float) -> L:
        """Run for so long."""
        for _ in self.run(round(for_s * S_NS)):
            pass
        return self

    def go_slowly(self: L, for_s: float, every: int) -> L:
        """Samples and outputs go by only in every so many scans, as at `SPEED` times real time."""
        twin, runner = self.twin, self.twin.runner
        outputs, commands = runner.work.outputs.copy(), list(self._commands)
        walls = [f"{device}.wall_ns" for device in self.plan.devices]
        first = runner.scan
        for scan in range(first, first + round(for_s * S_NS) // self.plan.line.period_ns):
            if scan % every == 0:
                one_exchange_in(twin.plant, runner.inputs, runner.input_reals, scan)
            if scan % 10 == 0:
                commands += self.supervisor.decide(self.now_ns, self.read)
                for wall in walls:
                    self.plant[wall] = 1 + self.now_ns // SPEED
            commands = commands[runner.set_commands(commands) :]
            self.journal.append(runner.step().copy())
            if scan % every == 0:
                outputs[:] = runner.work.outputs
            plant_scan(twin, outputs, scan)
        self._commands = commands
        return self

    def until(self: L, reached: Callable[[], object], within_s: float = 120.0) -> L:
        """Run until it is so."""
        self.until_s(reached, within_s)
        return self

    def until_s(self, reached: Callable[[], object], within_s: float = 120.0) -> float:
        """Run until it is so; how long it took."""
        began_ns = self.now_ns
        while not reached():
            assert self.now_ns - began_ns < within_s * S_NS, (
                f"not within {within_s} s: {self.told()}"
            )
            self.go(self.look_s)
        return (self.now_ns - began_ns) / S_NS

    def state(self, cell: str) -> State:
        return State(int(self.read(f"{cell}.unit.state")))

    def states(self) -> set[State]:
        return {self.state(cell) for cell in self.plan.cells}

    def step_of(self, cell: str) -> str:
        """Name of the step that a cell is in."""
        names = self.plan.line.cells[cell].type.sequence.names
        return names[int(self.read(f"{cell}.unit.step"))]

    def first_out(self, cell: str) -> str:
        """Name of the rule that tripped a cell first; empty when none did."""
        number = int(self.read(f"{cell}.unit.first_out"))
        return self.plan.rules(cell)[number - 1] if number else ""

    def told(self) -> str:
        """Where every cell is."""
        cells = self.plan.cells
        return ", ".join(f"{c} {self.state(c).name} {self.read(f'{c}.unit.step')}" for c in cells)

    def command(self, cell: str, command: Command) -> None:
        """As a person at the panel gives it, heard in the next scan."""
        number = self.plan.cells.index(cell)
        commander = self.supervisor.commander
        row = commander.command(Operation.PACKML, number, int(command), self.now_ns)
        self._commands = [*self._commands, row]

    def stored(self) -> list[int]:
        """Boards that left the line through the magazine, in their order."""
        events = self.journal.entries(last=10**6)
        return [e["board"] for e in events if e["event"] == "BoardOut" and e["cell"] == "magazine"]


def kill_scan(line: VirtualLine) -> None:
    """The last outputs stand, the heartbeat with them; then a new scan with what was retained."""
    old = line.twin.runner
    for n in range(old.scan, old.scan + GONE_SCANS):
        plant_scan(line.twin, old.work.outputs, n)
    new = restarted(old)
    line.twin.runner = new
    line.supervisor.commander.epoch = new.epoch
    line.supervisor.fall(new.now_ns)


def kill_io(line: VirtualLine) -> None:
    """The devices hear the last outputs, and the scan sees the last inputs, soon as bad ones."""
    runner, outputs = line.twin.runner, line.twin.runner.work.outputs.copy()
    for n in range(GONE_SCANS):
        for sample in runner.plan.samples:
            runner.inputs[sample.base + 1] = n < STALE_SCANS
        scan = runner.scan
        line.journal.append(runner.step().copy())
        plant_scan(line.twin, outputs, scan)


def restarted(old: Runner) -> Runner:
    """A new scan, `GONE_SCANS` later, with what the old one retained."""
    kept = np.array([bits(old, n) for n in range(len(old.plan.retained))], np.int64)
    new = Runner(old.plan, epoch=old.epoch + 1)
    new.scan = old.scan + GONE_SCANS
    take_up(new, kept, new.now_ns)
    return new


def plant_scan(twin: Twin, outputs: Ints, scan: int) -> None:
    """The plant alone, on outputs that stand."""
    runner, reals = twin.runner, outputs.view(np.float64)
    now_ns = scan * runner.plan.line.period_ns
    one_plant_scan(twin.plant, outputs, reals, now_ns, scan, runner.tables.dt_s)


def bits(runner: Runner, n: int) -> int:
    """A retained tag as the scan publishes it."""
    value: Scalar = runner.image.read(leaf := runner.plan.retained[n])
    return int(np.float64(value).view(np.int64)) if leaf.field.kind is float else int(value)
