"""The event ring: the scan appends and never waits; who reads too late learns how many it lost.

    bytes 0-63     published: number of the newest record (written by the scan)
    bytes 64-127   cursor: number of the last record put away (written by the reader)
    then           the records, a cache line each

Records are numbered from 1, over every restart of either side; word 0 of a record is its number,
the other seven are the event. A record is read only after it was published, and when it is
overwritten its number goes first. So a copy is whole if the number still stands after copying: a
sequence lock for each record, which needs no look before the copy, as no number comes back.
"""

from __future__ import annotations

import numpy as np

from cellrt.compiler.cache import cached_njit
from cellrt.compiler.native import copy_bytes, fence, load_acquire, store_release
from cellrt.shared.memory import LINE_BYTES, LINE_WORDS, Section, address_of
from cellrt.wire import Ints

RECORD_WORDS = 8
_RECORDS = 2 * LINE_BYTES


def ring_bytes(capacity: int) -> int:
    """Size of the section for `capacity` records."""
    return _RECORDS + capacity * LINE_BYTES


@cached_njit
def append(base: int, capacity: int, record: int) -> int:
    """Scan: append words 1 to 7 of the record at address `record`; returns the number it got."""
    number = load_acquire(base) + 1
    slot = base + _RECORDS + number % capacity * LINE_BYTES
    store_release(slot, number)
    fence()
    copy_bytes(slot + 8, record + 8, LINE_BYTES - 8)
    store_release(base, number)
    return number  # type: ignore[no-any-return]


@cached_njit
def read_after(base: int, capacity: int, cursor: int, target: int, limit: int) -> int:
    """Copy up to `limit` successive records numbered above `cursor` to `target`; returns how many.

    Those that were overwritten are passed over: the number of the first record says how many.
    """
    published = load_acquire(base)
    count = 0
    for number in range(max(cursor, published - capacity) + 1, published + 1):
        if count == limit:
            break
        slot = base + _RECORDS + number % capacity * LINE_BYTES
        to = target + count * LINE_BYTES
        copy_bytes(to, slot, LINE_BYTES)
        fence()
        if load_acquire(slot) == number:
            count += 1
        elif count > 0:
            break
    return count


class RingWriter:
    """The scan's side, for Python (plain mode and tests)."""

    def __init__(self, section: Section) -> None:
        self._section = section
        self.capacity = ring_capacity(section)

    def append(self, record: Ints) -> int:
        """Append words 1 to 7 of `record`; returns its number."""
        address = address_of(record, RECORD_WORDS)
        return int(append(self._section.address, self.capacity, address))


class RingReader:
    """The reader's side, for Python.

    `read` looks, `confirm` moves the cursor in the shared memory. A reader that was killed between
    the two reads the same records again, and tells by their numbers which it has put away already.
    """

    def __init__(self, section: Section, limit: int = 1024) -> None:
        self._section = section
        self.capacity = ring_capacity(section)
        self._records = np.zeros((limit, RECORD_WORDS), np.int64)
        self._read_to = self.cursor

    @property
    def cursor(self) -> int:
        """Number of the last record that was confirmed."""
        return int(self._section.words[LINE_WORDS])

    def read(self) -> tuple[Ints, int]:
        """The records that follow the ones read last, and how many were lost before them.

        Shape (n, 8), n at most `limit`, valid until the next call. A loss is reported together with
        the first record behind it.
        """
        target, limit = self._records.ctypes.data, len(self._records)
        count = read_after(self._section.address, self.capacity, self._read_to, target, limit)
        records = self._records[:count]
        lost = int(records[0, 0]) - self._read_to - 1 if count else 0
        self._read_to += lost + count
        return records, lost

    def confirm(self) -> None:
        """All that was read is put away: a restarted reader goes on behind it."""
        self._section.words[LINE_WORDS] = self._read_to


def ring_capacity(section: Section) -> int:
    """How many records fit in the section."""
    return section.words.size // LINE_WORDS - 2
