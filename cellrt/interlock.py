"""Interlocks, and what becomes of each output for each cause of a stop.

An interlock is a rule, evaluated before the logic: a named condition that must hold, the command that
its loss gives the unit, and the cause by which the outputs are gated after the logic. A lost condition
stays latched until Clear; the first one lost is the first-out and is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from cellrt.packml import Command


class Cause(IntEnum):
    """Why outputs are taken from the logic; the higher number wins (IEC 60204-1, ISO 13849-1)."""

    NONE = 0
    STOP = 1
    PROCESS = 2
    COMMS = 3
    GUARD = 4
    ESTOP = 5


class Kind(IntEnum):
    """How an output goes to its safe value."""

    TO = 0
    HOLD = 1
    RUN_OUT = 2
    KEEP = 3
    STAY = 4


@dataclass(frozen=True)
class Reaction:
    """One output's answer to one cause: `value` at once, or after `after_s`, or when the cause or the scan ends."""

    kind: Kind
    value: bool | int | float
    after_s: float = 0.0


Reactions = Mapping[Cause, Reaction]

CAUSES = tuple(c for c in Cause if c is not Cause.NONE)


def to(value: bool | int | float) -> Reaction:
    """Go to `value` at once."""
    return Reaction(Kind.TO, value)


def hold(after_s: float, value: bool | int | float) -> Reaction:
    """Keep the last value for `after_s`, then go to `value`."""
    return Reaction(Kind.HOLD, value, after_s)


def stay(value: bool | int | float) -> Reaction:
    """Keep the last value as long as the cause lasts; `value` follows when a milder one takes over.

    For what must neither let go nor move behind an emergency stop: a clamp with work in it.
    """
    return Reaction(Kind.STAY, value)


def run_out(after_s: float, value: bool | int | float) -> Reaction:
    """Let the logic go on for `after_s`, then go to `value` (an oven's belt)."""
    return Reaction(Kind.RUN_OUT, value, after_s)


def keep(value: bool | int | float) -> Reaction:
    """Let the logic go on whatever happens, and go to `value` when the scan ends.

    For what sets nothing in motion, such as a request to another controller.
    """
    return Reaction(Kind.KEEP, value)


def always(reaction: Reaction) -> Reactions:
    """The same reaction to every cause."""
    return dict.fromkeys(CAUSES, reaction)


def safe(
    stop: Reaction, process: Reaction, comms: Reaction, guard: Reaction, estop: Reaction
) -> Reactions:
    """A reaction for each cause, all of them named."""
    return dict(zip(CAUSES, (stop, process, comms, guard, estop), strict=True))


@dataclass(frozen=True)
class Interlock:
    """`condition` names a bool tag or a method of the cell that must stay true.

    Its loss commands `command` and gates the outputs by `cause`. With `only_running` it is looked at
    only in PackML's Running states, so that a cell at rest may be emptied, opened or filled. It is called
    `name`, or as its condition.
    """

    condition: str
    cause: Cause = Cause.PROCESS
    command: Command = Command.ABORT
    only_running: bool = False
    name: str = ""


INPUTS_GOOD = Interlock("inputs_good", Cause.COMMS)
"""Every cell's first rule: stale or bad input counts as unsafe."""

IN_TIME = Interlock("in_time", Cause.PROCESS, name="overrun")
"""Every cell's last one: its task overran, and is to be stopped for that."""
