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
from cellrt.scan.checksum import CRC_BYTES, CRC_TABLE, crc32c
from cellrt.scan.plan import OUTPUT_HEAD
from cellrt.scan.records import (
    ALL,
    BEGIN,
    BLOCK,
    FAR,
    HEAD_BYTES,
    KEYFRAME,
    NOTHING,
    SCAN,
    fresh_bytes,
)
from cellrt.scan.tape import NEXT, NUMBER, RUNNING, Tape, body, get, get_bytes, read_record
from cellrt.shared.ringfile import Octets
from cellrt.wire import Ints

LENGTH_BYTES = 5
"""What a record's length takes at most."""

AT, SKIMMED, BEGAN = 0, 1, 2
"""Words of `skim`'s marks: place behind what was read; number of the scan read last; where its record begins."""

Advance = Callable[[Tape, Octets, int, int], int]
"""Reads one record, or several scans; the kind of the last one. NEXT is where it stopped."""


class Recorded(NamedTuple):
    """A recorded scan. `inputs` and `results` are good until the next one is read."""

    scan: int
    inputs: Ints
    results: Ints


@dataclass(frozen=True)
class Finding:
    """Something odd in a recording, at or after scan number `scan`.

    `until` is the keyframe's scan behind which reading went on, None where nothing was lost. `damage`: the
    file is not as it was written; else it tells what never came into it.
    """

    scan: int
    what: str
    until: int | None = None
    damage: bool = True

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
        self._broken: list[Finding] = []

    @property
    def scan(self) -> int:
        """Number of the scan read last."""
        return int(self.tape.head[NUMBER])

    def __iter__(self) -> Iterator[Recorded]:
        for kind in self.walk():
            if kind == SCAN:
                yield Recorded(self.scan, self.tape.inputs, self.tape.results)

    def walk(self, advance: Advance | None = None) -> Iterator[int]:
        """Kind after kind, as `advance` reads them (by default scan by scan).

        SCAN: `tape.inputs` are those of a scan, `tape.results` what came of it. KEYFRAME: `tape.frame` is the state after it. BEGIN: the
        same, and it does not follow from what was read before.
        """
        self.findings.clear()
        self.tape.head[:], self.cut_bytes, position = 0, 0, self.header.start
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
                self._lose(f"{lost} bytes were overwritten before they were put to disk", False)
                at = int(next_record(data, 0, data.size))
            yield from self._walk_piece(frame, data, at, advance or read_one)
            position = frame.position + data.size
        self.findings += [replace(broken, until=self.scan) for broken in self._broken]
        self._broken.clear()

    def _walk_piece(self, frame: Frame, data: Octets, at: int, advance: Advance) -> Iterator[int]:
        tape, end = self.tape, data.size
        while at < end:
            kind = (advance if tape.head[RUNNING] else read_one)(tape, data, at, end)
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
            elif tape.head[RUNNING]:
                yield SCAN

    def _keyframe(self, kind: int) -> int:
        """What is known of inputs and results against what the keyframe says."""
        known, head = self.tape.scan, self.tape.head
        told = self.tape.frame[: known.size]
        self.tape.results[:OUTPUT_HEAD] = told[self.header.input_words :][:OUTPUT_HEAD]
        differing = [self.header.name(int(k)) for k in np.flatnonzero(known != told)]
        for broken in self._broken:
            names = "" if kind == BEGIN or not differing else f"; it had {', '.join(differing)}"
            self.findings.append(replace(broken, what=broken.what + names, until=self.scan))
        if kind == KEYFRAME and head[RUNNING] and differing:
            what = f"{', '.join(differing)}: not as the keyframe says, since the one before it"
            self.findings.append(Finding(self.scan, what))
        known[:] = told
        begins, head[RUNNING] = kind == BEGIN or not head[RUNNING], 1
        self._broken.clear()
        return BEGIN if begins else KEYFRAME

    def _lose(self, what: str, damage: bool = True) -> None:
        self.tape.head[RUNNING] = 0
        self._broken.append(Finding(self.scan, what, damage=damage))

    def _mend(self, data: Octets, at: int, end: int) -> bool:
        """Turn back the one bit that is wrong in data[at:end], and tell what it was in."""
        bit = int(turn_back(data, at, end))
        if bit < 0:
            return False
        kind, passed, word, part = part_of(
            data[at:end].tobytes(), bit >> 3, len(self.header.samples)
        )
        name = part if word is None else self.header.name(word)
        scan = self.scan + passed if kind == SCAN else self.scan
        name = name if kind == SCAN else f"the keyframe's {name}"
        self.findings.append(Finding(scan, f"{name}: one bit was wrong and is mended"))
        return True


