"""`cellrt params`: a line's parameters as they are, against its file; and written back into it."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import tomlkit

from cellrt import retained
from cellrt.app.refusals import UsageError
from cellrt.line.load import load_line
from cellrt.line.recipes import settings_of
from cellrt.line.spec import LineSpec
from cellrt.runtime.control import NotRunning, ask
from cellrt.runtime.watcher import state_dir
from cellrt.scan.plan import Plan
from cellrt.tags import Scalar

Differences = dict[str, tuple[Scalar, Scalar]]
"""By tag: what the line file, a recipe or the default has; what the line has."""


def differences(line: LineSpec) -> tuple[str, Differences]:
    """Where the values are from, "running" or "retained", and those that differ from the line file's.

    Raises UsageError for a line that runs from another text than the file now has, or that neither runs
    nor ever ran; RetainedError.
    """
    whence, values = _values(line)
    found: Differences = {}
    for cell in line.cells.values():
        for tag, value in cell.parameters.items():
            now = values.get(f"{cell.name}.{tag}", value)
            if now != value:
                found[f"{cell.name}.{tag}"] = value, now
    return whence, found


def lines(line: LineSpec) -> list[str]:
    """The differences for people."""
    whence, found = differences(line)
    units = {leaf.path: leaf.field.unit for leaf in Plan(line).parameters}
    told = [
        f"{tag}: {shown(before)} in the file, {shown(now)} {whence}  {units[tag]}".rstrip()
        for tag, (before, now) in found.items()
    ]
    return told or [f"no difference between {line.path} and what is {whence}"]


def save(path: Path) -> list[str]:
    """Write a line's values into its file, `params` by `params`; comments stay, and so does the rest.

    Settings that recipes give stay theirs. The file is replaced whole or not at all, and only while it is
    what it was when this began. Returns the tags written. Raises as `differences` does.
    """
    line = load_line(path)
    if line.copied:
        raise UsageError(
            f"{path} is copies of {line.copied}; write what all of them are to have there"
        )
    _, found = differences(line)
    document: Any = tomlkit.parse(line.text)
    written = []
    for tag, (_, now) in found.items():
        cell, _, name = tag.partition(".")
        if line.recipes and (name in settings_of(line.cells[cell]) or name.startswith("recipe.")):
            continue
        table = document["cells"][cell]
        if "params" not in table:
            table["params"] = tomlkit.inline_table()
        _set(table["params"], name, now)
        written.append(tag)
    if written:
        _replace(path, line.text, tomlkit.dumps(document))
    return written


def _set(table: Any, name: str, value: Scalar) -> None:
    """Set `lanes.0.part` where the table has it: as a key, or in the first of a list of `lanes`."""
    for key in table:
        there, rest = table[key], name.removeprefix(f"{key}.")
        if rest == name or not isinstance(there, dict | list):
            continue
        if isinstance(there, dict):
            return _set(there, rest, value)
        place, _, inside = rest.partition(".")
        if int(place) < len(there):
            return _set(there[int(place)], inside, value)
    table[name] = value


def _replace(path: Path, before: str, after: str) -> None:
    """`after` in the place of `before`, once it has proved to be a good line file."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        with fresh.open("w", encoding="utf-8", newline="") as file:
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, fresh)
        load_line(fresh)
        if path.read_bytes().decode("utf-8-sig") != before:
            raise UsageError(f"{path} was changed meanwhile; look at it and save again")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _values(line: LineSpec) -> tuple[str, dict[str, Scalar]]:
    folder = state_dir(line.name)
    try:
        told = ask(folder / "control.sock", {"do": "params"})
    except NotRunning:
        values, _ = retained.load(folder / "retained.json", Plan(line))
        if not values:
            raise UsageError(f"{line.name} does not run, and nothing of it is retained") from None
        return "retained", values
    if told["line"] != hashlib.sha256(line.text.encode()).hexdigest():
        raise UsageError(f"{line.path} was changed since {line.name} was started; start it anew")
    return "running", told["values"]


def shown(value: Scalar) -> str:
    """As it stands in a line file."""
    return str(value).lower() if isinstance(value, bool) else f"{value:.12g}"
