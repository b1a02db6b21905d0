"""The label applicator LA-200 as a simulated device. It knows the manual and nothing of the cell."""

from __future__ import annotations

from typing import ClassVar

from cellrt.tags import Var
from cellrt.wire import DeviceMap, Point, Wire
from hw_sim.belt import Belt
from hw_sim.device import WATCHDOG_MS, Contactor, SimDevice, countdown

BELT_MM, BELT_MM_S = 400.0, 200.0
ENTRY_MM, STOP_MM = 30.0, 350.0
RAM_S = 0.4
FEED_S = 1.2


class LabelerSim(SimDevice):
    """Label applicator.

    * Air drives the ram down, a spring brings it up; while it is not up it holds the board.
    * A label is on the board when the ram has come down with one. The next is fed with the ram up.
    """

    belt: Belt
    motor: Contactor
    valve: Contactor
    ram_place: float = Var(doc="0 up .. 1 down")
    feed_left_s: float = Var(unit="s", doc="until a label hangs under the ram")

    belt_run: bool = Var(doc="belt motor")
    ram: bool = Var(doc="ram down")
    board_at_entry: bool = Var(doc="light barrier 30 mm from the belt's beginning")
    board_at_stop: bool = Var(doc="light barrier at the labelling place")
    ram_up: bool = Var(True)
    ram_down: bool = Var()
    label_ready: bool = Var(True, doc="a label hangs under the ram")
    labels_used: int = Var(doc="labels pressed since power-up")

    device_map: ClassVar[DeviceMap] = DeviceMap(
        protocol="modbus",
        watchdog_ms=WATCHDOG_MS,
        heartbeat=Point("heartbeat", "holding:0", Wire.U16),
        counter=Point("counter", "input:0", Wire.U16),
        inputs=(
            Point("board_at_entry", "discrete:0", Wire.BOOL),
            Point("board_at_stop", "discrete:1", Wire.BOOL),
            Point("ram_up", "discrete:2", Wire.BOOL),
            Point("ram_down", "discrete:3", Wire.BOOL),
            Point("label_ready", "discrete:4", Wire.BOOL),
            Point("labels_used", "input:10", Wire.U32),
        ),
        outputs=(
            Point("belt_run", "coil:0", Wire.BOOL),
            Point("ram", "coil:1", Wire.BOOL),
        ),
    )

    def work(self, live: bool) -> None:
        """Ram and belt, the label, then the sensors."""
        step = self.dt_s / RAM_S if self.valve.obey(self.ram, live) else -self.dt_s / RAM_S
        self.ram_place = min(max(self.ram_place + step, 0.0), 1.0)
        self.ram_up = self.ram_place == 0.0
        self.ram_down = self.ram_place == 1.0
        self.belt.held = not self.ram_up
        self.belt.move(self.motor.obey(self.belt_run, live), BELT_MM_S, BELT_MM, self.dt_s)
        self.board_at_entry = self.belt.sees(ENTRY_MM)
        self.board_at_stop = self.belt.sees(STOP_MM)
        if self.ram_down and self.label_ready:
            self.labels_used += 1
            self.feed_left_s = FEED_S
        elif self.ram_up and live:
            self.feed_left_s = countdown(self.feed_left_s, self.dt_s)
        self.label_ready = self.feed_left_s == 0.0
