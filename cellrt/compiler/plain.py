"""Plain mode: a record of the image as an ordinary Python object; `breakpoint()` in a cell works.

A proxy is an instance of the record's own class whose tags read and write the image's bytes as
Python scalars. Its methods are the class's own, uncompiled. What they leave in the image is
bit-identical to what compiled code leaves there: integers wrap like int64 where they are stored.
"""

from __future__ import annotations

import functools
from operator import attrgetter
from typing import Any, TypeVar

import numpy as np

from cellrt.tags import WORD, Array, Record

T = TypeVar("T", bound=Record)


def plain(record: type[T], buffer: Any, offset: int = 0) -> T:
    """The `record` that lies `offset` bytes into a writable, contiguous `buffer`.

    Raises ValueError where the buffer ends too soon or `offset` is no whole number of words.
    """
    if offset % WORD:
        raise ValueError(f"{record.type_name()} at byte {offset}: records lie on whole words")
    octets = np.frombuffer(buffer, np.uint8, record.dtype.itemsize, offset).data
    kind: Any = record
    proxy: T = _proxy_class(kind)(octets)
    return proxy


class _Proxy:
    """Views of one record's bytes, and the proxies of the records in it, each made once."""

    def __init__(self, octets: memoryview) -> None:
        self._bools = octets.cast("?")
        self._words = octets.cast("q")
        self._reals = octets.cast("d")
        self._octets = octets
        for name, declared in type(self).fields.items():  # type: ignore[attr-defined]
            if declared.is_record:
                at = type(self).dtype.fields[name][1]  # type: ignore[attr-defined]
                size, kind = declared.kind.dtype.itemsize, _proxy_class(declared.kind)
                inner = [
                    kind(octets[start : start + size])
                    for start in range(at, at + size * max(declared.count, 1), size)
                ]
                setattr(self, _hidden(name), Array(inner) if declared.count else inner[0])

    def __init_subclass__(cls) -> None:
        """A proxy class declares nothing: its record class has its dtype and methods already."""


@functools.cache
def _proxy_class(record: Any) -> Any:
    tags = {name: _tag(record, name) for name in record.fields}
    named = {"__module__": record.__module__, "__qualname__": record.__qualname__}
    return type(record.__name__, (_Proxy, record), tags | named)


def _tag(record: type[Record], name: str) -> property:
    declared = record.fields[name]
    at = record.dtype.fields[name][1]  # type: ignore[index]
    if declared.is_record:
        return property(attrgetter(_hidden(name)))
    if declared.kind is bool:
        return _bool_tag(at)
    return _int_tag(at // WORD) if declared.kind is int else _float_tag(at // WORD)


def _hidden(name: str) -> str:
    return f"_record_{name}"


def _bool_tag(at: int) -> property:
    def get(self: Any) -> bool:
        value: bool = self._bools[at]
        return value

    def store(self: Any, value: Any) -> None:
        self._bools[at] = bool(value)

    return property(get, store)


def _int_tag(word: int) -> property:
    def get(self: Any) -> int:
        value: int = self._words[word]
        return value

    def store(self: Any, value: Any) -> None:
        try:
            self._words[word] = value
        except (TypeError, ValueError):  # a fraction, or more than 64 bits
            self._words[word] = wrapped(value)

    return property(get, store)


def _float_tag(word: int) -> property:
    def get(self: Any) -> float:
        value: float = self._reals[word]
        return value

    def store(self: Any, value: Any) -> None:
        self._reals[word] = value

    return property(get, store)


def wrapped(value: float) -> int:
    """`value` as an int64: a fraction is cut off, an integer of more than 64 bits wraps.

    Raises ValueError for a float that no int64 holds: what compiled code makes of it depends on the
    processor.
    """
    if isinstance(value, float) and not -(2.0**63) <= value < 2.0**63:
        raise ValueError(f"{value} does not fit an int tag")
    return (int(value) + 2**63) % 2**64 - 2**63
