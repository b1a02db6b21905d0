"""A label applicator: takes a board to its stop, presses a label onto it, gives it on."""

from __future__ import annotations

from cellrt import (
    MS,
    Cause,
    Cell,
    Command,
    Infeed,
    Input,
    Interlock,
    Outfeed,
    Output,
    Parameter,
    Result,
    Sequence,
    Step,
    always,
    to,
)

LABELED = 1 << 8
"""Bit of `Board.work_done`: the ram came down on this board."""


class Labeler(Cell):
    """Presses one label onto each board.

    * The belt runs only while the ram is up.
    * A board counts as failed from when the ram starts down until the label is pressed on. So one
      whose pressing was interrupted is failed, and no board is pressed twice.
    * A board that comes failed is passed on as it is.
    * Hold leaves the ram where it is; Stop lets a label be pressed on first.
    * A label that is late holds this machine; the rest of the line drains.
    """

    infeed: Infeed
    outfeed: Outfeed
    estop_released: bool = Input()
    guards_closed: bool = Input()
    board_at_entry: bool = Input()
    board_at_stop: bool = Input()
    ram_up: bool = Input()
    ram_down: bool = Input()
    label_ready: bool = Input(doc="a label hangs under the ram")
    labels_used: int = Input(doc="labels pressed, counted by the machine")
    belt_run: bool = Output(safe=always(to(False)))
    ram: bool = Output(safe=always(to(False)), doc="down; a spring brings it up")
    press_ms: int = Parameter(300, unit="ms", low=100, high=2000, doc="how long the ram rests")

    interlocks = (
        Interlock("estop_released", Cause.ESTOP),
        Interlock("guards_closed", Cause.GUARD),
    )
    sequence = Sequence(
        Step(
            "empty",
            {
                "untouched": "fetching",
                "has_board": "full",
                "transport_in": "filling",
                "transport_out": "emptying",
            },
        ),
        Step("filling", {"has_board": "empty", "none_came": "empty"}, within_s=20.0),
        Step("fetching", {"label_ready": "lowering"}, within_s=5.0, late=Command.HOLD),
        Step("lowering", {"ram_down": "pressing"}, within_s=3.0),
        Step("pressing", {"pressed": "raising"}),
        Step("raising", {"ram_up": "full"}, within_s=3.0),
        Step("full", {"transport_out": "emptying", "board_gone": "empty"}),
        Step("emptying", {"board_gone": "empty", "board_kept": "full"}, within_s=30.0),
    )

    def has_board(self) -> bool:
        return self.board.id != 0

    def untouched(self) -> bool:
        done_with = self.board.work_done & LABELED != 0 or self.board.result == Result.FAILED
        return self.board.id != 0 and not done_with

    def none_came(self) -> bool:
        return self.board.id == 0 and not self.infeed.moving()

    def board_gone(self) -> bool:
        return self.board.id == 0 and not self.outfeed.moving()

    def board_kept(self) -> bool:
        return self.board.id != 0 and not self.outfeed.moving()

    def transport_in(self) -> bool:
        return self.infeed.moving()

    def transport_out(self) -> bool:
        return self.outfeed.moving()

    def pressed(self) -> bool:
        return self.step_ns() >= self.press_ms * MS

    def work_complete(self) -> bool:
        return self.ram_up and not self.ram

    def execute(self) -> None:
        """Belt and ports; the ram is switched off here and on by the steps."""
        free, full = self.board_gone(), self.unit.step == FULL
        filling = self.infeed.take(self.board, free, self.board_at_stop, self.board_at_entry)
        emptying = self.outfeed.give(self.board, full, not self.board_at_stop)
        self.belt_run = (filling or emptying) and self.ram_up
        self.ram = False

    def lowering(self) -> None:
        self.ram = True
        self.board.work_done |= LABELED
        self.board.result = int(Result.FAILED)

    def pressing(self) -> None:
        self.ram = True

    def raising(self) -> None:
        self.board.result = int(Result.GOOD)


FULL = Labeler.sequence.names.index("full")
