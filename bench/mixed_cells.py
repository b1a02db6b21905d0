"""What a cell costs in the scan, from ten to ten thousand: the SMT line's cells in turn, at work, unwired.

A cell at work is in Execute, its interlocks well; it waits for boards, as most cells do in most scans. Its
inputs and outputs are joined to no device, so reading and gating them is not in these figures.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from bench.loop import scan_ns
from bench.places import SMT_LINE
from bench.registry import Bench, Pair, Round, subject
from cellrt.line.load import load_line
from cellrt.line.spec import CellSpec, LineSpec, SimSpec
from cellrt.packml import State
from cellrt.runtime.scan import settle
from cellrt.scan.plan import Plan
from cellrt.scan.runner import Runner
from cellrt.tags import leaves

PERIOD_NS = 1_000_000
SIZES = (10, 1_000, 10_000)
QUICK_SIZES = (10, 20, 30)
CELL_SCANS, QUICK_CELL_SCANS = 100_000, 300
MOST_SCANS = 2_000
"""Two seconds: no step is late by then."""
WELL: Mapping[str, bool | int] = {
    "estop_released": True,
    "guards_closed": True,
    "arm.automatic": True,
    "paste_number_wanted": 0,
}
"""With these, and whatever else at its default, every cell's interlocks hold."""


class Crowd:
    """So many cells, which can be set back to where they began."""

    def __init__(self, count: int) -> None:
        types = [cell.type for cell in load_line(SMT_LINE).cells.values()]
        kinds = itertools.islice(itertools.cycle(types), count)
        cells = {f"c{n}": CellSpec(f"c{n}", kind, {}, {}, {}) for n, kind in enumerate(kinds)}
        spec = LineSpec("cells", Path(), PERIOD_NS, 1, {}, cells, (), SimSpec(), False, (), "")
        self.count, self.runner = count, Runner(Plan(spec))
        image = self.runner.image
        for name, cell in cells.items():
            image[f"{name}.unit.state"] = int(State.EXECUTE)
            for tag in WELL.keys() & {path for path, _ in leaves(cell.type)}:
                image[f"{name}.{tag}"] = WELL[tag]
        settle(self.runner)
        self._begin = image.bytes.copy(), self.runner.work.cells.copy()

    def cell_ns(self, cell_scans: int) -> float:
        """ns of a scan, a cell."""
        runner = self.runner
        runner.image.bytes[:], runner.work.cells[:] = self._begin
        runner.scan = 0
        scan_ns(runner, 2)
        return scan_ns(runner, min(max(cell_scans // self.count, 2), MOST_SCANS)) / self.count

    def at_work(self) -> bool:
        """No cell has left Execute."""
        states = [self.runner.image[f"{name}.unit.state"] for name in self.runner.plan.cells]
        return bool(np.all(np.array(states) == State.EXECUTE))


@subject(
    Bench("cells_10", "ns/cell", "10 cells"),
    Bench("cells_1000", "ns/cell", "10 cells"),
    Bench("cells_10000", "ns/cell", "10 cells"),
)
def cells(quick: bool) -> Iterator[Round]:
    """The same figure for each size, beside that of ten cells."""
    crowds = [Crowd(size) for size in (QUICK_SIZES if quick else SIZES)]
    cell_scans = QUICK_CELL_SCANS if quick else CELL_SCANS

    def one_round() -> Mapping[str, Pair]:
        told = {}
        for size, crowd in zip(SIZES, crowds, strict=True):
            few = crowds[0].cell_ns(cell_scans)
            told[f"cells_{size}"] = Pair(crowd.cell_ns(cell_scans), few)
        return told

    one_round()
    if not all(crowd.at_work() for crowd in crowds):
        raise RuntimeError("a cell left Execute while it was measured")
    yield one_round
