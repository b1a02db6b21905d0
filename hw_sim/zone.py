"""Conveyor zones: a belt with its motor and light barriers, and one that can push a board off."""

from __future__ import annotations

from cellrt.tags import Record, Var
from hw_sim.belt import Belt
from hw_sim.device import Contactor, countdown

ZONE_MM = 600.0
ENTRY_MM = 30.0
"""Entry sensors stand so far from a belt's beginning."""
EXIT_MM = 50.0
"""Exit sensors stand so far before a belt's end."""

EJECT_S = 1.5
STACK = 10
EMPTIED_S = 45.0
"""A person sees the full reject stack and empties it so much later."""


class Zone(Record):
    """Nothing but its motor stops the belt: a board that was not stopped at the exit runs on."""

    belt: Belt
    motor: Contactor
    run: bool = Var(doc="belt motor")
    speed_mm_s: float = Var(200.0, unit="mm/s", high=500.0, doc="wanted speed")
    entry: bool = Var(doc="light barrier 30 mm from the beginning")
    exit: bool = Var(doc="light barrier 50 mm before the end")
    actual_mm_s: float = Var(unit="mm/s", doc="actual speed")

    def update(self, live: bool, dt_s: float) -> None:
        """One scan of the belt."""
        self.belt.move(self.motor.obey(self.run, live), self.speed_mm_s, ZONE_MM, dt_s)
        self.entry = self.belt.sees(ENTRY_MM)
        self.exit = self.belt.sees(ZONE_MM - EXIT_MM)
        self.actual_mm_s = self.belt.speed_mm_s


class Ejector(Record):
    """Pushes the board on a standing belt aside onto a stack of ten, which a person empties.

    A stroke that is cut short begins anew. Out, it stays out until it is told to come home.
    """

    valve: Contactor
    eject: bool = Var(doc="pusher out; off: the spring brings it home")
    left_s: float = Var(EJECT_S, unit="s", doc="of the stroke")
    stacked: int = Var(doc="boards on the reject stack")
    full: bool = Var(doc="the reject stack is full")
    home: bool = Var(True, doc="the pusher is home")
    full_s: float = Var(unit="s", doc="how long the stack has been full")

    def update(self, belt: Belt, live: bool, dt_s: float) -> bool:
        """True in the scan in which a board is pushed off `belt`."""
        out = self.valve.obey(self.eject, live)
        if not out:
            self.left_s = EJECT_S
        elif belt.speed_mm_s == 0.0 and not self.full:
            self.left_s = countdown(self.left_s, dt_s)
        pushed = out and self.left_s == 0.0 and belt.board.id != 0
        if pushed:
            belt.clear()
            self.stacked += 1
        self.home = not out
        self.empty(dt_s)
        return pushed

    def empty(self, dt_s: float) -> None:
        """A person takes the stack away."""
        self.full = self.stacked >= STACK
        self.full_s = self.full_s + dt_s if self.full else 0.0
        if self.full_s >= EMPTIED_S:
            self.stacked = 0
            self.full = False
