"""How long the SMT line takes from `cellrt run` to its first scan, simulated devices included."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.places import IDLE, ROOT, SMT_LINE
from bench.registry import Bench, Pair, Round, subject
from cellrt.compiler.cache import cache_dir

TIMEOUT_S = 300


def first_scan_s(folder: Path, line: Path, cache: Path) -> float:
    """One start of a line, on free ports; what its report says of it, in s."""
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
        [*command, *options],
        env=env,
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=TIMEOUT_S,
    )
    told: float = json.loads(report.read_text())["host"]["first_scan_s"]
    return told


@subject(
    Bench("start_cold", "s"),
    Bench("start_warm", "s", "cold start"),
    Bench("start_edit", "s", "cold start"),
    rounds=3,
)
def starts(quick: bool) -> Iterator[Round]:
    """With an empty cache, with a full one, and after an edit of one cell. A quick one starts once."""

    def one_round() -> Mapping[str, Pair]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if quick:
                cold = warm = edit = first_scan_s(folder, copied(IDLE, folder), cache_dir())
            else:
                line, cache = copied(SMT_LINE, folder), folder / "cache"
                cold, warm = (first_scan_s(folder, line, cache) for _ in range(2))
                change(line.with_name("loader.py"))
                edit = first_scan_s(folder, line, cache)
        return {
            "start_cold": Pair(cold),
            "start_warm": Pair(warm, cold),
            "start_edit": Pair(edit, cold),
        }

    yield one_round


def change(cell: Path) -> None:
    """An edit that makes no difference, which the compiler cannot know."""
    before, text = "self.serial += 1\n", cell.read_text()
    assert before in text
    cell.write_text(text.replace(before, "self.serial += 1 + 0 * self.lot\n"))


def copied(line: Path, folder: Path) -> Path:
    """The line file in a copy of its folder, where a cell may be edited."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(line.parent, folder / line.parent.name, ignore=ignored)
    return folder / line.parent.name / line.name
