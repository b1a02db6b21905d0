"""A robot arm as a cell sees it: orders to taught places, each answered by its number."""

from __future__ import annotations

from cellrt import Input, Output, Record, Var, always, to

NEST, MAGAZINE, STAND, SCRAP, HOME = 1, 2, 4, 5, 6
"""Places that the robot was taught; the second magazine is 3."""


class Arm(Record):
    """An order is done when the arm says so by its number and stands where it was to go.

    With `run` off it makes a controlled stop; with `run` on again it goes on.
    """

    order_taken: int = Input(doc="number of the order that the arm took last")
    order_done: int = Input(doc="number of the order that it did last")
    at_position: int = Input(doc="place at which it stands; 0 none")
    at_slot: int = Input(doc="slot at which it stands")
    reached_in: bool = Input(doc="it stands reaching in")
    x_mm: float = Input(unit="mm", low=0.0, high=1800.0)
    y_mm: float = Input(unit="mm", low=0.0, high=400.0)
    z_mm: float = Input(unit="mm", low=0.0, high=650.0)
    homed: bool = Input(doc="it was homed since power-up")
    fault: bool = Input(doc="it refused an order, or its zone's supervision stopped it")
    nest_zone: bool = Input(doc="it reaches into the nest's zone")
    automatic: bool = Input(doc="its key is turned to automatic")

    position: int = Output(safe=always(to(0)), doc="place to go to")
    slot: int = Output(safe=always(to(0)), doc="slot of that place, from 0")
    reach: bool = Output(safe=always(to(False)), doc="reach in; off: stand before it, drawn in")
    speed_pct: float = Output(safe=always(to(0.0)), unit="%", low=0.0, high=100.0)
    order: int = Output(safe=always(to(0)), doc="a new number is a new order; 0 none")
    run: bool = Output(safe=always(to(False)), doc="it may move; off: controlled stop")
    ordered: int = Var(doc="number of the last order")

    def go(self, position: int, slot: int, reach: bool) -> None:
        """Order it there, once; outputs that were taken from the logic are ordered anew."""
        same = self.position == position and self.slot == slot and self.reach == reach
        if self.order == 0 or not same:
            self.position, self.slot, self.reach = position, slot, reach
            self.ordered = max(self.ordered, self.order_taken) + 1
            self.order = self.ordered

    def arrived(self) -> bool:
        """It did the last order, and stands where it was meant to."""
        there = self.at_position == self.position and self.at_slot == self.slot
        return self.order_done == self.order and there and self.reached_in == self.reach
