"""The SMT line in virtual time: from cold or with a warm oven, changed in its line file, accounted for."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from virtual_line import S_NS, Line

from cellrt.supervisor import Goal

CELLS = Path(__file__).parents[1] / "cells"
SMT = CELLS / "smt_line.toml"
OUT = ("stored", "rejected", "rework", "scrapped")
TOLD = ("completed", "rejected", "rework", "scrapped")
ZONES_DEGC = (105.0, 138.0, 158.0, 172.0, 188.0, 220.0, 252.0, 258.0)
"""Of the oven, as its recipe for product 1 has them."""


def warm() -> str:
    """The table [sim.start] of a plant whose oven is warm."""
    rows = [f'"reflow.zones.{n}.temperature_degC" = {t}' for n, t in enumerate(ZONES_DEGC)]
    return "\n".join(["[sim.start]", *rows, ""])


def changed(folder: Path, *changes: tuple[str, str], end: str = "") -> Path:
    """A copy of the line file in `folder`, with changes, that finds the shipped maps."""
    text = SMT.read_text()
    for old, new in (*changes, ('map = "', f'map = "{CELLS}/')):
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "smt_line.toml"
    path.write_text(f"{text}\n{end}")
    return path


def started(path: Path = SMT, seed: int | None = None) -> Line:
    """The line, told to run."""
    line = Line(path, seed=seed)
    line.pursue(Goal.RUN)
    return line


def accounted(line: Line) -> bool:
    """The plant's boards are all somewhere, once, and the line's journal says the same of them."""
    census, boards = line.census(), line.journal.boards
    out = [census[name] for name in OUT]
    told = [boards[name] for name in TOLD]
    return census["entered"] == sum(out) + census["in_line"] and out == told


def gaps_s(line: Line, cell: str) -> list[float]:
    """Times between boards that left a cell, once it works in turn with the others."""
    entries = line.journal.entries(10**9, cell)
    times = [e["t_ns"] / S_NS for e in entries if e["event"] == "BoardOut"]
    return [b - a for a, b in pairwise(times[10:])]
