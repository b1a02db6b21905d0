"""What the machines of the line have in common: a guard circuit, a way in, a way out."""

from __future__ import annotations

from typing import ClassVar

from cellrt import Cause, Cell, Infeed, Input, Interlock, Outfeed


class Guarded(Cell):
    """A machine inside the line's guards; it stops with its emergency stop."""

    estop_released: bool = Input()
    guards_closed: bool = Input()

    interlocks: ClassVar[tuple[Interlock, ...]] = (
        Interlock("estop_released", Cause.ESTOP),
        Interlock("guards_closed", Cause.GUARD),
    )


class Machine(Guarded):
    """A machine between two others, and conditions on the board that it takes.

    `board_gone` and `board_kept` are for a machine that gives the same board on.
    """

    infeed: Infeed
    outfeed: Outfeed

    def has_board(self) -> bool:
        return self.board.id != 0

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
