"""An assembly scanned in plain Python and virtual time: what the compiled scan does."""

from __future__ import annotations

from typing import Any

from cellrt.assembly import Assembly
from cellrt.compiler.plain import plain
from cellrt.image import Image
from cellrt.packml import Command, State, trigger_of

PERIOD_NS = 50_000_000

WAY_TO_EXECUTE = {
    State.ABORTED: Command.CLEAR,
    State.STOPPED: Command.RESET,
    State.COMPLETE: Command.RESET,
    State.IDLE: Command.START,
    State.HELD: Command.UNHOLD,
}
"""What an operator who wants a unit to produce commands next."""


class PlainLine:
    """Members and links by name; `line["a"]` is a member as an ordinary object."""

    def __init__(self, assembly: Assembly, period_ns: int = PERIOD_NS) -> None:
        self.assembly = assembly
        self.image = Image(assembly.layout)
        self.period_ns = period_ns
        self.now_ns = 0
        self.scans = 0
        self.hear, self.tell = (
            [(*assembly.layout.place(a), assembly.layout.place(b)[0]) for a, b in copies]
            for copies in (assembly.to_links, assembly.to_members)
        )
        self.records: dict[str, Any] = {
            name: plain(kind, self.image.bytes, assembly.layout.offsets[name])
            for name, kind in assembly.layout.instances.items()
        }

    def __getitem__(self, name: str) -> Any:
        return self.records[name]

    def scan(self) -> None:
        """Hear the members, scan the links, tell the members, scan these."""
        self._copy(self.hear)
        self._scan(self.assembly.links)
        self._copy(self.tell)
        self._scan(self.assembly.members)
        self.now_ns += self.period_ns
        self.scans += 1

    def _copy(self, copies: Any) -> None:
        for at, size, to in copies:
            self.image.bytes[to : to + size] = self.image.bytes[at : at + size]

    def _scan(self, names: Any) -> None:
        for name in names:
            every = self.assembly.every.get(name, 1)
            if self.scans % every == 0:
                record = self.records[name]
                record.now_ns = self.now_ns
                record.dt_s = self.period_ns * every * 1e-9
                record.scan()


def command(cell: Any, what: Command) -> None:
    """Give a cell a PackML command, as a command queue would before the scan."""
    cell.unit.requests |= 1 << trigger_of(what)


def lead_to_execute(cell: Any) -> None:
    """Give whatever command the way to Execute needs next."""
    if (state := State(cell.unit.state)) in WAY_TO_EXECUTE:
        command(cell, WAY_TO_EXECUTE[state])
