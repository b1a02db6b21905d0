"""`cellrt new cell NAME`: what it writes works at once; what it cannot write leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cellrt.app.cli import app

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


def run(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=100)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    done = run(folder, BIN / "cellrt", "new", "cell", "press_fit")
    assert done.returncode == 0, done.stderr
    files = ("press_fit.py", "press_fit.toml", "press_fit_line.toml", "test_press_fit.py")
    assert done.stdout.split() == [str(folder / "press_fit" / file) for file in files]
    assert sorted(p.name for p in (folder / "press_fit").iterdir()) == sorted(files)
    return folder / "press_fit"


def test_new_cell_is_forty_lines_at_most(start: Path) -> None:
    assert len((start / "press_fit.py").read_text().splitlines()) <= 40


def test_new_cell_its_tests_pass(start: Path) -> None:
    done = run(start, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_new_cell_its_tests_notice_a_part_counted_twice(start: Path, tmp_path: Path) -> None:
    for file in start.glob("*press_fit*"):
        text = file.read_text().replace("self.done += 1", "self.done += 2")
        (tmp_path / file.name).write_text(text)
    done = run(tmp_path, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--plain")
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout


def test_new_cell_its_line_is_well(start: Path) -> None:
    done = run(start, BIN / "cellrt", "check", "press_fit_line.toml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "press_fit_line.toml: 1 cells, 1 devices, well" in done.stdout


def test_new_cell_is_typed(start: Path) -> None:
    mypy = (BIN / "mypy", "--config-file", ROOT / "pyproject.toml")
    cache = ("--cache-dir", ROOT / ".mypy_cache")
    done = run(start, *mypy, *cache, "press_fit.py", "test_press_fit.py")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["b", "press_fit", "a_name_of_no_less_than_thirty_"])
def test_new_cell_is_linted_and_formatted_whatever_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["new", "cell", name]).exit_code == 0
    for command in (("check",), ("format", "--check")):
        done = run(tmp_path, BIN / "ruff", *command, "--config", ROOT / "pyproject.toml", name)
        assert done.returncode == 0, done.stdout


BAD_NAMES = {
    "": "is no name",
    "Press": "is no name",
    "1st": "is no name",
    "_press": "is no name",
    "press-fit": "is no name",
    "press fit": "is no name",
    "../press": "is no name",
    "préssoir": "is no name",
    "a" * 31: "is no name",
    "class": "is no name",
    "cell": "would call the class Cell",
    "json": "would hide the module",
    "numpy": "would hide the module",
    "folder": "is there already",
    "file": "is there already",
    "dangling": "is there already",
}


@pytest.mark.parametrize(("name", "says"), BAD_NAMES.items(), ids=[repr(n) for n in BAD_NAMES])
def test_bad_name_is_one_message_and_nothing_is_written(
    name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    refused(tmp_path, monkeypatch, says, "new", "cell", name)
    assert (tmp_path / "file").read_text() == "mine"
    assert not list((tmp_path / "folder").iterdir())


def test_new_anything_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(tmp_path, monkeypatch, "cannot write a new 'line'", "new", "line", "press")


def test_disk_full_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Path.write_text

    def fail(self: Path, *args: object, **kwargs: object) -> int:
        if self.suffix == ".toml":
            raise OSError(28, "No space left on device", str(self))
        return written(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "write_text", fail)
    refused(tmp_path, monkeypatch, "No space left", "new", "cell", "press")


def refused(folder: Path, monkeypatch: pytest.MonkeyPatch, says: str, *arguments: str) -> None:
    """Exit code 2, one line on standard error, nothing else; the folder is as it was."""
    before = sorted(folder.iterdir())
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 2
    assert says in result.stderr and result.stderr.count("\n") == 1
    assert not result.stdout
    assert sorted(folder.iterdir()) == before
