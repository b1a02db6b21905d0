"""Counting boards where they are, not by what any controller says of them."""

from __future__ import annotations

from cellrt.tags import Record, Var


class Counts(Record):
    """How many boards came in, went out and are between."""

    entered: int = Var(doc="boards pushed onto the line since power-up")
    stored: int = Var(doc="boards moved away in a slot of the magazine")
    in_line: int = Var(doc="boards on belts and in machines, counted on the belts")
    magazines_out: int = Var(doc="magazines taken away")


class Four(Record):
    """Ids of the boards on four belts; 0 none."""

    a: int = Var()
    b: int = Var()
    c: int = Var()
    d: int = Var()

    def boards(self) -> int:
        """How many of the belts carry one."""
        return (self.a != 0) + (self.b != 0) + (self.c != 0) + (self.d != 0)


class Census(Record):
    """A link: hears all belts and one device's `tally` at one moment, and tells it the sum."""

    now_ns: int = Var(unit="ns")
    dt_s: float = Var(unit="s")
    first: Four
    second: Four
    third: Four
    fourth: Four
    tally: Counts
    total: Counts

    def scan(self) -> None:
        """Sum up."""
        self.total.entered = self.tally.entered
        self.total.stored = self.tally.stored
        self.total.magazines_out = self.tally.magazines_out
        self.total.in_line = (
            self.first.boards() + self.second.boards() + self.third.boards() + self.fourth.boards()
        )


GROUPS = ("first", "second", "third", "fourth")
SLOTS = tuple(f"{group}.{slot}" for group in GROUPS for slot in Four.fields)
"""Where a census takes the board ids of up to sixteen belts."""
