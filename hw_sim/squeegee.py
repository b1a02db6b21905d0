"""What moves in a solder-paste printer: the clamp that holds the board, the squeegee that prints it."""

from __future__ import annotations

from enum import IntEnum

from cellrt.tags import Record, Var
from hw_sim.device import Contactor, countdown

CLAMP_S = 0.4
STROKE_MM = 300.0
SEPARATE_S = 4.0
"""The table lowers slowly, so that the paste lets go of the stencil."""


class Phase(IntEnum):
    """Where a print is."""

    IDLE = 0
    ALIGN = 1
    STROKE = 2
    SEPARATE = 3


IDLE, ALIGN, STROKE, SEPARATE = (int(p) for p in Phase)


class Clamp(Record):
    """Air closes and opens it, by a valve that stays where it is without power: what is clamped is
    held until a live command lets it go.
    """

    valve: Contactor
    closed: float = Var(doc="0 open .. 1 closed")

    def update(self, command: bool, live: bool, dt_s: float) -> None:
        step = dt_s / CLAMP_S
        if self.valve.obey(command, live):
            self.closed = min(1.0, self.closed + step)
        elif live and not command:
            self.closed = max(0.0, self.closed - step)


class Squeegee(Record):
    """One print under way, with the settings that it was started with."""

    phase: int = Var(doc="Phase")
    left_s: float = Var(unit="s", doc="of aligning or separating")
    speed_mm_s: float = Var(unit="mm/s")
    pressure_N: float = Var(unit="N", doc="wanted")
    correction_x_um: float = Var(unit="um")
    correction_y_um: float = Var(unit="um")
    travelled_mm: float = Var(unit="mm")
    rear: bool = Var(doc="this stroke goes from the rear to the front")

    def begin(self, align_s: float) -> None:
        """A print, whose board and stencil are aligned first."""
        self.phase, self.left_s = ALIGN, align_s

    def go_on(self, dt_s: float) -> bool:
        """One scan of the print; True in the scan in which it comes to its next phase."""
        if self.phase == STROKE:
            self.travelled_mm = min(STROKE_MM, self.travelled_mm + self.speed_mm_s * dt_s)
            if self.travelled_mm < STROKE_MM:
                return False
            self.phase, self.left_s = SEPARATE, SEPARATE_S
            return True
        self.left_s = countdown(self.left_s, dt_s)
        if self.left_s > 0.0:
            return False
        if self.phase == ALIGN:
            self.phase = STROKE
        else:
            self.phase = IDLE
            self.turn()
        return True

    def break_off(self) -> None:
        """The print ends where it is; the next one begins its stroke anew."""
        self.phase = IDLE
        self.travelled_mm = 0.0

    def stroked(self) -> float:
        """Share of the stroke that is done."""
        return self.travelled_mm / STROKE_MM

    def place_mm(self) -> float:
        """Where the squeegee stands, from the front."""
        return STROKE_MM - self.travelled_mm if self.rear else self.travelled_mm

    def turn(self) -> None:
        """The next stroke goes the other way, from where this one ended."""
        self.rear = not self.rear
        self.travelled_mm = 0.0
