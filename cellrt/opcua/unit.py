"""A cell's PackML node: the unit of OPC 30050, and the PackTags of ISA-TR88.00.02 beside it.

What is as OPC 30050 has it bears a name in its namespace; tags of another shape there (counts that are
structures, modes that are an enumeration's node) bear one in the line's own. Speeds are in boards a minute:
MachSpeed is what the line is planned for, its takt, and no setpoint, since cells take boards as they come;
so there is no SetMachSpeed. StateRequested is left out: what is requested is carried out in the scan that
hears of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from asyncua import ua
from asyncua.ua.object_ids import ObjectIds

from cellrt.opcua.commands import spoken
from cellrt.opcua.nodes import name_of
from cellrt.opcua.packml_types import ADMIN, MACHINES, PACKML, STATUS, UNIT, in_packml
from cellrt.opcua.panel import Panel
from cellrt.opcua.space import Space
from cellrt.opcua.units import engineering_units
from cellrt.packml import Command, Mode, State

Int32, Int64 = ua.VariantType.Int32, ua.VariantType.Int64
Boolean, String = ua.VariantType.Boolean, ua.VariantType.String
LocalizedText, NodeId = ua.VariantType.LocalizedText, ua.VariantType.NodeId
UInt32 = ua.VariantType.UInt32

VERSION = "2022"
"""Of ISA-TR88.00.02."""

MOST_PER_MIN = 60.0
"""Boards a minute that no line of cells comes near: the end of a speed's range."""


def add_unit(space: Space, cell: int, parent: ua.NodeId) -> None:
    """The PackML node of cell number `cell`, below the cell's folder."""
    name, nodes = space.plan.cells[cell], space.nodes
    root = nodes.object(
        parent, f"{name}.PackML", "PackML", "the cell as a PackML unit", kind=in_packml(UNIT)
    )
    for key, value in (("TagID", name), ("PackMLVersion", VERSION)):
        text = ua.Variant(value, String)
        nodes.variable(root, f"{name}.PackML.{key}", key, text, property_of=PACKML)
    status, admin = (
        nodes.object(root, f"{name}.PackML.{part}", part, kind=in_packml(kind), names_in=PACKML)
        for part, kind in (("Status", STATUS), ("Admin", ADMIN))
    )
    command = nodes.folder(root, f"{name}.PackML.Command", "Command")
    _add_status(space, f"{name}.unit", status)
    _add_speeds(space, cell, status)
    _add_admin(space, f"{name}.unit", admin, space.plan.rules(name))
    _add_times(space, cell, admin)
    panel = Panel(nodes, command, space.send, cell)
    space.writes.update(panel.add_tags())
    panel.add_methods(root, _add_machines(space, f"{name}.unit.state", root))


def _add_machines(space: Space, tag: str, root: ua.NodeId) -> dict[Command, list[ua.NodeId]]:
    """The state machines, each a part of the one before; which of them have each command's method."""
    owners: dict[Command, list[ua.NodeId]] = {}
    parent = root
    for machine in MACHINES:
        identifier = f"{name_of(parent)}.{machine.name}"
        kind = in_packml(machine.kind)
        parent = space.nodes.object(parent, identifier, machine.name, kind=kind, names_in=PACKML)
        current = space.add_row(
            parent,
            f"{identifier}.CurrentState",
            "CurrentState",
            tag,
            LocalizedText,
            machine.text,
            kind=ObjectIds.FiniteStateVariableType,
            names_in=0,
        )
        add = partial(space.add_row, current, tag=tag, property_of=0)
        add(f"{identifier}.Id", "Id", variant_type=NodeId, show=machine.node)
        add(f"{identifier}.Number", "Number", variant_type=UInt32, show=machine.of)
        for command in machine.commands:
            owners.setdefault(command, []).append(parent)
    return owners


def _add_status(space: Space, unit: str, parent: ua.NodeId) -> None:
    add = partial(_add, space, unit, parent)
    add("StateCurrent", "state", Int32)
    add("StateCurrentName", "state", String, partial(spoken, State))
    add("UnitModeCurrent", "mode", Int32, names_in=PACKML)
    add("UnitModeCurrentName", "mode", String, partial(spoken, Mode))
    add("EquipmentBlocked", "blocked", Boolean, names_in=PACKML)
    add("EquipmentStarved", "starved", Boolean, names_in=PACKML)
    name = "UnitSupportedModes"
    modes = ua.Variant(sum(1 << mode for mode in Mode), Int32)
    space.nodes.variable(parent, f"{name_of(parent)}.{name}", name, modes, doc="bit n: mode n")


def _add_speeds(space: Space, cell: int, parent: ua.NodeId) -> None:
    takt_s, analog = space.plan.line.takt_s, ObjectIds.AnalogItemType
    planned = ua.Variant(60.0 / takt_s if takt_s else 0.0, ua.VariantType.Float)
    doc = "what the line is planned for; 0: its file gives no takt"
    identifier = f"{name_of(parent)}.MachSpeed"
    speeds = (
        space.nodes.variable(
            parent, identifier, "MachSpeed", planned, doc=doc, kind=analog, names_in=PACKML
        ),
        space.add_figure(
            parent,
            "CurMachSpeed",
            cell,
            "boards_per_min",
            names_in=PACKML,
            doc="boards handed on, mean of the last ten in this Execute; 0 in any other state",
            kind=analog,
        ),
    )
    for node in speeds:
        space.nodes.standard_property(node, "EngineeringUnits", engineering_units("boards/min"))
        space.nodes.standard_property(node, "EURange", ua.Range(0.0, MOST_PER_MIN))


def _add_times(space: Space, cell: int, parent: ua.NodeId) -> None:
    """Times in s of logical time, at the numbers of modes and states; what they are of is now or over all."""
    for name, figure, doc in (
        ("AccTimeSinceReset", "since_reset_s", "time since ResetCounters, the line switched on"),
        ("ModeCurrentTime", "mode_now_s", "time in the present mode; 0 for others"),
        ("ModeCumulativeTime", "mode_s", "time in each mode since ResetCounters"),
        ("StateCurrentTime", "state_now_s", "by mode: time in the present state; 0 for others"),
        ("StateCumulativeTime", "state_s", "by mode: time in each state since ResetCounters"),
    ):
        space.add_figure(parent, name, cell, figure, names_in=PACKML, doc=doc)


def _add_admin(space: Space, unit: str, parent: ua.NodeId, rules: tuple[str, ...]) -> None:
    def tripped(bits: int) -> list[str]:
        return [rule for n, rule in enumerate(rules) if bits >> n & 1]

    add = partial(_add, space, unit, parent)
    first_out = "the interlock that tripped first"
    add("StopReason", "first_out", String, dict(enumerate(("", *rules))).get, doc=first_out)
    since = "interlocks that tripped since the last Clear"
    add("Alarm", "tripped", String, tripped, doc=since, is_array=True)
    add("ProdConsumedCount", "boards_in", Int64, doc="boards taken over since ResetCounters")
    add("ProdProcessedCount", "boards_out", Int64, doc="boards handed on since then")
    add("ProdDefectiveCount", "defective_out", Int64, doc="of these, failed ones")


def _add(
    space: Space,
    unit: str,
    parent: ua.NodeId,
    name: str,
    tag: str,
    kind: ua.VariantType,
    show: Callable[[Any], Any] | None = None,
    **more: Any,
) -> None:
    """A tag of the unit under its PackML name."""
    identifier = f"{name_of(parent)}.{name}"
    space.add_row(parent, identifier, name, f"{unit}.{tag}", kind, show, **more)
