"""A device's documentation, made from its declaration."""

from __future__ import annotations

import inspect

from cellrt.tags import find
from cellrt.wire import Point
from hw_sim.device import SimDevice

COLUMNS = ("address", "type", "access", "scale", "unit", "default", "name", "meaning")


def document(device: type[SimDevice]) -> str:
    """Title, behaviour, how it is reached and one row a point, as Markdown."""
    what = device.device_map
    reached = (
        f"Modbus TCP, unit {what.unit_id}; addresses count from 0, 32-bit values high word first."
        if what.protocol == "modbus"
        else f"OPC UA, namespace `{what.namespace}`; addresses are string node identifiers."
    )
    watchdog = (
        f"Goes safe when the heartbeat stands still for {what.watchdog_ms:g} ms (wall time); "
        "afterwards nothing moves before its command is given anew."
    )
    rows = [COLUMNS, *(_row(device, p) for p in device.points)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(COLUMNS))]
    table = [_line(row, widths) for row in rows]
    table.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    text = (f"## {device.__name__}", inspect.cleandoc(device.__doc__ or ""), reached, watchdog)
    return "\n\n".join((*text, "\n".join(table)))


def _row(device: type[SimDevice], point: Point) -> tuple[str, ...]:
    tag = find(device, point.name).field
    scale = "" if point.scale == 1.0 else f"{point.scale:g}"
    default = "" if tag.default is None else str(tag.default).lower().removesuffix(".0")
    access = "write" if point in device.written() else "read"
    return (point.address, point.wire.value, access, scale, tag.unit, default, point.name, tag.doc)


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
    return f"| {' | '.join(cells)} |"
