"""Parts of a reflow oven as its cell sees it, and what becomes of their outputs when it stops."""

from __future__ import annotations

from cellrt import Board, Input, Output, Parameter, Record, Var, always, run_out, safe, to
from cellrt.blocks import PID

ZONES = 8
PLACES = 24
"""Boards on the chain, at most."""
RUN_OUT_S = 900.0
"""An oven empties in less, at its slowest too."""

BELT = safe(
    stop=run_out(RUN_OUT_S, False),
    process=run_out(RUN_OUT_S, False),
    comms=run_out(RUN_OUT_S, False),
    guard=run_out(RUN_OUT_S, False),
    estop=to(False),
)
"""What is in the heat cannot wait."""
STUB = safe(
    stop=run_out(RUN_OUT_S, False),
    process=run_out(RUN_OUT_S, False),
    comms=to(False),
    guard=to(False),
    estop=to(False),
)
"""Entry and exit belt lie open."""
SETTING = always(run_out(RUN_OUT_S, 0))


class Pid(PID):
    """A zone answers to full power with 0.25 K/s and levels out over some 1,550 s."""

    kp: float = Parameter(8.0, low=0.0, high=100.0, doc="% a K")
    ti_s: float = Parameter(120.0, unit="s", low=0.0, high=10_000.0)


class Zone(Record):
    """One heated zone under PID."""

    temperature_degC: float = Input(unit="degC", low=-20.0, high=400.0)
    duty_pct: float = Output(
        safe=safe(
            stop=run_out(RUN_OUT_S, 0.0),
            process=run_out(RUN_OUT_S, 0.0),
            comms=to(0.0),
            guard=to(0.0),
            estop=to(0.0),
        ),
        unit="%",
        low=0.0,
        high=100.0,
        doc="heater's share of its full power",
    )
    setpoint_degC: float = Var(unit="degC", retain=True, doc="that the zone works to")
    pid: Pid

    def control(self, on: bool, dt_s: float) -> float:
        """One scan of the heater; how far off the zone is, in K."""
        if on:
            self.duty_pct = self.pid.update(
                True, self.setpoint_degC, self.temperature_degC, 0.0, dt_s
            )
        else:
            self.duty_pct = 0.0
            self.pid.integral = 0.0
        return abs(self.temperature_degC - self.setpoint_degC)


class Probe(Record):
    """The oven's profiling system: what it says of the board that left the chain last."""

    count: int = Input(doc="boards that have left the chain")
    peak_degC: float = Input(unit="degC", low=0.0, high=400.0)
    liquid_s: float = Input(unit="s", low=0.0, high=3600.0, doc="time above 217 degC")
    ramp_degC_s: float = Input(unit="degC/s", low=0.0, high=20.0, doc="steepest rise")
    soak_s: float = Input(unit="s", low=0.0, high=3600.0, doc="time from 150 to 200 degC")


class Passenger(Record):
    """A board on the chain."""

    board: Board
    entered_mm: float = Var(unit="mm", retain=True, doc="the chain's way when it came")
    suspect: bool = Var(retain=True, doc="its profile cannot be trusted")
