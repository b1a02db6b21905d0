"""A line made visible: tables for `cellrt check --show`, diagrams for `cellrt diagram`."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group
from rich.table import Table
from rich.text import Text

from cellrt.cell import Cell
from cellrt.interlock import Kind, Reaction, Reactions
from cellrt.line.spec import CellSpec, LineSpec
from cellrt.line.values import bounds
from cellrt.packml import PACKML
from cellrt.tags import Field, Role, leaves
from cellrt.wire import Point

SHOWN = (Role.INPUT, Role.OUTPUT, Role.PARAMETER)


def show(line: LineSpec) -> Group:
    """The whole line: its devices, its handovers, and each cell's tags with where they go."""
    return Group(_devices(line), _handovers(line), *(_cell(line, c) for c in line.cells.values()))


def diagram(cell: type[Cell]) -> str:
    """Markdown with two mermaid state diagrams: the unit's PackML states, the steps of Execute."""
    parts = [f"# {cell.type_name()}", _fenced("PackML", PACKML.mermaid())]
    if cell.sequence.steps:
        parts.append(_fenced("Steps in Execute", cell.sequence.mermaid()))
    return "\n\n".join(parts) + "\n"


def reactions_text(reactions: Reactions) -> str:
    """An output's safe reactions, causes with the same one put together.

    >>> from cellrt.interlock import always, hold, safe, to
    >>> reactions_text(always(to(False)))
    'false'
    >>> reactions_text(safe(to(0.0), to(0.0), hold(2.0, 0.0), to(0.0), to(0.0)))
    'stop, process, guard, estop: 0; comms: hold 2 s, 0'
    """
    causes: dict[str, list[str]] = {}
    for cause, reaction in sorted(reactions.items()):
        causes.setdefault(_reaction_text(reaction), []).append(cause.name.lower())
    if len(causes) == 1:
        return next(iter(causes))
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in causes.items())


def _reaction_text(reaction: Reaction) -> str:
    way = {
        Kind.TO: "",
        Kind.HOLD: f"hold {reaction.after_s:g} s, ",
        Kind.RUN_OUT: f"run out {reaction.after_s:g} s, ",
        Kind.KEEP: "logic, then ",
        Kind.STAY: "stay, then ",
    }[reaction.kind]
    return way + _value(reaction.value)


def _value(value: bool | int | float) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def _fenced(title: str, mermaid: str) -> str:
    return f"## {title}\n\n```mermaid\n{mermaid}\n```"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _rows(table: Table, rows: Iterator[tuple[object, ...]]) -> Table:
    """Cells as plain text: a name in brackets is no markup."""
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table


def _devices(line: LineSpec) -> Table:
    title = f"{line.name}: a scan every {line.period_ns / 1e6:g} ms"
    columns = "device", "protocol", "address", "map", "poll ms", "stale ms", "recover ms"
    table = _table(title, *columns, "watchdog ms", "sim")
    return _rows(
        table,
        (
            (
                d.name,
                d.map.protocol,
                d.address,
                d.map.path,
                *(f"{ms:g}" for ms in (d.poll_ms, d.stale_ms, d.recover_ms)),
                f"{d.map.watchdog_ms:g}" if d.map.heartbeat else "none",
                d.sim or "",
            )
            for d in line.devices.values()
        ),
    )


def _handovers(line: LineSpec) -> Table:
    table = _table("handovers", "from", "to")
    return _rows(table, ((h.upstream, h.downstream) for h in line.handovers))


def _cell(line: LineSpec, cell: CellSpec) -> Table:
    title = f"{cell.name}: {cell.type.type_name()}"
    columns = "tag", "role", "point", "address", "type", "scale", "unit", "range"
    table = _table(title, *columns, "safe reaction, or value")
    return _rows(
        table,
        (_tag(line, cell, path, field) for path, field in leaves(cell.type) if field.role in SHOWN),
    )


def _tag(line: LineSpec, cell: CellSpec, path: str, field: Field) -> tuple[object, ...]:
    where, point = "", None
    if path in cell.io:
        device, name = cell.io[path]
        where, point = f"{device}.{name}", line.devices[device].map.find(name)
    last = ""
    if field.role is Role.OUTPUT:
        last = reactions_text(cell.safe[path])
    elif field.role is Role.PARAMETER and field.default is not None:
        last = _value(cell.params.get(path, field.default))
    kind = field.kind.__name__
    width = f"{kind} as {point.wire.value}" if point and point.wire.value != kind else kind
    address = point.address if point else ""
    return (
        path,
        field.role.value,
        where,
        address,
        width,
        _scale(point),
        field.unit,
        bounds(field),
        last,
    )


def _scale(point: Point | None) -> str:
    if point is None or (point.scale, point.offset) == (1.0, 0.0):
        return ""
    return f"{point.scale:g}" + (f" {point.offset:+g}" if point.offset else "")
