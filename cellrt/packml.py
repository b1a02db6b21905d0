"""PackML (ISA-TR88.00.02) as data, and the record of a unit that every cell carries.

State and command numbers are the standard's own; they go on the wire.
"""

from __future__ import annotations

from enum import IntEnum

from cellrt.compiled import compiled
from cellrt.statemachine import StateMachine, fire
from cellrt.tags import Record, Var


class State(IntEnum):
    """PackML states (OPC 30050)."""

    UNDEFINED = 0
    CLEARING = 1
    STOPPED = 2
    STARTING = 3
    IDLE = 4
    SUSPENDED = 5
    EXECUTE = 6
    STOPPING = 7
    ABORTING = 8
    ABORTED = 9
    HOLDING = 10
    HELD = 11
    UNHOLDING = 12
    SUSPENDING = 13
    UNSUSPENDING = 14
    RESETTING = 15
    COMPLETING = 16
    COMPLETE = 17


class Command(IntEnum):
    """PackML commands, as CntrlCmd carries them."""

    RESET = 1
    START = 2
    STOP = 3
    HOLD = 4
    UNHOLD = 5
    SUSPEND = 6
    UNSUSPEND = 7
    ABORT = 8
    CLEAR = 9
    COMPLETE = 10


class Mode(IntEnum):
    """PackML unit modes; 4 and up are user-defined."""

    PRODUCTION = 1
    MAINTENANCE = 2
    MANUAL = 3


class Control(IntEnum):
    """From where a unit takes its commands: from afar, by supervisor and SCADA, or from a person at it.

    Stop and Abort it takes from everywhere.
    """

    REMOTE = 0
    LOCAL = 1


class Trigger(IntEnum):
    """What moves a unit, most urgent first: Abort, Stop, the rest; SC (state complete) last."""

    ABORT = 0
    STOP = 1
    HOLD = 2
    SUSPEND = 3
    COMPLETE = 4
    CLEAR = 5
    RESET = 6
    START = 7
    UNHOLD = 8
    UNSUSPEND = 9
    SC = 10


S, T = State, Trigger

RUNNING = (
    S.STARTING,
    S.IDLE,
    S.SUSPENDED,
    S.EXECUTE,
    S.HOLDING,
    S.HELD,
    S.UNHOLDING,
    S.SUSPENDING,
    S.UNSUSPENDING,
    S.RESETTING,
    S.COMPLETING,
    S.COMPLETE,
)
"""Superstate Running (OPC 30050): what Stop acts on."""

CLEARED = (*RUNNING, S.STOPPED, S.STOPPING, S.CLEARING)
"""Superstate Cleared: what Abort acts on."""

PACKML = StateMachine(
    "PackML",
    State,
    Trigger,
    (
        (CLEARED, T.ABORT, S.ABORTING),
        (RUNNING, T.STOP, S.STOPPING),
        ((S.STOPPED, S.COMPLETE), T.RESET, S.RESETTING),
        ((S.RESETTING,), T.SC, S.IDLE),
        ((S.IDLE,), T.START, S.STARTING),
        ((S.STARTING,), T.SC, S.EXECUTE),
        ((S.EXECUTE, S.SUSPENDED, S.HELD), T.COMPLETE, S.COMPLETING),
        ((S.COMPLETING,), T.SC, S.COMPLETE),
        ((S.EXECUTE, S.SUSPENDED), T.HOLD, S.HOLDING),
        ((S.HOLDING,), T.SC, S.HELD),
        ((S.HELD,), T.UNHOLD, S.UNHOLDING),
        ((S.UNHOLDING,), T.SC, S.EXECUTE),
        ((S.EXECUTE,), T.SUSPEND, S.SUSPENDING),
        ((S.SUSPENDING,), T.SC, S.SUSPENDED),
        ((S.SUSPENDED,), T.UNSUSPEND, S.UNSUSPENDING),
        ((S.UNSUSPENDING,), T.SC, S.EXECUTE),
        ((S.STOPPING,), T.SC, S.STOPPED),
        ((S.ABORTING,), T.SC, S.ABORTED),
        ((S.ABORTED,), T.CLEAR, S.CLEARING),
        ((S.CLEARING,), T.SC, S.STOPPED),
    ),
)

ACTING = tuple(s for s, t, _ in PACKML.transitions() if t is T.SC)
"""States that end by themselves, when their own work is complete."""

AT_REST = (S.UNDEFINED, S.STOPPED, S.IDLE, S.COMPLETE, S.ABORTED)
"""States in which a unit's outputs are at their safe reaction, whatever its logic wants."""

REST_BITS = sum(1 << s for s in AT_REST)

_ALLOW, _NEXT = PACKML.allow(), PACKML.next()


def trigger_of(command: Command) -> Trigger:
    """The trigger that a command stands for."""
    return Trigger[command.name]


@compiled
def packml_next(state: int, triggers: int) -> int:
    """PackML's next state for a mask of `Trigger` bits, or STAY."""
    return fire(_ALLOW, _NEXT, state, triggers)


class Unit(Record):
    """A cell's PackML side: what every unit has, whatever it does. First record of every cell."""

    state: int = Var(int(State.STOPPED), doc="PackML StateCurrent")
    mode: int = Var(int(Mode.PRODUCTION), doc="PackML UnitModeCurrent")
    commander: int = Var(retain=True, doc="who commands it: 0 from afar, 1 a person at it")
    requests: int = Var(doc="bits of Trigger asked for in this scan")
    state_since_ns: int = Var(unit="ns")
    step: int = Var(doc="step of the sequence inside Execute")
    step_since_ns: int = Var(unit="ns")
    tripped: int = Var(doc="bits of the interlocks that tripped since the last Clear")
    first_out: int = Var(doc="1 + the interlock that tripped first; 0 none (PackML StopReason)")
    cause: int = Var(doc="interlock.Cause that gates the outputs; 0 none")
    cause_since_ns: int = Var(unit="ns", doc="when the outputs were taken from the logic")
    waiting_since_ns: int = Var(unit="ns", doc="when it was last neither starved nor blocked")
    boards_in: int = Var(retain=True, doc="boards taken over")
    boards_out: int = Var(retain=True, doc="boards handed on")
    defective_out: int = Var(retain=True, doc="of these, failed ones (PackML ProdDefectiveCount)")
    io_good: bool = Var(doc="every device this cell reads is fresh and well")
    io_seen: bool = Var(doc="they were, once, since this unit was powered up")
    overrun: bool = Var(doc="its task is stopped in this scan: it overran")
    well: bool = Var(doc="no interlock's condition is lost, those for running included")
    step_asked: bool = Var(doc="Maintenance: the next transition of the sequence was asked for")
    step_entered: bool = Var(doc="this is the first scan of the step")
    starved: bool = Var(doc="PackML EquipmentStarved")
    blocked: bool = Var(doc="PackML EquipmentBlocked")
