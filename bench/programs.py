"""Workloads of a PLC as a cellrt author writes them; `programs.c` has the same by hand in C.

A program is scanned as a cell is: one compiled entry, called by its address from the table of the scan.
`word` is its input: bits, one of which changes in each scan.
"""

from __future__ import annotations

from enum import IntEnum

from cellrt import MS, Array, Record, Var, array
from cellrt.blocks import CTU, PID, R_TRIG, TON
from cellrt.statemachine import STAY, StateMachine, fire
from cellrt.tags import Parameter

RUNGS, CHANNELS = 100, 125
TIMERS, COUNTERS = 100, 50
LOOPS, MACHINES = 20, 50


class Program(Record):
    """What the scan stamps, and one input."""

    now_ns: int = Var(unit="ns")
    dt_s: float = Var(unit="s")
    word: int = Var()

    def bit(self, n: int) -> bool:
        """Bit `n` of the input."""
        return self.word >> (n & 63) & 1 != 0


class Rung(Record):
    """A motor's circuit: ten operations (AND, OR, NOT, XOR)."""

    run: bool = Var()
    fault: bool = Var()
    lamp: bool = Var()

    def update(self, start: bool, stop: bool, guard: bool) -> bool:
        self.run = (start or self.run) and not stop and guard
        self.fault = (self.fault and not stop) or (start and not guard)
        self.lamp = self.run != self.fault
        return self.lamp


class Bool1k(Program):
    """A thousand BOOL operations; each rung starts the next."""

    rungs: Array[Rung] = array(RUNGS)

    def scan(self) -> None:
        start = self.bit(0)
        for n in range(RUNGS):
            start = self.rungs[n].update(start, self.bit(n + 1), self.bit(n + 2))


class Channel(Record):
    """An analog input, scaled and filtered, with its trend: eight operations."""

    gain: float = Parameter(1.5)
    offset: float = Parameter(-0.25)
    value: float = Var()
    trend: float = Var()
    ahead: float = Var()

    def update(self, raw: float) -> None:
        change = (raw * self.gain + self.offset - self.value) * 0.125
        self.value += change
        self.trend = self.trend * 0.875 + change
        self.ahead = self.value + self.trend


class Real1k(Program):
    """A thousand REAL operations."""

    x: float = Var()
    channels: Array[Channel] = array(CHANNELS)

    def scan(self) -> None:
        for n in range(CHANNELS):
            self.channels[n].update(self.x)


class Blocks200(Program):
    """100 TON, 50 CTU and 50 R_TRIG."""

    timers: Array[TON] = array(TIMERS)
    edges: Array[R_TRIG] = array(COUNTERS)
    counters: Array[CTU] = array(COUNTERS)

    def scan(self) -> None:
        for n in range(TIMERS):
            self.timers[n].update(self.bit(n), 2 * MS, self.now_ns)
        for n in range(COUNTERS):
            rising = self.edges[n].update(self.timers[2 * n].q)
            self.counters[n].update(rising, self.timers[2 * n + 1].q, 3)


class Heating(PID):
    """With all three terms."""

    kp: float = Parameter(4.0)
    ti_s: float = Parameter(2.0)
    td_s: float = Parameter(0.5)


class Loop(Record):
    """A heater under PID with its interlock: too hot is off until it has cooled down."""

    pid: Heating
    degC: float = Var()
    hot: bool = Var()

    def update(self, setpoint: float, enabled: bool, dt_s: float) -> None:
        self.hot = self.degC > 80.0 or (self.hot and self.degC > 70.0)
        out = self.pid.update(enabled and not self.hot, setpoint, self.degC, 0.0, dt_s)
        self.degC += (out - self.degC) * 0.01


class Pid20(Program):
    """20 PIDs with interlocks."""

    loops: Array[Loop] = array(LOOPS)

    def scan(self) -> None:
        setpoint = 40.0 + 1.0 * (self.word & 63)
        for n in range(LOOPS):
            self.loops[n].update(setpoint, self.bit(n + 6), self.dt_s)


class Phase(IntEnum):
    IDLE = 0
    FILLING = 1
    HEATING = 2
    DRAINING = 3
    FAULT = 4


class Ask(IntEnum):
    TRIP = 0
    RESET = 1
    START = 2
    FULL = 3
    WARM = 4
    EMPTY = 5


BATCH = StateMachine(
    "batch",
    Phase,
    Ask,
    (
        ((Phase.FILLING, Phase.HEATING, Phase.DRAINING), Ask.TRIP, Phase.FAULT),
        ((Phase.FAULT,), Ask.RESET, Phase.IDLE),
        ((Phase.IDLE,), Ask.START, Phase.FILLING),
        ((Phase.FILLING,), Ask.FULL, Phase.HEATING),
        ((Phase.HEATING,), Ask.WARM, Phase.DRAINING),
        ((Phase.DRAINING,), Ask.EMPTY, Phase.IDLE),
    ),
)
ALLOW, NEXT = BATCH.allow(), BATCH.next()


class Batch(Record):
    """A tank that is filled, heated and drained."""

    phase: int = Var()
    since_ns: int = Var(unit="ns")
    batches: int = Var()

    def update(self, asked: int, now_ns: int) -> None:
        """`asked`: bits of `Ask`; what a phase waits for lasts at least 3 ms."""
        triggers = asked if now_ns - self.since_ns >= 3 * MS else asked & 3
        following = fire(ALLOW, NEXT, self.phase, triggers)
        if following != STAY:
            self.batches += self.phase == 3 and following == 0
            self.phase = following
            self.since_ns = now_ns


class Machines50(Program):
    """50 state machines."""

    machines: Array[Batch] = array(MACHINES)

    def scan(self) -> None:
        for n in range(MACHINES):
            asked = self.word >> (n & 31) & 63
            self.machines[n].update(asked if n & 3 == 0 else asked & 62, self.now_ns)
