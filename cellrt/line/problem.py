"""What is wrong with a line: one sentence each, with the place and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing to mend, on one line of output: `path:line: what is wrong; how to mend it`."""

    path: str
    line: int
    what: str
    mend: str

    def __str__(self) -> str:
        text = " ".join(f"{self.path}:{self.line}: {self.what}; {self.mend}".split())
        return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


class LineError(Exception):
    """A line that cannot be loaded; every problem found, in the order of files and lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        unique = list(dict.fromkeys(problems))
        files = list(dict.fromkeys(p.path for p in unique))
        self.problems = sorted(unique, key=lambda p: (files.index(p.path), p.line))
        super().__init__("\n".join(map(str, self.problems)))


def nearest(word: str, among: Iterable[str]) -> str | None:
    """The name that `word` was probably meant to be."""
    return next(iter(difflib.get_close_matches(word, sorted(set(among)), 1)), None)


def choose(word: str, among: Iterable[str]) -> str:
    """A mend for a name that does not exist: the nearest one that does, or what there is.

    >>> choose("perod_ms", ["name", "period_ms"])
    "did you mean 'period_ms'?"
    >>> choose("x", ["b", "a"])
    'choose among a, b'
    """
    names = sorted(set(among))
    if near := nearest(word, names):
        return f"did you mean {near!r}?"
    if len(names) > 12:
        names = [*names[:12], "..."]
    return f"choose among {', '.join(names)}" if names else "there is none to choose"
