"""Records: what a scan took in and what came of it, in as few bytes as a scan can afford to think of.

    record     length of the body (varint), body, CRC-32C of the body (4 bytes)
    SCAN       scan - scan of the record before; checksum of the results (4 bytes); changes of the inputs
    KEYFRAME   scan; epoch; changes from nothing of the inputs and of the state after this scan
    BEGIN      as KEYFRAME: a scan process starts, and this is what it starts from
    changes    words passed over, words that follow, the difference of each (zigzag); and again

All numbers are varints (LEB128); the first one of a body has the kind in its two lowest bits. A changed
word takes two bytes where its neighbours are still, and one or two where they change as well.

What a device samples is coded like any other word. Its sample's number counts the samples, so it costs
one byte, and a replay finds exactly the scans that took in something fresh. Commands are coded as changes
from nothing: they belong to one scan.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cellrt.compiled import compiled
from cellrt.scan.tables import Work
from cellrt.shared.ringfile import Octets
from cellrt.wire import Ints

NOTHING, SCAN, KEYFRAME, BEGIN = -1, 0, 1, 2
"""Kinds of records, as `read_record` tells them; NOTHING: no whole record lies there."""

BODY = 8
"""Where a body begins in its scratch memory: behind room for its length."""

CRC_BYTES = 4
SHORTEST = 2
"""Bytes of the shortest body."""

_MULTIPLIER = -7046029254386353131  # 2**64 / golden ratio, odd: multiplying loses nothing
_LOW_32, _LOW_57, _LOW_63 = (1 << 32) - 1, (1 << 57) - 1, (1 << 63) - 1
_CASTAGNOLI = 0x82F63B78  # CRC-32C's polynomial, lowest power first (RFC 3720, B.4)


def _crc_table() -> Ints:
    """The CRC of each octet, from nothing."""
    table = np.arange(256)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ _CASTAGNOLI, table >> 1)
    return table


CRC_TABLE = _crc_table()


def longest_record(words: int) -> int:
    """Bytes that a record of up to `words` changed words can take at most."""
    return 16 * words + 64


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


@compiled
def mix(hash_: int, word: int) -> int:
    """Take one word into a hash. For either argument fixed, no two of the other give the same result."""
    mixed = hash_ ^ word
    return (mixed << 32 | mixed >> 32 & _LOW_32) * _MULTIPLIER


@compiled
def digest(words: Ints, first: int, last: int, seed: int) -> int:
    """64-bit hash of words first..last-1: four at a time, because a processor multiplies four at a time.

    Two arrays that differ in one word never have the same; it is no defence against malice.
    """
    a, b, c, d = seed, seed + 1, seed + 2, seed + 3
    whole = first + (last - first) // 4 * 4
    for k in range(first, whole, 4):
        a, b = mix(a, words[k]), mix(b, words[k + 1])
        c, d = mix(c, words[k + 2]), mix(d, words[k + 3])
    for k in range(whole, last):
        a = mix(a, words[k])
    return mix(mix(mix(a, b), c), d)


@compiled
def checksum(work: Work) -> int:
    """32 bits of a hash of a scan's results: its image and its outputs."""
    outputs = digest(work.outputs, 0, work.outputs.size, 0)
    return digest(work.image.words, 0, work.image.words.size, outputs) >> 32 & _LOW_32


@compiled
def put(out: Octets, at: int, number: int) -> int:
    """Write a number, taken as 64 bits without sign, as a varint; the place behind it."""
    while number & ~127 != 0:
        out[at] = number & 127 | 128
        number = number >> 7 & _LOW_57
        at += 1
    out[at] = number
    return at + 1


@compiled
def put_32(out: Octets, at: int, bits: int) -> int:
    """Write 32 bits, the low ones first; the place behind them."""
    for k in range(4):
        out[at + k] = bits >> 8 * k & 255
    return at + 4


