"""Bad line files: one message for each mistake, naming file, line and mend."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cellrt.line.load import LineError, load_line

GOOD = Path(__file__).parent / "lines"
Case = tuple[str, str, str, list[str]]


def catalogue() -> Iterator[Case]:
    """(file, old, new, messages) for each case in refusals.txt."""
    text = (GOOD / "refusals.txt").read_text().strip()
    for block in text.split("\n\n")[1:]:
        head, *messages = block.strip().splitlines()
        file, _, change = head.partition(": ")
        old, _, new = (part.strip().replace("\\n", "\n") for part in f"{change} ".partition(" => "))
        yield file, old, new, [m.strip() for m in messages]


CASES = list(catalogue())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the good line, as the working folder; the import path is put back afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for file in GOOD.iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


Refused = Callable[..., list[str]]


@pytest.fixture
def refused(folder: Path) -> Refused:
    """Change a file of the line and give what is said of it: "" when nothing is."""

    def change(file: str, *changes: tuple[str, str]) -> list[str]:
        text = (folder / file).read_text()
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
            text = text.replace(old, new)
        (folder / file).write_text(text)
        try:
            load_line(Path("line.toml"))
        except LineError as error:
            return str(error).splitlines()
        return []

    return change


@pytest.mark.parametrize(
    ("file", "old", "new", "messages"), CASES, ids=lambda value: str(value)[:40]
)
def test_changed_file_is_refused_with_line_and_mend(
    refused: Refused, file: str, old: str, new: str, messages: list[str]
) -> None:
    assert refused(file, (old, new)) == messages


def test_many_mistakes_are_all_reported_at_once(refused: Refused) -> None:
    mistakes = {
        "seed = 7.5",
        "stale_ms = 30",
        'lamp = "io.lmap"',
        "strokes = 12",
        'power = "safty"',
        'to = "pres"',
        'type = "line_test_cells:Fedeer"',
    }
    picked = [case for case in CASES if case[2] in mistakes]
    said = refused("line.toml", *((old, new) for _, old, new, _ in picked))
    assert len(picked) == len(mistakes)
    assert sorted(said) == sorted(m for _, _, _, messages in picked for m in messages)


def test_mistakes_in_both_maps_and_the_line_are_all_reported(
    refused: Refused, folder: Path
) -> None:
    safety = (folder / "safety.toml").read_text()
    (folder / "safety.toml").write_text(safety.replace("protocol", "protocoll"))
    line = (folder / "line.toml").read_text()
    (folder / "line.toml").write_text(line.replace("seed = 7", "seed = true"))
    said = refused("io.toml", ("coil = 1", "coil = 0"))
    assert {m.split(":")[0] for m in said} == {"line.toml", "io.toml", "safety.toml"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line.toml:1: is empty; `cellrt new cell NAME` writes a start"),
        (b" \n\n", "line.toml:1: is empty; `cellrt new cell NAME` writes a start"),
        (b"\xff\xfe\x00", "line.toml:1: is not text in UTF-8; give a TOML file, saved as UTF-8"),
        (b"\x00", "line.toml:1: invalid statement in `\\x00`; mend the TOML there"),
        (b"a = " + b"[" * 9999, "line.toml:1: is nested too deep; flatten its arrays"),
        (
            b"a = [1,\n2\n",
            "line.toml:2: unclosed array at the end of the file, after `2`; mend the TOML there",
        ),
        (
            b"a = " + b"9" * 9999,
            "line.toml:1: has a number of thousands of digits; write one that fits 64 bits",
        ),
    ],
)
def test_file_without_toml_in_it_is_refused(folder: Path, content: bytes, message: str) -> None:
    (folder / "line.toml").write_bytes(content)
    with pytest.raises(LineError) as caught:
        load_line(Path("line.toml"))
    assert str(caught.value) == message


def test_path_that_is_no_file_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "fifo.toml")
    said = {}
    for name in ("missing.toml", ".", "fifo.toml", "line.toml/x", "x" * 300, "a\0b"):
        with pytest.raises(LineError) as caught:
            load_line(Path(name))
        said[name[:12]] = str(caught.value).partition(": ")[2]
    assert said == {
        "missing.toml": "does not exist; give the path of a TOML file",
        ".": "is no file; give the path of a TOML file",
        "fifo.toml": "is no file; give the path of a TOML file",
        "line.toml/x": "does not exist; give the path of a TOML file",
        "x" * 12: "cannot be read: File name too long; check the path and its rights",
        "a\0b": "does not exist; give the path of a TOML file",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that opens and cannot be read")
def test_file_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(LineError, match=r"/proc/self/mem:1: cannot be read: Input/output error"):
        load_line(Path("/proc/self/mem"))
