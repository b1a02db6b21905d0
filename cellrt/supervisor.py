"""The supervisor: what the line is to do as a whole. It sees states and sends commands, nothing else.

It is asked at logical times, in the twin as in a running line, and it reads no clock, so that a whole
week is as deterministic as a scan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from cellrt.interlock import Cause
from cellrt.packml import Command, State
from cellrt.scan.commands import Operation, Origin
from cellrt.scan.plan import Plan

EXPIRES_AFTER_NS = 5_000_000_000
"""A command that no scan has taken by then is no longer meant."""

FIRST_RULE = 1
"""First-out of a cell whose inputs were not good: that is every cell's first rule."""

Read = Callable[[str], bool | int | float]
"""Reads a tag of the latest snapshot by name."""


class Goal(Enum):
    """What whoever is in command wants of the line."""

    REST = "rest"
    RUN = "run"
    STOP = "stop"
    ABORT = "abort"


@dataclass
class Commander:
    """Numbers commands. `number` is the last one given."""

    epoch: int
    origin: Origin
    number: int = 0
    last_event: int = 0

    def command(self, operation: Operation, target: int, argument: int, now_ns: int) -> list[int]:
        """The eight words of a command."""
        self.number += 1
        expires_ns = now_ns + EXPIRES_AFTER_NS
        return [
            self.number,
            self.origin,
            operation,
            target,
            argument,
            expires_ns,
            self.last_event,
            self.epoch,
        ]


_WAY: dict[Goal, dict[State, Command]] = {
    Goal.REST: {},
    Goal.RUN: {
        State.ABORTED: Command.CLEAR,
        State.STOPPED: Command.RESET,
        State.COMPLETE: Command.RESET,
        State.IDLE: Command.START,
        State.HELD: Command.UNHOLD,
    },
    Goal.STOP: {
        s: Command.STOP
        for s in State
        if s
        not in (
            State.UNDEFINED,
            State.STOPPED,
            State.STOPPING,
            State.ABORTING,
            State.ABORTED,
            State.CLEARING,
        )
    },
    Goal.ABORT: {
        s: Command.ABORT for s in State if s not in (State.UNDEFINED, State.ABORTING, State.ABORTED)
    },
}
"""The command that brings a unit nearer to a goal, by the state that it is in."""


class Supervisor:
    """Brings every cell to the goal, each by one command a state visited.

    `RUN` was asked for by a person: it clears and starts what is aborted once, and then leaves alone what
    aborts again. The first cell that comes to Execute gives the warning; the others follow it.
    """

    def __init__(self, plan: Plan, commander: Commander) -> None:
        self._plan = plan
        self.commander = commander
        self.goal = Goal.REST
        self._answered: dict[str, int] = {}
        self._cleared: set[str] = set()
        self._worked: set[str] = set()

    def pursue(self, goal: Goal) -> None:
        """Take up a goal."""
        self.goal = goal
        self._answered.clear()
        self._cleared.clear()
        self._worked.clear()

    def decide(self, now_ns: int, read: Read) -> list[list[int]]:
        """Commands for this moment, from the states that `read` shows."""
        commands = []
        for number, cell in enumerate(self._plan.cells):
            state = State(int(read(f"{cell}.unit.state")))
            since_ns = int(read(f"{cell}.unit.state_since_ns"))
            if state is State.EXECUTE:
                self._worked.add(cell)
            wanted = _WAY[self.goal].get(state)
            if wanted is None or self._answered.get(cell) == since_ns:
                continue
            if wanted in (Command.CLEAR, Command.RESET) and not read(f"{cell}.unit.io_good"):
                continue
            if wanted is Command.CLEAR and not self._may_clear(cell, read):
                continue
            if wanted is Command.UNHOLD and int(read(f"{cell}.unit.first_out")):
                continue
            self._answered[cell] = since_ns
            commands.append(self.commander.command(Operation.PACKML, number, int(wanted), now_ns))
        return commands

    def reached(self, read: Read) -> bool:
        """Every cell is where the goal wants it (or aborted, where only a person helps)."""
        states = [State(int(read(f"{cell}.unit.state"))) for cell in self._plan.cells]
        ends: dict[Goal, tuple[State, ...]] = {
            Goal.REST: tuple(State),
            Goal.RUN: (State.EXECUTE, State.SUSPENDED, State.HELD, State.ABORTED),
            Goal.STOP: (State.STOPPED, State.ABORTED),
            Goal.ABORT: (State.ABORTED,),
        }
        return all(state in ends[self.goal] for state in states)

    def _may_clear(self, cell: str, read: Read) -> bool:
        """Once for each request: what aborts again wants a person to look.

        Devices that were not there yet are no fault of a cell that has not worked yet.
        """
        waited_for_devices = int(read(f"{cell}.unit.first_out")) == FIRST_RULE
        if cell in self._cleared and (cell in self._worked or not waited_for_devices):
            return False
        self._cleared.add(cell)
        return True


def may_restart(plan: Plan, read: Read) -> bool:
    """Whether the line may start by itself after a fault: all of what specs for unattended running ask.

    The line file allows it, the key was turned locally, the guards were not opened since, and no cell's
    first-out was an e-stop or a guard.
    """
    if not plan.line.unattended:
        return False
    for cell in plan.cells:
        if int(read(f"{cell}.unit.cause")) >= Cause.GUARD:
            return False
    armed = [c for c in plan.cells if "unattended_armed" in plan.line.cells[c].type.fields]
    return bool(armed) and all(
        read(f"{c}.unattended_armed") and read(f"{c}.guards_unbroken") for c in armed
    )
