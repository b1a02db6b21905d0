"""What the SMT line does on this machine: `python -m bench.line`. All times are logical but where said.

From cold, the oven's warm-up included, until 50 boards are through; then eight hours, twice, with one seed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from pathlib import Path
from typing import Any

from cellrt.app.simulate import VirtualLine
from cellrt.line.load import load_line
from cellrt.report import steal_ticks
from cellrt.supervisor import Goal

LINE = Path(__file__).parents[1] / "cells" / "smt_line.toml"
S_NS = 1_000_000_000
BOARDS = 50
SHIFT_S = 8 * 3600.0
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
    line = VirtualLine(load_line(LINE))
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


def shift() -> dict[str, Any]:
    """Eight hours in the twin."""
    line = VirtualLine(load_line(LINE))
    line.pursue(Goal.RUN)
    began_s = time.perf_counter()
    for _ in line.run(round(SHIFT_S * S_NS)):
        pass
    took_s = time.perf_counter() - began_s
    return {
        "boards": dict(line.journal.boards),
        "in_line": line.census()["in_line"],
        "conserved": conserved(line),
        "hashes": (line.twin.runner.image.hash(), line.journal.hash()),
        "speed": round(SHIFT_S / took_s),
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shift", action="store_true", help="also eight hours, twice")
    steal, told = steal_ticks(), {"from_cold": from_cold()}
    if parser.parse_args().shift:
        first, second = shift(), shift()
        told["shift"] = {**first, "deterministic": first["hashes"] == second["hashes"]}
    print(json.dumps({**told, "steal_ticks": steal_ticks() - steal}, indent=2))


if __name__ == "__main__":
    main()
