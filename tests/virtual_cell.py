"""One cell in virtual time, scanned compiled or plain; its tags are read and set as a proxy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cellrt.cell import Cell
from cellrt.compiler.entry import entry
from cellrt.compiler.plain import plain
from cellrt.declared import rules
from cellrt.image import Image, Layout
from cellrt.packml import Command, State, trigger_of

SCAN_NS = 10_000_000


class VirtualCell:
    """A cell that is well: its inputs are good. Every scan is 10 ms later than the one before."""

    def __init__(self, kind: type[Cell], compiled: bool) -> None:
        self.kind = kind
        self.image = Image(Layout({"cell": kind}))
        self.cell: Any = plain(kind, self.image.bytes)
        self.cell.unit.io_good = True
        self.cell.dt_s = SCAN_NS * 1e-9
        self._scan: Callable[[], None] = self.cell.scan
        if compiled:
            machine_code = entry(kind).ctypes
            self._scan = lambda: machine_code(self.image.address)

    @property
    def state(self) -> State:
        return State(self.cell.unit.state)

    @property
    def step(self) -> str:
        number: int = self.cell.unit.step
        return self.kind.sequence.names[number]

    @property
    def first_out(self) -> str:
        """The rule that tripped first, by name."""
        number = self.cell.unit.first_out
        return rules(self.kind)[number - 1] if number else ""

    def scan(self, *commands: Command, **tags: Any) -> State:
        """Set input tags, give commands, scan once; the state after it."""
        for name, value in tags.items():
            setattr(self.cell, name, value)
        for command in commands:
            self.cell.unit.requests |= 1 << trigger_of(command)
        self._scan()
        self.cell.now_ns += SCAN_NS
        return self.state

    def scan_for(self, seconds: float) -> State:
        """Scan for so long."""
        for _ in range(round(seconds * 1e9) // SCAN_NS):
            self.scan()
        return self.state

    def to_execute(self) -> VirtualCell:
        """From Stopped to Execute, as an operator leads it there."""
        for command in (Command.RESET, Command.START):
            self.scan(command)
            self.scan()
        assert self.state is State.EXECUTE
        return self
