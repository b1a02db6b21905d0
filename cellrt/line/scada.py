"""`[opcua]`: who may look at the line, from where, and which tags have a history."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from cellrt.line.model import OpcuaTable, shown
from cellrt.line.problem import choose
from cellrt.line.source import Source
from cellrt.line.spec import CellSpec, OpcuaSpec
from cellrt.tags import leaves


def opcua(
    table: OpcuaTable, named: Iterable[str], cells: Mapping[str, CellSpec], source: Source
) -> OpcuaSpec:
    """The table, checked against the line's tags; its problems are noted. `named` are all cells of the
    file, `cells` those that are in shape.
    """
    try:
        near = ipaddress.ip_address(table.listen).is_loopback
    except ValueError:
        near = True
        what = f"opcua.listen = {shown(table.listen)} is no address"
        source.fault(("opcua", "listen"), what, 'write one of this machine\'s, or "127.0.0.1"')
    if not near and table.anonymous != "none":
        what = f"{table.listen} can be reached from elsewhere, so every client needs a name there"
        source.fault(("opcua", "listen"), what, 'say `anonymous = "none"`, or listen on 127.0.0.1')
    tags = {f"{name}.{path}" for name, cell in cells.items() for path, _ in leaves(cell.type)}
    unknown = set(named) - set(cells)
    for place, tag in enumerate(table.history):
        if tag not in tags and tag.partition(".")[0] not in unknown:
            source.fault(("opcua", "history", place), f"no tag {shown(tag)}", choose(tag, tags))
    return OpcuaSpec(table.listen, table.anonymous, tuple(dict.fromkeys(table.history)))
