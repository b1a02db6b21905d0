"""An assembly: records that are scanned together, and the links through which alone they touch.

A line is an assembly of cells linked by handovers, a plant one of devices linked by belts. A scan hears
the members (copies `to_links`), scans the links, tells the members (copies `to_members`) and scans these.
So no member sees another's memory, and the order of the members changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from cellrt.image import Layout
from cellrt.tags import WORD, Record
from cellrt.wire import Ints


@dataclass(frozen=True)
class Assembly:
    """`members` and `links` by name; `copies` as (from, to) paths of records or tags of equal size.

    `every[name]` scans a member in every n-th scan only. Every type has `now_ns`, `dt_s` and `scan()`.
    """

    members: Mapping[str, type[Record]]
    links: Mapping[str, type[Record]] = field(default_factory=dict)
    to_links: tuple[tuple[str, str], ...] = ()
    to_members: tuple[tuple[str, str], ...] = ()
    every: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def layout(self) -> Layout:
        """Members first, in order of declaration, then links."""
        return Layout({**self.members, **self.links})

    def types(self) -> list[type[Record]]:
        """Each record type once; the index is its number in `Schedule.rows`."""
        return list(dict.fromkeys((*self.members.values(), *self.links.values())))

    def schedule(self) -> Schedule:
        """The tables that the compiled scan runs by."""
        types = self.types()
        links = [self._row(types, name, kind) for name, kind in self.links.items()]
        members = [self._row(types, name, kind) for name, kind in self.members.items()]
        return Schedule(
            _rows(links, 5),
            _rows(members, 5),
            self._copies(self.to_links),
            self._copies(self.to_members),
        )

    def _row(self, types: list[Any], name: str, kind: type[Record]) -> list[int]:
        place = self.layout.place
        offset = self.layout.offsets[name]
        now, dt = place(f"{name}.now_ns")[0], place(f"{name}.dt_s")[0]
        return [types.index(kind), offset, self.every.get(name, 1), now // WORD, dt // WORD]

    def _copies(self, copies: tuple[tuple[str, str], ...]) -> Ints:
        rows = []
        for source, target in copies:
            (at, size), (to, room) = self.layout.place(source), self.layout.place(target)
            if size != room:
                raise ValueError(f"{source} has {size} bytes but {target} has {room}")
            rows.append([at, to, size])
        return _rows(rows, 3)


class Schedule(NamedTuple):
    """Tables of an assembly.

    `links`, `members` int64[n, 5]: number of the type, byte offset of the record, scanned every so many
    scans, word of its `now_ns`, word of its `dt_s`. `to_links`, `to_members` int64[n, 3]: byte offset
    from, byte offset to, bytes.
    """

    links: Ints
    members: Ints
    to_links: Ints
    to_members: Ints


def _rows(rows: list[list[int]], width: int) -> Ints:
    return np.array(rows, np.int64).reshape(len(rows), width)
