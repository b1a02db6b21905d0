"""A conveyor that finds every second board bad."""

from __future__ import annotations

from cellrt import Result
from cells.conveyor import Conveyor


class Judge(Conveyor):
    """Boards of even number have failed."""

    def always(self) -> None:
        bad = self.board.id % 2 == 0
        self.board.result = int(Result.FAILED) if bad else int(Result.GOOD)
