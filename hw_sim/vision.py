"""A placer's vision: looks for the fiducials of the board in the jaws, each look by its number."""

from __future__ import annotations

from cellrt.tags import Record, Var
from hw_sim.device import Contactor, countdown

LOOK_S = 0.6


class Vision(Record):
    """What a look saw is told by its number, until the jaws open. One cut short saw nothing."""

    lamp: Contactor
    taken: int = Var(doc="number of the look that was taken or refused last")
    found: int = Var(doc="number of the look that knows where the board lies; 0 none")
    lost: int = Var(doc="number of the look that found no fiducials; 0 none")
    left_s: float = Var(unit="s")
    looks: int = Var(doc="looks at the board at the stop")

    def order(self, number: int, live: bool) -> bool:
        """True in the scan in which a look is asked for that was not asked for before."""
        asked = self.lamp.obey(number != 0, live) and number != self.taken
        if asked:
            self.taken = number
            self.forget()
        return asked

    def begin(self) -> None:
        """Look once more at the board."""
        self.left_s = LOOK_S
        self.looks += 1

    def forget(self) -> None:
        """Nothing is known of where the board lies, and no look is under way."""
        self.found = 0
        self.lost = 0
        self.left_s = 0.0

    def go_on(self, live: bool, dt_s: float) -> bool:
        """One scan of the look under way; True in the scan in which it ends."""
        if self.left_s == 0.0:
            return False
        self.left_s = countdown(self.left_s, dt_s) if live else 0.0
        return live and self.left_s == 0.0

    def tell(self, lost: bool) -> None:
        """What the look saw."""
        if lost:
            self.lost = self.taken
        else:
            self.found = self.taken
