"""Remote I/O of the conveyors: board loader, infeed and outfeed belt, magazine."""

from __future__ import annotations

from typing import ClassVar

from cellrt.tags import Record, Var
from cellrt.wire import DeviceMap
from hw_sim.belt import Belt
from hw_sim.census import Counts
from hw_sim.device import Contactor, SimDevice, countdown
from hw_sim.points import bit, health_registers, modbus_map, u16, u32
from hw_sim.zone import ENTRY_MM, EXIT_MM

CONVEYOR_MM = 600.0
MAGAZINE_MM = 240.0
MAGAZINE_MM_S = 200.0
LOADED_MM = 220.0

PUSHER_MM_S = 200.0
PUSHER_OUT_MM = 200.0
GRIP_MM = 198.0
"""Stroke at which the belt takes the board and the pusher is out, or else stands."""
PUSHED_TO_MM = 60.0
"""Leading edge of a board that the belt has taken from the pusher."""

SLOTS = 50
INDEX_S = 4.0
EXCHANGE_S = 8.0


class Pusher(Record):
    """Pushes one board a stroke; the next after it has been home."""

    valve: Contactor
    stroke_mm: float = Var(unit="mm")
    spent: bool = Var(doc="this stroke's board is on the belt")

    def update(self, push: bool, live: bool, belt: Belt, dt_s: float) -> bool:
        """True in the scan in which the belt takes a board."""
        step_mm = PUSHER_MM_S * dt_s
        if not self.valve.obey(push, live):
            self.stroke_mm = max(0.0, self.stroke_mm - step_mm)
            self.spent = self.spent and self.stroke_mm > 0.0
            return False
        free = belt.board.id == 0 and belt.entry.overhang_mm == 0.0 and belt.speed_mm_s > 0.0
        taken = not self.spent and self.stroke_mm >= GRIP_MM and free
        self.spent = self.spent or taken
        if taken:
            self.stroke_mm = PUSHER_OUT_MM
        most_mm = PUSHER_OUT_MM if self.spent else GRIP_MM
        self.stroke_mm = min(self.stroke_mm + step_mm, most_mm)
        return taken


class Lift(Record):
    """The magazine's lift: which slot stands at the belt, and how far it is from there."""

    index: Contactor
    exchange: Contactor
    used: int = Var(doc="slots above the belt; 50: the magazine is full")
    index_left_s: float = Var(unit="s", doc="of the way to the next slot; 0: at a slot")
    exchange_left_s: float = Var(unit="s", doc="of the swap of magazines")
    moving: bool = Var()
    magazines_out: int = Var()

    def update(self, index: bool, exchange: bool, live: bool, clear: bool, dt_s: float) -> bool:
        """Begin, go on with or end a move. True in the scan in which a slot leaves the belt."""
        self.index.obey(index, live)
        self.exchange.obey(exchange, live)
        may_leave = clear and self.in_position()
        indexes = may_leave and self.index.rose and not self.is_full()
        exchanges = may_leave and self.exchange.rose and not indexes
        if indexes:
            self.index_left_s = INDEX_S
            self.used += 1
        elif exchanges:
            self.exchange_left_s = EXCHANGE_S
        told = self.index.rose or self.exchange.rose
        self.moving = live and (self.moving or (told and not self.in_position()))
        if self.moving:
            self.move(dt_s)
        return indexes or exchanges

    def move(self, dt_s: float) -> None:
        """Go on until the next slot, or the new magazine, stands at the belt."""
        if self.index_left_s > 0.0:
            self.index_left_s = countdown(self.index_left_s, dt_s)
        elif self.exchange_left_s > 0.0:
            self.exchange_left_s = countdown(self.exchange_left_s, dt_s)
            if self.exchange_left_s == 0.0:
                self.used = 0
                self.magazines_out += 1
        self.moving = not self.in_position()

    def in_position(self) -> bool:
        """A slot, full or empty, stands at the belt."""
        return self.index_left_s == 0.0 and self.exchange_left_s == 0.0

    def is_full(self) -> bool:
        """No empty slot is left, and the lift has gone past the last one."""
        return self.used >= SLOTS and self.index_left_s == 0.0


