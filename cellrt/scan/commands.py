"""Commands: what people and the supervisor ask for, as numbered records that enter a scan as inputs.

A command is eight words: number, origin, `Operation`, target, argument, logical time at which it expires,
the number of the last event that its sender had seen, and the epoch that it is meant for. Accepted or
refused is an event. A command that goes on having an effect, as a force does, has it until it expires.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from enum import IntEnum

import numpy as np

from cellrt.compiled import compiled
from cellrt.packml import PACKML, Command, Mode, State, trigger_of
from cellrt.scan.events import U_MODE, U_REQUESTS, U_STATE, emit
from cellrt.scan.force import force, unforce
from cellrt.scan.plan import COMMAND_WORDS, COMMANDS_A_SCAN
from cellrt.scan.tables import Tables, Work
from cellrt.tags import Field, Scalar
from cellrt.wire import Floats, Ints


class Operation(IntEnum):
    """What a command does: target; argument."""

    PACKML = 1  # cell; packml.Command
    MODE = 2  # cell; packml.Mode
    PARAMETER = 3  # parameter; raw bits of the value
    FORCE = 4  # terminal; raw value. The force ends when the command expires
    UNFORCE = 5  # terminal, -1 all; 0


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


class Origin(IntEnum):
    """Who sent a command."""

    SUPERVISOR = 0
    OPERATOR = 1
    SCADA = 2


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


COMMAND, PARAMETER = 8, 9
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
        operation, target, argument = inputs[at + 2], inputs[at + 3], inputs[at + 4]
        if now_ns > inputs[at + 5]:
            refusal = 1
        elif inputs[at + 7] != epoch:
            refusal = 2
        elif operation == 1 or operation == 2:
            refusal = command_unit(tables, work, operation, target, argument)
        elif operation == 3:
            refusal = write_parameter(
                tables, work, target, argument, input_reals[at + 4], now_ns, inputs[at]
            )
        elif operation == 4:
            real, until_ns = input_reals[at + 4], inputs[at + 5]
            refusal = force(tables, work, target, argument, real, now_ns, until_ns, inputs[at])
        elif operation == 5:
            refusal = unforce(tables, work, target, inputs, input_reals, now_ns, inputs[at])
        else:
            refusal = 6
        emit(work, now_ns, COMMAND, inputs[at + 1], inputs[at], target, operation, refusal)


@compiled
def command_unit(tables: Tables, work: Work, operation: int, target: int, argument: int) -> int:
    """A PackML command or a mode for cell number `target`; a `Refusal`."""
    if target < 0 or target >= tables.units.shape[0]:
        return 3
    words, unit = work.image.words, tables.units[target, 0]
    state = words[unit + U_STATE]
    if operation == 2:
        if argument < 1 or argument > _LAST_MODE:
            return 5
        if _MODE_BITS >> state & 1 == 0:
            return 4
        words[unit + U_MODE] = argument
        return 0
    if argument < 1 or argument > _LAST_COMMAND:
        return 6
    bit = 1 << _TRIGGER[argument]
    if _ALLOW[state] & bit == 0:
        return 4
    words[unit + U_REQUESTS] |= bit
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
