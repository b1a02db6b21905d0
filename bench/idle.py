"""Cells that do next to nothing: what is measured on their line is the runtime around them."""

from __future__ import annotations

from cellrt import MS, Array, Cell, Record, Sequence, Step, Var, array

STEP_NS = 20 * MS


class Shelf(Record):
    """Ten tags of every type."""

    a: int = Var()
    b: int = Var()
    c: int = Var()
    w: float = Var()
    x: float = Var()
    y: float = Var()
    z: float = Var()
    p: bool = Var()
    q: bool = Var()
    r: bool = Var()


class Store(Cell):
    """Five thousand tags that nobody moves."""

    shelves: Array[Shelf] = array(500)


class Stepper(Cell):
    """Goes to and fro between two steps while it executes: an event every 20 ms."""

    sequence = Sequence(
        Step("tick", {"due": "tock"}),
        Step("tock", {"due": "tick"}),
    )

    def due(self) -> bool:
        return self.step_ns() >= STEP_NS
