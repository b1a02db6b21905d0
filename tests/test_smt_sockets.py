"""The SMT line end to end over its sockets, ten devices at once: the same boards as in the twin."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from running import Journey, RunningLine, journeys, running
from smt import accounted, changed, started, warm

pytestmark = pytest.mark.real_time

SOAK = os.environ.get("CELLRT_SOAK") == "1"
SPEED = 15
BOARDS = 50 if SOAK else 3
GONE = ("completed", "rejected", "rework", "scrapped")


def departed(events: list[dict[str, Any]]) -> dict[int, Journey]:
    """Journeys of the boards that left the line."""
    told = journeys(events, "BoardIn", "BoardOut", "BoardLeft")
    return {board: journey for board, journey in told.items() if journey[-1][0] == "BoardLeft"}


def through(line: RunningLine) -> int:
    boards = line.ask(do="status")["boards"]
    return sum(boards.get(name, 0) for name in GONE)


@pytest.mark.timeout(900)
def test_boards_journeys_over_sockets_are_those_of_the_twin(tmp_path: Path) -> None:
    path = changed(tmp_path, end=warm())
    with running(tmp_path, path, "--sim", "--speed", SPEED) as line:
        line.wait(lambda: through(line) >= BOARDS, "boards through the line", limit_s=900)
        line.process.send_signal(signal.SIGINT)
        line.wait(lambda: line.ask(do="status")["goal"] == "stop", "the stop")
        report = line.end(signal.SIGINT)  # the oven is not waited for
        real = departed([e for _, e in line.events()])
        census = json.loads((line.run_dir / "census.json").read_text())
    boards = report["boards"]
    assert boards["entered"] == census["entered"]
    assert boards["entered"] == sum(boards[name] for name in GONE) + boards["in_line"]

    virtual = started(path)
    while virtual.journal.departed["robot"] < BOARDS:
        virtual.go(60.0)
    assert accounted(virtual)
    twin = departed(virtual.journal.entries(10**9))
    first = sorted(twin)[:BOARDS]
    assert {b: real[b] for b in first} == {b: twin[b] for b in first}
