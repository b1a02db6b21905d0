"""Magazines and stands for finished boards, as a cell sees them, and which of them takes a board."""

from __future__ import annotations

from cellrt import (
    Array,
    Board,
    Input,
    Output,
    Record,
    Route,
    Var,
    always,
    array,
    keep,
)
from cellrt.blocks import LIMIT
from cells.arm import MAGAZINE, SCRAP, STAND

RACKS, STAND_RACK = 3, 2
"""Two magazines, then the stand."""
MAGAZINE_SLOTS, STAND_SLOTS = 50, 10


class Rack(Record):
    """A magazine or the rework stand. One that was away comes back empty."""

    here: bool = Input(doc="one stands in its place")
    request: bool = Output(
        safe=always(keep(False)), told=True, doc="fetch it and bring an empty one"
    )
    filled: int = Var(retain=True, doc="slots used, from the first on")

    def has_room(self, slots: int) -> bool:
        """Its next slot is free, as far as is known."""
        return self.here and self.filled < slots

    def watch(self, slots: int) -> None:
        """Empty after it was away; a full one is to be fetched."""
        if not self.here:
            self.filled = 0
        self.request = self.here and self.filled >= slots


class Store(Record):
    """Where a finished board goes: into one of two magazines, onto the rework stand, into the scrap box.

    Two magazines in turn: a full one is fetched while the other is filled.
    """

    racks: Array[Rack] = array(RACKS)
    active: int = Var(retain=True, doc="magazine that is being filled, 0 or 1")
    target: int = Var(retain=True, doc="place where the present board goes; 0 undecided")
    slot: int = Var(retain=True, doc="slot of that place")

    def watch(self) -> None:
        """Racks that were changed, and those that are full."""
        for n in range(RACKS):
            self.racks[n].watch(STAND_SLOTS if n == STAND_RACK else MAGAZINE_SLOTS)

    def magazine_has_room(self, n: int) -> bool:
        return self.racks[LIMIT(0, n, STAND_RACK)].has_room(MAGAZINE_SLOTS)

    def stand_has_room(self) -> bool:
        return self.racks[STAND_RACK].has_room(STAND_SLOTS)

    def choose(self, board: Board) -> None:
        """Target and slot for a board; none while nothing has room."""
        self.target, self.slot = 0, 0
        if board.id == 0 or board.route == Route.REMOVAL:
            self.target = SCRAP
        elif board.route == Route.REWORK:
            if self.stand_has_room():
                self.target, self.slot = STAND, self.racks[STAND_RACK].filled
        else:
            other = 1 - self.active
            if not self.magazine_has_room(self.active) and self.magazine_has_room(other):
                self.active = other
            if self.magazine_has_room(self.active):
                self.target = MAGAZINE + self.active
                self.slot = self.racks[LIMIT(0, self.active, STAND_RACK)].filled

    def use_slot(self) -> None:
        """The slot that was chosen has a board; the scrap box has no slots."""
        if self.target != SCRAP:
            self.racks[LIMIT(0, self.target - MAGAZINE, STAND_RACK)].filled = self.slot + 1
