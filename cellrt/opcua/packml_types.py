"""What OPC 30050 (PackML) adds to an address space: its namespace, its types, and their states.

Only as much as a client needs to know a unit by its type and a state by its node: numbers and names are
those of the OPC Foundation's nodeset, version 1.01.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from asyncua import ua
from asyncua.ua.object_ids import ObjectIds

from cellrt.opcua.nodes import Nodes, standard
from cellrt.packml import Command, State

PACKML_URI = "http://opcfoundation.org/UA/PackML/"
PACKML = 2
"""Index of its namespace in the server."""

RUNNING, CLEARED = 18, 19
"""Superstates: any state with work to do or done; any but aborting and aborted."""

UNIT, STATUS, ADMIN = 6, 4, 5
"""Types of a unit's objects."""

_ABORTED = (State.ABORTING, State.ABORTED)
_AT_REST = (State.CLEARING, State.STOPPED, State.STOPPING)


@dataclass(frozen=True)
class Machine:
    """One of the three state machines that stand inside each other. `states` has each state's node by
    its number, `of` the machine's own state, by the unit's; None while it is not active.
    """

    name: str
    kind: int
    kind_name: str
    states: Mapping[int, int]
    of: Callable[[int], int | None]
    commands: tuple[Command, ...]

    def text(self, state: int) -> ua.LocalizedText | None:
        """The state's name."""
        own = self.of(state)
        return None if own is None else ua.LocalizedText(state_name(own))

    def node(self, state: int) -> ua.NodeId | None:
        """The state's node, among the type's."""
        own = self.of(state)
        return None if own is None else in_packml(self.states[own])


def _base(state: int) -> int | None:
    if state == State.UNDEFINED:
        return None
    return state if state in _ABORTED else CLEARED


def _machine(state: int) -> int | None:
    if _base(state) != CLEARED:
        return None
    return state if state in _AT_REST else RUNNING


def _execute(state: int) -> int | None:
    return state if _machine(state) == RUNNING else None


_EXECUTE_STATES: dict[int, int] = {
    State.RESETTING: 27,
    State.IDLE: 28,
    State.STARTING: 29,
    State.SUSPENDING: 30,
    State.SUSPENDED: 31,
    State.UNSUSPENDING: 32,
    State.HOLDING: 33,
    State.HELD: 34,
    State.UNHOLDING: 35,
    State.EXECUTE: 36,
    State.COMPLETING: 37,
    State.COMPLETE: 38,
}
_EXECUTE_COMMANDS = (
    Command.RESET,
    Command.START,
    Command.HOLD,
    Command.UNHOLD,
    Command.SUSPEND,
    Command.UNSUSPEND,
    Command.COMPLETE,
)

MACHINES = (
    Machine(
        "BaseStateMachine",
        3,
        "PackMLBaseStateMachineType",
        {State.ABORTING: 61, State.ABORTED: 62, CLEARED: 71},
        _base,
        (Command.ABORT, Command.CLEAR),
    ),
    Machine(
        "MachineState",
        2,
        "PackMLMachineStateMachineType",
        {State.STOPPED: 53, State.STOPPING: 54, State.CLEARING: 55, RUNNING: 75},
        _machine,
        (Command.STOP, Command.RESET),
    ),
    Machine(
        "ExecuteState",
        1,
        "PackMLExecuteStateMachineType",
        _EXECUTE_STATES,
        _execute,
        _EXECUTE_COMMANDS,
    ),
)
"""Each is a part of the one before."""


def in_packml(number: int) -> ua.NodeId:
    """A node of the nodeset."""
    return ua.NodeId(ua.Int32(number), ua.Int16(PACKML))


def state_name(number: int) -> str:
    """A state's or a superstate's name.

    >>> state_name(6), state_name(18)
    ('Execute', 'Running')
    """
    return {RUNNING: "Running", CLEARED: "Cleared"}.get(number) or State(number).name.capitalize()


def method_name(command: Command) -> str:
    """A command's method; Complete is a state's name already."""
    return "ToComplete" if command is Command.COMPLETE else command.name.capitalize()


def add_types(nodes: Nodes) -> None:
    """The types, and the states of the state machines' types."""
    base, machine = standard(ObjectIds.BaseObjectType), standard(ObjectIds.FiniteStateMachineType)
    for number, name in (
        (STATUS, "PackMLStatusObjectType"),
        (ADMIN, "PackMLAdminObjectType"),
        (UNIT, "PackMLBaseObjectType"),
    ):
        nodes.object_type(base, in_packml(number), name)
    for each in MACHINES:
        kind = nodes.object_type(machine, in_packml(each.kind), each.kind_name)
        for state, node in each.states.items():
            nodes.state(kind, in_packml(node), state_name(state), state)
