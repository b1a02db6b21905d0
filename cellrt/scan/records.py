"""Records: what scans took in and what came of it, in as few bytes and instructions as can be.

    record     length of the body (varint), body, CRC-32C of the body (4 bytes)
    SCAN       scans passed over; quiet scans before this one; a bit for each device, 1 where its sample is
               fresh; changes of the inputs and of the results
    KEYFRAME   scan; epoch; changes from nothing of the inputs, the results and the state after this scan
    BEGIN      as KEYFRAME: a scan process starts, and this is what it starts from
    changes    blocks of up to eight words: how far one is from the block before (8 bits), how many bytes of each
               word follow (3 bits each), and these bytes of each word's exclusive-or with what it was

Numbers are varints (LEB128); the first one of a body has the kind in its two lowest bits. Of a word only
the low bytes that changed are written: none, 1 to 6, or all 8. A quiet scan took in nothing and changed no
result; it leaves no record, and the next one counts it.

A fresh sample has the next number, and is expected to have the next count of the device's counter: only
what is otherwise is a change. Commands are coded as changes from nothing: they belong to one scan.
"""

from __future__ import annotations

import numpy as np

from cellrt.compiled import compiled, inlined
from cellrt.compiler.native import store_32
from cellrt.compiler.vectors import EIGHT, MANY, differ_eight, differ_many, pack_eight
from cellrt.scan.checksum import CRC_BYTES, fast_crc32c
from cellrt.shared.ringfile import Octets
from cellrt.tags import WORD
from cellrt.wire import Ints

NOTHING, SCAN, KEYFRAME, BEGIN = -1, 0, 1, 2
"""Kinds of records, as `read_record` tells them; NOTHING: no whole record lies there."""

BODY = 8
"""Where a body begins in its scratch memory: behind room for its length."""

BLOCK = EIGHT
"""Words in a block of changes."""
FAR = 255
"""A block that is as far or farther away has its distance in four bytes more."""
HEAD_BYTES = 4
"""Bytes of a block before those of its words, and of a distance that is FAR."""
ALL = 7
"""Stands for all 8 bytes of a word."""
_LOW_57 = (1 << 57) - 1


def longest_record(words: int) -> int:
    """Bytes that a record of up to `words` words can take at most: ten a word, since a block of two words has up to
    20 and one of eight 72; and what lies around them."""
    return 10 * words + 256


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
def expect(words: Ints, first: np.uint64, fresh: int, counts: int) -> None:
    """The sample at `first` is the next one (`fresh` 1) or the same (0): its number, and the count of a
    device that counts. The place is one without sign, which needs no look at whether it counts from the end."""
    words[first] += fresh
    words[first + np.uint64(2)] += counts


@inlined
def differ(words: Ints, before: Ints, first: int, last: int) -> bool:
    """Any of words first..last-1 differs. No early end: a look at the next ones costs less than a branch."""
    ours, was, k, different = words.ctypes.data, before.ctypes.data, first, False
    while k + MANY <= last:
        different |= differ_many(ours + WORD * k, was + WORD * k)
        k += MANY
    while k < last:
        different |= words[k] != before[k]
        k += 1
    return different


@compiled
def put_changes(
    to: int, ours: int, was: int, count: int, number: int, behind: int, keep: bool
) -> tuple[int, int]:
    """Write to address `to` what differs of `count` words at `ours` from those at `was`; (address behind it,
    number of the last block's first word).

    The first of the words has this `number` in the record; `behind` is where the last block written so far
    began. With `keep`, the words at `was` become those at `ours`.
    """
    k, mixed = 0, 0
    while k < count:  # what is before `mixed` is looked at by eight
        if k >= mixed and k + MANY <= count:
            if not differ_many(ours + WORD * k, was + WORD * k):
                k += MANY
                continue
            mixed = k + MANY
        one, other, few = ours + WORD * k, was + WORD * k, min(EIGHT, count - k)
        if differ_eight(one, other, few):
            to, behind = put_block(to, one, other, few, number + k, behind, keep)
        k += EIGHT
    return to, behind


@inlined
def put_block(
    to: int, ours: int, was: int, count: int, number: int, behind: int, keep: bool
) -> tuple[int, int]:
    """Write a block of `count` words at address `ours`, whose first one has this number. What is written behind
    its end does not count."""
    passed = number - behind
    place = to + HEAD_BYTES * (1 + (passed >= FAR))
    packed = pack_eight(place, ours, was, count, keep)
    store_32(to, packed | min(passed, FAR))
    if passed >= FAR:
        store_32(to + HEAD_BYTES, passed)
    return place + (packed >> 32), number


@inlined
def seal(out: Octets, end: int) -> tuple[int, int]:
    """Put the length before and the CRC behind a body that ends at `end`; (begin, end) of the record."""
    length, room = end - BODY, 1
    while length >> 7 * room != 0:
        room += 1
    put(out, BODY - room, length)
    store_32(out.ctypes.data + end, fast_crc32c(out, BODY, end))
    return BODY - room, end + CRC_BYTES
