"""Reading records: what a scan took in and what came of it, from the bytes that `records` wrote."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cellrt.compiled import compiled
from cellrt.scan.checksum import CRC_BYTES, fast_crc32c
from cellrt.scan.records import (
    ALL,
    BEGIN,
    BLOCK,
    FAR,
    HEAD_BYTES,
    NOTHING,
    SCAN,
    expect,
    fresh_bytes,
)
from cellrt.shared.ringfile import Octets
from cellrt.wire import Ints

SHORTEST = 2
"""Bytes of the shortest body."""
QUIET_MOST = 1 << 24
"""Quiet scans that a record may count; one that claims more is damaged."""


class Tape(NamedTuple):
    """What a reader of records carries on.

    `scan` int64: the inputs of the scan read last, and then its results; `inputs` and `results` are these
    parts of it. `frame` int64: the keyframe read last: inputs, results, and the rest of the state.
    `samples` as in `Recorder`. `head` int64[16]: see below.
    """

    scan: Ints
    inputs: Ints
    results: Ints
    frame: Ints
    samples: Ints
    head: Ints
    commands_base: int


NEXT, NUMBER, EPOCH, RUNNING = 0, 1, 2, 3
"""Words of `head`: where to read on; scan read last, and its epoch; 1 behind a keyframe from which all was
read."""
_OPEN, _QUIET, _FIRST, _SECOND, _AT, _STOP = 4, 5, 6, 7, 8, 9
"""Of the record at NEXT: 1 when its reading has begun; quiet scans still to be told before it; its first two
numbers; where its changes begin and end."""


@compiled
def get(data: Octets, at: int, end: int) -> tuple[int, int]:
    """The number written at `at`, and the place behind it; place -1 where none ends before `end`."""
    number, shift = 0, 0
    while 0 <= at < end and shift < 64:
        octet = data[at] + 0
        number |= (octet & 127) << shift
        at += 1
        if octet < 128:
            return number, at
        shift += 7
    return 0, -1


@compiled
def get_bytes(data: Octets, at: int, size: int) -> int:
    """Up to eight bytes as a word, the low ones first."""
    word = 0
    for k in range(size):
        word |= (data[at + k] + 0) << 8 * k
    return word


@compiled
def body(data: Octets, at: int, end: int) -> tuple[int, int]:
    """Begin and end of the body of the record at `at`; (-1, -1) unless all of it is there and sound."""
    length, begin = get(data, at, end)
    if begin < 0 or not SHORTEST <= length <= end - begin - CRC_BYTES:
        return -1, -1
    if fast_crc32c(data, begin, begin + length) != get_bytes(data, begin + length, CRC_BYTES):
        return -1, -1
    return begin, begin + length


@compiled
def read_record(tape: Tape, data: Octets, at: int, end: int) -> int:
    """Read on in the record at `at` of bytes that end at `end`; its kind, or NOTHING (NEXT is then `at`).

    A record that counts quiet scans is SCAN as often before it is what it is; NEXT stays meanwhile. A
    KEYFRAME leaves `scan` as it is: it should be the same.
    """
    head = tape.head
    head[NEXT] = at
    if head[_OPEN] == 0 and not open_record(tape, data, at, end):
        return NOTHING
    if head[_QUIET] > 0:
        head[_QUIET] -= 1
        head[NUMBER] += 1
        return SCAN
    head[_OPEN] = 0
    return close_record(tape, data)


@compiled
def open_record(tape: Tape, data: Octets, at: int, end: int) -> bool:
    """Look whether a record is whole, and how many quiet scans come before it."""
    head = tape.head
    place, stop = body(data, at, end)
    first, place = get(data, place, stop)
    second, place = get(data, place, stop)
    kind, quiet = first & 3, 0
    if place < 0 or kind > BEGIN:
        return False
    if head[RUNNING] != 0 and kind != BEGIN:
        quiet = second if kind == SCAN else (first >> 2) - head[NUMBER]
    if not 0 <= quiet < QUIET_MOST:
        return False
    tape.inputs[tape.commands_base :] = 0
    head[_OPEN], head[_QUIET], head[_FIRST], head[_SECOND] = 1, quiet, first, second
    head[_AT], head[_STOP] = place, stop
    return True


@compiled
def close_record(tape: Tape, data: Octets) -> int:
    """What a record says itself, behind its quiet scans; its kind, or NOTHING where it makes no sense."""
    head = tape.head
    kind: int = head[_FIRST] & 3
    number = head[_FIRST] >> 2
    if kind == SCAN:
        head[NUMBER] += 1 + number
        place = get_fresh(tape, data, head[_AT], head[_STOP])
        sound = place >= 0 and add_changes(data, place, head[_STOP], tape.scan)
    else:
        head[NUMBER], head[EPOCH] = number, head[_SECOND]
        tape.frame[:] = 0
        sound = add_changes(data, head[_AT], head[_STOP], tape.frame)
    if not sound:
        return NOTHING
    head[NEXT] = head[_STOP] + CRC_BYTES
    return kind


@compiled
def get_fresh(tape: Tape, data: Octets, at: int, end: int) -> int:
    """Expect what fresh samples mostly say; the place behind the bits that tell which they are, -1 if cut off."""
    devices = tape.samples.shape[0]
    if at + fresh_bytes(devices) > end:
        return -1
    for n in range(devices):
        if data[at + (n >> 3)] >> (n & 7) & 1 != 0:
            expect(tape.scan, np.uint64(tape.samples[n, 0]), 1, tape.samples[n, 2])
    return at + fresh_bytes(devices)


@compiled
def add_changes(data: Octets, at: int, end: int, words: Ints) -> bool:
    """Add the changes at `at` to `words`; False where they are no changes."""
    k = 0
    while at < end:
        head, at = get_bytes(data, at, min(HEAD_BYTES, end - at)), at + HEAD_BYTES
        passed = head & FAR
        if passed == FAR:
            size = max(0, min(HEAD_BYTES, end - at))
            passed, at = get_bytes(data, at, size), at + HEAD_BYTES
        k += passed
        for n in range(BLOCK):
            size = head >> 8 + 3 * n & ALL
            size += size + 1 >> 3
            if size > 0:
                if k + n >= words.size or at + size > end:
                    return False
                words[k + n] ^= get_bytes(data, at, size)
                at += size
        if at > end:
            return False
    return True
