"""Reading a recording, damaged or not: scan by scan, telling what is wrong and going on behind it.

A record whose CRC fails is mended when one bit of it is wrong: the CRC tells which. Otherwise reading
goes on at the next keyframe, and what differs there from the inputs known so far is what the damaged
record had.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cellrt.compiled import compiled
from cellrt.compiler.cache import cached_njit
from cellrt.recording.file import FRAME_BYTES, Frame, frames
from cellrt.recording.header import Header, RecordingError, unpack
from cellrt.scan.records import (
    BEGIN,
    CHECKSUM,
    CRC_BYTES,
    CRC_TABLE,
    KEYFRAME,
    NEXT,
    NOTHING,
    NUMBER,
    SCAN,
    Tape,
    body,
    crc32c,
    get,
    get_32,
    read_record,
)
from cellrt.shared.ringfile import Octets
from cellrt.wire import Ints

LENGTH_BYTES = 5
"""What a record's length takes at most."""

Advance = Callable[[Tape, Octets, int, int], int]
"""Reads one record, or several scans; the kind of the last one. NEXT is where it stopped."""


class Recorded(NamedTuple):
    """A recorded scan. `inputs` is good until the next one is read."""

    scan: int
    inputs: Ints
    checksum: int


@dataclass(frozen=True)
class Finding:
    """Something wrong with a recording, at or after scan number `scan`.

    `until` is the keyframe's scan behind which reading went on, None where nothing was lost.
    """

    scan: int
    what: str
    until: int | None = None

    def __str__(self) -> str:
        return self.what if self.until is None else f"{self.what}; left out up to scan {self.until}"


