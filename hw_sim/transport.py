"""Remote I/O of a line's transport: board loader, conveyor zones, reject conveyor."""

from __future__ import annotations

from typing import ClassVar

from cellrt.tags import Array, Var, array
from cellrt.wire import DeviceMap
from hw_sim.census import Counts
from hw_sim.coupler import PUSHED_TO_MM, PUSHER_OUT_MM, Pusher
from hw_sim.device import SimDevice
from hw_sim.points import Points, bit, health_registers, modbus_map, u16, u32
from hw_sim.zone import Ejector, Zone

ZONES = 6
FEED, REJECT = 0, 2
"""The zone that the loader feeds, and the one whose boards can be pushed off."""


def _zone_inputs(n: int) -> Points:
    return (
        bit(f"zones.{n}.entry", f"discrete:{2 * n}"),
        bit(f"zones.{n}.exit", f"discrete:{2 * n + 1}"),
        u16(f"zones.{n}.actual_mm_s", f"input:{10 + n}", 0.1),
    )


def _zone_outputs(n: int) -> Points:
    return (
        bit(f"zones.{n}.run", f"coil:{n}"),
        u16(f"zones.{n}.speed_mm_s", f"holding:{1 + n}"),
    )


class Transport(SimDevice):
    """Remote I/O: board loader, six conveyor zones of 600 mm, the third of them with an ejector.

    * The stack never ends. Air drives the loader's pusher out, a spring brings it home. It stands
      shortly before its end until zone 0, running and empty, takes the board from it.
    * Nothing but its motor stops a belt: a board that was not stopped at the exit sensor runs on.
    * The ejector pushes the board off the standing zone 2 in 1.5 s, onto a stack of ten. A full
      stack takes no board; a person empties it 45 s later.
    """

    zones: Array[Zone] = array(ZONES)
    pusher: Pusher
    ejector: Ejector
    census: Counts

    stack_mass_pct: float = Var(
        100.0, unit="%", doc="of the boards that a person puts on the stack"
    )
    push: bool = Var(doc="pusher out; off: the spring brings it home")
    stack_present: bool = Var(True, doc="a board lies in the stack")
    pusher_home: bool = Var(True, doc="pusher is home")
    pusher_out: bool = Var(doc="pusher is fully out, its board on the belt")

    device_map: ClassVar[DeviceMap] = modbus_map(
        inputs=(
            *(p for n in range(ZONES) for p in _zone_inputs(n)),
            bit("stack_present", "discrete:20"),
            bit("pusher_home", "discrete:21"),
            bit("pusher_out", "discrete:22"),
            bit("ejector.home", "discrete:23"),
            bit("ejector.full", "discrete:24"),
            *health_registers(25, 21),
            u16("ejector.stacked", "input:20"),
            u32("census.entered", "input:100"),
            u32("census.stored", "input:102"),
            u32("census.in_line", "input:104"),
            u32("census.magazines_out", "input:106"),
            u32("census.rejected", "input:108"),
            u32("census.rework", "input:110"),
            u32("census.scrapped", "input:112"),
        ),
        outputs=(
            *(p for n in range(ZONES) for p in _zone_outputs(n)),
            bit("push", "coil:10"),
            bit("ejector.eject", "coil:11"),
        ),
    )

    def work(self, live: bool) -> None:
        """Belts, loader and ejector, then what the sensors see of them."""
        for n in range(ZONES):
            self.zones[n].update(live, self.dt_s)
        if self.pusher.update(self.push, live, self.zones[FEED].belt, self.dt_s):
            self.tally.entered += 1
            self.zones[FEED].belt.put_new(self.tally.entered, PUSHED_TO_MM)
            self.zones[FEED].belt.board.mass_pct = self.stack_mass_pct
        if self.ejector.update(self.zones[REJECT].belt, live, self.dt_s):
            self.tally.rejected += 1
        self.pusher_home = self.pusher.stroke_mm == 0.0
        self.pusher_out = self.pusher.stroke_mm >= PUSHER_OUT_MM

    def carried(self) -> int:
        """Boards on the zones."""
        count = 0
        for n in range(ZONES):
            count += self.zones[n].belt.board.id != 0
        return count
