"""An empty cycle: 5,000 tags, no logic. What a scan does from its waking to its end, all of it.

Beside a C loop that copies an image of that size in and out, as OpenPLC does around its logic.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from bench.native import built
from bench.places import IDLE
from bench.processes import line
from bench.registry import Bench, Pair, Round, Spread, subject
from bench.wake import PERIOD_NS, c_loop, percentile, since, spread_of
from cellrt.shared.memory import Role

SCANS, QUICK_SCANS = 2_000, 100
STALLS = 0.999
"""What took longer than this share was the machine's doing."""


def usual(spread: Spread) -> float:
    """The mean without stalls: a snapshot in every twentieth scan counts, and a stall of the host does not."""
    kept = spread.values <= percentile(spread, STALLS)
    return float(np.average(spread.values[kept], weights=spread.counts[kept]))


@subject(
    Bench("empty_cycle", "us", "C loop with a copied image"),
    Bench("empty_cycle_mean", "us", "C loop with a copied image"),
)
def empty_cycle(quick: bool) -> Iterator[Round]:
    """The median, and the mean: each without the clock, which both read twice."""
    scans = QUICK_SCANS if quick else SCANS
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        with line(IDLE, folder / "line") as ours:
            program, words = built("wake.c", folder), ours.plan.layout.nbytes // 8
            ours.start(Role.SCAN)
            ours.scans(scans, PERIOD_NS)

            def one_round() -> Mapping[str, Pair]:
                before = ours.bins("execution")
                ours.scans(scans, PERIOD_NS)
                mine = since(before, ours.bins("execution"))
                theirs = spread_of(c_loop(program, scans, words)[:, 1] / 1e3)
                clock = float(np.median(c_loop(program, scans)[:, 1])) / 1e3
                return {
                    "empty_cycle": Pair(
                        percentile(mine, 0.5) - clock, percentile(theirs, 0.5) - clock, mine, theirs
                    ),
                    "empty_cycle_mean": Pair(usual(mine) - clock, usual(theirs) - clock),
                }

            yield one_round
