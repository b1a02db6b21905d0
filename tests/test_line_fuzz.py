"""Whatever is done to a good line file or map: a `LineSpec` or a `LineError`, nothing else."""

from __future__ import annotations

import copy
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from cellrt.line.load import LineError, load_line
from cellrt.line.spec import LineSpec

GOOD = Path(__file__).parent / "lines"
FILES = ("line.toml", "io.toml", "safety.toml")
VALUES: list[Any] = [
    *(0, 1, -1, 10**30, 65535, 65536, 0.0, -0.5, 1e308, float("nan"), float("inf"), True, False),
    *(
        "",
        "x",
        ".",
        "a.b",
        "io.lamp",
        "io.",
        "é\n\x7f",
        "x" * 5000,
        "os:path",
        "a:b",
        "/",
        "..",
        "io.toml",
    ),
    *([], [1], [["a", "b"]], {}, {"a": 1}, {"value": 0}, {"coil": 1}, {"": {"": []}}),
    tomlkit.date("2026-01-01"),
]
NAMES = ["x", "", "io", "press", "value", "a.b", "type", "coil", "node", "sim", "é", "class"]

Data = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("line")
    shutil.copy(GOOD / "line_test_cells.py", path)
    before = [*sys.path]
    yield path
    sys.path[:] = before


def loaded_or_refused(folder: Path, texts: dict[str, str]) -> LineSpec | LineError:
    for file in FILES:
        (folder / file).write_text(texts.get(file) or (GOOD / file).read_text())
    try:
        return load_line(folder / "line.toml")
    except LineError as error:
        assert error.problems
        for problem in error.problems:
            text = (folder / Path(problem.path).name).read_text()
            assert 1 <= problem.line <= text.count("\n") + 1
            assert problem.what and problem.mend and "\n" not in str(problem)
        return error


def tables(data: Data) -> list[Data]:
    """Every table in the data, the root first."""
    inner = [value for value in data.values() if isinstance(value, dict) and value]
    return [data, *(table for value in inner for table in tables(value))]


def mutate(data: Data, chance: random.Random) -> None:
    """Drop, rename, retype, double or move one key somewhere."""
    table = chance.choice([t for t in tables(data) if t])
    key = chance.choice(list(table))
    match chance.randrange(5):
        case 0:
            del table[key]
        case 1:
            table[chance.choice(NAMES)] = table.pop(key)
        case 2:
            table[key] = copy.deepcopy(chance.choice(VALUES))
        case 3:
            table[chance.choice(NAMES)] = copy.deepcopy(table[key])
        case 4:
            chance.choice([t for t in tables(data) if t])[key] = copy.deepcopy(
                chance.choice(VALUES)
            )


FUZZ = settings(max_examples=100, deadline=None)


@FUZZ
@given(st.randoms(use_true_random=False), st.sampled_from(FILES), st.integers(1, 4))
def test_keys_dropped_renamed_or_retyped(
    folder: Path, chance: random.Random, file: str, times: int
) -> None:
    data: Data = tomlkit.parse((GOOD / file).read_text()).unwrap()
    for _ in range(times):
        if data:
            mutate(data, chance)
    loaded_or_refused(folder, {file: tomlkit.dumps(data)})


@FUZZ
@given(
    st.sampled_from(FILES),
    st.integers(0, 900),
    st.integers(0, 40),
    st.text(max_size=8)
    | st.sampled_from(['"', "[", "]", "{", "}", "\n", "=", ".", "[[a]]", "'''", "#"]),
)
def test_characters_dropped_or_put_in(
    folder: Path, file: str, at: int, length: int, put: str
) -> None:
    text = (GOOD / file).read_text()
    at = min(at, len(text))
    put = put.encode(errors="replace").decode()
    loaded_or_refused(folder, {file: text[:at] + put + text[at + length :]})


def test_nothing_done_is_a_line(folder: Path) -> None:
    assert isinstance(loaded_or_refused(folder, {}), LineSpec)
