"""Commands: what people and the supervisor ask for, as numbered records that enter a scan as inputs.

A command is eight words: number, origin, `Operation`, target, argument, logical time at which it expires,
the number of the last event that its sender had seen, and the epoch that it is meant for. Accepted or
refused is an event. A command that goes on having an effect, as a force does, has it until it expires.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from enum import IntEnum, unique

import numpy as np

from cellrt.compiled import compiled
from cellrt.packml import PACKML, Command, Control, Mode, State, trigger_of
from cellrt.scan.events import (
    U_COMMANDER,
    U_DEFECTIVE,
    U_IN,
    U_MODE,
    U_OUT,
    U_REQUESTS,
    U_STATE,
    U_STEP_ASKED,
    emit,
)
from cellrt.scan.force import force, unforce
from cellrt.scan.jog import jog
from cellrt.scan.pace import set_pace
from cellrt.scan.plan import COMMAND_WORDS, COMMANDS_A_SCAN
from cellrt.scan.tables import Tables, Work
from cellrt.tags import WORD, Field, Scalar
from cellrt.wire import Floats, Ints


@unique
class Operation(IntEnum):
    """What a command does: target; argument."""

    PACKML = 1  # cell; packml.Command
    MODE = 2  # cell; packml.Mode
    PARAMETER = 3  # parameter; raw bits of the value
    FORCE = 4  # terminal; raw value. The force ends when the command expires
    UNFORCE = 5  # terminal, -1 all; 0
    COMMANDER = 6  # cell; packml.Control
    JOG = 7  # terminal; raw value. The output is let go when the command expires
    STEP = 8  # cell; 0
    MISFIT = 9  # parameter; raw bits. Its sender found the value unfit; the scan makes it known
    RESET_COUNTERS = 10  # cell; 0. Who hears of it begins anew with the unit's times too
    TASK = 11  # task, -1 the whole line; how many times slower than declared, 0: stop it safely


class Refusal(IntEnum):
    """Why a command was refused; 0 is accepted."""

    ACCEPTED = 0
    EXPIRED = 1
    OTHER_EPOCH = 2
    UNKNOWN_TARGET = 3
    NOT_IN_THIS_STATE = 4
    OUT_OF_LIMITS = 5
    UNKNOWN_OPERATION = 6
    QUEUE_FULL = 7
    UNKNOWN = 8  # a restart left it unanswered; it is never sent again
    SAFETY = 9  # nobody forces what safety relies on
    NOT_IN_COMMAND = 10  # the cell takes commands from the other side
    NOT_IN_THIS_MODE = 11
    NOT_WELL = 12  # an interlock's condition is lost
    UNFIT = 13  # within limits, but not beside the cell's other parameters


class Origin(IntEnum):
    """Who sent a command."""

    SUPERVISOR = 0
    OPERATOR = 1
    SCADA = 2
    SCAN = 3  # the executive, by what its clock says


Send = Callable[[Operation, int, int], Awaitable[Refusal]]
"""Sends a command (operation, target, argument) to the scan and waits for its answer, but not for
ever: one that was not answered is `Refusal.UNKNOWN`."""


def within(field: Field, value: Scalar) -> bool:
    """A finite value within a tag's declared limits."""
    low, high = field.low, field.high
    return (
        math.isfinite(value) and (low is None or low <= value) and (high is None or value <= high)
    )


def raw_bits(kind: type[bool] | type[int] | type[float], value: Scalar) -> int:
    """A value as the argument of a command: 0 or 1, the integer, or the bits of the float."""
    if kind is float:
        return int(np.float64(value).view(np.int64))
    return int(value)


COMMAND, PARAMETER, MODE, COMMANDER = 8, 9, 16, 17
OPERATOR, SCAN, LOCAL = int(Origin.OPERATOR), int(Origin.SCAN), int(Control.LOCAL)
MAINTENANCE, MANUAL, EXECUTE = int(Mode.MAINTENANCE), int(Mode.MANUAL), int(State.EXECUTE)
START, STOP, ABORT = int(Command.START), int(Command.STOP), int(Command.ABORT)
_ALLOW = PACKML.allow()
_TRIGGER = np.array([0, *(trigger_of(c) for c in Command)], np.int64)
_MODE_BITS = sum(1 << s for s in (State.STOPPED, State.IDLE, State.ABORTED))
_LAST_COMMAND, _LAST_MODE = max(Command), max(Mode)


