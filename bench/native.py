"""C compiled on the spot: what a reference is written in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bench.registry import NotHere

HERE = Path(__file__).parent


def built(source: str, folder: Path, *options: str) -> Path:
    """`source` (a file of this package) as gcc -O2 makes it. Raises NotHere where there is no gcc."""
    if shutil.which("gcc") is None:
        raise NotHere("no gcc")
    made = folder / Path(source).with_suffix(".bin").name
    flags = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-ffp-contract=off", "-Wall", "-Werror")
    subprocess.run(
        ["gcc", *flags, *options, str(HERE / source), "-o", str(made), "-lm"], check=True
    )
    return made
