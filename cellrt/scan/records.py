"""Records: what scans took in and what came of it, in as few bytes and instructions as can be.

    record     length of the body (varint), body, CRC-32C of the body (4 bytes)
    SCAN       scans passed over; quiet scans before this one; a bit for each device, 1 where its sample is
               fresh; changes of the inputs and of the results
    KEYFRAME   scan; epoch; changes from nothing of the inputs, the results and the state after this scan
    BEGIN      as KEYFRAME: a scan process starts, and this is what it starts from
    changes    blocks of eight words: how far one is from the block before (8 bits), how many bytes of each
               word follow (3 bits each), and these bytes of each word's exclusive-or with what it was

Numbers are varints (LEB128); the first one of a body has the kind in its two lowest bits. Of a word only
the low bytes that changed are written: none, 1 to 6, or all 8. A quiet scan took in nothing and changed no
result; it leaves no record, and the next one counts it.

A fresh sample has the next number, and is expected to have the next count of the device's counter: only
what is otherwise is a change. Commands are coded as changes from nothing: they belong to one scan.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cellrt.compiled import compiled, highest_set_bit, inlined
from cellrt.compiler.native import (
    CRC32C_IN_HARDWARE,
    crc32c_8,
    crc32c_64,
    load_64,
    store_32,
    store_64,
)
from cellrt.shared.ringfile import Octets
from cellrt.wire import Ints

NOTHING, SCAN, KEYFRAME, BEGIN = -1, 0, 1, 2
"""Kinds of records, as `read_record` tells them; NOTHING: no whole record lies there."""

BODY = 8
"""Where a body begins in its scratch memory: behind room for its length."""

CRC_BYTES = 4
SHORTEST = 2
"""Bytes of the shortest body."""

BLOCK = 8
"""Words in a block of changes."""
MANY = 64
"""Words that are looked at together before a block of them is."""
FAR = 255
"""A block that is as far or farther away has its distance in four bytes more."""
ALL = 7
"""Stands for all 8 bytes of a word."""
QUIET_MOST = 1 << 24
"""Quiet scans that a record may count; one that claims more is damaged."""

_LOW_32, _LOW_57 = (1 << 32) - 1, (1 << 57) - 1
_CASTAGNOLI = 0x82F63B78  # CRC-32C's polynomial, lowest power first (RFC 3720, B.4)


def _crc_table() -> Ints:
    """The CRC of each octet, from nothing."""
    table = np.arange(256)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ _CASTAGNOLI, table >> 1)
    return table


CRC_TABLE = _crc_table()


def longest_record(words: int) -> int:
    """Bytes that a record of up to `words` words can take at most, be they of devices of three words each."""
    return 12 * words + 256


@compiled
def crc32c(data: Octets, first: int, last: int) -> int:
    """CRC-32C of octets first..last-1.

    It tells any three wrong bits in up to 256 MB, five in up to 655 bytes (Koopman 2002). So one wrong bit
    can be found and turned back, and two are never taken for another one.
    """
    crc = _LOW_32
    for k in range(first, last):
        crc = CRC_TABLE[(crc ^ data[k]) & 255] ^ crc >> 8
    return crc ^ _LOW_32


@inlined
def _crc32c_by_hardware(data: Octets, first: int, last: int) -> int:
    """The same, eight octets in an instruction."""
    crc, at, end = _LOW_32, data.ctypes.data + first, data.ctypes.data + last
    while at + 8 <= end:
        crc = crc32c_64(crc, at)
        at += 8
    while at < end:
        crc = crc32c_8(crc, at)
        at += 1
    return crc ^ _LOW_32


fast_crc32c = _crc32c_by_hardware if CRC32C_IN_HARDWARE else crc32c
"""`crc32c` as fast as this processor has it."""


@inlined
def put(out: Octets, at: int, number: int) -> int:
    """Write a number, taken as 64 bits without sign, as a varint; the place behind it."""
    while number & ~127 != 0:
        out[at] = number & 127 | 128
        number = number >> 7 & _LOW_57
        at += 1
    out[at] = number
    return at + 1


@inlined
def fresh_bytes(devices: int) -> int:
    """Bytes that tell which devices' samples are fresh."""
    return devices + 7 >> 3


@inlined
def expect(words: Ints, first: int, counts: int) -> None:
    """The next sample: its number, and the count of a device that counts."""
    words[first] += 1
    words[first + 2] += counts


@inlined
def differ(words: Ints, before: Ints, first: int, last: int) -> bool:
    """Any of words first..last-1 differs. No early end, and numbers without sign, which need no look at
    whether they count from the array's end: this way a processor takes four at a time."""
    difference = 0
    for k in range(np.uint64(first), np.uint64(last)):
        difference |= words[k] ^ before[k]
    return difference != 0


@inlined
def put_changes(
    out: Octets,
    at: int,
    words: Ints,
    before: Ints,
    first: int,
    last: int,
    base: int,
    behind: int,
    keep: bool,
) -> tuple[int, int]:
    """Write what changed in words first..last-1; (place behind, number of the last block's first word).

    Word k has the number `base` + k in the record; `behind` is where the last block written so far began.
    With `keep`, what is written is `before` from now on.
    """
    for part in range(first, last, MANY):
        end = min(part + MANY, last)
        if differ(words, before, part, end):
            for k in range(part, end, BLOCK):
                size = min(BLOCK, end - k)
                ours, was = words.ctypes.data + 8 * k, before.ctypes.data + 8 * k
                at, behind = put_block(out, at, ours, was, size, base + k, behind, keep)
    return at, behind


@inlined
def put_block(
    out: Octets, at: int, ours: int, was: int, count: int, number: int, behind: int, keep: bool
) -> tuple[int, int]:
    """Write a block of `count` words at address `ours`, whose first one has this number; nothing where they
    are those at `was`.

    Each word is stored whole, and the next one over the bytes of it that do not count: no branch.
    """
    difference = 0
    for k in range(count):
        difference |= load_64(ours + 8 * k) ^ load_64(was + 8 * k)
    if difference == 0:
        return at, behind
    passed, to = number - behind, out.ctypes.data
    head, place = min(passed, FAR), to + at + 4
    if passed >= FAR:
        store_32(place, passed)
        place += 4
    for k in range(count):
        word = load_64(ours + 8 * k)
        change = word ^ load_64(was + 8 * k)
        if keep:
            store_64(was + 8 * k, word)
        size = min(highest_set_bit(change) + 8 >> 3, ALL)
        store_64(place, change)
        place += size + (size + 1 >> 3)
        head |= size << 8 + 3 * k
    store_32(to + at, head)
    return place - to, number


@inlined
def seal(out: Octets, end: int) -> tuple[int, int]:
    """Put the length before and the CRC behind a body that ends at `end`; (begin, end) of the record."""
    length, room = end - BODY, 1
    while length >> 7 * room != 0:
        room += 1
    put(out, BODY - room, length)
    store_32(out.ctypes.data + end, fast_crc32c(out, BODY, end))
    return BODY - room, end + CRC_BYTES


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
            expect(tape.scan, tape.samples[n, 0], tape.samples[n, 2])
    return at + fresh_bytes(devices)


@compiled
def add_changes(data: Octets, at: int, end: int, words: Ints) -> bool:
    """Add the changes at `at` to `words`; False where they are no changes."""
    k = 0
    while at < end:
        head, at = get_bytes(data, at, min(4, end - at)), at + 4
        passed = head & FAR
        if passed == FAR:
            passed, at = get_bytes(data, at, max(0, min(4, end - at))), at + 4
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
