"""The image: one buffer that holds every record of an assembly, one array of records a type.

A line is an assembly of cells and handovers; a plant is an assembly of simulated devices and the belts
between them. Both are scanned by the same compiled loop.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cellrt.tags import WORD, Leaf, Record, Scalar, find, leaves, reach
from cellrt.wire import Views, views

LINE_BYTES = 64
"""Arrays start on a cache line of their own."""


class Layout:
    """Where each named record lies. Same declarations, same bytes: `hash` is the proof."""

    def __init__(self, instances: Mapping[str, type[Record]]) -> None:
        self.instances = dict(instances)
        self.offsets: dict[str, int] = {}
        at = 0
        for kind in dict.fromkeys(self.instances.values()):
            for name in (n for n, k in self.instances.items() if k is kind):
                self.offsets[name] = at
                at += kind.dtype.itemsize
            at = -(-at // LINE_BYTES) * LINE_BYTES
        self.nbytes = max(at, LINE_BYTES)

    def find(self, tag: str) -> Leaf:
        """The tag `instance.path`, its offset from the image's start. Raises KeyError(tag)."""
        name, _, path = tag.partition(".")
        if name not in self.instances:
            raise KeyError(tag)
        try:
            leaf = find(self.instances[name], path)
        except KeyError:
            raise KeyError(tag) from None
        return Leaf(tag, self.offsets[name] + leaf.offset, leaf.field)

    def place(self, path: str) -> tuple[int, int]:
        """(offset, size in bytes) of a whole record inside the image: `printer.outfeed.says`."""
        name, _, inside = path.partition(".")
        offset, kind = self.offsets[name], self.instances[name]
        if inside:
            within, declared = reach(kind, inside)
            offset, kind = offset + within, declared.kind
        size = kind.dtype.itemsize if issubclass(kind, Record) else (1 if kind is bool else WORD)
        return offset, size

    def tags(self) -> Iterator[Leaf]:
        """Every scalar tag of every instance, named `instance.path`."""
        instances: Mapping[str, Any] = self.instances
        for name, kind in instances.items():
            at = self.offsets[name]
            for leaf in _tags_of(kind):
                yield Leaf(f"{name}.{leaf.path}", at + leaf.offset, leaf.field)

    @property
    def hash(self) -> str:
        """sha256 over every tag's name, type and place."""
        digest = hashlib.sha256(str(self.nbytes).encode())
        for leaf in self.tags():
            digest.update(f"{leaf.path} {leaf.field.kind.__name__} {leaf.offset}\n".encode())
        return digest.hexdigest()


@functools.cache
def _tags_of(kind: Any) -> tuple[Leaf, ...]:
    """The tags of a record type, which is long at finding them."""
    return tuple(find(kind, path) for path, _ in leaves(kind))


class Image:
    """Memory for a layout, at the declared defaults."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        spare = np.zeros(layout.nbytes + LINE_BYTES, np.uint8)
        start = -spare.ctypes.data % LINE_BYTES
        self.bytes = spare[start : start + layout.nbytes]
        self.views: Views = views(self.bytes)
        self.address: int = self.bytes.ctypes.data
        for name, kind in layout.instances.items():
            self.array(name)[...] = kind.zeros()

    def array(self, name: str) -> Any:
        """An instance's record as a numpy array of one, sharing the image's memory."""
        kind, at = self.layout.instances[name], self.layout.offsets[name]
        return self.bytes[at : at + kind.dtype.itemsize].view(kind.dtype)

    def __getitem__(self, tag: str) -> Scalar:
        """The tag `instance.path`. Raises KeyError(tag)."""
        return self.read(self.layout.find(tag))

    def __setitem__(self, tag: str, value: Scalar) -> None:
        """Set a tag. Raises KeyError(tag), and ValueError for a value of another type."""
        leaf = self.layout.find(tag)
        kind = leaf.field.kind
        odd = isinstance(value, bool) != (kind is bool)
        if odd or (kind is int and not isinstance(value, int)):
            raise ValueError(f"{tag} is {kind.__name__} and cannot be {value!r}")
        self.write(leaf, value)

    def read(self, leaf: Leaf) -> Scalar:
        """A tag's value as a Python scalar."""
        if leaf.field.kind is bool:
            return bool(self.views.bytes[leaf.offset])
        if leaf.field.kind is int:
            return int(self.views.words[leaf.offset // WORD])
        return float(self.views.reals[leaf.offset // WORD])

    def write(self, leaf: Leaf, value: Scalar) -> None:
        """Set a tag's value."""
        if leaf.field.kind is bool:
            self.views.bytes[leaf.offset] = bool(value)
        elif leaf.field.kind is int:
            self.views.words[leaf.offset // WORD] = int(value)
        else:
            self.views.reals[leaf.offset // WORD] = float(value)

    def hash(self) -> str:
        """sha256 of every byte; there is no padding whose bytes could differ."""
        return hashlib.sha256(self.bytes.tobytes()).hexdigest()
