"""A placer's jaws, which hold the board, and its head: vacuum, nozzles, and where it aims."""

from __future__ import annotations

from cellrt.compiled import compiled
from cellrt.tags import Record, Var
from hw_sim.device import Contactor
from hw_sim.points import Points, u32

JAWS_S = 0.3

NOZZLES = 8
GANG_S = NOZZLES * 3600.0 / 70_000.0
"""The head picks with all nozzles, then places from all: so long for a gang, rated 70,000 an hour."""
RETRIES = 3
RETRY_FAILS = 0.4
"""Of the retries. Three of them and another nozzle leave 2.6 % of some 400 ppm: 10 ppm."""
RETRY_S = 0.15
VACUUM_KPA, LEAST_KPA = 80.0, 60.0
VACUUM_TAU_S = 0.3
DRIFT_UM, DRIFT_S = 5.0, 8 * 3600.0
"""The head drifts so far in a shift's work, then measures itself between two boards."""


class Jaws(Record):
    """Springs close them, air opens them: without air they hold the board."""

    valve: Contactor
    closed: float = Var(1.0, doc="0 open .. 1 closed")

    def update(self, opening: bool, live: bool, dt_s: float) -> None:
        step = dt_s / JAWS_S
        if self.valve.obey(opening, live):
            self.closed = max(0.0, self.closed - step)
        else:
            self.closed = min(1.0, self.closed + step)


class Vacuum(Record):
    """What holds parts at the nozzles."""

    kPa: float = Var(unit="kPa", doc="of the head, below the air's pressure")

    def update(self, live: bool, dt_s: float) -> None:
        wanted_kPa = VACUUM_KPA if live else 0.0
        self.kPa += (wanted_kPa - self.kPa) * min(1.0, dt_s / VACUUM_TAU_S)
        if self.kPa < 1e-9:
            self.kPa = 0.0

    def holds(self) -> bool:
        return self.kPa >= LEAST_KPA


class Aim(Record):
    """Where the head puts parts: the correction that a board began with, and its own drift."""

    x_um: float = Var(unit="um", doc="correction that this board is placed with")
    y_um: float = Var(unit="um")
    drift_um: float = Var(unit="um", doc="of the head, in x and in y")

    def drift(self, placing: bool, between_boards: bool, dt_s: float) -> None:
        """One scan of work, or of rest."""
        if placing:
            self.drift_um += DRIFT_UM * dt_s / DRIFT_S
        elif between_boards and self.drift_um >= DRIFT_UM:
            self.drift_um = 0.0


class Nozzle(Record):
    """One of the head's nozzles; a person cleans a clogged one."""

    picks: int = Var(doc="parts that it placed")
    errors: int = Var(doc="parts that it could not hold")
    clogged: bool = Var(doc="the machine does not use it")
    calls_s: float = Var(unit="s", doc="for how long it has called for a person")

    def attend(self, person_s: float, dt_s: float) -> None:
        """A person comes `person_s` after it clogged."""
        self.calls_s = self.calls_s + dt_s if self.clogged else 0.0
        if self.calls_s >= person_s:
            self.clogged = False


def nozzle_inputs(n: int) -> Points:
    """What the line reads of nozzle n."""
    return (
        u32(f"nozzles.{n}.picks", f"Nozzle{n}.Picks"),
        u32(f"nozzles.{n}.errors", f"Nozzle{n}.Errors"),
    )


@compiled
def failed_picks(chance: float, drawn: float) -> int:
    """Picks in a row that fail, of a lane where the first fails with this chance; one draw decides.

    `RETRIES` more are tried, then one with another nozzle: more than `RETRIES` + 1 bring no part.
    """
    failed = 0
    while failed <= RETRIES + 1 and drawn < chance:
        failed += 1
        chance *= RETRY_FAILS
    return failed
