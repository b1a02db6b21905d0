"""A cell's PackML node: the unit of OPC 30050, and the PackTags of ISA-TR88.00.02 beside it.

What is as OPC 30050 has it bears a name in its namespace; tags of another shape there (counts that are
structures, modes that are an enumeration's node) bear one in the line's own. MachSpeed, CurMachSpeed and
StateRequested are left out: cells have no common speed, and what is requested is carried out in the scan
that hears of it.
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
from cellrt.packml import Command, Mode, State

Int32, Int64 = ua.VariantType.Int32, ua.VariantType.Int64
Boolean, String = ua.VariantType.Boolean, ua.VariantType.String
LocalizedText, NodeId = ua.VariantType.LocalizedText, ua.VariantType.NodeId
UInt32 = ua.VariantType.UInt32

VERSION = "2022"
"""Of ISA-TR88.00.02."""


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
    _add_admin(space, f"{name}.unit", admin, space.plan.rules(name))
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


def _add_admin(space: Space, unit: str, parent: ua.NodeId, rules: tuple[str, ...]) -> None:
    def tripped(bits: int) -> list[str]:
        return [rule for n, rule in enumerate(rules) if bits >> n & 1]

    add = partial(_add, space, unit, parent)
    first_out = "the interlock that tripped first"
    add("StopReason", "first_out", String, dict(enumerate(("", *rules))).get, doc=first_out)
    since = "interlocks that tripped since the last Clear"
    add("Alarm", "tripped", String, tripped, doc=since, is_array=True)
    add("ProdProcessedCount", "boards_out", Int64, doc="boards handed on")
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