def check_sound(path: Path) -> None:
    """Read a recording to its end. Raises RecordingError where anything of it is damaged or cut off."""
    reader = RecordingReader(path)
    for _ in reader.walk(read_many):
        pass
    mend = "bring it again from where it was written, or replay what is sound of it with --damaged"
    if damage := [finding for finding in reader.findings if finding.damage]:
        at_s = damage[0].scan * reader.header.period_ns / 1e9
        more = f" (and {len(damage) - 1} more)" if len(damage) > 1 else ""
        raise RecordingError(
            f"{path}: at {at_s:.3f} s, scan {damage[0].scan}: {damage[0]}{more}; {mend}"
        )
    if reader.cut_bytes:
        end_s = reader.scan * reader.header.period_ns / 1e9
        what = f"its last {reader.cut_bytes} bytes are no whole record"
        raise RecordingError(f"{path} was cut short behind {end_s:.3f} s: {what}; {mend}")


def part_of(record: bytes, byte: int, devices: int) -> tuple[int, int, int | None, str]:
    """Kind and scan of a whole record of a line of so many devices, and what lies at one byte of it.

    The scan of a SCAN is how many scans it is behind the record before. What lies there is the number of a
    word, or the name of a part.
    """
    end: int = len(record)
    length, begin = get(record, 0, end)  # type: ignore[arg-type]
    stop = begin + length
    first, second_at = get(record, begin, stop)  # type: ignore[arg-type]
    second, at = get(record, second_at, stop)  # type: ignore[arg-type]
    kind, scan = first & 3, first >> 2
    if kind == SCAN:
        scan += 1 + second
    if byte < begin or byte >= stop:
        return kind, scan, None, "its length" if byte < begin else "its CRC"
    if byte < at:
        second_is = "its quiet scans" if kind == SCAN else "its epoch"
        return kind, scan, None, "its scan number" if byte < second_at else second_is
    if kind == SCAN:
        at += fresh_bytes(devices)
        if byte < at:
            return kind, scan, None, "which samples are fresh"
    word = 0
    while at < stop:
        head: int = get_bytes(record, at, HEAD_BYTES)  # type: ignore[arg-type]
        far = head & FAR == FAR
        word += get_bytes(record, at + HEAD_BYTES, HEAD_BYTES) if far else head & FAR  # type: ignore[arg-type]
        at += HEAD_BYTES * (1 + far)
        if byte < at:
            return kind, scan, None, "which words changed"
        for k in range(BLOCK):
            size = head >> 8 + 3 * k & ALL
            at += size + (size + 1 >> 3)
            if byte < at:
                return kind, scan, word + k, ""
    return kind, scan, None, "nothing"


def _tape(header: Header) -> Tape:
    size = header.input_words
    scan = np.zeros(size + len(header.results), np.int64)
    frame = np.zeros(size + header.state_words, np.int64)
    samples = np.array(header.samples, np.int64).reshape(-1, 3)
    head = np.zeros(16, np.int64)
    return Tape(scan, scan[:size], scan[size:], frame, samples, head, header.commands_base)


@cached_njit
def read_one(tape: Tape, data: Octets, at: int, end: int) -> int:
    return read_record(tape, data, at, end)


@cached_njit
def read_many(tape: Tape, data: Octets, at: int, end: int) -> int:
    """Read scans as far as there are any, without looking at them; the kind of the last record."""
    kind = SCAN
    while kind == SCAN and at < end:
        kind = read_record(tape, data, at, end)
        at = tape.head[NEXT]
    return kind


@cached_njit
def skim(marks: Ints, data: Octets, at: int, end: int, until: int) -> int:
    """Pass over scans up to the next keyframe, to one from `until` on or to the last; its kind.

    NOTHING: the record at AT is damaged.
    """
    kind = SCAN
    while kind == SCAN and at < end:
        begin, stop = body(data, at, end)
        if begin < 0:
            marks[AT] = at
            return NOTHING
        first, place = get(data, begin, stop)
        second, _ = get(data, place, stop)
        kind = first & 3
        marks[SKIMMED] = marks[SKIMMED] + 1 + (first >> 2) + second if kind == SCAN else first >> 2
        marks[BEGAN], at = at, stop + CRC_BYTES
        marks[AT] = at
        if marks[SKIMMED] >= until:
            break
    return kind


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
    difference = crc32c(data, begin, stop) ^ get_bytes(data, stop, CRC_BYTES)
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