class RecordingReader:
    """Reads the recording at `path`. Raises RecordingError where there is nothing that can be read.

    `findings` and `cut_bytes`, those of a record that was not written to its end, grow while it is read.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                size = path.stat().st_size
                self._file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror}") from error
        self.header, self._begin = unpack(self._file, path)
        self.findings: list[Finding] = []
        self.cut_bytes = 0
        self.tape = _tape(self.header)
        self._running = False
        self._broken: list[Finding] = []

    @property
    def scan(self) -> int:
        """Number of the scan read last."""
        return int(self.tape.head[NUMBER])

    def __iter__(self) -> Iterator[Recorded]:
        head = self.tape.head
        for kind in self.walk():
            if kind == SCAN:
                yield Recorded(self.scan, self.tape.inputs, int(head[CHECKSUM]))

    def walk(self, advance: Advance | None = None) -> Iterator[int]:
        """Kind after kind, as `advance` reads them (by default one record each time).

        SCAN: `tape.inputs` are those of a scan. KEYFRAME: `tape.frame` is the state after it. BEGIN: the
        same, and it does not follow from what was read before.
        """
        self.findings.clear()
        self._running, self.cut_bytes, position = False, 0, 0
        for frame in frames(self._file, self._begin):
            data = np.frombuffer(self._file[frame.begin : frame.end], np.uint8).copy()
            at = 0
            if not frame.sound:
                if frame.end == len(self._file) and next_record(data, 0, data.size) == data.size:
                    self.cut_bytes = data.size + FRAME_BYTES  # a power cut can leave zeros
                    break
                where = f"the frame of the piece that begins at byte {frame.begin}"
                self.findings.append(Finding(self.scan, f"{where} is damaged; nothing was lost"))
            if frame.position > position:
                lost = frame.position - position
                self._lose(f"{lost} bytes were overwritten before they were put to disk")
                at = int(next_record(data, 0, data.size))
            yield from self._walk_piece(frame, data, at, advance or read_one)
            position = frame.position + data.size
        self.findings += [replace(broken, until=self.scan) for broken in self._broken]
        self._broken.clear()

    def _walk_piece(self, frame: Frame, data: Octets, at: int, advance: Advance) -> Iterator[int]:
        tape, end = self.tape, data.size
        while at < end:
            kind = (advance if self._running else read_one)(tape, data, at, end)
            at = int(tape.head[NEXT])
            if kind == NOTHING:
                following = int(next_record(data, at + 1, end))
                if following == end and not frame.whole:
                    self.cut_bytes = end - at
                    return
                if not self._mend(data, at, following):
                    self._lose(f"the record at byte {frame.begin + at} is damaged")
                    at = following
            elif kind != SCAN:
                yield self._keyframe(kind)
            elif self._running:
                yield SCAN

    def _keyframe(self, kind: int) -> int:
        """What is known of the inputs against what the keyframe says."""
        known = self.tape.inputs[: self.header.commands_base]
        told = self.tape.frame[: self.header.commands_base]
        differing = [self.header.name(int(k)) for k in np.flatnonzero(known != told)]
        for broken in self._broken:
            names = "" if kind == BEGIN or not differing else f"; it had {', '.join(differing)}"
            self.findings.append(replace(broken, what=broken.what + names, until=self.scan))
        if kind == KEYFRAME and self._running and differing:
            what = f"{', '.join(differing)}: not as the keyframe says, since the one before it"
            self.findings.append(Finding(self.scan, what))
        known[:] = told
        begins, self._running = kind == BEGIN or not self._running, True
        self._broken.clear()
        return BEGIN if begins else KEYFRAME

    def _lose(self, what: str) -> None:
        self._running = False
        self._broken.append(Finding(self.scan, what))

    def _mend(self, data: Octets, at: int, end: int) -> bool:
        """Turn back the one bit that is wrong in data[at:end], and tell what it was in."""
        bit = int(turn_back(data, at, end))
        if bit < 0:
            return False
        kind, passed, word, part = part_of(data[at:end].tobytes(), bit >> 3)
        name = part if word is None else self.header.name(word)
        scan = self.scan + passed if kind == SCAN else self.scan
        name = name if kind == SCAN else f"the keyframe's {name}"
        self.findings.append(Finding(scan, f"{name}: one bit was wrong and is mended"))
        return True


def part_of(record: bytes, byte: int) -> tuple[int, int, int | None, str]:
    """Kind and first number of a whole record, and what lies at one byte of it.

    The number of a SCAN is how many scans it is behind the one before. What lies there is the number of a
    word, or the name of a part.
    """
    end = len(record)
    length, begin = get(record, 0, end)  # type: ignore[arg-type]
    first, at = get(record, begin, end)  # type: ignore[arg-type]
    kind, scan, stop = first & 3, first >> 2, begin + length
    if byte < begin or byte >= stop:
        return kind, scan, None, "its length" if byte < begin else "its CRC"
    if byte < at:
        return kind, scan, None, "its scan number"
    at = at + 4 if kind == SCAN else get(record, at, stop)[1]  # type: ignore[arg-type]
    if byte < at:
        return kind, scan, None, "its checksum" if kind == SCAN else "its epoch"
    word = 0
    while at < stop:
        passed, at = get(record, at, stop)  # type: ignore[arg-type]
        run, at = get(record, at, stop)  # type: ignore[arg-type]
        if byte < at:
            return kind, scan, None, "which words changed"
        for k in range(word + passed, word + passed + run):
            _, at = get(record, at, stop)  # type: ignore[arg-type]
            if byte < at:
                return kind, scan, k, ""
        word += passed + run
    return kind, scan, None, "nothing"


def _tape(header: Header) -> Tape:
    frame = header.input_words + header.state_words
    return Tape(
        np.zeros(header.input_words, np.int64),
        np.zeros(frame, np.int64),
        np.zeros(8, np.int64),
        header.commands_base,
    )


@cached_njit
def read_one(tape: Tape, data: Octets, at: int, end: int) -> int:
    return read_record(tape, data, at, end)


@cached_njit
def next_record(data: Octets, at: int, end: int) -> int:
    """The first place from `at` on where a whole, sound record lies; `end` if there is none."""
    while at < end and body(data, at, end)[0] < 0:
        at += 1
    return at


@cached_njit
def turn_back(data: Octets, at: int, end: int) -> int:
    """Turn the one bit that makes data[at:end] one sound record; its number, or -1 and nothing turned.

    The CRC covers all but the length, of which every bit is tried. In the rest, the CRC's own difference
    belongs to one bit alone: that of the last octet's bits is in the table, and each octet that follows
    moves it on as an octet of zeros would.
    """
    for bit in range(min(LENGTH_BYTES, end - at) * 8):
        turn(data, at, bit)
        if body(data, at, end)[1] == end - CRC_BYTES:
            return bit
        turn(data, at, bit)
    length, begin = get(data, at, end)
    stop = begin + length
    if begin < 0 or stop != end - CRC_BYTES:
        return -1
    difference = crc32c(data, begin, stop) ^ get_32(data, stop)
    for k in range(8):
        moved = CRC_TABLE[1 << k]
        for place in range(stop - 1, begin - 1, -1):
            if moved == difference:
                turn(data, place, k)
                return (place - at) * 8 + k
            moved = CRC_TABLE[moved & 255] ^ moved >> 8
    for bit in range(CRC_BYTES * 8):
        if difference == 1 << bit:
            turn(data, stop, bit)
            return (stop - at) * 8 + bit
    return -1


@compiled
def turn(data: Octets, at: int, bit: int) -> None:
    """Turn bit number `bit` of the octets from `at` on."""
    data[at + (bit >> 3)] ^= np.uint8(1 << (bit & 7))
