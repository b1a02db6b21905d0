"""A zone conveyor: takes a board at its entry, holds it at its exit, gives it on."""

from __future__ import annotations

from cellrt import Input, Output, Sequence, Step, always, to
from cells.machine import Machine


class Conveyor(Machine):
    """One board at a time. Runs while a transport on either side needs it, and never otherwise.

    * A board stands at `board_at_exit` before it is offered.
    * The belt stops when the board has arrived, and when it has left.
    """

    board_at_entry: bool = Input(doc="light barrier at the belt's beginning")
    board_at_exit: bool = Input(doc="light barrier at the belt's stop")
    run: bool = Output(safe=always(to(False)), jog=True, doc="belt motor")

    sequence = Sequence(
        Step(
            "empty", {"has_board": "full", "transport_in": "filling", "transport_out": "emptying"}
        ),
        Step("filling", {"has_board": "full", "none_came": "empty"}, within_s=15.0),
        Step("full", {"transport_out": "emptying", "board_gone": "empty"}),
        Step("emptying", {"board_gone": "empty", "board_kept": "full"}, within_s=30.0),
    )

    def always(self) -> None:
        """There is room here and in the machines behind."""
        self.infeed.says.room = int(self.board_gone()) + self.outfeed.hears.room

    def execute(self) -> None:
        ready = self.board_gone()
        filling = self.infeed.take(self.board, ready, self.board_at_exit, self.board_at_entry)
        emptying = self.outfeed.give(self.board, self.has_board(), not self.board_at_exit)
        self.run = filling or emptying
