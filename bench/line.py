"""What the SMT line does on this machine: `python -m bench.line`. All times are logical but where said.

From cold, the oven's warm-up included, until 50 boards are through; then eight hours, twice, with one seed.
`--day` has twenty such lines, the factory, work for 24 hours in one scan.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from pathlib import Path
from typing import Any

from bench.places import FACTORY, SMT_LINE
from cellrt.app.simulate import VirtualLine
from cellrt.line.load import load_line
from cellrt.report import steal_ticks
from cellrt.supervisor import Goal

S_NS = 1_000_000_000
BOARDS = 50
SHIFT_S, DAY_S = 8 * 3600, 24 * 3600
OUT = ("stored", "rejected", "rework", "scrapped")


def left_s(line: VirtualLine) -> list[float]:
    """When boards left the line."""
    return [e["t_ns"] / S_NS for e in line.journal.entries(10**9) if e["event"] == "BoardLeft"]


def conserved(line: VirtualLine) -> bool:
    """What the plant let in is what it has out and between, and the line counts the same."""
    census, boards = line.census(), line.journal.boards
    out = sum(census[name] for name in OUT)
    told = sum(boards[name] for name in ("completed", "rejected", "rework", "scrapped"))
    return census["entered"] == out + census["in_line"] and out == told


def from_cold() -> dict[str, Any]:
    """Line up, boards through, takt and how near it comes to its slowest machine."""
    line = VirtualLine(load_line(SMT_LINE))
    line.pursue(Goal.RUN)
    times: list[float] = []
    while len(times) < BOARDS and line.now_ns < 4 * 3600 * S_NS:
        for _ in line.run(60 * S_NS):
            pass
        times = left_s(line)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    return {
        "first_board_s": round(times[0], 1),
        "fiftieth_board_s": round(times[BOARDS - 1], 1),
        "takt_median_s": round(statistics.median(gaps), 2),
        "takt_mean_s": round((times[BOARDS - 1] - times[4]) / (BOARDS - 5), 2),
        "boards": dict(line.journal.boards),
        "in_line": line.census()["in_line"],
        "conserved": conserved(line),
    }


def worked(path: Path, for_s: int) -> dict[str, Any]:
    """So long in the twin, of any line."""
    line = VirtualLine(load_line(path))
    line.pursue(Goal.RUN)
    began_s = time.perf_counter()
    for _ in line.run(for_s * S_NS):
        pass
    took_s = time.perf_counter() - began_s
    return {
        "boards": dict(line.journal.boards),
        "in_line": line.census()["in_line"],
        "conserved": conserved(line),
        "hashes": (line.twin.runner.image.hash(), line.journal.hash()),
        "took_s": round(took_s, 1),
        "speed": round(for_s / took_s),
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shift", action="store_true", help="also eight hours, twice")
    parser.add_argument("--day", action="store_true", help="also a day of the factory")
    asked, steal, told = parser.parse_args(), steal_ticks(), {"from_cold": from_cold()}
    if asked.shift:
        first, second = worked(SMT_LINE, SHIFT_S), worked(SMT_LINE, SHIFT_S)
        told["shift"] = {**first, "deterministic": first["hashes"] == second["hashes"]}
    if asked.day:
        told["day"] = worked(FACTORY, DAY_S)
    print(json.dumps({**told, "steal_ticks": steal_ticks() - steal}, indent=2))


if __name__ == "__main__":
    main()
