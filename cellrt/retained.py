"""Retained values on disk: by name, with a version and a checksum, replaced whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cellrt.line.values import fits
from cellrt.scan.plan import Plan
from cellrt.tags import Scalar

VERSION = 1


class RetainedError(Exception):
    """The file of retained values is damaged or of another version; the message says which and the mend."""


def save(path: Path, values: Mapping[str, Any]) -> None:
    """Write values by name. Raises OSError; the file is then as it was."""
    body = json.dumps(values, sort_keys=True)
    checksum = hashlib.sha256(body.encode()).hexdigest()
    text = json.dumps(
        {"version": VERSION, "sha256": checksum, "values": json.loads(body)}, indent=1
    )
    fresh = path.with_suffix(".new")
    with fresh.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def read(path: Path) -> dict[str, Any]:
    """Values as they were saved; none where there is no file. Raises RetainedError for a damaged one."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    try:
        stored = json.loads(text)
        values, version, checksum = stored["values"], stored["version"], stored["sha256"]
    except (ValueError, KeyError, TypeError):
        raise RetainedError(
            f"{path}: cut short or no file of retained values; move it away"
        ) from None
    if version != VERSION:
        raise RetainedError(f"{path}: version {version}, this cellrt reads {VERSION}; move it away")
    if hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest() != checksum:
        raise RetainedError(f"{path}: its checksum does not fit; restore a copy or move it away")
    return dict(values)


def load(path: Path, plan: Plan) -> tuple[dict[str, Scalar], list[str]]:
    """Values for the tags that `plan` retains, by name, and the names of those that no tag can have any
    more: there is none, or it is of another type or range.

    A file that is not there is an empty one. Raises RetainedError for a damaged one: starting with
    half of what was known is for a person to decide.
    """
    values = read(path)
    known = {leaf.path: leaf.field for leaf in plan.retained}
    kept = {n: v for n, v in values.items() if n in known and fits(v, known[n])}
    return kept, sorted(set(values) - set(kept))
