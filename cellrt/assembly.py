"""An assembly: records that are scanned together, and the links through which alone they touch.

A line is an assembly of cells linked by handovers, a plant one of devices linked by belts. A scan hears
the members (copies `to_links`), scans the links, tells the members (copies `to_members`) and scans these.
So no member sees another's memory, and the order of the members changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from cellrt.image import Layout
from cellrt.tags import WORD, Record
from cellrt.wire import Ints


@dataclass(frozen=True)
class Assembly:
    """`members` and `links` by name; `copies` as (from, to) paths of records or tags of equal size.

    Copies are made in an order of the schedule's own, so no two of one direction may write the same
    bytes, as one to a record and one to a tag of it would: `schedule` raises ValueError.

    `every[name]` scans a member in every n-th scan only; members of one period are a task. Every type has
    `now_ns`, `dt_s` and `scan()`. One that `looks_between` is scanned in the scans between, too, with `dt_s` 0:
    no time passes for it, it looks at what cannot wait.
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

    def side_by_side(self, prefixes: Sequence[str]) -> Assembly:
        """The same assembly once for each prefix, which stands before every name in it."""
        return Assembly(
            {p + name: kind for p in prefixes for name, kind in self.members.items()},
            {p + name: kind for p in prefixes for name, kind in self.links.items()},
            tuple((p + a, p + b) for p in prefixes for a, b in self.to_links),
            tuple((p + a, p + b) for p in prefixes for a, b in self.to_members),
            {p + name: n for p in prefixes for name, n in self.every.items()},
        )

    def types(self) -> list[type[Record]]:
        """Each record type once; the index is its number in `Schedule.rows`."""
        return list(dict.fromkeys((*self.members.values(), *self.links.values())))

    @cached_property
    def periods(self) -> tuple[int, ...]:
        """How often each task is due: in every so many scans, the fastest task first."""
        return tuple(sorted({self.every.get(name, 1) for name in self.members}))

    @cached_property
    def by_task(self) -> tuple[str, ...]:
        """The members, task by task, within each type by type, as they lie in memory: what one of them has
        brought into the caches, code and all, is there for the next."""
        kinds = {kind: n for n, kind in enumerate(self.types())}
        return tuple(
            sorted(self.members, key=lambda n: (self.every.get(n, 1), kinds[self.members[n]]))
        )

    def schedule(self) -> Schedule:
        """The tables that the compiled scan runs by."""
        types = self.types()
        links = [self._row(types, name, kind) for name, kind in self.links.items()]
        members = [self._row(types, name, self.members[name]) for name in self.by_task]
        of = [self.every.get(name, 1) for name in self.by_task]
        tasks = [
            [every, of.index(every), of.index(every) + of.count(every)] for every in self.periods
        ]
        return Schedule(
            _rows(links, 5),
            _rows(members, 5),
            _rows(tasks, 3),
            self._copies(self.to_links),
            self._copies(self.to_members),
        )

    def pace(self) -> Pace:
        """The pace of a scan that has not begun."""
        tasks = len(self.periods)
        return Pace(np.ones(tasks, np.int64), np.zeros(tasks, np.int64))

    def _row(self, types: list[Any], name: str, kind: type[Record]) -> list[int]:
        place = self.layout.place
        offset = self.layout.offsets[name]
        now, dt = place(f"{name}.now_ns")[0], place(f"{name}.dt_s")[0]
        return [types.index(kind), offset, now // WORD, dt // WORD, kind.looks_between]

    def _copies(self, copies: tuple[tuple[str, str], ...]) -> Ints:
        """Rows of `Schedule.to_links`, those of one word before all others, so that which it is is foreseen."""
        rows, targets = [], []
        for source, target in copies:
            (at, size), (to, room) = self.layout.place(source), self.layout.place(target)
            if size != room:
                raise ValueError(f"{source} has {size} bytes but {target} has {room}")
            rows.append([at, to, size])
            targets.append((to, to + size, target))
        targets.sort()
        for (_, end, one), (begin, _, other) in pairwise(targets):
            if begin < end:
                raise ValueError(f"{one} and {other} overlap: copy to one of them only")
        return _rows(sorted(rows, key=lambda row: row[2]), 3)


class Schedule(NamedTuple):
    """Tables of an assembly.

    `links`, `members` int64[n, 5]: number of the type, byte offset of the record, word of its `now_ns`,
    word of its `dt_s`, 1 where it looks between its scans. `tasks` int64[n, 3]: due in every so many
    scans, first row of `members`, row behind the last. `to_links`, `to_members` int64[n, 3]: byte offset
    from, byte offset to, bytes.
    """

    links: Ints
    members: Ints
    tasks: Ints
    to_links: Ints
    to_members: Ints


class Pace(NamedTuple):
    """How an assembly's tasks go; what one scan leaves to the next.

    `multiple` int64[tasks]: 1, or how many times slower than declared a task is scanned at present.
    `scanned` int64[tasks]: number of its last scan; 0 before there was one.
    """

    multiple: Ints
    scanned: Ints


def _rows(rows: list[list[int]], width: int) -> Ints:
    return np.array(rows, np.int64).reshape(len(rows), width)
