"""Cells for the tests of line files: a feeder and a press, with a tag of every kind."""

from cellrt import (
    Array,
    Cause,
    Cell,
    Infeed,
    Input,
    Interlock,
    Outfeed,
    Output,
    Parameter,
    Record,
    Var,
    always,
    array,
    hold,
    safe,
    to,
)


class Valve(Record):
    """A valve with its limit switch."""

    is_open: bool = Input()
    open: bool = Output(safe=always(to(False)))


class Pusher(Record):
    """One of several."""

    stroke_mm: float = Parameter(50.0, unit="mm", low=10.0, high=400.0)
    slow: bool = Parameter(False)


class Feeder(Cell):
    """Pushes boards onto the line."""

    outfeed: Outfeed
    pushers: Array[Pusher] = array(2)
    estop_released: bool = Input()
    push: bool = Output(safe=always(to(False)))

    interlocks = (Interlock("estop_released", Cause.ESTOP),)


class Press(Cell):
    """Presses boards."""

    infeed: Infeed
    infeed_2: Infeed
    outfeed: Outfeed
    valve: Valve
    estop_released: bool = Input()
    at_stop: bool = Input()
    force_N: float = Input(unit="N", low=0.0, high=500.0)
    down: bool = Output(safe=safe(to(False), hold(2.0, False), to(False), to(False), to(False)))
    force_setpoint_N: float = Output(safe=always(to(0.0)), unit="N", low=0.0, high=500.0)
    lamp: bool = Output(doc="no safe reaction here: the line file has it")
    force_wanted_N: float = Parameter(100.0, unit="N", low=10.0, high=400.0)
    strokes: int = Parameter(3, low=1, high=9)
    gentle: bool = Parameter(False)
    done: int = Var(retain=True)

    interlocks = (Interlock("estop_released", Cause.ESTOP),)


class Slow(Cell):
    """Scanned every 15 ms."""

    period_ms = 15


class Plain(Record):
    """A record, but no cell."""

    x: int = Var()


class Silent(Cell):
    """Has neither ports nor tags."""
