"""A cell's PackML node: PackTags (ISA-TR88.00.02) and the methods of OPC 30050.

MachSpeed, CurMachSpeed and StateRequested are left out: cells have no common speed, and what is
requested is carried out in the scan that hears of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from asyncua import ua

from cellrt.opcua.commands import spoken
from cellrt.opcua.nodes import name_of
from cellrt.opcua.panel import Panel
from cellrt.opcua.space import Space
from cellrt.packml import Mode, State

Int32, Int64 = ua.VariantType.Int32, ua.VariantType.Int64
Boolean, String = ua.VariantType.Boolean, ua.VariantType.String


def add_unit(space: Space, cell: int, parent: ua.NodeId) -> None:
    """The PackML node of cell number `cell`, below the cell's folder."""
    name, nodes = space.plan.cells[cell], space.nodes
    root = nodes.object(parent, f"{name}.PackML", "PackML", "the cell as a PackML unit")
    folders = {
        part: nodes.folder(root, f"{name}.PackML.{part}", part)
        for part in ("Status", "Admin", "Command")
    }
    _add_status(space, f"{name}.unit", folders["Status"])
    _add_admin(space, f"{name}.unit", folders["Admin"], space.plan.rules(name))
    panel = Panel(nodes, folders["Command"], space.send, cell)
    space.writes.update(panel.add_tags())
    panel.add_methods(root)


def _add_status(space: Space, unit: str, parent: ua.NodeId) -> None:
    add = partial(_add, space, unit, parent)
    add("StateCurrent", "state", Int32)
    add("StateCurrentName", "state", String, partial(spoken, State))
    add("UnitModeCurrent", "mode", Int32)
    add("UnitModeCurrentName", "mode", String, partial(spoken, Mode))
    add("EquipmentBlocked", "blocked", Boolean)
    add("EquipmentStarved", "starved", Boolean)
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
