"""The flight recorder's ring: bytes in a file in memory, which survive the death of every process.

A named file in a tmpfs (/dev/shm), and not the shared region: the region goes with the last process that
holds it. Not a file on disk: a store into one of its pages can stall behind another process's fsync.

    bytes 0-63     magic, version, capacity (a power of two), longest record, layout hash (4 words)
    bytes 64-127   written: how many bytes were ever appended (written by the scan)
    then           the bytes; the one numbered n lies at n % capacity

A record is in the ring from the store of `written` on, so one that its writer did not live to finish is
never seen. The writer never waits and overwrites the oldest; a reader looks at `written` once more after
copying, and drops what may have been overwritten meanwhile.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cellrt.compiled import inlined
from cellrt.compiler.cache import cached_njit
from cellrt.compiler.native import copy_bytes, fence, load_acquire, store_release
from cellrt.wire import Ints

Octets = npt.NDArray[np.uint8]

MAGIC = int.from_bytes(b"cellring", "little")
VERSION = 2
HEADER_BYTES = 128
DEFAULT_BYTES = 16 << 20
"""Half an hour of 60 noisy analogs at 50 Hz: how long a line may run without anyone to put it to disk."""

_CAPACITY, _LONGEST, _HASH, _WRITTEN = 2, 3, 4, 8


class RingFileError(Exception):
    """The file cannot be made, or is no ring for this plan; says which file and why."""


class Piece(NamedTuple):
    """Bytes of a ring: `data` begins with byte number `position`."""

    position: int
    data: Octets


class RingFile:
    """A mapped ring. `words` is the whole file; what compiled code appends to."""

    def __init__(self, path: Path, file_bytes: int) -> None:
        with path.open("r+b") as file:
            # Populated at once: a page fault in the scan would be a visit to the kernel.
            memory = mmap.mmap(file.fileno(), file_bytes, mmap.MAP_SHARED | mmap.MAP_POPULATE)
        self.path = path
        self.words: Ints = np.frombuffer(memory, np.int64)

    @property
    def capacity(self) -> int:
        """How many bytes are kept."""
        return int(self.words[_CAPACITY])

    @property
    def written(self) -> int:
        """How many bytes were ever appended."""
        return int(self.words[_WRITTEN])

    def append(self, data: bytes) -> None:
        """Append one record. Raises ValueError when it is longer than the ring was made for."""
        if len(data) > self.words[_LONGEST]:
            raise ValueError(f"a record of {len(data)} bytes in a ring for {self.words[_LONGEST]}")
        source = np.frombuffer(data, np.uint8)
        _append(self.words, source.ctypes.data, len(data))


def create(path: Path, layout_hash: str, longest: int, capacity: int = DEFAULT_BYTES) -> RingFile:
    """A new, empty ring for records of up to `longest` bytes, in the place of any older file.

    It has `capacity` bytes or more: room for four of the longest records, and a power of two, so that a
    place is found without dividing. Its memory is taken at once: a full tmpfs is told here, not by a signal
    that ends the scan. Raises RingFileError.
    """
    capacity = 1 << (max(capacity, 4 * longest) - 1).bit_length()
    header = np.zeros(HEADER_BYTES // 8, np.int64)
    header[: _HASH + 4] = MAGIC, VERSION, capacity, longest, *_hash_words(layout_hash)
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, HEADER_BYTES + capacity)
            file.write(header.tobytes())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise RingFileError(f"{path}: {error.strerror}") from error
    return RingFile(path, HEADER_BYTES + capacity)


def attach(path: Path, layout_hash: str) -> RingFile:
    """The ring at `path`, with what is in it. Raises RingFileError unless it is one for this layout."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = np.frombuffer(file.read(HEADER_BYTES).ljust(HEADER_BYTES, b"\0"), np.int64)
    except OSError as error:
        raise RingFileError(f"{path}: {error.strerror}") from error
    if header[0] != MAGIC or header[1] != VERSION:
        raise RingFileError(f"{path} is no ring of this version of cellrt")
    if header[_CAPACITY] + HEADER_BYTES != size:
        raise RingFileError(
            f"{path} should have {header[_CAPACITY] + HEADER_BYTES} bytes, not {size}"
        )
    if not np.array_equal(header[_HASH : _HASH + 4], _hash_words(layout_hash)):
        raise RingFileError(
            f"{path} was written by another line, or by this one before it was edited"
        )
    return RingFile(path, size)


class RingFileReader:
    """Reads a ring from byte number `position` on."""

    def __init__(self, ring: RingFile, position: int = 0) -> None:
        self._ring = ring
        self.position = position

    def drain(self) -> Piece:
        """Everything that was appended since the last call, as a copy.

        A piece that begins behind where the last one ended tells that the writer has overtaken; it may
        then begin inside a record. A ring that was made anew is read from its beginning.
        """
        words, capacity = self._ring.words, self._ring.capacity
        written = _written(words)
        if self.position > written:
            self.position = 0
        start = max(self.position, written - capacity)
        data = np.zeros(written - start, np.uint8)
        safe = start if not data.size else int(_copy_out(words, start, written, data.ctypes.data))
        self.position = written
        return Piece(safe, data[safe - start :])


@inlined
def append(ring: Ints, source: int, nbytes: int) -> None:
    """Scan: append the record of `nbytes` bytes at address `source`."""
    base, capacity = ring.ctypes.data, ring[_CAPACITY]
    written = load_acquire(base + _WRITTEN * 8)
    at = written & (capacity - 1)
    first = min(nbytes, capacity - at)
    fence()
    copy_bytes(base + HEADER_BYTES + at, source, first)
    if first < nbytes:
        copy_bytes(base + HEADER_BYTES, source + first, nbytes - first)
    store_release(base + _WRITTEN * 8, written + nbytes)


@cached_njit
def _append(ring: Ints, source: int, nbytes: int) -> None:
    append(ring, source, nbytes)


@cached_njit
def _written(ring: Ints) -> int:
    return load_acquire(ring.ctypes.data + _WRITTEN * 8)  # type: ignore[no-any-return]


@cached_njit
def _copy_out(ring: Ints, start: int, end: int, target: int) -> int:
    """Copy bytes `start` to `end` to address `target`; number of the first that is surely whole.

    The writer has stored `written` before it begins another record, and this one is not longer than
    the longest: so nothing from `written` + longest - capacity on can have been touched.
    """
    base, capacity = ring.ctypes.data, ring[_CAPACITY]
    at = start & (capacity - 1)
    first = min(end - start, capacity - at)
    copy_bytes(target, base + HEADER_BYTES + at, first)
    copy_bytes(target + first, base + HEADER_BYTES, end - start - first)
    fence()
    touched = load_acquire(base + _WRITTEN * 8) + ring[_LONGEST] - capacity
    return int(min(max(start, touched), end))


def _hash_words(layout_hash: str) -> Ints:
    return np.frombuffer(bytes.fromhex(layout_hash), np.int64)
