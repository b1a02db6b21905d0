"""The arm of the unloading robot: three axes with trapezoidal moves, taught places, a shared zone."""

from __future__ import annotations

import math
from typing import ClassVar

from cellrt.tags import Record, Var
from cellrt.wire import DeviceMap
from hw_sim.device import Contactor, SimDevice
from hw_sim.places import HOME, NONE, REACH_MM, in_nest_zone, is_slot, x_of_mm, z_of_mm
from hw_sim.points import WATCHDOG_NODES, bit, f64, i32, opcua_map

X_MOST_MM, Z_MOST_MM = 1800.0, 650.0
"""Travel of the axes from 0; that of y is `REACH_MM`."""
X_MM_S, Y_MM_S, Z_MM_S = 1000.0, 400.0, 500.0
X_MM_S2, Y_MM_S2, Z_MM_S2 = 2000.0, 1500.0, 1500.0
STOP_MM_S2 = 4000.0
"""Of every stop that is not the end of a move."""
MANUAL_MM_S = 250.0 / math.sqrt(3.0)
"""Of each axis, so that all together make at most 250 mm/s (ISO 10218-1)."""
HOMING_MM_S = 200.0
DRAWN_IN_MM = 5.0
"""Up to here the arm may pass along the places."""
SAME_MM = 0.5
"""Two targets so close together are one."""
ARRIVED_MM = 1e-6


class Axis(Record):
    """One axis: speed and acceleration are bounded, jerk is not."""

    at_mm: float = Var(unit="mm", doc="actual place of the axis")
    speed_mm_s: float = Var(unit="mm/s", doc="upwards or down")
    target_mm: float = Var(unit="mm")

    def approach(self, top_mm_s: float, most_mm_s2: float, dt_s: float) -> None:
        """One scan of a trapezoidal move: as fast as it can still stop at the target."""
        left_mm = self.target_mm - self.at_mm
        way = 1.0 if left_mm >= 0.0 else -1.0
        step_mm_s = most_mm_s2 * dt_s
        brakes_from_mm_s = math.sqrt(step_mm_s * step_mm_s + 2.0 * most_mm_s2 * abs(left_mm))
        wanted_mm_s = min(top_mm_s, brakes_from_mm_s - step_mm_s)
        towards_mm_s = self.speed_mm_s * way
        speed_mm_s = min(max(wanted_mm_s, towards_mm_s - step_mm_s), towards_mm_s + step_mm_s)
        self.speed_mm_s = speed_mm_s * way
        self.at_mm += self.speed_mm_s * dt_s
        if abs(self.target_mm - self.at_mm) < ARRIVED_MM:
            self.at_mm = self.target_mm
            self.speed_mm_s = 0.0

    def brake(self, dt_s: float) -> None:
        """One scan of a controlled stop."""
        step_mm_s = STOP_MM_S2 * dt_s
        self.speed_mm_s -= min(max(self.speed_mm_s, -step_mm_s), step_mm_s)
        self.at_mm += self.speed_mm_s * dt_s

    def stops_at_mm(self, dt_s: float) -> float:
        """Where a controlled stop begun in the next scan would end, at the latest."""
        braked_mm = self.speed_mm_s * abs(self.speed_mm_s) / (2.0 * STOP_MM_S2)
        return self.at_mm + 2.0 * self.speed_mm_s * dt_s + braked_mm

    def arrived(self) -> bool:
        """It stands at its target."""
        return self.at_mm == self.target_mm and self.speed_mm_s == 0.0

    def is_far(self, target_mm: float) -> bool:
        """It would have to move to get there."""
        return abs(target_mm - self.at_mm) > SAME_MM


