"""The README's first screen is true: its cell, line file, device map and test are taken out and run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"^```(?:python|toml)\n# (\S+\.(?:py|toml))\n(.*?)^```$", re.M | re.S)
FILES = {"stamper.py", "test_stamper.py", "stamper_line.toml", "stamper.toml"}


@pytest.fixture(scope="module")
def blocks() -> dict[str, str]:
    """Each block's text by the file name in its first line."""
    return dict(BLOCK.findall(README.read_text(encoding="utf-8")))


@pytest.fixture
def folder(blocks: dict[str, str], tmp_path: Path) -> Path:
    for name, text in blocks.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def run(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=100)


def test_every_file_is_there_and_as_short_as_is_said(blocks: dict[str, str]) -> None:
    assert set(blocks) == FILES
    written = {name: [s for s in text.splitlines() if s] for name, text in blocks.items()}
    assert len(written["stamper.py"]) <= 15
    assert len(written["test_stamper.py"]) <= 6


def test_the_cell_passes_its_test_compiled_and_plain(folder: Path) -> None:
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    for options in ((), ("--plain",)):
        done = run(folder, *pytest_, *options)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 passed" in done.stdout


def test_the_test_notices_when_the_interlock_is_gone(folder: Path) -> None:
    cell = folder / "stamper.py"
    code = cell.read_text()
    assert '(Interlock("guard_closed", Cause.GUARD),)' in code
    cell.write_text(code.replace('(Interlock("guard_closed", Cause.GUARD),)', "()"))
    done = run(folder, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--plain")
    assert done.returncode == 1, done.stdout


def test_the_line_is_well_and_the_code_in_house_style(folder: Path) -> None:
    bin_ = Path(sys.executable).parent
    done = run(folder, bin_ / "cellrt", "check", "stamper_line.toml")
    assert done.returncode == 0, done.stderr
    config = README.with_name("pyproject.toml")
    for command in (("check",), ("format", "--check")):
        done = run(folder, bin_ / "ruff", *command, "--config", config, ".")
        assert done.returncode == 0, done.stdout
