"""Remote I/O round the unloading robot: nest belt, gripper, magazines, rework stand, scrap box."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from cellrt.tags import Array, Record, Var, array
from cellrt.wire import DeviceMap
from hw_sim.belt import Belt, Board
from hw_sim.device import Contactor, SimDevice
from hw_sim.places import (
    MAGAZINE_A,
    NEAR_MM,
    NEST,
    REACH_MM,
    SCRAP,
    STAND,
    in_nest_zone,
    place_before,
    slot_before,
)
from hw_sim.points import bit, health_registers, modbus_map, u32
from hw_sim.rack import Rack

NEST_MM, NEST_MM_S = 240.0, 200.0
ENTRY_MM, SEATED_MM = 30.0, 220.0
LAID_MM = 230.0
"""Leading edge of a board that the gripper laid back into the nest."""
GRIP_S = 0.4
RACKS = 3
STAND_RACK = STAND - MAGAZINE_A

MAGAZINE_COMES_S, MAGAZINE_MORE_S, MAGAZINE_AWAY_S = 90.0, 60.0, 30.0
"""A vehicle fetches a magazine after the first, up to the second later, and is back after the third."""
STAND_COMES_S, STAND_AWAY_S = 60.0, 15.0
"""A person empties the rework stand."""
PICKED_UP_S = 90.0
"""A person sees a board on the floor and takes it away so much later."""


class Draw(IntEnum):
    """Purposes of this device's draws, by magazine from here on."""

    COMES = 1


DRAW_COMES = int(Draw.COMES)


class Gripper(Record):
    """Moves while air is let in on one side. Without air or command it stays as it is."""

    grip_valve: Contactor
    open_valve: Contactor
    board: Board
    closed: float = Var(doc="0 open .. 1 closed")

    def update(self, grip: bool, release: bool, live: bool, dt_s: float) -> None:
        """One scan; both commands at once are none."""
        grips = self.grip_valve.obey(grip, live)
        releases = self.open_valve.obey(release, live)
        if grips and not releases:
            self.closed = min(1.0, self.closed + dt_s / GRIP_S)
        elif releases and not grips:
            self.closed = max(0.0, self.closed - dt_s / GRIP_S)


