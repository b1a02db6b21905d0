"""Board buffer: twenty slots with belts on a lift, one of them between the conveyors before and behind."""

from __future__ import annotations

from typing import ClassVar

from cellrt.tags import Array, Record, Var, array
from cellrt.wire import DeviceMap
from hw_sim.belt import Belt, Board
from hw_sim.device import Contactor, SimDevice
from hw_sim.points import bit, health_registers, modbus_map, u16

SLOTS = 20
BELT_MM, BELT_MM_S = 320.0, 200.0
ENTRY_MM, STOP_MM = 30.0, 270.0
LIFT_SLOTS_S = 5.0


class Slot(Record):
    """A slot that is not between the conveyors."""

    board: Board
    position_mm: float = Var(unit="mm", doc="leading edge from the belt's beginning")


class Buffer(SimDevice):
    """Lift buffer of 20 slots; the slot between the conveyors is `belt`.

    * The lift goes to the slot that it is told, five slots a second, while it is let run. It does not
      start while a board lies across an end of the belt.
    * Without power or heartbeat it stands where it is, and goes on when it is told anew.
    """

    belt: Belt
    motor: Contactor
    lift: Contactor
    slots: Array[Slot] = array(SLOTS)
    place: float = Var(1.0, doc="of the lift, in slots, from 1")
    away: bool = Var(doc="the lift has left its slot and is between two")

    belt_run: bool = Var(doc="motor of the belt between the conveyors")
    lift_run: bool = Var(doc="lift goes to the wanted slot")
    lift_to: int = Var(doc="wanted slot, 1 to 20")

    board_at_entry: bool = Var(doc="light barrier 30 mm from the belt's beginning")
    board_at_stop: bool = Var(doc="light barrier 50 mm before the belt's end")
    slot_occupied: bool = Var(doc="a board lies in the slot between the conveyors")
    in_position: bool = Var(True, doc="a slot stands between the conveyors")
    slot: int = Var(1, doc="which one; 0: the lift is between two")

    device_map: ClassVar[DeviceMap] = modbus_map(
        inputs=(
            bit("board_at_entry", "discrete:0"),
            bit("board_at_stop", "discrete:1"),
            bit("slot_occupied", "discrete:2"),
            bit("in_position", "discrete:3"),
            *health_registers(4, 11),
            u16("slot", "input:10"),
        ),
        outputs=(
            bit("belt_run", "coil:0"),
            bit("lift_run", "coil:1"),
            u16("lift_to", "holding:1"),
        ),
    )

    def work(self, live: bool) -> None:
        """Lift, belt, then what the sensors see."""
        self.move_lift(self.lift.obey(self.lift_run, live))
        on = self.motor.obey(self.belt_run, live) and not self.away
        self.belt.move(on, BELT_MM_S, BELT_MM, self.dt_s)
        self.belt.shut = self.away
        self.board_at_entry = self.belt.sees(ENTRY_MM)
        self.board_at_stop = self.belt.sees(STOP_MM)
        self.slot_occupied = self.belt.board.id != 0
        self.in_position = not self.away
        self.slot = 0 if self.away else round(self.place)

    def carried(self) -> int:
        """A board on the belt, and those in the slots."""
        boards = int(self.belt.board.id != 0)
        for n in range(SLOTS):
            boards += self.slots[n].board.id != 0
        return boards

    def move_lift(self, on: bool) -> None:
        """Leave a slot, go, stop at the wanted one."""
        if not (on and 1 <= self.lift_to <= SLOTS):
            return
        belt = self.belt
        clear = belt.overhang_mm == 0.0 and belt.exit.tail_mm == 0.0 and not belt.is_spanned()
        if not self.away and round(self.place) != self.lift_to and clear and belt.exit.taken == 0:
            slot = self.slots[round(self.place) - 1]
            slot.board.become(belt.board)
            slot.position_mm = belt.position_mm
            belt.clear()
            self.away = True
        if self.away:
            way = self.lift_to - self.place
            step = LIFT_SLOTS_S * self.dt_s
            self.place += min(max(way, -step), step)
            if self.place == self.lift_to:
                self.arrive()

    def arrive(self) -> None:
        """The slot's board lies between the conveyors."""
        slot = self.slots[self.lift_to - 1]
        self.place = float(self.lift_to)
        self.away = False
        if slot.board.id != 0:
            self.belt.put(slot.board, slot.position_mm)
        slot.board.erase()
