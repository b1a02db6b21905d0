"""Boards in a row inside a machine: the first in is the first out."""

from __future__ import annotations

from cellrt import Array, Board, Record, Var, array
from cellrt.blocks import LIMIT

PLACES = 24


class BoardQueue(Record):
    """Up to 24 boards, retained; place 0 is the oldest."""

    places: Array[Board] = array(PLACES)
    count: int = Var(retain=True)

    def put(self, board: Board) -> None:
        """`board` is the last one now, and is erased. Left where it is when there is no place."""
        if self.count < PLACES:
            self.places[LIMIT(0, self.count, PLACES - 1)].become(board)
            self.count += 1
            board.erase()

    def take(self, board: Board) -> None:
        """The oldest one into `board`; nothing when there is none."""
        if self.count > 0:
            board.become(self.places[0])
            for n in range(1, PLACES):
                self.places[LIMIT(0, n - 1, PLACES - 1)].become(self.places[n])
            self.places[PLACES - 1].erase()
            self.count -= 1