class Robot(SimDevice):
    """Robot arm: x along the places, y into them, z up.

    * A new number in `order` is taken while `run` is on: to a taught place and slot, before it or
      reaching in; to home; or, for place 0, to coordinates.
    * It moves while `run` is on. Off is a controlled stop; on again, the order goes on.
    * An order is refused with `fault` that is out of reach, that would move x or z while the arm
      reaches in, or that is not to home before the arm was homed since power-up. Home draws in y
      first, then goes up, then along.
    * Loss of power or heartbeat is a stop of category 1 (IEC 60204-1): the drives keep their power
      until the arm stands. Afterwards it moves when `run` is given anew.
    * It stops with `fault` before it enters the nest's zone while a board travels there.
    * With the key in manual, at most 250 mm/s, and only while the enabling switch is pressed.
    """

    x: Axis
    y: Axis
    z: Axis
    drive: Contactor
    open: bool = Var(doc="the order taken is not done yet")
    place: int = Var(doc="of the order taken")
    place_slot: int = Var(doc="of the order taken")
    jammed: bool = Var(doc="a fault: something is in the arm's way")
    nest_busy: bool = Var(doc="wired from the nest: a board travels there")

    run: bool = Var(doc="the arm may move; off: controlled stop")
    order: int = Var(doc="number of the order, not 0; a new one is taken while run is on")
    position: int = Var(
        doc="1 nest, 2 and 3 magazines, 4 rework stand, 5 scrap box, 6 home; 0: coordinates"
    )
    slot: int = Var(doc="slot of that place, from 0 upwards")
    reach: bool = Var(doc="reach into the place; off: stand before it")
    x_target_mm: float = Var(unit="mm", doc="for place 0; 0 to 1800 mm")
    y_target_mm: float = Var(unit="mm", doc="for place 0; 0 to 400 mm")
    z_target_mm: float = Var(unit="mm", doc="for place 0; 0 to 650 mm")
    speed_pct: float = Var(100.0, unit="%", doc="of the axes' speed; 1 to 100")
    panel_manual_key: bool = Var(doc="a person's hand: the key is turned to manual")
    panel_enabling_pressed: bool = Var(doc="a person's hand: the enabling switch is pressed")

    order_taken: int = Var(doc="the order that was taken or refused last")
    order_done: int = Var(doc="the order that was done last")
    at_position: int = Var(doc="place at which it stands since an order to there; 0 none")
    at_slot: int = Var(doc="slot of that place")
    reached_in: bool = Var(doc="it stands reaching into that place")
    homed: bool = Var(doc="it was homed since power-up")
    moving: bool = Var(doc="an axis moves")
    fault: bool = Var(doc="an order was refused or the zone stopped the arm; until run is off")
    zone_stop: bool = Var(doc="the zone's supervision stopped the arm; until run is off")
    nest_zone: bool = Var(doc="the arm reaches into the nest's zone")
    automatic: bool = Var(True, doc="the key is turned to automatic")

    device_map: ClassVar[DeviceMap] = opcua_map(
        namespace="urn:hw-sim:robot",
        inputs=(
            i32("order_taken", "Order.Taken"),
            i32("order_done", "Order.Done"),
            i32("at_position", "Arm.Position"),
            i32("at_slot", "Arm.Slot"),
            bit("reached_in", "Arm.ReachedIn"),
            f64("x.at_mm", "Arm.X"),
            f64("y.at_mm", "Arm.Y"),
            f64("z.at_mm", "Arm.Z"),
            bit("homed", "Arm.Homed"),
            bit("moving", "Arm.Moving"),
            bit("fault", "Arm.Fault"),
            bit("zone_stop", "Arm.ZoneStop"),
            bit("nest_zone", "Arm.NestZone"),
            bit("automatic", "Arm.Automatic"),
            bit("power_on", "Arm.PowerOn"),
            *WATCHDOG_NODES,
        ),
        outputs=(
            i32("position", "Target.Position"),
            i32("slot", "Target.Slot"),
            bit("reach", "Target.Reach"),
            f64("x_target_mm", "Target.X"),
            f64("y_target_mm", "Target.Y"),
            f64("z_target_mm", "Target.Z"),
            f64("speed_pct", "Target.Speed"),
            i32("order", "Order.Number"),
            bit("run", "Order.Run"),
            bit("panel_manual_key", "Panel.ManualKey"),
            bit("panel_enabling_pressed", "Panel.EnablingPressed"),
        ),
    )

    def work(self, live: bool) -> None:
        """Take an order, watch the zone, move or stop."""
        self.automatic = not self.panel_manual_key
        if not self.run:
            self.fault = False
            self.zone_stop = False
        may_move = self.drive.obey(self.run, live)
        may_move = may_move and (self.automatic or self.panel_enabling_pressed) and not self.fault
        if may_move and self.order != 0 and self.order != self.order_taken:
            self.take()
        if may_move:
            self.watch_zone()
        if self.jammed:
            self.stand()
        elif may_move and self.open and not self.fault:
            self.go_on()
        else:
            self.brake()
        self.moving = self.x.speed_mm_s != 0.0 or self.y.speed_mm_s != 0.0
        self.moving = self.moving or self.z.speed_mm_s != 0.0
        self.nest_zone = in_nest_zone(self.x.at_mm, self.y.at_mm)
        self.power_on = live or self.moving

    def take(self) -> None:
        """Take the order over, or refuse it."""
        self.order_taken = self.order
        x_mm, y_mm, z_mm = self.x_target_mm, self.y_target_mm, self.z_target_mm
        known = self.position == NONE or is_slot(self.position, self.slot)
        if known and self.position != NONE:
            reaches = self.reach and self.position != HOME
            x_mm, z_mm = x_of_mm(self.position), z_of_mm(self.position, self.slot)
            y_mm = REACH_MM if reaches else 0.0
        within = 0.0 <= x_mm <= X_MOST_MM and 0.0 <= y_mm <= REACH_MM and 0.0 <= z_mm <= Z_MOST_MM
        along = self.x.is_far(x_mm) or self.z.is_far(z_mm)
        inside = self.y.at_mm > DRAWN_IN_MM or y_mm > DRAWN_IN_MM
        if self.position != HOME:
            within = within and self.homed and not (along and inside)
        self.open = known and within
        self.fault = not self.open
        if self.open:
            self.place, self.place_slot = self.position, self.slot
            self.x.target_mm, self.y.target_mm, self.z.target_mm = x_mm, y_mm, z_mm
            self.at_position = NONE

    def watch_zone(self) -> None:
        """The arm must not come into the zone while a board travels there; out of it it may."""
        inwards = self.open and self.y.target_mm > self.y.at_mm
        if self.nest_busy and inwards and in_nest_zone(self.x.at_mm, self.y.stops_at_mm(self.dt_s)):
            self.zone_stop = True
            self.fault = True

    def go_on(self) -> None:
        """One scan of the order under way."""
        x, y, z = self.x, self.y, self.z
        homing = self.place == HOME
        if not homing or (y.arrived() and z.arrived()):
            x.approach(self.limit_mm_s(X_MM_S), X_MM_S2, self.dt_s)
        if not homing or y.arrived():
            z.approach(self.limit_mm_s(Z_MM_S), Z_MM_S2, self.dt_s)
        y.approach(self.limit_mm_s(Y_MM_S), Y_MM_S2, self.dt_s)
        if x.arrived() and y.arrived() and z.arrived():
            self.open = False
            self.order_done = self.order_taken
            self.at_position, self.at_slot = self.place, self.place_slot
            self.reached_in = y.at_mm == REACH_MM
            self.homed = self.homed or homing

    def limit_mm_s(self, axis_mm_s: float) -> float:
        """How fast an axis may go now."""
        top_mm_s = axis_mm_s * min(max(self.speed_pct, 1.0), 100.0) / 100.0
        if not self.homed:
            top_mm_s = min(top_mm_s, HOMING_MM_S)
        return top_mm_s if self.automatic else min(top_mm_s, MANUAL_MM_S)

    def brake(self) -> None:
        """Controlled stop of all axes."""
        self.x.brake(self.dt_s)
        self.y.brake(self.dt_s)
        self.z.brake(self.dt_s)

    def stand(self) -> None:
        """Something holds the arm."""
        self.x.speed_mm_s = 0.0
        self.y.speed_mm_s = 0.0
        self.z.speed_mm_s = 0.0