class Unloader(SimDevice):
    """Remote I/O round the unloading robot.

    * The nest's belt stops, whatever is commanded, while the arm is in the nest's zone.
    * The gripper closed in the nest takes the board that lies there at rest. Opened, it lays its
      board into what the arm reaches into: a free slot, the scrap box, the empty nest. Anywhere
      else, or into a slot that has a board, the board falls to the floor.
    * The gripper needs air to move and none to hold: a board in it outlasts a power cut.
    * A magazine is fetched on request 90 to 150 s later, an empty one comes after 30 s more. The
      rework stand is emptied by a person a minute after the request. Neither while the arm reaches
      in; a request taken back in time is forgotten.
    * A person takes a board from the floor away after 90 s, to scrap.
    """

    nest: Belt
    nest_motor: Contactor
    gripper: Gripper
    racks: Array[Rack] = array(RACKS)
    fallen: int = Var(doc="boards on the floor")
    fallen_s: float = Var(unit="s", doc="how long a board has lain there")
    drop: bool = Var(doc="a fault: the gripper loses what it holds")

    arm_x_mm: float = Var(unit="mm", doc="wired from the arm")
    arm_y_mm: float = Var(unit="mm", doc="wired from the arm")
    arm_z_mm: float = Var(unit="mm", doc="wired from the arm")

    nest_run: bool = Var(doc="nest belt motor")
    grip: bool = Var(doc="close the gripper")
    release: bool = Var(doc="open the gripper")

    nest_entry: bool = Var(doc="light barrier 30 mm from the nest's beginning")
    nest_seated: bool = Var(doc="a board lies in the nest at its stop")
    nest_busy: bool = Var(doc="the nest's belt moves, or a board lies across its beginning")
    barcode: int = Var(doc="id of the board in the nest; 0 none")
    gripper_open: bool = Var(True, doc="gripper is open")
    gripper_closed: bool = Var(doc="gripper is closed")
    part_present: bool = Var(doc="the gripper holds a board")
    slot_free: bool = Var(
        doc="the arm, drawn in, stands before a slot or box with room for a board"
    )
    floor_clear: bool = Var(True, doc="no board lies on the floor")

    device_map: ClassVar[DeviceMap] = modbus_map(
        inputs=(
            bit("nest_entry", "discrete:0"),
            bit("nest_seated", "discrete:1"),
            bit("nest_busy", "discrete:2"),
            bit("gripper_open", "discrete:3"),
            bit("gripper_closed", "discrete:4"),
            bit("part_present", "discrete:5"),
            bit("slot_free", "discrete:6"),
            bit("floor_clear", "discrete:7"),
            bit("racks.0.here", "discrete:8"),
            bit("racks.1.here", "discrete:9"),
            bit("racks.2.here", "discrete:10"),
            *health_registers(11, 12),
            u32("barcode", "input:10"),
        ),
        outputs=(
            bit("nest_run", "coil:0"),
            bit("grip", "coil:1"),
            bit("release", "coil:2"),
            bit("racks.0.request", "coil:3"),
            bit("racks.1.request", "coil:4"),
            bit("racks.2.request", "coil:5"),
        ),
    )

    def work(self, live: bool) -> None:
        """Belt, gripper and racks, then what the sensors see of them."""
        arm_inside = in_nest_zone(self.arm_x_mm, self.arm_y_mm)
        self.nest.shut = arm_inside
        runs = self.nest_motor.obey(self.nest_run, live) and not arm_inside
        self.nest.move(runs, NEST_MM_S, NEST_MM, self.dt_s)
        place = place_before(self.arm_x_mm)
        slot = slot_before(place, self.arm_z_mm)
        self.work_gripper(place, slot, live)
        for n in range(RACKS):
            self.change_rack(n, place)
        self.fallen_s = self.fallen_s + self.dt_s if self.fallen > 0 else 0.0
        if self.fallen_s >= PICKED_UP_S:
            self.tally.scrapped += self.fallen
            self.fallen = 0
        self.sense(place, slot)

    def carried(self) -> int:
        """Boards in the nest, in the gripper and on the floor."""
        return (self.nest.board.id != 0) + (self.gripper.board.id != 0) + self.fallen

    def work_gripper(self, place: int, slot: int, live: bool) -> None:
        """Move it; it takes a board when it closes and lays it down when it opens."""
        gripper = self.gripper
        was_closed = gripper.closed == 1.0
        gripper.update(self.grip, self.release, live, self.dt_s)
        is_closed = gripper.closed == 1.0
        reached_in = self.arm_y_mm >= REACH_MM - NEAR_MM
        if is_closed and not was_closed and reached_in and slot >= 0 and place == NEST:
            self.pick()
        elif gripper.board.id != 0 and not is_closed:
            self.lay(place if reached_in else 0, slot)
        if self.drop and gripper.board.id != 0:
            self.lay(0, 0)

    def pick(self) -> None:
        """The board that lies in the nest is in the gripper now."""
        nest = self.nest
        if nest.sees(SEATED_MM) and nest.speed_mm_s == 0.0 and nest.overhang_mm == 0.0:
            self.gripper.board.become(nest.board)
            nest.clear()

    def lay(self, place: int, slot: int) -> None:
        """The gripper's board to where the arm reaches in, or to the floor."""
        board, rack = self.gripper.board, place - MAGAZINE_A
        if slot >= 0 and 0 <= rack < RACKS and self.racks[rack].is_free(slot):
            self.racks[rack].slots |= 1 << slot
            if rack == STAND_RACK:
                self.tally.rework += 1
            else:
                self.tally.stored += 1
        elif slot >= 0 and place == SCRAP:
            self.tally.scrapped += 1
        elif slot >= 0 and place == NEST and self.nest.board.id == 0 and not self.nest_busy:
            self.nest.put(board, LAID_MM)
        else:
            self.fallen += 1
        board.erase()

    def change_rack(self, n: int, place: int) -> None:
        """Vehicle or person at rack `n`."""
        comes_s, away_s = STAND_COMES_S, STAND_AWAY_S
        if n != STAND_RACK:
            more = self.draw_uniform(self.racks[n].changes, DRAW_COMES + n)
            comes_s, away_s = MAGAZINE_COMES_S + MAGAZINE_MORE_S * more, MAGAZINE_AWAY_S
        reached_into = self.arm_y_mm > 0.0 and place == MAGAZINE_A + n
        if self.racks[n].exchange(reached_into, comes_s, away_s, self.dt_s):
            self.tally.magazines_out += int(n != STAND_RACK)

    def sense(self, place: int, slot: int) -> None:
        """Every sensor as it stands after this scan."""
        nest, gripper = self.nest, self.gripper
        self.nest_entry = nest.sees(ENTRY_MM)
        self.nest_seated = nest.sees(SEATED_MM)
        self.nest_busy = nest.speed_mm_s > 0.0 or nest.is_spanned()
        self.barcode = nest.read(SEATED_MM)
        self.gripper_open = gripper.closed == 0.0
        self.gripper_closed = gripper.closed == 1.0
        self.part_present = gripper.board.id != 0
        drawn_in, rack = self.arm_y_mm <= NEAR_MM and slot >= 0, place - MAGAZINE_A
        self.slot_free = drawn_in and place == SCRAP
        if drawn_in and 0 <= rack < RACKS:
            self.slot_free = self.racks[rack].is_free(slot)
        self.floor_clear = self.fallen == 0
