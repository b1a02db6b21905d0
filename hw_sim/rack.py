"""Racks for finished boards, and the people or vehicles that change them."""

from __future__ import annotations

from cellrt.tags import Record, Var
from hw_sim.device import countdown


class Rack(Record):
    """A magazine or a stand: slots, filled in any order, and exchanged on request."""

    request: bool = Var(doc="level: come for it and bring an empty one")
    here: bool = Var(True, doc="one stands in its place")
    slots: int = Var(doc="bits of the slots that have a board")
    asked_s: float = Var(unit="s", doc="how long the request has lasted")
    away_s: float = Var(unit="s", doc="until the empty one comes")
    changes: int = Var(doc="how many were taken away")
    none_left: bool = Var(doc="a fault: nobody brings an empty one")

    def is_free(self, slot: int) -> bool:
        """A board can be put into `slot`."""
        return self.here and self.slots >> slot & 1 == 0

    def exchange(self, reached_into: bool, comes_s: float, away_s: float, dt_s: float) -> bool:
        """One scan of logistics. True in the scan in which the rack is taken away.

        It is fetched when the request has lasted `comes_s` and no arm reaches in; an empty one
        comes `away_s` later.
        """
        if not self.here:
            self.asked_s = 0.0
            self.away_s = countdown(self.away_s, dt_s)
            self.here = self.away_s == 0.0 and not self.none_left
            return False
        self.asked_s = self.asked_s + dt_s if self.request else 0.0
        if self.asked_s < comes_s or reached_into or not self.request:
            return False
        self.here = False
        self.slots = 0
        self.away_s = away_s
        self.changes += 1
        return True
