"""A factory: one line file many times over, side by side in one scan.

```toml
[line]                            # as in any line file; it stands for the copied one's
name = "factory"
period_ms = 10

[copies]
file = "smt_line.toml"            # as seen from this file; its maps and recipes lie beside it
count = 20
params = { loader = { product = 4 } }     # what all copies have otherwise than the file
```

Copy 3 has `line_03_` before the name of each cell and device, and its devices listen 2 ports above those of the
file. A recipe's tables have the names of the file's cells, and are for each copy. Nothing leads from one copy
to another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cellrt.line.model import CopiesFile, CopiesTable, LineTable, shaped
from cellrt.line.problem import LineError, choose
from cellrt.line.source import Source, read
from cellrt.line.spec import HandoverSpec, LineSpec

PORT = re.compile(r"(?<=:)\d{1,5}(?=/|$)")
HIGHEST_PORT = 65_535


def load_copies(source: Source, path: Path, load: Callable[[Source, Path], LineSpec]) -> LineSpec:
    """The factory described by a file with a table `[copies]`; `load` makes a line of the copied one.

    Raises LineError: what is wrong in the copied file is told by that file's lines.
    """
    shaped(CopiesFile, source.data, (), source)
    data = source.data.get("copies")
    table = shaped(CopiesTable, data, ("copies",), source)
    line = shaped(LineTable, source.data.get("line", {}), ("line",), source)
    if table is None or line is None or source.problems:
        raise LineError(source.problems)
    copied = read(path.parent / table.file)
    if "copies" in copied.data:
        source.fault(("copies", "file"), f"{table.file} has copies itself", "name a line's file")
    cells = copied.data.get("cells", {})
    for name in table.params:
        if name not in cells:
            what = f"{table.file} has no cell {name!r}"
            source.fault(("copies", "params", name), what, choose(name, cells))
    if source.problems:
        raise LineError(source.problems)
    changed = {n: _with_params(cell, table.params.get(n, {})) for n, cell in cells.items()}
    merged = {**copied.data, "line": source.data["line"], "cells": changed}
    one = load(replace(copied, data=merged), path.parent / table.file)
    prefixes = tuple(f"line_{n:02}_" for n in range(1, table.count + 1))
    _check_ports(one, len(prefixes), source)
    recipes = str(Path(table.file).parent / one.recipes) if one.recipes else ""
    return replace(
        _multiplied(one, prefixes),
        path=path,
        text=source.text,
        copied=table.file,
        recipes=recipes,
    )


def _with_params(cell: Any, params: Mapping[str, Any]) -> Any:
    return {**cell, "params": {**cell.get("params", {}), **params}} if params else cell


def _check_ports(one: LineSpec, count: int, source: Source) -> None:
    for device in one.devices.values():
        if (port := PORT.search(device.address)) and int(port[0]) + count - 1 > HIGHEST_PORT:
            what = f"{count} copies of {device.name} need ports up to {int(port[0]) + count - 1}"
            source.fault(("copies", "count"), what, "give the device a lower one in its file")
    if source.problems:
        raise LineError(source.problems)


def _multiplied(one: LineSpec, prefixes: tuple[str, ...]) -> LineSpec:
    """A line once for each prefix."""
    devices = {
        p + name: replace(d, name=p + name, address=_moved(d.address, n))
        for n, p in enumerate(prefixes)
        for name, d in one.devices.items()
    }
    cells = {
        p + name: replace(
            c, name=p + name, io={tag: (p + device, point) for tag, (device, point) in c.io.items()}
        )
        for p in prefixes
        for name, c in one.cells.items()
    }
    handovers = tuple(
        HandoverSpec(f"{p}{h.giver}>{p}{h.taker}", p + h.upstream, p + h.downstream)
        for p in prefixes
        for h in one.handovers
    )
    return replace(
        one,
        devices=devices,
        cells=cells,
        handovers=handovers,
        sim=replace(one.sim, prefixes=prefixes),
        safety=tuple(p + name for p in prefixes for name in one.safety),
    )


def _moved(address: str, by: int) -> str:
    """An address whose port is so many higher."""
    return PORT.sub(lambda port: str(int(port[0]) + by), address)
