"""The pytest plugin: `line(path)` is a line in virtual time, `golden(name, trace)` a trace kept in a file.

    def test_presses_each_board(line):
        station = line("labeler_line.toml").start()
        station.force("labeler.at_stop", True)
        station.step(until="labeler.press", timeout_s=1.0)
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest

from cellrt.line.load import load_line
from cellrt.testing.line import TestLine, Trace

OpenLine = Callable[..., TestLine]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--plain` steps through cells uncompiled; `--update-golden` writes traces anew."""
    group = parser.getgroup("cellrt")
    group.addoption("--plain", action="store_true", help="cells uncompiled; breakpoint() works")
    group.addoption("--update-golden", action="store_true", help="write golden traces anew")


@pytest.fixture
def line(request: pytest.FixtureRequest) -> OpenLine:
    """Opens a line file beside the test as a `TestLine`."""
    folder = request.path.parent
    compiled = not request.config.getoption("--plain")

    def open_line(path: str | Path, *, seed: int | None = None, sim: bool = False) -> TestLine:
        return TestLine(load_line(folder / path), seed=seed, sim=sim, compiled=compiled)

    return open_line


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, Trace], None]:
    """Compares a trace with the file `golden/<name>.txt` beside the test."""
    folder = request.path.parent / "golden"

    def compare(name: str, trace: Trace) -> None:
        path, text = folder / f"{name}.txt", str(trace)
        if request.config.getoption("--update-golden"):
            folder.mkdir(exist_ok=True)
            path.write_text(text)
        if not path.exists():
            pytest.fail(f"{path} is missing; write it with --update-golden and read it")
        if (kept := path.read_text()) != text:
            lines = difflib.unified_diff(kept.splitlines(), text.splitlines(), "kept", "now", "", "", 1)
            pytest.fail("\n".join(lines), pytrace=False)

    return compare
