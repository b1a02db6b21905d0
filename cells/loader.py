"""A board loader: pushes bare boards from its stack onto the line, and gives each its identity."""

from __future__ import annotations

from cellrt import Input, Outfeed, Output, Parameter, Sequence, Step, Var, always, to
from cells.machine import Guarded


class Loader(Guarded):
    """Offers a board while the stack has one.

    * The pusher moves only inside a transport that the next machine has started.
    * A board is gone when the pusher is fully out; the next is offered when it is home again.
    """

    outfeed: Outfeed
    stack_present: bool = Input(doc="at least one board in the stack")
    pusher_home: bool = Input()
    pusher_out: bool = Input()
    push: bool = Output(safe=always(to(False)), doc="pusher forward")
    product: int = Parameter(1, low=1, high=9999, doc="number of the product on this line")
    lot: int = Parameter(1, low=1, high=999_999_999, doc="lot that the stack's boards belong to")
    serial: int = Var(retain=True, doc="boards that this loader has named")

    sequence = Sequence(
        Step("homing", {"home": "offering"}, within_s=10.0),
        Step("offering", {"transport": "pushing"}),
        Step("pushing", {"no_transport": "homing"}, within_s=20.0),
    )

    def home(self) -> bool:
        return self.pusher_home or self.outfeed.moving()

    def transport(self) -> bool:
        return self.outfeed.moving()

    def no_transport(self) -> bool:
        return not self.outfeed.moving()

    def execute(self) -> None:
        """A board that the next machine holds is gone, though a stop hid the stroke's end."""
        gone = self.pusher_out or self.board.id == 0
        self.push = self.outfeed.give(self.board, self.board.id != 0, gone)

    def offering(self) -> None:
        """Name the next board. An empty stack is no fault: whoever fills it is waited for."""
        if self.board.id == 0 and self.stack_present and not self.outfeed.moving():
            self.serial += 1
            self.board.erase()
            self.board.id = self.serial
            self.board.product = self.product
            self.board.lot = self.lot
            self.board.entered_ns = self.now_ns
