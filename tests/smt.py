"""The SMT line in virtual time: from cold or with a warm oven, changed in its line file, accounted for."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path

from virtual_line import S_NS, Line

from cellrt.supervisor import Goal

CELLS = Path(__file__).parents[1] / "cells"
SMT = CELLS / "smt_line.toml"
OUT = ("stored", "rejected", "rework", "scrapped")
TOLD = ("completed", "rejected", "rework", "scrapped")
MASS_PCT = {1: 100.0, 2: 70.0, 3: 140.0}
"""Of the three products' boards."""


def warm(product: int = 1) -> str:
    """The table [sim.start] of a plant whose oven is warm for a product, whose boards are loaded."""
    recipe = tomllib.loads((CELLS / "recipes" / f"product_{product}.toml").read_text())["reflow"]
    rows = [
        f'"reflow.zones.{n}.temperature_degC" = {recipe[f"zone_{n + 1}_degC"]}' for n in range(8)
    ]
    rows.append(f'"transport.stack_mass_pct" = {MASS_PCT[product]}')
    return "\n".join(["[sim.start]", *rows, ""])


def changed(folder: Path, *changes: tuple[str, str], end: str = "") -> Path:
    """A copy of the line file in `folder`, with changes, that finds the shipped maps."""
    text = SMT.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    text = text.replace('map = "', f'map = "{CELLS}/').replace('"recipes"', f'"{CELLS}/recipes"')
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