@compiled
def obey(
    tables: Tables, work: Work, inputs: Ints, input_reals: Floats, now_ns: int, epoch: int
) -> None:
    """Carry out or refuse each command of this scan, in order."""
    count = min(inputs[tables.commands_base], COMMANDS_A_SCAN)
    for n in range(count):
        at = tables.commands_base + 1 + n * COMMAND_WORDS
        origin, operation = inputs[at + 1], inputs[at + 2]
        target, argument = inputs[at + 3], inputs[at + 4]
        if now_ns > inputs[at + 5]:
            refusal = 1
        elif inputs[at + 7] != epoch:
            refusal = 2
        elif (
            operation == 1 or operation == 2 or operation == 6 or operation == 8 or operation == 10
        ):
            refusal = command_unit(tables, work, operation, target, argument, origin, now_ns)
        elif operation == 3:
            refusal = write_parameter(
                tables, work, target, argument, input_reals[at + 4], now_ns, inputs[at]
            )
        elif operation == 4:
            real, until_ns = input_reals[at + 4], inputs[at + 5]
            refusal = force(tables, work, target, argument, real, now_ns, until_ns, inputs[at])
        elif operation == 7:
            real, until_ns = input_reals[at + 4], inputs[at + 5]
            refusal = jog(tables, work, target, argument, real, until_ns, origin)
        elif operation == 9:
            refusal = 13
        elif operation == 5:
            refusal = unforce(tables, work, target, inputs, input_reals, now_ns, inputs[at])
        elif operation == 11:
            refusal = set_pace(tables, work, target, argument, origin, now_ns)
        else:
            refusal = 6
        if origin != SCAN or refusal != 0:  # what the executive decides is told as such
            emit(work, now_ns, COMMAND, origin, inputs[at], target, operation, refusal)


@compiled
def command_unit(
    tables: Tables,
    work: Work,
    operation: int,
    target: int,
    argument: int,
    origin: int,
    now_ns: int,
) -> int:
    """A command, mode, commander, single step or reset of counters for cell number `target`; a `Refusal`."""
    if target < 0 or target >= tables.units.shape[0]:
        return 3
    words, unit = work.image.words, tables.units[target, 0]
    if operation == 6:
        return command_from(work, unit, target, argument, origin, now_ns)
    in_command = (words[unit + U_COMMANDER] == LOCAL) == (origin == OPERATOR)
    if operation == 1:
        return request(work, unit, argument, in_command)
    if not in_command:
        return 10
    if operation == 8:
        return allow_step(work, unit)
    if operation == 10:
        return reset_counters(work, unit)
    if argument < 1 or argument > _LAST_MODE:
        return 5
    if _MODE_BITS >> words[unit + U_STATE] & 1 == 0:
        return 4
    emit(work, now_ns, MODE, target, words[unit + U_MODE], argument, 0, 0)
    words[unit + U_MODE] = argument
    return 0


@compiled
def request(work: Work, unit: int, command: int, in_command: bool) -> int:
    """A PackML command: Stop and Abort from everywhere, Start not in Manual; a `Refusal`."""
    words = work.image.words
    if command < 1 or command > _LAST_COMMAND:
        return 6
    if not in_command and command != STOP and command != ABORT:
        return 10
    if command == START and words[unit + U_MODE] == MANUAL:
        return 11
    bit = 1 << _TRIGGER[command]
    if _ALLOW[words[unit + U_STATE]] & bit == 0:
        return 4
    words[unit + U_REQUESTS] |= bit
    return 0


@compiled
def command_from(work: Work, unit: int, cell: int, control: int, origin: int, now_ns: int) -> int:
    """A person takes a cell or releases it; nobody does so from afar. A `Refusal`."""
    words = work.image.words
    if origin != OPERATOR:
        return 10
    if control < 0 or control > LOCAL:
        return 5
    if words[unit + U_COMMANDER] != control:
        emit(work, now_ns, COMMANDER, cell, words[unit + U_COMMANDER], control, 0, 0)
    words[unit + U_COMMANDER] = control
    return 0


@compiled
def allow_step(work: Work, unit: int) -> int:
    """Let the sequence make its next transition; a `Refusal`."""
    if work.image.words[unit + U_MODE] != MAINTENANCE:
        return 11
    if work.image.words[unit + U_STATE] != EXECUTE:
        return 4
    work.image.bytes[unit * WORD + U_STEP_ASKED] = 1
    return 0


@compiled
def reset_counters(work: Work, unit: int) -> int:
    """Count boards from nothing; a `Refusal`."""
    words = work.image.words
    words[unit + U_IN] = words[unit + U_OUT] = words[unit + U_DEFECTIVE] = 0
    return 0


@compiled
def write_parameter(
    tables: Tables, work: Work, target: int, bits: int, real: float, now_ns: int, number: int
) -> int:
    """A new value for parameter number `target`, within its limits; a `Refusal`."""
    if target < 0 or target >= tables.parameters.shape[0]:
        return 3
    at, kind = tables.parameters[target, 0], tables.parameters[target, 1]
    value = real if kind == 2 else float(bits)
    if not (tables.limits[target, 0] <= value <= tables.limits[target, 1]):
        return 5
    before = int(work.image.bytes[at]) if kind == 0 else int(work.image.words[at >> 3])
    if kind == 0:
        work.image.bytes[at] = 1 if bits != 0 else 0
    else:
        work.image.words[at >> 3] = bits
    emit(work, now_ns, PARAMETER, target, before, bits, number, 0)
    return 0
