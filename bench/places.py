"""Where the files are that benches work with."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
CELLS = ROOT / "cells"
STATION = CELLS / "print_station.toml"
FACTORY = ROOT / "cells" / "factory.toml"
SMT_LINE = CELLS / "smt_line.toml"
IDLE = Path(__file__).with_name("idle.toml")
BUSY = Path(__file__).with_name("busy.toml")
REACTION = Path(__file__).with_name("reaction.toml")
