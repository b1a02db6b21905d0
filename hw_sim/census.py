"""Counting boards where they are, not by what any controller says of them."""

from __future__ import annotations

from cellrt.tags import Array, Record, Var, array

MOST_DEVICES = 16


class Counts(Record):
    """Boards that came in, went out and are between."""

    entered: int = Var(doc="boards pushed onto the line since power-up")
    stored: int = Var(doc="boards moved away in a slot of a magazine")
    rejected: int = Var(doc="boards pushed off the line before the oven")
    rework: int = Var(doc="boards laid on the rework stand")
    scrapped: int = Var(doc="boards laid into the scrap box")
    in_line: int = Var(doc="boards on belts and in machines, counted where they lie")
    magazines_out: int = Var(doc="magazines taken away")

    def add(self, other: Counts) -> None:
        """Count `other`'s boards too."""
        self.entered += other.entered
        self.stored += other.stored
        self.rejected += other.rejected
        self.rework += other.rework
        self.scrapped += other.scrapped
        self.in_line += other.in_line
        self.magazines_out += other.magazines_out


class Census(Record):
    """A link: hears every device's `tally` at one moment, and tells the sum."""

    now_ns: int = Var(unit="ns")
    dt_s: float = Var(unit="s")
    tallies: Array[Counts] = array(MOST_DEVICES)
    total: Counts

    def scan(self) -> None:
        """Sum up."""
        self.total.erase()
        for n in range(MOST_DEVICES):
            self.total.add(self.tallies[n])
