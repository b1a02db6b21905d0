"""The table `[modbus]`, checked: where the line is served, what is shown and what may be written.

```toml
[modbus]
port = 502
tags = ["printer.*", "infeed.run"]    # `*` is what stands between two dots; "*.*" if not given
write = ["printer.pressure_N_wanted", "printer.CntrlCmd", "printer.UnitMode"]    # nothing if not given
```
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address

from cellrt.cell import Cell
from cellrt.line.modbus_map import ADDRESSES, COMMAND_NAMES, make_map
from cellrt.line.model import ModbusTable, shown
from cellrt.line.problem import choose
from cellrt.line.source import Source
from cellrt.line.spec import ModbusSpec
from cellrt.line.tables import Tables
from cellrt.tags import Field, Role, leaves

AT = "modbus"


def modbus(
    file: Tables, kinds: Mapping[str, type[Cell] | None], source: Source
) -> ModbusSpec | None:
    """What the file says of the Modbus server; None when it has none, or it is at fault."""
    table, cells = file.modbus, {name: kind for name, kind in kinds.items() if kind is not None}
    if table is None or len(cells) < len(kinds):
        return None
    _check_host(table, source)
    fields = {f"{name}.{path}": f for name, kind in cells.items() for path, f in leaves(kind)}
    write = tuple(dict.fromkeys(table.write))
    for name in write:
        _check_writable(name, fields, cells, source)
    tags = dict.fromkeys(tag for p in table.tags for tag in _matching(p, fields, source))
    tags.update(dict.fromkeys(name for name in write if name in fields))
    spec = ModbusSpec(table.host, table.port, tuple(tags), write)
    size = make_map(cells, tuple(file.devices), spec).size
    if size > ADDRESSES:
        what = f"the Modbus map takes {size} addresses, of which there are {ADDRESSES}"
        source.fault((AT, "tags"), what, "name fewer tags")
    return spec


def exposure(spec: ModbusSpec | None, source: Source) -> list[str]:
    """A warning when others than this machine's own processes can reach the server."""
    if spec is None or IPv4Address(spec.host).is_loopback:
        return []
    what = f"modbus.host {spec.host} can be reached from elsewhere, and Modbus knows no users"
    mend = "whoever reaches it may read all that is shown, and write what `write` names"
    return [str(source.problem((AT, "host"), what, mend))]


def _check_host(table: ModbusTable, source: Source) -> None:
    try:
        IPv4Address(table.host)
    except ValueError:
        what = f"modbus.host is {shown(table.host)} but must be an IPv4 address of this machine"
        source.fault((AT, "host"), what, 'write `host = "127.0.0.1"`')


def _check_writable(
    name: str, fields: Mapping[str, Field], cells: Mapping[str, type[Cell]], source: Source
) -> None:
    """Parameters, and the cells' command registers."""
    commands = [f"{cell}.{command}" for cell in cells for command in COMMAND_NAMES]
    if name in commands or (name in fields and fields[name].role is Role.PARAMETER):
        return
    there = [*(tag for tag, f in fields.items() if f.role is Role.PARAMETER), *commands]
    what, mend = f"no parameter or command {shown(name)}", choose(name, there)
    if name in fields:
        what = f"{name} is {fields[name].role.value}, not parameter, and cannot be written"
        mend = f"name a parameter, or a command such as {commands[0]!r}"
    elif "*" in name:
        what, mend = f"{shown(name)} in `write` is a pattern", "name in full what may be written"
    source.fault((AT, "write"), what, mend)


def _matching(pattern: str, fields: Mapping[str, Field], source: Source) -> list[str]:
    """Tags that match; clocks have to be named in full."""
    if pattern in fields:
        return [pattern]
    parts = (re.escape(part) for part in re.split(r"\*+", pattern))
    matches = re.compile(r"[^.]*".join(parts)).fullmatch
    tags = [tag for tag, field in fields.items() if matches(tag) and not _is_clock(tag, field)]
    if not tags and "*" not in pattern:
        source.fault((AT, "tags"), f"no tag {shown(pattern)}", choose(pattern, fields))
    elif not tags and pattern not in ModbusTable.model_fields["tags"].default:
        mend = choose(pattern, (f"{tag.partition('.')[0]}.*" for tag in fields))
        source.fault((AT, "tags"), f"no tag matches {shown(pattern)}", mend)
    return tags


def _is_clock(tag: str, field: Field) -> bool:
    return field.unit == "ns" or tag.endswith(".dt_s")
