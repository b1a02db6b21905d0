"""A lift buffer: takes boards while it has an empty slot, gives the oldest on."""

from __future__ import annotations

from typing import ClassVar

from cellrt import (
    Array,
    Board,
    Cause,
    Input,
    Interlock,
    Output,
    S,
    Sequence,
    State,
    Step,
    Var,
    always,
    array,
    to,
)
from cellrt.blocks import LIMIT
from cells.machine import Machine

SLOTS = 20
SUSPENDED = int(State.SUSPENDED)
SURE_NS = 1 * S


class Buffer(Machine):
    """First in, first out. The slots are used round and round, so that their order is the boards'.

    * Taking goes before giving: who comes out of an oven cannot wait.
    * Without a board waiting on either side it stands ready to give its oldest, or, empty, to take.
    * The lift moves only while no transport is under way.
    * What lies in a slot must be what was put there; an unknown or a lost board stops the buffer.
    """

    board_at_entry: bool = Input(doc="light barrier at the belt's beginning")
    board_at_stop: bool = Input(doc="light barrier at the belt's stop")
    slot_occupied: bool = Input(doc="a board lies in the slot between the conveyors")
    in_position: bool = Input(doc="a slot stands between the conveyors")
    slot: int = Input(doc="which one, from 1")
    belt_run: bool = Output(safe=always(to(False)), doc="belt between the conveyors")
    lift_run: bool = Output(safe=always(to(False)), doc="lift goes to the wanted slot")
    lift_to: int = Output(safe=always(to(0)), doc="wanted slot, from 1")

    stored: Array[Board] = array(SLOTS)
    leaving: Board
    offered: bool = Var(retain=True, doc="a transport of it was begun once; it may lie across")
    first: int = Var(retain=True, doc="slot of the oldest board, from 0")
    count: int = Var(retain=True, doc="boards in slots, the one on offer included")

    gives: ClassVar[str] = "leaving"
    interlocks = (
        *Machine.interlocks,
        Interlock("slot_as_known", Cause.PROCESS, only_running=True),
    )
    sequence = Sequence(
        Step(
            "waiting",
            {"transport_in": "filling", "transport_out": "emptying", "must_lift": "lifting"},
        ),
        Step("filling", {"none_comes": "waiting"}, within_s=20.0),
        Step("emptying", {"none_goes": "waiting"}, within_s=30.0),
        Step("lifting", {"at_slot": "waiting"}, within_s=15.0),
    )

    def none_comes(self) -> bool:
        return not self.infeed.moving()

    def none_goes(self) -> bool:
        return not self.outfeed.moving()

    def must_lift(self) -> bool:
        return not self.at_slot()

    def at_slot(self) -> bool:
        return self.in_position and self.slot == self.lift_to

    def slot_as_known(self) -> bool:
        """Looked at while nothing has moved for a second, and no board lies across an end."""
        moving = self.infeed.moving() or self.outfeed.moving() or not self.in_position
        if moving or self.unit.step != 0 or self.step_ns() < SURE_NS:
            return True
        if self.board_at_entry or (self.offered and self.slot == self.first + 1):
            return True
        number = LIMIT(0, self.slot - 1, SLOTS - 1)
        offered = number == self.first and self.leaving.id != 0
        return self.slot_occupied == (offered or self.stored[number].id != 0)

    def oldest(self) -> Board:
        """Where the board lies that goes next, unless it is on offer already."""
        return self.stored[LIMIT(0, self.first, SLOTS - 1)]

    def next_free(self) -> int:
        """The slot for the next board, from 0."""
        return (self.first + self.count) % SLOTS

    def must_take(self) -> bool:
        """A board is to come in before one is given; what lies across an end goes first."""
        if self.leaving.id != 0 and self.offered:
            return False
        comes = self.count < SLOTS and self.infeed.hears.board_available
        return self.count == 0 or comes or self.board_at_entry

    def always(self) -> None:
        """Room as it is; and the way made free for who waits behind a board that nobody takes."""
        self.infeed.says.room = SLOTS - self.count - int(self.board.id != 0)
        if self.unit.state == SUSPENDED and self.must_take():
            self.outfeed.withdraw()

    def execute(self) -> None:
        """Choose a side while nothing moves, take and give there."""
        resting = not self.infeed.moving() and not self.outfeed.moving()
        if resting:
            self.put_away()
        takes = self.infeed.moving() or (not self.outfeed.moving() and self.must_take())
        if resting:
            self.lift_to = 1 + (self.next_free() if takes else self.first)
        self.lift_run = resting and not self.at_slot()
        ready = self.at_slot()
        if ready and not takes and self.leaving.id == 0 and self.count > 0 and resting:
            self.leaving.become(self.oldest())
            self.oldest().erase()
            self.offered = False
        empty = ready and takes and (not self.slot_occupied or self.board_at_entry)
        filling = self.infeed.take(self.board, empty, self.board_at_stop, self.board_at_entry)
        self.offered = self.offered or self.outfeed.moving()
        offers = ready and not takes and (self.slot_occupied or self.offered)
        emptying = self.outfeed.give(self.leaving, offers, not self.board_at_stop)
        self.belt_run = filling or emptying

    def put_away(self) -> None:
        """A board that came lies in its slot; one that went has left its own."""
        if self.board.id != 0:
            self.stored[LIMIT(0, self.next_free(), SLOTS - 1)].become(self.board)
            self.board.id = 0
            self.count += 1
        if self.count > 0 and self.leaving.id == 0 and self.oldest().id == 0:
            self.first = (self.first + 1) % SLOTS
            self.count -= 1
