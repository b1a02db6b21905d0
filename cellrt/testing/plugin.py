"""The pytest plugin: `line(path)` is a line in virtual time, `golden(name, trace)` a trace kept in a file.

    def test_presses_each_board(line):
        station = line("labeler_line.toml").force("labeler.guard_closed", True).start()
        station.force("labeler.at_stop", True)
        station.step(until="labeler.press", timeout_s=1.0)

With `sim` its simulated devices run too, and hands can be laid on what is truly there:

        station = line("labeler_line.toml", sim=True).start()
        station.plant["labeler.belt.board.defective"] = True

`pytest --plain` runs the same test uncompiled: a `breakpoint()` in a cell then opens the debugger there.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Protocol

import pytest

from cellrt.compiler.entry import CompileError
from cellrt.line.load import LineError, load_line
from cellrt.testing.line import TestLine
from cellrt.testing.trace import Trace
from cellrt.twin import TwinError


class OpenLine(Protocol):
    """The fixture `line`."""

    def __call__(self, path: str | Path, *, seed: int | None = None, sim: bool = False) -> TestLine:
        """The line file at `path`, beside the test, as a line in virtual time.

        With `sim` its simulated devices run with it; `seed` instead of the line's own decides every
        draw. A line that cannot be had fails the test with what is to be mended.
        """


class Golden(Protocol):
    """The fixture `golden`."""

    def __call__(self, name: str, trace: Trace) -> None:
        """Fails where a trace is not what `golden/NAME.txt`, beside the test, keeps."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--plain` steps through cells uncompiled; `--update-golden` writes traces anew."""
    group = parser.getgroup("cellrt")
    group.addoption("--plain", action="store_true", help="cells uncompiled; breakpoint() works")
    group.addoption("--update-golden", action="store_true", help="write golden traces anew")


@pytest.fixture
def line(request: pytest.FixtureRequest) -> OpenLine:
    """Opens a line file beside the test as a `TestLine`."""
    folder = request.path.parent
    plain = request.config.getoption("--plain")
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")

    def tell(kind: str, done: int, total: int) -> None:
        if reporter:
            reporter.write_line(f"compiled {kind} ({done} of {total}), once for all runs")

    def open_line(path: str | Path, *, seed: int | None = None, sim: bool = False) -> TestLine:
        try:
            spec = load_line(folder / path)
            return TestLine(spec, seed=seed, sim=sim, compiled=not plain, progress=tell)
        except (LineError, CompileError, TwinError) as error:
            refusal = str(error)
        pytest.fail(refusal, pytrace=False)

    return open_line


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares a trace with the file `golden/<name>.txt` beside the test."""
    folder = request.path.parent / "golden"

    def compare(name: str, trace: Trace) -> None:
        path, text = folder / f"{name}.txt", str(trace)
        if request.config.getoption("--update-golden"):
            folder.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists():
            what = f"{path} is missing; write it with --update-golden, and read it"
            pytest.fail(what, pytrace=False)
        elif (kept := path.read_text(encoding="utf-8")) != text:
            pytest.fail(_difference(path, kept, text), pytrace=False)

    return compare


def _difference(path: Path, kept: str, now: str) -> str:
    """What a trace does otherwise, under the heads of its columns."""
    rows = difflib.unified_diff(kept.splitlines(), now.splitlines(), "kept", "now", "", "", 2, "")
    heads = [f" {head}" for head in now.splitlines()[:2]]
    what = f"{path}: the line does otherwise; if that is meant, --update-golden"
    return "\n".join([what, *heads, *rows])
