"""The triple buffer: whole frames from one writer to one reader, the newest wins, nobody waits.

Of three slots one is the writer's, one the reader's, and the third holds the newest frame, not yet
taken, or nothing of interest. Who owns which slot is one word, changed only by atomic steps:

    bits 0-1  the writer's slot                    bit 6   fresh: `newest` was not taken yet
    bits 2-3  newest: the slot published last      bits 8- how many frames were published
    bits 4-5  the other one

While fresh, the other slot is the reader's; to take, the reader clears `fresh`, and `newest` is its
slot from then on, the other one spare. To publish, the writer puts a new word in the place of the
one it read. If the reader took in between, the writer does that once more; it cannot happen twice,
because only the writer sets `fresh`. So there is no loop on either side.

Because ownership is a single word, it is a permutation of the slots at every instruction. A process
that was killed takes up again where the word says it stood; there is nothing to repair.
"""

from __future__ import annotations

from cellrt.compiled import compiled
from cellrt.compiler.cache import cached_njit
from cellrt.compiler.native import (
    clear_bits,
    compare_exchange,
    copy_bytes,
    load_acquire,
    store_release,
)
from cellrt.shared.memory import LINE_BYTES, Section, address_of
from cellrt.wire import Ints

FRESH = 1 << 6
SLOT_HEADER_BYTES = 16
"""Sequence number of the frame and its length in words."""


def triple_bytes(slot_words: int) -> int:
    """Size of the section for frames of `slot_words` words."""
    return LINE_BYTES + 3 * slot_stride(slot_words)


@compiled
def slot_stride(slot_words: int) -> int:
    """Bytes from one slot to the next: whole cache lines, so that the two sides share none."""
    return (SLOT_HEADER_BYTES + slot_words * 8 + LINE_BYTES - 1) // LINE_BYTES * LINE_BYTES


@compiled
def owners(word: int) -> tuple[int, int, int]:
    """Slots of (writer, newest, other), kept relative to 0, 1, 2 so that a word of 0 is valid."""
    return word & 3, word >> 2 & 3 ^ 1, word >> 4 & 3 ^ 2


@compiled
def readers_slot(word: int) -> int:
    """Slot that the reader owns."""
    _, newest, other = owners(word)
    return other if word & FRESH else newest


@compiled
def after_publish(word: int) -> int:
    """The word once the writer's slot is the newest; the writer gets the one that nobody reads."""
    published, newest, other = owners(word)
    spare = newest if word & FRESH else other
    kept = readers_slot(word)
    count = (word >> 8) + 1
    return count << 8 | FRESH | (kept ^ 2) << 4 | (published ^ 1) << 2 | spare


@compiled
def slot_address(base: int, slot_words: int, slot: int) -> int:
    return base + LINE_BYTES + slot * slot_stride(slot_words)


@cached_njit
def publish(base: int, slot_words: int, source: int) -> None:
    """Writer: make the `slot_words` words at address `source` the newest frame."""
    seen = load_acquire(base)
    slot = slot_address(base, slot_words, owners(seen)[0])
    store_release(slot, (seen >> 8) + 1)
    store_release(slot + 8, slot_words)
    copy_bytes(slot + SLOT_HEADER_BYTES, source, slot_words * 8)
    found = compare_exchange(base, seen, after_publish(seen))
    if found != seen:
        compare_exchange(base, found, after_publish(found))


@cached_njit
def take(base: int, slot_words: int, target: int) -> bool:
    """Reader: copy the newest frame to address `target`. False if it was taken before."""
    if load_acquire(base) & FRESH == 0:
        return False
    return recall(base, slot_words, target)


@cached_njit
def recall(base: int, slot_words: int, target: int) -> bool:
    """Reader: copy the newest frame, taken before or not: what a restarted reader begins with.

    False, and nothing copied, if none was ever published (or one of another length: such a frame
    is never fresh, and so goes stale).
    """
    clear_bits(base, FRESH)
    slot = slot_address(base, slot_words, readers_slot(load_acquire(base)))
    if load_acquire(slot + 8) != slot_words:
        return False
    copy_bytes(target, slot + SLOT_HEADER_BYTES, slot_words * 8)
    return True


@cached_njit
def sequence(base: int, slot_words: int) -> int:
    """Reader: number of the frame taken last, counted from 1; 0 if none ever was."""
    word = load_acquire(base)
    return int(load_acquire(slot_address(base, slot_words, readers_slot(word))))


class TripleWriter:
    """The writer's side, for Python."""

    def __init__(self, section: Section) -> None:
        self._section = section

    def publish(self, frame: Ints) -> None:
        """Make `frame` the newest. Raises ValueError if the section is for another length."""
        _check(self._section, frame.size)
        publish(self._section.address, frame.size, address_of(frame, frame.size))


class TripleReader:
    """The reader's side, for Python."""

    def __init__(self, section: Section) -> None:
        self._section = section

    def take(self, frame: Ints) -> bool:
        """Fill `frame` with the newest one. False, and `frame` untouched, if taken before."""
        _check(self._section, frame.size)
        return bool(take(self._section.address, frame.size, address_of(frame, frame.size)))

    def recall(self, frame: Ints) -> bool:
        """Fill `frame` with the newest one, taken before or not. False if none was published."""
        _check(self._section, frame.size)
        return bool(recall(self._section.address, frame.size, address_of(frame, frame.size)))


def _check(section: Section, slot_words: int) -> None:
    if triple_bytes(slot_words) != section.words.nbytes:
        raise ValueError(f"the section is not for frames of {slot_words} words")
