"""The stock, and whoever brings material from there to a machine that asks for it."""

from __future__ import annotations

from cellrt.chance import uniform
from cellrt.tags import Record, Var

COMES_S, MORE_S = 90.0, 60.0
"""What is asked for is there after the first, up to the second later: a draw for each delivery."""

DRAW_COMES = 1 << 40
"""Purpose of these draws, by place from here on: beyond those of any machine."""


class Supply(Record):
    """A request from the line, and its answer, both levels.

    * What is asked for is brought some time after the request. One that is taken back meanwhile is
      forgotten.
    * `supplied` then stands until the request is taken back.
    """

    asked: int = Var(doc="number of what is to be brought; 0 nothing")
    supplied: bool = Var(doc="it was brought; until the request is taken back")
    asked_s: float = Var(unit="s", doc="how long the request has lasted")
    brought: int = Var(doc="deliveries so far")
    none_left: bool = Var(doc="a fault: the stock has none, nothing comes")
    mistaken: int = Var(doc="a fault: number of what comes next instead; 0 what was asked for")

    def bring(self, seed: int, place: int, free: bool, dt_s: float) -> int:
        """One scan; the number of what is brought in it to this place of the machine, 0 nothing.

        `free`: a person may reach in there now.
        """
        self.supplied = self.supplied and self.asked != 0
        if self.asked == 0 or self.supplied:
            self.asked_s = 0.0
            return 0
        self.asked_s += dt_s
        comes_s = COMES_S + MORE_S * uniform(seed, 0, self.brought, DRAW_COMES + place)
        if self.asked_s < comes_s or self.none_left or not free:
            return 0
        item = self.mistaken if self.mistaken != 0 else self.asked
        self.mistaken = 0
        self.supplied = True
        self.brought += 1
        return item
