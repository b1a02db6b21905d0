"""The mirror: the newest snapshot as clients see it, and what changed since they were told."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary

from cellrt.opcua.status import Codes, status
from cellrt.scan.snapshot import NOW_NS, Snapshot
from cellrt.tags import WORD
from cellrt.wire import Ints, views

GOOD = 0
WAITING = Codes.BadWaitingForInitialData
DEVICE_BAD = Codes.BadNoCommunication
SCAN_LOST = Codes.BadOutOfService
NOT_ACTIVE = Codes.BadStateNotActive
STATUS = {code: status(code) for code in (Codes.Good, WAITING, DEVICE_BAD, SCAN_LOST, NOT_ACTIVE)}

OWN_WORDS = 2
PUBLISHED_CHANGES, SHED_CHANGES = 0, 1
"""Words after the snapshot that the server counts in."""

START = datetime(1970, 1, 1, tzinfo=UTC)
START_TICKS = 116_444_736_000_000_000
"""The same in 100 ns since 1601, as times go over the wire (Part 6, 5.2.2.5)."""

TIMES_BYTES = 16
"""Source and server time, with which a value of ours ends."""

WHOLE = 0b1111
"""A DataValue of value, status, source and server time (Part 6, 5.2.2.17)."""

PACK = {
    kind: struct.Struct(f"<BB{letter}Iqq").pack
    for kind, letter in (
        (ua.VariantType.Boolean, "?"),
        (ua.VariantType.Int32, "i"),
        (ua.VariantType.UInt32, "I"),
        (ua.VariantType.Int64, "q"),
        (ua.VariantType.Double, "d"),
    )
}
"""How a good value of each type that most tags have becomes a DataValue."""


class Reading(ua.DataValue):
    """A value as of a scan. Nobody changes it afterwards, so it is its own copy.

    asyncua copies every value deeply for every monitored item, which costs more than all the rest.
    """

    __slots__ = ()

    def __deepcopy__(self, memo: Any) -> Reading:
        return self


@dataclass(frozen=True)
class Row:
    """One variable: the byte of the mirror at which a `kind` lies, and what a client sees of it.

    `show` makes the client's value, of `type`, from the bool, int or float that lies there, or None of
    a state machine that is not active (Part 5, B.4.3). An array is told anew when that one changes. `good`
    is the word that says whether the device which feeds it is good.
    """

    node: ua.NodeId
    place: int
    kind: type[Any]
    type: ua.VariantType
    show: Callable[[Any], Any] | None = None
    good: int | None = None


@dataclass(slots=True)
class Change:
    """A changed value: the bytes of its DataValue, and the value itself for who must weigh it."""

    encoded: bytes
    reading: Callable[[], Reading]


class Mirror:
    """What a line's clients see. `pending` bool[rows]: changed, and not yet told to who watches;
    `changed` bool[rows]: by the newest snapshot.

    Times are logical; `wall_start_ns` is the wall time (ns since 1970) of logical time 0.
    """

    def __init__(self, rows: Sequence[Row], line_words: int, wall_start_ns: int) -> None:
        """`line_words`: a snapshot's, and what else is known of the line behind it. `rows` in any order,
        but those of the server's own words last.
        """
        self.rows = tuple(rows)
        self.own = line_words
        self.views = views(bytearray((line_words + OWN_WORDS) * WORD))
        self.of_line = sum(r.place < line_words * WORD for r in self.rows)
        self.pending = np.zeros(len(self.rows), np.bool_)
        self.changed = np.zeros(len(self.rows), np.bool_)
        self._wall_start_ns = wall_start_ns
        self._now_ns = 0
        self._place = np.array([r.place for r in self.rows], np.int64)
        self._bools = np.flatnonzero([r.kind is bool for r in self.rows])
        self._fed = np.flatnonzero([r.good is not None for r in self.rows])
        self._good_at = np.array([r.good for r in self.rows if r.good is not None], np.int64)
        self._raw = np.zeros(len(self.rows), np.int64)
        self._status = self._statuses(WAITING)
        self._changed_ns = np.zeros(len(self.rows), np.int64)
        self._pack = [PACK.get(r.type) for r in self.rows]

    def take(self, snapshot: Snapshot) -> None:
        """A newer snapshot. Its words are copied."""
        self.views.words[: snapshot.words.size] = snapshot.words
        self._now_ns = int(self.views.words[NOW_NS])
        status = self._statuses(GOOD)
        status[self._fed[self.views.words[self._good_at] == 0]] = DEVICE_BAD
        self._compare(status)

    def put(self, place: int, words: Ints) -> None:
        """Newer words of what lies behind the snapshot, to be shown with the next one."""
        self.views.words[place : place + words.size] = words

    def lose(self) -> None:
        """There are no snapshots any more: nothing that is known of the line holds."""
        self._compare(self._statuses(SCAN_LOST))

    def count(self, counter: int, more: int) -> None:
        """Add to one of the server's own words."""
        self.views.words[self.own + counter] += more

    def reading(self, number: int) -> Reading:
        """A row's value: null while it is bad (Part 4, 7.7.1), with the time of its last change."""
        row, status = self.rows[number], STATUS[int(self._status[number])]
        source, server = self._wall(int(self._changed_ns[number])), self._wall(self._now_ns)
        value = None
        if status.value == GOOD:
            value = row.show(self._value(row)) if row.show else self._value(row)
            if value is None:
                status = STATUS[NOT_ACTIVE]
        if value is None:
            reading = Reading(None, status, source, server)
            reading.Value = None  # absent, not a null variant: deadbands compare whatever is there
            return reading
        variant = ua.Variant(value, row.type, None, isinstance(value, list))
        return Reading(variant, status, source, server)

    def change(self, number: int) -> Change:
        """A row's value, encoded."""
        row, pack, encoded = self.rows[number], self._pack[number], b""
        if pack is not None and self._status[number] == GOOD:
            value = row.show(self._value(row)) if row.show else self._value(row)
            if value is not None and not isinstance(value, list):
                times = self._ticks(self._changed_ns[number]), self._ticks(self._now_ns)
                encoded = pack(WHOLE, row.type, value, GOOD, *times)
        return Change(
            encoded or struct_to_binary(self.reading(number)), lambda: self.reading(number)
        )

    def _value(self, row: Row) -> bool | int | float:
        if row.kind is bool:
            return bool(self.views.bytes[row.place])
        if row.kind is int:
            return int(self.views.words[row.place // WORD])
        return float(self.views.reals[row.place // WORD])

    def _statuses(self, code: int) -> Ints:
        status = np.full(len(self.rows), code, np.int64)
        status[self.of_line :] = GOOD
        return status

    def _compare(self, status: Ints) -> None:
        raw = self.views.words[self._place // WORD]
        raw[self._bools] = self.views.bytes[self._place[self._bools]]
        raw[status != GOOD] = 0
        changed: npt.NDArray[np.bool_] = (raw != self._raw) | (status != self._status)
        self._changed_ns[changed] = self._now_ns
        self.changed = changed
        self.pending |= changed
        self._raw, self._status = raw, status

    def _ticks(self, now_ns: int) -> int:
        return START_TICKS + (self._wall_start_ns + int(now_ns)) // 1000 * 10

    def _wall(self, now_ns: int) -> ua.DateTime:
        return timestamp(START + timedelta(microseconds=(self._wall_start_ns + now_ns) // 1000))


def timestamp(moment: datetime) -> ua.DateTime:
    """A moment as asyncua's signatures name it; at run time they take any datetime."""
    return cast(ua.DateTime, moment)
