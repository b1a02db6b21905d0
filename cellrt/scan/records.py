"""Records: what a scan took in and what came of it, in as few bytes as a scan can afford to think of.

    record     length of the body (varint), body, check of the body (4 bytes)
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

from cellrt.compiled import compiled
from cellrt.scan.tables import Work
from cellrt.shared.ringfile import Octets
from cellrt.wire import Ints

NOTHING, SCAN, KEYFRAME, BEGIN = -1, 0, 1, 2
"""Kinds of records, as `read_record` tells them; NOTHING: no whole record lies there."""

BODY = 8
"""Where a body begins in its scratch memory: on a word, behind room for its length."""

CHECK_BYTES = 4
SHORTEST, LONGEST_NUMBER = 2, 10
"""Bytes of the shortest body and of the longest number."""

_MULTIPLIER = -7046029254386353131  # 2**64 / golden ratio, odd: multiplying loses nothing
_LOW_32, _LOW_57, _LOW_63 = (1 << 32) - 1, (1 << 57) - 1, (1 << 63) - 1


def longest_record(words: int) -> int:
    """Bytes that a record of up to `words` changed words can take at most."""
    return 16 * words + 64


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
def seal(out: Octets, words: Ints, end: int) -> tuple[int, int]:
    """Put the length before and the check behind a body that ends at `end`; (begin, end) of the record.

    `words` is the same memory as `out`.
    """
    length, padded, room = end - BODY, end + 7 & ~7, 1
    for k in range(end, padded):
        out[k] = 0
    check = digest(words, BODY // 8, padded // 8, length) >> 32
    while length >> 7 * room != 0:
        room += 1
    put(out, BODY - room, length)
    return BODY - room, put_32(out, end, check)


class Tape(NamedTuple):
    """What a reader of records carries on.

    `inputs` int64: the inputs of the scan read last. `frame` int64: the keyframe read last, inputs and
    then state. `head` int64[8]: see below. `scratch` and `scratch_words`: one memory for a whole body.
    """

    inputs: Ints
    frame: Ints
    head: Ints
    scratch: Octets
    scratch_words: Ints
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
def body(tape: Tape, data: Octets, at: int, end: int) -> tuple[int, int]:
    """Begin and end of the body of the record at `at`; (-1, -1) unless all of it is there and sound."""
    length, begin = get(data, at, end)
    room = tape.scratch.size - BODY - 8
    if begin < 0 or not SHORTEST <= length <= min(room, end - begin - CHECK_BYTES):
        return -1, -1
    for k in range(length):
        tape.scratch[BODY + k] = data[begin + k]
    padded = BODY + length + 7 & ~7
    for k in range(BODY + length, padded):
        tape.scratch[k] = 0
    check = digest(tape.scratch_words, BODY // 8, padded // 8, length) >> 32 & _LOW_32
    if check != get_32(data, begin + length):
        return -1, -1
    return begin, begin + length


@compiled
def read_record(tape: Tape, data: Octets, at: int, end: int) -> int:
    """Read the record at `at` of bytes that end at `end`; its kind, or NOTHING (NEXT is then `at`).

    A KEYFRAME leaves `inputs` as they are: they should be the same.
    """
    tape.head[NEXT] = at
    place, stop = body(tape, data, at, end)
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
        tape.head[NUMBER], tape.head[EPOCH] = first >> 2 & _LOW_57, epoch
        tape.frame[:] = 0
        sound = add_changes(data, place, stop, tape.frame, tape.frame.size)
    tape.head[NEXT] = stop + CHECK_BYTES
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
