"""A line file's tables, each in shape or left out with its problems noted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from cellrt.line.model import (
    CellTable,
    DeviceTable,
    IoTable,
    LineFile,
    LineTable,
    ModbusTable,
    OpcuaTable,
    Shape,
    SimTable,
    TaskTable,
    shaped,
)
from cellrt.line.source import Source

M = TypeVar("M", bound=Shape)


@dataclass(frozen=True)
class Tables:
    """None stands for a table that is there but out of shape, so that its name is still known."""

    line: LineTable | None
    devices: Mapping[str, DeviceTable | None]
    cells: Mapping[str, CellTable | None]
    io: Mapping[str, str]
    tasks: Mapping[str, TaskTable | None]
    sim: SimTable
    opcua: OpcuaTable
    modbus: ModbusTable | None


def tables(source: Source) -> Tables:
    """The tables of a line file. One that is out of shape keeps no other from being read."""
    shaped(LineFile, source.data, (), source)
    line, modbus = source.data.get("line"), source.data.get("modbus")
    io = shaped(IoTable, {"io": _dict(source.data.get("io"))}, (), source)
    sim = shaped(SimTable, _dict(source.data.get("sim")), ("sim",), source)
    opcua = shaped(OpcuaTable, _dict(source.data.get("opcua")), ("opcua",), source)
    if source.data.get("cells") == {}:
        mend = 'add one: `[cells.infeed]`, `type = "cells.conveyor:Conveyor"`'
        source.fault(("cells",), "[cells] has no cell", mend)
    return Tables(
        shaped(LineTable, line, ("line",), source) if isinstance(line, dict) else None,
        _named(DeviceTable, "devices", source),
        _named(CellTable, "cells", source),
        io.io if io else {},
        _named(TaskTable, "tasks", source),
        sim or SimTable(),
        opcua or OpcuaTable(),
        shaped(ModbusTable, modbus, ("modbus",), source) if isinstance(modbus, dict) else None,
    )


def _named(model: type[M], section: str, source: Source) -> dict[str, M | None]:
    """`[section.NAME]`, each by its name."""
    named: dict[str, M | None] = {}
    for name, data in _dict(source.data.get(section)).items():
        if not name.isidentifier():
            what = f"{name!r} cannot name one of the {section}"
            mend = "use letters, digits and _, the first no digit"
            source.fault((section, name), what, mend)
        named[name] = shaped(model, data, (section, name), source)
    return named


def _dict(data: object) -> dict[str, object]:
    return data if isinstance(data, dict) else {}
