"""A cell for the tests of the pytest plugin: one of each kind of input, a time limit, an interlock."""

from __future__ import annotations

from cellrt import (
    MS,
    Cause,
    Cell,
    Input,
    Interlock,
    Output,
    Parameter,
    Sequence,
    Step,
    Var,
    always,
    to,
)


class Press(Cell):
    guard_closed: bool = Input()
    part_here: bool = Input()
    force_N: float = Input(unit="N", low=0.0, high=2000.0)
    barcode: int = Input()
    press: bool = Output(safe=always(to(False)))
    press_ms: int = Parameter(300, unit="ms", low=50, high=5000)
    most_N: float = Var(unit="N", doc="highest force of the last stroke")
    done: int = Var(doc="parts pressed")

    interlocks = (Interlock("guard_closed", Cause.GUARD),)
    sequence = Sequence(
        Step("waiting", {"part_here": "pressing"}),
        Step("pressing", {"pressed": "leaving"}),
        Step("leaving", {"part_gone": "waiting"}, within_s=2.0),
    )

    def pressed(self) -> bool:
        return self.step_ns() >= self.press_ms * MS

    def part_gone(self) -> bool:
        return not self.part_here

    def always(self) -> None:
        self.press = False

    def waiting(self) -> None:
        self.most_N = 0.0

    def pressing(self) -> None:
        self.press = True
        self.most_N = max(self.most_N, self.force_N)
        if self.pressed():
            self.done += 1
