"""Somebody else's machine in the line: SMEMA contacts for its boards, PackML tags for the rest."""

from __future__ import annotations

from cellrt import (
    MS,
    Board,
    Cause,
    Command,
    Input,
    Interlock,
    Output,
    Parameter,
    S,
    Sequence,
    State,
    Step,
    Transfer,
    Var,
    always,
    keep,
    to,
)
from cells.machine import Machine
from cells.queue import PLACES, BoardQueue
from cells.work import condemn

REQUEST_NS = 500 * MS
"""A request is up for so long, then down for as long, until the machine answers it."""
LED_BITS = sum(1 << s for s in (State.CLEARING, State.RESETTING, State.STARTING, State.UNHOLDING))
"""States that end when the machine has followed, and in no other way."""


class ForeignMachine(Machine):
    """A black box that takes boards, does something with them, and gives them on in order.

    * It stands for its machine: each of its acting states leads the machine to the same state and ends
      when it is there. A machine that leaves Execute by itself takes this cell with it.
    * A machine that does not follow within `follows_s` aborts the cell. Stopped and aborted the cell
      rests then, whatever the machine does.
    * It asks for a board while the machine is ready. The board is the machine's when it has left the
      cell before and the machine is ready no more (IPC-SMEMA-9851).
    * A board that the machine offers on the contact for failed ones has failed.
    """

    gives = "leaving"

    leaving: Board
    inside: BoardQueue
    started: bool = Var(retain=True, doc="the machine saw the present board coming")
    machine_ready: bool = Input(doc="SMEMA: the machine takes a board")
    board_available: bool = Input(doc="SMEMA: the machine has a good board to give")
    failed_available: bool = Input(doc="SMEMA: the machine has a failed board to give")
    machine_state: int = Input(doc="the machine's PackML StateCurrent")

    upstream_available: bool = Output(safe=always(to(False)), doc="SMEMA: a board waits")
    downstream_ready: bool = Output(safe=always(to(False)), doc="SMEMA: the next machine is ready")
    machine_command: int = Output(safe=always(keep(int(Command.STOP))), doc="PackML CntrlCmd")
    machine_request: bool = Output(safe=always(keep(False)), doc="PackML CmdChangeRequest")

    boards_inside: int = Parameter(1, low=1, high=PLACES, doc="boards that it holds at most")
    follows_s: float = Parameter(60.0, unit="s", low=1.0, high=3600.0)
    failed_route: int = Parameter(0, low=0, high=999, doc="Hermes Route of boards that it fails")

    interlocks = (
        *Machine.interlocks,
        Interlock("machine_not_aborted", Cause.PROCESS),
        Interlock("machine_follows", Cause.PROCESS),
        Interlock("machine_executes", Cause.NONE, Command.HOLD, only_running=True),
    )
    sequence = Sequence(Step("minding"))

    def machine_not_aborted(self) -> bool:
        resting = self.unit.state in (State.STOPPED, State.CLEARING)
        return resting or self.machine_state not in (State.ABORTING, State.ABORTED)

    def machine_follows(self) -> bool:
        return LED_BITS >> self.unit.state & 1 == 0 or not self.led_long()

    def led_long(self) -> bool:
        return self.now_ns - self.unit.state_since_ns > self.follows_s * S

    def machine_executes(self) -> bool:
        return self.unit.state != State.EXECUTE or self.machine_state == State.EXECUTE

    def clearing(self) -> bool:
        return self.led(int(Command.CLEAR), int(State.STOPPED))

    def resetting(self) -> bool:
        return self.led(int(Command.RESET), int(State.IDLE))

    def starting(self) -> bool:
        return self.led(int(Command.START), int(State.EXECUTE))

    def unholding(self) -> bool:
        return self.led(int(Command.UNHOLD), int(State.EXECUTE))

    def stopping(self) -> bool:
        self.execute()
        return self.led(int(Command.STOP), int(State.STOPPED)) or self.led_long()

    def aborting(self) -> bool:
        return self.led(int(Command.ABORT), int(State.ABORTED)) or self.led_long()

    def led(self, command: int, state: int) -> bool:
        """Ask the machine for a command, again and again, until it is in a state."""
        self.machine_command = command
        waited_ns = self.now_ns - self.unit.state_since_ns
        there = self.machine_state == state
        self.machine_request = not there and waited_ns // REQUEST_NS % 2 == 0
        return there

    def execute(self) -> None:
        """Contacts at both ends, and the boards between them in order."""
        self.machine_request = False
        self.take_in()
        self.give_out()

    def take_in(self) -> None:
        """The infeed: a board that came is the last of those inside."""
        if self.board.id != 0:
            self.inside.put(self.board)
        moving = self.infeed.moving()
        self.started = moving and (self.started or self.machine_ready)
        left = self.infeed.hears.transfer == Transfer.COMPLETE
        came = self.started and left and not self.machine_ready
        room = self.inside.count < self.boards_inside and self.board.id == 0
        self.infeed.take(self.board, self.machine_ready and room, came)
        self.upstream_available = moving and not came

    def give_out(self) -> None:
        """The outfeed: the oldest of those inside is the one that the machine offers."""
        offered = self.board_available or self.failed_available
        if offered and self.leaving.id == 0 and not self.outfeed.moving():
            self.inside.take(self.leaving)
            if self.failed_available and self.leaving.id != 0:
                condemn(self.leaving, self.failed_route)
        self.outfeed.give(self.leaving, offered, not offered)
        self.downstream_ready = self.outfeed.moving() and offered and self.outfeed.hears.pulls
