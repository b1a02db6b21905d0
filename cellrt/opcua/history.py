"""History of chosen tags: their changes in SQLite, bounded by number and by age."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from asyncua import ua

from cellrt.opcua.mirror import START, Reading, timestamp
from cellrt.opcua.status import Codes, status

MAX_VALUES = 20_000
"""Kept of each tag."""

MAX_AGE_US = 7 * 86_400 * 10**6
TRIM_EVERY = 500
"""Values of a tag between two looks at what is to go."""

MAX_A_NODE, MAX_AN_ANSWER = 1_000, 20_000
"""Values in one answer; the rest comes by continuation points."""

UNSET = ua.get_win_epoch()
"""A time that a client did not give."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS history (
    tag TEXT, t_us INTEGER, value, status INTEGER, PRIMARY KEY (tag, t_us)) WITHOUT ROWID;
"""
_OLDEST_KEPT = "SELECT t_us FROM history WHERE tag = ? ORDER BY t_us DESC LIMIT 1 OFFSET ?"
MICROSECOND = timedelta(microseconds=1)


class History:
    """The changes of the tags in `kinds`, which has each one's type on the wire.

    Times are source times in us since 1970. A tag that is no longer kept loses what it had.
    """

    def __init__(self, path: Path | None, kinds: dict[str, ua.VariantType]) -> None:
        """Raises sqlite3.Error where there can be no such file; `path` None keeps it in memory."""
        self.kinds = kinds
        self._added = dict.fromkeys(kinds, 0)
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        marks = ",".join("?" * len(kinds))
        self._db.execute(f"DELETE FROM history WHERE tag NOT IN ({marks})", list(kinds))

    def add(self, readings: Iterable[tuple[str, Reading]]) -> None:
        """Keep what tags have become, in one transaction. Raises sqlite3.Error; nothing is then kept."""
        rows = [
            (tag, _us(r.SourceTimestamp), None if r.Value is None else r.Value.Value, _code(r))
            for tag, r in readings
        ]
        try:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?)", rows)
            for tag, t_us, *_ in rows:
                self._trim(tag, t_us)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def read(
        self, asked: ua.HistoryReadValueId, details: ua.ReadRawModifiedDetails, tag: str, most: int
    ) -> ua.HistoryReadResult:
        """What a client asks of one tag (Part 11, 6.4.3): at most `most` values, and where to go on.

        A bound that there is not is left out.
        """
        start, end = _given(details.StartTime), _given(details.EndTime)
        count = int(details.NumValuesPerNode)
        if (start is None) + (end is None) + (count == 0) > 1:
            return _refused(Codes.BadInvalidArgument)
        backwards = start is None or (end is not None and end < start)
        low, high = (start, end) if start is None or not backwards else (end, start)
        if details.ReturnBounds:
            low, high = self._bounds(tag, low, high)
        if asked.ContinuationPoint:
            if len(asked.ContinuationPoint) != 8:
                return _refused(Codes.BadContinuationPointInvalid)
            next_us = int.from_bytes(asked.ContinuationPoint, "little", signed=True)
            low, high = (low, next_us) if backwards else (next_us, high)
        limit = min(count or most, most)
        rows = self._rows(tag, low, high, backwards, limit + 1)
        result = ua.HistoryReadResult()
        result.HistoryData = ua.HistoryData([self._value(tag, *row) for row in rows[:limit]])
        if len(rows) > limit:
            result.ContinuationPoint = rows[limit][0].to_bytes(8, "little", signed=True)
        if not rows:
            result.StatusCode = status(Codes.GoodNoData)
        return result

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _rows(
        self, tag: str, low: int | None, high: int | None, backwards: bool, limit: int
    ) -> list[tuple[int, bool | int | float | None, int]]:
        """Times, values and codes within [low, high]."""
        order = "DESC" if backwards else "ASC"
        query = (
            "SELECT t_us, value, status FROM history WHERE tag = ? AND t_us >= ? AND t_us <= ? "
            f"ORDER BY t_us {order} LIMIT ?"
        )
        bounds = (-(2**63) if low is None else low, 2**63 - 1 if high is None else high)
        with closing(self._db.execute(query, (tag, *bounds, limit))) as rows:
            return list(rows)

    def _bounds(self, tag: str, low: int | None, high: int | None) -> tuple[int | None, int | None]:
        """Times of the last value up to `low` and of the first one from `high` on, where there are any."""
        before = "SELECT max(t_us) FROM history WHERE tag = ? AND t_us <= ?"
        after = "SELECT min(t_us) FROM history WHERE tag = ? AND t_us >= ?"
        if low is not None:
            found = self._db.execute(before, (tag, low)).fetchone()[0]
            low = low if found is None else int(found)
        if high is not None:
            found = self._db.execute(after, (tag, high)).fetchone()[0]
            high = high if found is None else int(found)
        return low, high

    def _value(
        self, tag: str, t_us: int, value: bool | int | float | None, code: int
    ) -> ua.DataValue:
        source = timestamp(START + t_us * MICROSECOND)
        kind = self.kinds[tag]
        if value is None:
            data = ua.DataValue(None, status(code), source)
            data.Value = None
            return data
        shown = bool(value) if kind is ua.VariantType.Boolean else value
        return ua.DataValue(ua.Variant(shown, kind), status(code), source)

    def _trim(self, tag: str, now_us: int) -> None:
        self._added[tag] += 1
        if self._added[tag] % TRIM_EVERY:
            return
        oldest = self._db.execute(_OLDEST_KEPT, (tag, MAX_VALUES - 1)).fetchone()
        before = max(now_us - MAX_AGE_US, oldest[0] if oldest else 0)
        self._db.execute("DELETE FROM history WHERE tag = ? AND t_us < ?", (tag, before))


def _us(moment: datetime | ua.DateTime | None) -> int:
    assert isinstance(moment, datetime)
    return (moment - START) // MICROSECOND


def _given(moment: datetime | ua.DateTime | None) -> int | None:
    """A client's time in us since 1970; None when it gave none."""
    if not isinstance(moment, datetime) or moment <= UNSET:
        return None
    return _us(moment)


def _code(reading: Reading) -> int:
    return 0 if reading.StatusCode is None else int(reading.StatusCode.value)


def _refused(code: int) -> ua.HistoryReadResult:
    result = ua.HistoryReadResult()
    result.StatusCode = status(code)
    return result
