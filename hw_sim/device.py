"""What every simulated device has: time, power, a watchdog, and a counter of its own."""

from __future__ import annotations

from typing import ClassVar

from cellrt.chance import normal, uniform
from cellrt.compiled import compiled
from cellrt.tags import Record, Var
from cellrt.wire import DeviceMap, Point
from hw_sim.census import Counts

WATCHDOG_MS = 500.0
COUNTER_MASK = 0xFFFF
"""Every device's counter fits one register."""


class Watchdog(Record):
    """Safe until the heartbeat first moves, and again when it stands still for `limit_ms`."""

    limit_ms: float = Var(WATCHDOG_MS, unit="ms")
    beat: int = Var(doc="heartbeat seen last")
    moved_ns: int = Var(unit="ns", doc="wall clock when it last moved")
    safe: bool = Var(True, doc="the heartbeat stands still: outputs as if they were off")
    trips: int = Var(doc="how often it went safe since power-up")
    tripped_ms: int = Var(unit="ms", doc="how long the heartbeat had stood still when it last did")

    def watch(self, heartbeat: int, wall_ns: int) -> None:
        """One look at the heartbeat."""
        if heartbeat != self.beat:
            self.beat = heartbeat
            self.moved_ns = wall_ns
            self.safe = False
        elif not self.safe and wall_ns - self.moved_ns >= self.limit_ms * 1e6:
            self.safe = True
            self.trips += 1
            self.tripped_ms = (wall_ns - self.moved_ns) // 1_000_000


class Contactor(Record):
    """Carries a command to a drive, and not by itself again after the drive was dead.

    * Off whenever the drive is dead.
    * Afterwards on only after the command was seen off and is given anew (IEC 60204-1: restoring
      power or resetting must not start a motion).
    """

    on: bool = Var(doc="the command that the drive obeys")
    rose: bool = Var(doc="it came on in this scan")
    locked: bool = Var(doc="waits for the command to be given anew")

    def obey(self, command: bool, live: bool) -> bool:
        """What the drive gets of `command`; `live` is false without power and in the safe state."""
        if not live:
            self.locked = True
        elif not command:
            self.locked = False
        on = command and not self.locked
        self.rose = on and not self.on
        self.on = on
        return on


class SimDevice(Record):
    """Base of the simulated devices. A subclass declares tags, `device_map` and `work(live)`.

    One that moves boards says how many it carries, `carried()`, and counts in its `tally` those that
    it brings onto the line or takes off; a device with a tag `census: Counts` is told the plant's sum.

    * The heartbeat stands still for the watchdog's time: every output is as if it were off.
    * No power: the drives are dead, whatever is commanded.
    * Power and heartbeat back: nothing moves before its command is given anew.

    `device_map` is the device's documentation; each point's name is the path of the tag behind it.
    `joints` are belts that meet inside the device: (from, to), in the direction of travel.
    """

    now_ns: int = Var(unit="ns", doc="logical time of this scan")
    dt_s: float = Var(unit="s", doc="nominal time since the last scan")
    wall_ns: int = Var(unit="ns", doc="wall clock, for the watchdog; 0: logical time is it")
    seed: int = Var(1, doc="decides every draw of this device")
    heartbeat: int = Var(doc="the line's scan counter")
    counter: int = Var(doc="advances in every scan of the device")
    watchdog: Watchdog
    powered: bool = Var(True, doc="drives have power; the safety PLC cuts it")
    power_on: bool = Var(doc="drives have power")
    tally: Counts

    device_map: ClassVar[DeviceMap]
    points: ClassVar[tuple[Point, ...]] = ()
    joints: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        counters = (cls.device_map.heartbeat, cls.device_map.counter)
        declared = (*cls.device_map.inputs, *cls.device_map.outputs)
        cls.points = (*(p for p in counters if p is not None), *declared)

    @classmethod
    def written(cls) -> tuple[Point, ...]:
        """The points that the network writes; all others are read only."""
        heartbeat = cls.device_map.heartbeat
        return (*((heartbeat,) if heartbeat else ()), *cls.device_map.outputs)

    def scan(self) -> None:
        """Watch the heartbeat, work, count."""
        self.watchdog.watch(self.heartbeat, self.wall_ns if self.wall_ns != 0 else self.now_ns)
        self.power_on = self.powered
        self.work(self.powered and not self.watchdog.safe)
        self.tally.in_line = self.carried()
        self.counter = (self.counter + 1) & COUNTER_MASK

    def work(self, live: bool) -> None:
        """One scan of the device's physics; drives obey only while `live`."""

    def carried(self) -> int:
        """Boards on it or in it now."""
        return 0

    def draw_uniform(self, board: int, purpose: int) -> float:
        """A draw from 0 to below 1. The device's own seed tells it apart from others."""
        return uniform(self.seed, 0, board, purpose)

    def draw_normal(self, board: int, purpose: int) -> float:
        """A draw with mean 0 and deviation 1."""
        return normal(self.seed, 0, board, purpose)


@compiled
def countdown(time_s: float, dt_s: float) -> float:
    """What is left of a time after `dt_s` more of it; a last rounding error counts as nothing."""
    left_s = time_s - dt_s
    return left_s if left_s > 1e-9 else 0.0
