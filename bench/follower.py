"""A cell that does one thing: its output is what its input is."""

from __future__ import annotations

from cellrt import Cell, Input, Output, always, to


class Follower(Cell):
    """What comes in goes out in the same scan."""

    seen: bool = Input()
    shown: bool = Output(safe=always(to(False)))

    def execute(self) -> None:
        """Follow."""
        self.shown = self.seen
