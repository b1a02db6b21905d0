"""A block compiled and plain at once: every call is made in both modes, and must leave the same bits."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numba

from cellrt.compiled import STRICT
from cellrt.compiler.methods import numba_type
from cellrt.compiler.plain import plain
from cellrt.tags import Record

T = TypeVar("T", bound=Record)
F = TypeVar("F", bound=Callable[..., Any])


def into_machine_code(function: F) -> F:
    """`function`, compiled as everything in the scan is."""
    dispatcher: F = numba.njit(**STRICT)(function)
    return dispatcher


@into_machine_code
def _update(records: Any, *inputs: Any) -> Any:
    return records[0].update(*inputs)


class Both(Generic[T]):
    """One block with its tags at their defaults but for `tags`; `tag` reads them."""

    def __init__(self, block: type[T], **tags: float) -> None:
        numba_type(block)
        self._compiled, self._bytes = block.zeros(), block.zeros()
        self.tag = plain(block, self._bytes)
        for name, value in tags.items():
            setattr(self.tag, name, value)
        self._compiled[:] = self._bytes

    def update(self, *inputs: float) -> Any:
        """Call the block's `update` in both modes."""
        result, expected = _update(self._compiled, *inputs), self.tag.update(*inputs)  # type: ignore[attr-defined]
        assert bits(result) == bits(expected), inputs
        assert self._compiled.tobytes() == self._bytes.tobytes(), inputs
        return expected


def bits(value: float) -> tuple[type, object]:
    """A scalar's type and bits: tells 0.0 from -0.0 and True from 1."""
    return type(value), struct.pack("<d", value) if isinstance(value, float) else value


def walk(block: type[Record], diagram: str) -> None:
    """Drive a block through a diagram; the first column right of the bar is also what it returns."""
    heading, *rows = [line.split("|") for line in diagram.strip().splitlines()]
    outputs = heading[1].split()
    both = Both(block)
    for row in rows:
        returned = both.update(*map(number, row[0].split()))
        found = {name: getattr(both.tag, name) for name in outputs}
        assert found == dict(zip(outputs, map(number, row[1].split()), strict=True)), "|".join(row)
        assert returned == found[outputs[0]]


def number(text: str) -> float:
    """L and H are the levels of a bool."""
    if text in "LH":
        return text == "H"
    return int(text) if text.lstrip("-").isdigit() else float(text)
