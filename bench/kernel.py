"""What the kernel costs on this machine: `python -m bench.kernel`. Medians over rounds, steal time beside them.

Of the print station, or of `--line` in `cells/`. `--starts` also starts it with an empty and with a warm cache,
and after an edit of one cell.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cellrt.app.simulate import VirtualLine
from cellrt.line.load import load_line
from cellrt.report import steal_ticks
from cellrt.supervisor import Goal

ROOT = Path(__file__).parents[1]
ROUNDS = 9


def median(measure: Callable[[], float]) -> float:
    """The median of ROUNDS measurements."""
    return statistics.median(measure() for _ in range(ROUNDS))


def twin_figures(path: Path) -> dict[str, float]:
    """Speed of the twin, all in, and what a scan of the line and its plant takes without supervision."""
    virtual = VirtualLine(load_line(path))
    virtual.pursue(Goal.RUN)

    def supervised() -> float:
        began_s = time.perf_counter()
        for _ in virtual.run(600_000_000_000):
            pass
        return 600.0 / (time.perf_counter() - began_s)

    def bare_ns() -> float:
        began_s = time.perf_counter()
        for _ in virtual.twin.run(20_000):
            pass
        return (time.perf_counter() - began_s) / 20_000 * 1e9

    supervised()
    return {"twin_speed": median(supervised), "twin_scan_ns": median(bare_ns)}


def start_s(folder: Path, line: Path, cache: Path) -> dict[str, float]:
    """One start of a line up to its first scan, on free ports; what its report says of it."""
    report = folder / "report.json"
    env = {
        **os.environ,
        "CELLRT_STATE_DIR": str(folder / "state"),
        "CELLRT_CACHE_DIR": str(cache),
        "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT))),
    }
    command = [sys.executable, "-c", "from cellrt.app.cli import main; main()", "run", str(line)]
    options = ["--sim", "--duration", "1", "--opcua-port", "0", "--report", str(report)]
    subprocess.run(
        [*command, *options], env=env, cwd=folder, check=True, capture_output=True, timeout=300
    )
    host = json.loads(report.read_text())["host"]
    return {"first_scan_s": host["first_scan_s"], "compile_s": host["compile_s"]}


def start_figures(path: Path) -> dict[str, float]:
    """Cold, warm, and after an edit of one cell."""
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name), Path(name) / "cache"
        shutil.copytree(
            ROOT / "cells", folder / "cells", ignore=shutil.ignore_patterns("__pycache__")
        )
        line = folder / "cells" / path.name
        cold = start_s(folder, line, cache)
        warm = [start_s(folder, line, cache) for _ in range(3)]
        cell = folder / "cells" / "loader.py"
        before = cell.read_text()
        cell.write_text(before.replace("self.serial += 1\n", "self.serial += 1 + 0 * self.lot\n"))
        assert cell.read_text() != before
        edited = start_s(folder, line, cache)
    return {
        "start_cold_compile_s": cold["compile_s"],
        "start_cold_first_scan_s": cold["first_scan_s"],
        "start_warm_first_scan_s": statistics.median(w["first_scan_s"] for w in warm),
        "start_edit_compile_s": edited["compile_s"],
        "start_edit_first_scan_s": edited["first_scan_s"],
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", action="store_true", help="also measure starts; takes minutes")
    parser.add_argument("--line", default="print_station.toml", help="a line file in cells/")
    arguments = parser.parse_args()
    path, steal = ROOT / "cells" / arguments.line, steal_ticks()
    figures = twin_figures(path)
    if arguments.starts:
        figures |= start_figures(path)
    told = {name: round(value, 3) for name, value in figures.items()}
    print(json.dumps({**told, "rounds": ROUNDS, "steal_ticks": steal_ticks() - steal}, indent=2))


if __name__ == "__main__":
    main()
