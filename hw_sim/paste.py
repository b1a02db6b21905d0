"""Solder paste on a stencil: how dry it is, and how much of it a print leaves on the pads."""

from __future__ import annotations

from cellrt.tags import Record, Var
from hw_sim.belt import Board

VOLUME_SIGMA_PCT = 3.0
CLOGGING_PCT = 0.4
"""Lost a print, until the stencil is wiped."""
DRY_PCT, DRY_S = 15.0, 1800.0
"""A pause costs so much volume in so long a time, and no more."""
KNEADED = 1.0 / 3.0
"""What is left of the dryness after the paste was kneaded."""
NOMINAL_N, PCT_A_N = 80.0, -0.3
"""A harder squeegee scoops paste out of the apertures."""
CLOGGED_PCT = -30.0
PASTE, LIFE_S = 305, 8 * 3600.0
"""Number of the paste at hand, SAC305, and its life on the stencil: older, it does not solder."""
AGAIN = 0.6
"""Share of a print's paste that stays when there is paste on the pads already."""
TORN = 0.5
"""Share that stays on the pads of a board that tore off the stencil."""


class Paste(Record):
    """Dries while nothing moves it. Kneading brings some of it back, a print all; nothing makes it young."""

    number: int = Var(PASTE, doc="number of the paste on the stencil")
    age_s: float = Var(unit="s", doc="since it was put on the stencil")
    pause_s: float = Var(unit="s", doc="since a squeegee last moved the paste")
    dry_pct: float = Var(unit="%", doc="volume that the dryness costs")
    clogged: bool = Var(doc="fault: apertures are clogged until the next wipe")

    def renew(self, number: int) -> None:
        """What was there is scraped off, fresh paste is put on."""
        self.number = number
        self.age_s = 0.0
        self.pause_s = 0.0
        self.dry_pct = 0.0

    def rest(self, dt_s: float) -> None:
        """Nothing moves the paste."""
        self.pause_s += dt_s
        self.dry_pct = min(DRY_PCT, self.dry_pct + DRY_PCT * dt_s / DRY_S)

    def knead(self) -> None:
        """The squeegees have moved it to and fro, with no board under the stencil."""
        self.pause_s = 0.0
        self.dry_pct *= KNEADED

    def put(self, board: Board, prints: int, pressure_N: float, deviation: float) -> None:
        """A print on `board`, `prints` after the last wipe; `deviation` in sigmas."""
        volume_pct = 100.0 + VOLUME_SIGMA_PCT * deviation
        volume_pct += PCT_A_N * (pressure_N - NOMINAL_N)
        volume_pct -= CLOGGING_PCT * prints + self.dry_pct
        volume_pct += CLOGGED_PCT if self.clogged else 0.0
        volume_pct = max(0.0, volume_pct)
        board.defective = board.defective or self.age_s > LIFE_S
        board.volume_pct = (
            volume_pct if board.volume_pct == 0.0 else (board.volume_pct + AGAIN * volume_pct)
        )
        self.pause_s = 0.0
        self.dry_pct = 0.0
