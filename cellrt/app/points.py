"""`cellrt io`: every point of a line's devices, for checking out the wiring."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

LOOK_EVERY_S = 0.2
WIDTH_PIPED = 160

Look = Callable[[], list[dict[str, Any]]]
"""The points as they are now."""


def show(look: Look) -> None:
    """Live on a terminal, until Ctrl-C; else once. Raises ControlError."""
    console = Console()
    if not console.is_terminal:
        Console(width=WIDTH_PIPED).print(table(look()))
        return
    with suppress(KeyboardInterrupt), Live(table(look()), console=console, screen=True) as live:
        while True:
            time.sleep(LOOK_EVERY_S)
            live.update(table(look()))


def table(points: list[dict[str, Any]]) -> Table:
    """One row a point; what is forced and what is bad stands out."""
    shown = Table()
    for name in (
        "device",
        "",
        "point",
        "address",
        "wire",
        "raw",
        "value",
        "quality",
        "tags",
        "forced",
    ):
        shown.add_column(name, justify="right" if name in ("raw", "value") else "left")
    for p in points:
        forced = "" if p["forced"] is None else f"FORCED {_shown(p['forced'])}"
        shown.add_row(
            p["device"],
            {"input": "in", "output": "out"}[p["role"]],
            p["point"],
            p["address"],
            p["wire"],
            _shown(p["raw"]),
            _shown(p["value"]),
            Text("good" if p["good"] else "BAD", style="" if p["good"] else "bold red"),
            ", ".join(p["tags"]) or "-",
            Text(forced, style="bold red"),
        )
    return shown


def _shown(value: bool | int | float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
