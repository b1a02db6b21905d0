"""A magazine unloader: pulls a board into its slot, moves on to the next, changes full magazines."""

from __future__ import annotations

from cellrt import Infeed, Input, Output, Result, Sequence, Step, Var, always, to
from cells.machine import Guarded


class Magazine(Guarded):
    """The end of the line. A board that sits in a slot has left it.

    * The lift moves only when no board reaches into the slot.
    * A full magazine is exchanged before the next board is asked for.
    """

    infeed: Infeed
    magazine_entry: bool = Input(doc="a board reaches into the magazine")
    magazine_loaded: bool = Input(doc="a board sits in the slot")
    magazine_in_position: bool = Input(doc="the lift stands at a slot")
    magazine_full: bool = Input()
    magazine_run: bool = Output(safe=always(to(False)), doc="belt that pulls the board in")
    magazine_index: bool = Output(
        safe=always(to(False)), doc="to the next slot, on its rising edge"
    )
    magazine_exchange: bool = Output(
        safe=always(to(False)), doc="swap magazines, on its rising edge"
    )
    good: int = Var(retain=True, doc="boards stored good")
    failed: int = Var(retain=True, doc="boards stored failed")

    sequence = Sequence(
        Step(
            "waiting",
            {
                "loaded": "indexing",
                "full": "exchanging",
                "between_slots": "indexing",
                "transport": "pulling",
            },
        ),
        Step("pulling", {"has_board": "waiting", "none_came": "waiting"}, within_s=20.0),
        Step("indexing", {"indexed": "waiting"}, within_s=10.0),
        Step("exchanging", {"empty_magazine": "waiting"}, within_s=30.0),
    )

    def loaded(self) -> bool:
        return self.board.id != 0 and self.magazine_loaded

    def full(self) -> bool:
        return self.magazine_full and self.board.id == 0

    def between_slots(self) -> bool:
        """A stop caught the lift on its way; it goes on when told again."""
        return not self.magazine_in_position

    def transport(self) -> bool:
        return self.infeed.moving()

    def has_board(self) -> bool:
        return self.board.id != 0

    def none_came(self) -> bool:
        return self.board.id == 0 and not self.infeed.moving()

    def indexed(self) -> bool:
        return self.board.id == 0 and self.magazine_in_position

    def empty_magazine(self) -> bool:
        return self.magazine_in_position and not self.magazine_full

    def work_complete(self) -> bool:
        return self.unit.step == 0 and self.board.id == 0

    def execute(self) -> None:
        free = self.board.id == 0 and self.magazine_in_position and not self.magazine_full
        self.infeed.says.room = int(free)
        self.magazine_run = self.infeed.take(
            self.board, free, self.magazine_loaded, self.magazine_entry
        )
        self.magazine_index = False
        self.magazine_exchange = False

    def indexing(self) -> None:
        """The board is stored as soon as the slot has moved away from the belt."""
        self.magazine_index = self.board.id != 0 or not self.magazine_in_position
        if self.board.id != 0 and not self.magazine_loaded:
            if self.board.result == Result.FAILED:
                self.failed += 1
            else:
                self.good += 1
            self.board.id = 0

    def exchanging(self) -> None:
        self.magazine_exchange = self.magazine_full