@compiled
def put_changes(
    out: Octets, at: int, words: Ints, before: Ints, first: int, last: int, base: int, behind: int
) -> tuple[int, int]:
    """Write what changed in words first..last-1; (place behind, number of the word behind the last change).

    Word k has the number `base` + k in the record; `behind` is the number behind what was written so
    far. A single still word between changed ones is cheaper to write than to pass over.
    """
    k = first
    while k < last:
        if words[k] == before[k]:
            k += 1
            continue
        end = k + 1
        while end < last and (
            words[end] != before[end] or (end + 1 < last and words[end + 1] != before[end + 1])
        ):
            end += 1
        at = put(out, put(out, at, base + k - behind), end - k)
        for n in range(k, end):
            difference = words[n] - before[n]
            at = put(out, at, difference << 1 ^ difference >> 63)
        behind, k = base + end, end
    return at, behind


@compiled
def seal(out: Octets, end: int) -> tuple[int, int]:
    """Put the length before and the CRC behind a body that ends at `end`; (begin, end) of the record."""
    length, room = end - BODY, 1
    while length >> 7 * room != 0:
        room += 1
    put(out, BODY - room, length)
    return BODY - room, put_32(out, end, crc32c(out, BODY, end))


class Tape(NamedTuple):
    """What a reader of records carries on.

    `inputs` int64: the inputs of the scan read last. `frame` int64: the keyframe read last, inputs and
    then state. `head` int64[8]: see below.
    """

    inputs: Ints
    frame: Ints
    head: Ints
    commands_base: int


NEXT, NUMBER, CHECKSUM, EPOCH = 0, 1, 2, 3
"""Words of `head`: the place behind the record read last; its scan, checksum and epoch."""


@compiled
def get(data: Octets, at: int, end: int) -> tuple[int, int]:
    """The number written at `at`, and the place behind it; place -1 where none ends before `end`."""
    number, shift = 0, 0
    while at < end and shift < 64:
        octet = data[at] + 0
        number |= (octet & 127) << shift
        at += 1
        if octet < 128:
            return number, at
        shift += 7
    return 0, -1


@compiled
def get_32(data: Octets, at: int) -> int:
    """Four bytes as a number, the low ones first."""
    bits = 0
    for k in range(4):
        bits |= (data[at + k] + 0) << 8 * k
    return bits


@compiled
def body(data: Octets, at: int, end: int) -> tuple[int, int]:
    """Begin and end of the body of the record at `at`; (-1, -1) unless all of it is there and sound."""
    length, begin = get(data, at, end)
    if begin < 0 or not SHORTEST <= length <= end - begin - CRC_BYTES:
        return -1, -1
    if crc32c(data, begin, begin + length) != get_32(data, begin + length):
        return -1, -1
    return begin, begin + length


@compiled
def read_record(tape: Tape, data: Octets, at: int, end: int) -> int:
    """Read the record at `at` of bytes that end at `end`; its kind, or NOTHING (NEXT is then `at`).

    A KEYFRAME leaves `inputs` as they are: they should be the same.
    """
    tape.head[NEXT] = at
    place, stop = body(data, at, end)
    if place < 0:
        return NOTHING
    first, place = get(data, place, stop)
    kind, size = first & 3, tape.inputs.size
    if kind == SCAN:
        if place < 0 or stop - place < 4:
            return NOTHING
        tape.head[NUMBER] += first >> 2
        tape.head[CHECKSUM] = get_32(data, place)
        tape.inputs[tape.commands_base :] = 0
        sound = add_changes(data, place + 4, stop, tape.inputs, size)
    else:
        epoch, place = get(data, place, stop)
        if place < 0:
            return NOTHING
        tape.head[NUMBER], tape.head[EPOCH] = first >> 2, epoch
        tape.frame[:] = 0
        sound = add_changes(data, place, stop, tape.frame, tape.frame.size)
    tape.head[NEXT] = stop + CRC_BYTES
    return kind if sound and kind <= BEGIN else NOTHING


@compiled
def add_changes(data: Octets, at: int, end: int, words: Ints, limit: int) -> bool:
    """Add the changes at `at` to the first `limit` words; False where they are no changes."""
    k = 0
    while at < end:
        passed, at = get(data, at, end)
        if at < 0:
            return False
        run, at = get(data, at, end)
        if at < 0 or not 0 <= passed <= limit - k or not 0 < run <= limit - k - passed:
            return False
        k += passed
        for n in range(k, k + run):
            number, at = get(data, at, end)
            if at < 0:
                return False
            words[n] += (number >> 1 & _LOW_63) ^ -(number & 1)
        k += run
    return True
