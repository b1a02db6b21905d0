"""A reject conveyor: gives good boards on, and pushes the others off the line."""

from __future__ import annotations

from cellrt import Cause, Command, Input, Interlock, Output, Route, Sequence, Step, always, to
from cells.machine import Machine
from cells.work import condemn, passes_through


class RejectConveyor(Machine):
    """One board at a time. A board that has failed, or whose route leaves the line, goes aside.

    * The pusher moves only while the belt stands and the stack has room.
    * A full stack holds this cell with a board to reject; good boards go on.
    """

    board_at_entry: bool = Input(doc="light barrier at the belt's beginning")
    board_at_exit: bool = Input(doc="light barrier at the belt's stop")
    pusher_home: bool = Input()
    stack_full: bool = Input(doc="the reject stack takes no more")
    run: bool = Output(safe=always(to(False)), doc="belt motor")
    push: bool = Output(safe=always(to(False)), doc="pusher out, on its rising edge")

    interlocks = (
        *Machine.interlocks,
        Interlock("stack_has_room", Cause.NONE, Command.HOLD, only_running=True),
    )
    sequence = Sequence(
        Step(
            "empty", {"has_board": "sorting", "transport_in": "filling", "transport_out": "leaving"}
        ),
        Step("filling", {"has_board": "sorting", "none_came": "empty"}, within_s=15.0),
        Step("sorting", {"is_reject": "pushing", "is_good": "full"}),
        Step("full", {"transport_out": "leaving", "board_gone": "empty"}),
        Step("leaving", {"board_gone": "empty", "board_kept": "full"}, within_s=30.0),
        Step("pushing", {"pushed": "homing"}, within_s=5.0),
        Step("homing", {"home": "empty"}, within_s=5.0),
    )

    def stack_has_room(self) -> bool:
        waits = self.board.id != 0 and passes_through(self.board)
        return not (self.stack_full and waits and self.unit.step == SORTING)

    def is_reject(self) -> bool:
        return passes_through(self.board) and not self.stack_full and not self.outfeed.moving()

    def is_good(self) -> bool:
        return not passes_through(self.board)

    def pushed(self) -> bool:
        return not self.board_at_exit

    def home(self) -> bool:
        return self.pusher_home

    def work_complete(self) -> bool:
        return self.unit.step not in (PUSHING, HOMING)

    def execute(self) -> None:
        free = self.board_gone() and self.unit.step <= FILLING and self.pusher_home
        filling = self.infeed.take(self.board, free, self.board_at_exit, self.board_at_entry)
        emptying = self.outfeed.give(self.board, self.unit.step == FULL, not self.board_at_exit)
        self.run = filling or emptying
        self.push = False

    def pushing(self) -> None:
        """Gone aside is gone from the line: rejected here, whatever way was meant for it."""
        self.push = True
        if self.pushed():
            condemn(self.board, int(Route.LINE))
            self.board.id = 0


_STEPS = RejectConveyor.sequence.names
FILLING, SORTING, FULL = (_STEPS.index(s) for s in ("filling", "sorting", "full"))
PUSHING, HOMING = (_STEPS.index(s) for s in ("pushing", "homing"))