class Coupler(SimDevice):
    """Remote I/O: loader, infeed belt, outfeed belt, magazine of 50 slots.

    * The stack never ends. Air drives the pusher out, a spring brings it home. It stands shortly
      before its end until the infeed belt, running and empty, takes the board from it.
    * Nothing but its motor stops a belt: a board that was not stopped at the exit sensor runs on.
    * The lift positions by itself once told to. It does not leave while a board lies across the
      magazine's entry. What was in the slot when it leaves is stored.
    * A lift that lost power or heartbeat on its way stands there. The next rising edge of either
      command makes it end the move that it had begun, and no other.
    """

    infeed: Belt
    outfeed: Belt
    magazine: Belt
    infeed_motor: Contactor
    outfeed_motor: Contactor
    magazine_motor: Contactor
    pusher: Pusher
    lift: Lift
    census: Counts

    push: bool = Var(doc="pusher out; off: the spring brings it home")
    infeed_run: bool = Var(doc="infeed belt motor")
    outfeed_run: bool = Var(doc="outfeed belt motor")
    magazine_run: bool = Var(doc="belt that pulls a board into the slot")
    magazine_index: bool = Var(doc="rising edge: lift to the next slot, 4 s")
    magazine_exchange: bool = Var(doc="rising edge: an empty magazine for this one, 8 s")
    infeed_speed_mm_s: float = Var(200.0, unit="mm/s", high=500.0, doc="wanted speed")
    outfeed_speed_mm_s: float = Var(200.0, unit="mm/s", high=500.0, doc="wanted speed")

    stack_present: bool = Var(True, doc="a board lies in the stack")
    pusher_home: bool = Var(True, doc="pusher is home")
    pusher_out: bool = Var(doc="pusher is fully out, its board on the belt")
    infeed_entry: bool = Var(doc="light barrier 30 mm from the infeed's beginning")
    infeed_exit: bool = Var(doc="light barrier 50 mm before the infeed's end")
    outfeed_entry: bool = Var(doc="light barrier 30 mm from the outfeed's beginning")
    outfeed_exit: bool = Var(doc="light barrier 50 mm before the outfeed's end")
    magazine_entry: bool = Var(doc="a board reaches into the magazine")
    magazine_loaded: bool = Var(doc="a board sits in the slot")
    magazine_in_position: bool = Var(True, doc="a slot stands at the belt")
    magazine_full: bool = Var(doc="all 50 slots are used")
    infeed_actual_mm_s: float = Var(unit="mm/s", doc="actual speed")
    outfeed_actual_mm_s: float = Var(unit="mm/s", doc="actual speed")

    joints: ClassVar[tuple[tuple[str, str], ...]] = (("outfeed", "magazine"),)
    device_map: ClassVar[DeviceMap] = modbus_map(
        inputs=(
            bit("stack_present", "discrete:0"),
            bit("pusher_home", "discrete:1"),
            bit("pusher_out", "discrete:2"),
            bit("infeed_entry", "discrete:3"),
            bit("infeed_exit", "discrete:4"),
            bit("outfeed_entry", "discrete:5"),
            bit("outfeed_exit", "discrete:6"),
            bit("magazine_entry", "discrete:7"),
            bit("magazine_loaded", "discrete:8"),
            bit("magazine_in_position", "discrete:9"),
            bit("magazine_full", "discrete:10"),
            *health_registers(11, 12),
            u16("infeed_actual_mm_s", "input:10", 0.1),
            u16("outfeed_actual_mm_s", "input:11", 0.1),
            u32("census.entered", "input:100"),
            u32("census.stored", "input:102"),
            u32("census.in_line", "input:104"),
            u32("census.magazines_out", "input:106"),
        ),
        outputs=(
            bit("push", "coil:0"),
            bit("infeed_run", "coil:1"),
            bit("outfeed_run", "coil:2"),
            bit("magazine_index", "coil:3"),
            bit("magazine_exchange", "coil:4"),
            bit("magazine_run", "coil:5"),
            u16("infeed_speed_mm_s", "holding:1"),
            u16("outfeed_speed_mm_s", "holding:2"),
        ),
    )

    def work(self, live: bool) -> None:
        """Belts, pusher and lift, then what the sensors see of them."""
        dt_s = self.dt_s
        infeed_on = self.infeed_motor.obey(self.infeed_run, live)
        outfeed_on = self.outfeed_motor.obey(self.outfeed_run, live)
        magazine_on = self.magazine_motor.obey(self.magazine_run, live) and self.lift.in_position()
        self.infeed.move(infeed_on, self.infeed_speed_mm_s, CONVEYOR_MM, dt_s)
        self.outfeed.move(outfeed_on, self.outfeed_speed_mm_s, CONVEYOR_MM, dt_s)
        self.magazine.move(magazine_on, MAGAZINE_MM_S, MAGAZINE_MM, dt_s)
        if self.pusher.update(self.push, live, self.infeed, dt_s):
            self.tally.entered += 1
            self.infeed.put_new(self.tally.entered, PUSHED_TO_MM)
        self.move_lift(live)
        self.sense()

    def carried(self) -> int:
        """Boards on the three belts."""
        on_belts = (self.infeed.board.id != 0) + (self.outfeed.board.id != 0)
        return on_belts + (self.magazine.board.id != 0)

    def move_lift(self, live: bool) -> None:
        """The lift, and with it the board in the slot: that one is stored."""
        clear = not self.magazine.is_spanned() and self.outfeed.overhang_mm == 0.0
        index, exchange = self.magazine_index, self.magazine_exchange
        leaves = self.lift.update(index, exchange, live, clear, self.dt_s)
        if leaves and self.magazine.board.id != 0:
            self.tally.stored += 1
            self.magazine.clear()
        self.tally.magazines_out = self.lift.magazines_out
        self.magazine.shut = self.lift.is_full() or not self.lift.in_position()

    def sense(self) -> None:
        """Every sensor as it stands after this scan."""
        exit_mm = CONVEYOR_MM - EXIT_MM
        self.pusher_home = self.pusher.stroke_mm == 0.0
        self.pusher_out = self.pusher.stroke_mm >= PUSHER_OUT_MM
        self.infeed_entry = self.infeed.sees(ENTRY_MM)
        self.infeed_exit = self.infeed.sees(exit_mm)
        self.outfeed_entry = self.outfeed.sees(ENTRY_MM)
        self.outfeed_exit = self.outfeed.sees(exit_mm)
        self.magazine_entry = self.magazine.sees(ENTRY_MM)
        self.magazine_loaded = self.magazine.sees(LOADED_MM)
        self.magazine_in_position = self.lift.in_position()
        self.magazine_full = self.lift.is_full()
        self.infeed_actual_mm_s = self.infeed.speed_mm_s
        self.outfeed_actual_mm_s = self.outfeed.speed_mm_s
