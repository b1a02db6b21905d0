"""A TOML file as it was read: its data, and the line on which each key stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.container import Container
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Array, InlineTable, Item, Table, Whitespace

from cellrt.line.problem import LineError, Problem

Keys = tuple[str | int, ...]
"""The way to a value: ("cells", "infeed", "io", "run"); numbers are places in an array."""

TWICE = re.compile("overwrite|twice|Duplicate|immutable")


@dataclass(frozen=True)
class Source:
    """A file's text, data and problems; `lines` has the line (from 1) on which each key stands."""

    path: str
    text: str
    data: Mapping[str, Any]
    lines: Mapping[Keys, int]
    problems: list[Problem] = field(default_factory=list)

    def line(self, keys: Keys) -> int:
        """The line of a key, or of the nearest table around it that the file names."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return self.lines.get(keys, 1)

    def problem(self, keys: Keys, what: str, mend: str) -> Problem:
        """A problem with the value at `keys`, not noted."""
        return Problem(self.path, self.line(keys), what, mend)

    def fault(self, keys: Keys, what: str, mend: str) -> None:
        """Note a problem with the value at `keys`."""
        self.problems.append(self.problem(keys, what, mend))


def read(path: Path) -> Source:
    """The TOML file at `path`. Raises LineError where there is none, or no TOML in it."""
    try:
        if not path.is_file():
            missing = "is no file" if path.exists() else "does not exist"
            raise LineError([Problem(str(path), 1, missing, "give the path of a TOML file")])
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise LineError(
            [Problem(str(path), 1, "is not text in UTF-8", "give a TOML file, saved as UTF-8")]
        ) from None
    except (OSError, ValueError) as error:
        what = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise LineError([Problem(str(path), 1, what, "check the path and its rights")]) from None
    return parse(text, str(path))


def parse(text: str, path: str) -> Source:
    """The same for TOML at hand. `tomllib` judges it, `tomlkit` only tells where the keys stand."""
    if not text.strip():
        raise LineError([Problem(path, 1, "is empty", "`cellrt new cell NAME` writes a start")])
    try:
        data = tomllib.loads(text)
        lines: dict[Keys, int] = {}
        _number(tomlkit.parse(text), (), 1, lines)
    except RecursionError:
        raise LineError([Problem(path, 1, "is nested too deep", "flatten its arrays")]) from None
    except (tomllib.TOMLDecodeError, TOMLKitError) as error:
        raise LineError([_syntax(error, text, path)]) from None
    except ValueError:
        what = "has a number of thousands of digits"
        raise LineError([Problem(path, 1, what, "write one that fits 64 bits")]) from None
    return Source(path, text, data, lines)


def _syntax(error: Exception, text: str, path: str) -> Problem:
    """`tomllib` tells the place in its message: "... (at line 3, column 5)"."""
    message = str(error)
    place = re.search(r" \(at line (\d+), column (\d+)\)| \(at end of document\)", message)
    written = text.splitlines() or [""]
    line = int(place[1]) if place and place[1] else len(written)
    what = message[: place.start()] if place else message
    shown = written[min(line, len(written)) - 1].strip()[:60]
    if TWICE.search(message):
        return Problem(path, line, f"`{shown}` gives a key a second time", "keep one of the two")
    where = "in" if place and place[1] else "at the end of the file, after"
    what = f"{what[:1].lower()}{what[1:]} {where} `{shown}`"
    return Problem(path, line, what, "mend the TOML there")


def _number(container: Container, path: Keys, line: int, lines: dict[Keys, int]) -> int:
    """Enter the line of each key of a container that begins on `line`; returns where it ends.

    tomlkit keeps every character but no positions, so they are counted as the text is put together.
    (Behind an array of tables, which neither file has, it may reorder: lines are then only near.)
    """
    for key, item in container.body:
        if key is None or isinstance(item, Whitespace):
            line += item.as_string().count("\n")
            continue
        here = (*path, key.key)
        lines.setdefault(here, line)
        if isinstance(item, Table):
            line = _number_table(item, here, line, lines)
        elif isinstance(item, AoT):
            for place, table in enumerate(item.body):
                lines[(*here, place)] = line
                line = _number_table(table, (*here, place), line, lines)
        else:
            _number_value(item, here, line, lines)
            line += (item.as_string() + item.trivia.trail).count("\n")
    return line


def _number_value(item: Item, path: Keys, line: int, lines: dict[Keys, int]) -> None:
    """Enter the lines of tables inside a value."""
    if isinstance(item, InlineTable):
        _number(item.value, path, line, lines)
    elif isinstance(item, Array):
        place = 0
        for part in item._iter_items():
            if isinstance(part, InlineTable):
                lines[(*path, place)] = line
                _number_value(part, (*path, place), line, lines)
                place += 1
            line += part.as_string().count("\n")


def _number_table(table: Table, path: Keys, line: int, lines: dict[Keys, int]) -> int:
    """A table whose header is written takes a line; one that only dotted keys imply takes none."""
    if not table.is_super_table():
        line += (table.trivia.indent + table.trivia.trail).count("\n")
    return _number(table.value, path, line, lines)
