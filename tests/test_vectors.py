"""Words compared and packed by the vector: the same as one by one in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import types

from cellrt.compiled import STRICT
from cellrt.compiler.cache import cached_njit
from cellrt.compiler.native import primitive
from cellrt.compiler.vectors import EIGHT, MANY, differ_eight, differ_many, emit_pack
from cellrt.wire import Ints

IDLE = 64
"""Bytes from where it is packed to that may be touched."""
SIGNATURE = types.int64(*[types.int64] * 4, types.boolean)
Pack = Callable[[int, int, int, int, bool], int]

compiling = settings(deadline=None)
WORDS = st.lists(
    st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3) | st.sampled_from([1 << 55, 255, 256]),
    min_size=EIGHT,
    max_size=EIGHT,
)


@primitive(SIGNATURE)
def press(builder: Any, to: Any, ours: Any, was: Any, count: Any, keep: Any) -> Any:
    return emit_pack(builder, to, ours, was, count, keep, True)


@primitive(SIGNATURE)
def store(builder: Any, to: Any, ours: Any, was: Any, count: Any, keep: Any) -> Any:
    return emit_pack(builder, to, ours, was, count, keep, False)


@numba.njit(**STRICT)
def by_press(to: int, ours: int, was: int, count: int, keep: bool) -> int:
    return press(to, ours, was, count, keep)  # type: ignore[no-any-return]


@numba.njit(**STRICT)
def by_store(to: int, ours: int, was: int, count: int, keep: bool) -> int:
    return store(to, ours, was, count, keep)  # type: ignore[no-any-return]


@cached_njit
def eight_differ(ours: int, theirs: int) -> bool:
    return differ_eight(ours, theirs, EIGHT)  # type: ignore[no-any-return]


@cached_njit
def three_differ(ours: int, theirs: int) -> bool:
    return differ_eight(ours, theirs, 3)  # type: ignore[no-any-return]


@cached_njit
def six_differ(ours: int, theirs: int) -> bool:
    return differ_eight(ours, theirs, 6)  # type: ignore[no-any-return]


@cached_njit
def many_differ(ours: int, theirs: int) -> bool:
    return differ_many(ours, theirs)  # type: ignore[no-any-return]


def packed(ours: list[int], was: list[int]) -> tuple[bytes, int]:
    """The bytes, and three bits for each word."""
    data, codes = b"", 0
    for n, (one, other) in enumerate(zip(ours, was, strict=True)):
        change = (one ^ other) & (1 << 64) - 1
        size = (change.bit_length() + 7) // 8
        data += change.to_bytes(8, "little")[: 8 if size == 7 else size]
        codes |= min(size, 7) << 3 * n
    return data, codes


@pytest.mark.parametrize("pack", [by_press, by_store])
@compiling
@given(WORDS, WORDS, st.integers(0, EIGHT), st.booleans(), st.randoms(use_true_random=False))
def test_words_are_packed_as_one_by_one_and_no_others_are_touched(
    pack: Pack, ours: list[int], was: list[int], count: int, keep: bool, chance: Any
) -> None:
    was = [one if chance.random() < 0.4 else other for one, other in zip(ours, was, strict=True)]
    now, before = np.array(ours, np.int64), np.array(was, np.int64)
    out = np.zeros(8 * EIGHT + 2 * IDLE, np.uint8)
    told = pack(out.ctypes.data, now.ctypes.data, before.ctypes.data, count, keep)
    data, codes = packed(ours[:count], was[:count])
    assert (told >> 32, told & (1 << 32) - 1) == (len(data), codes << 8)
    assert out.tobytes()[: len(data)] == data
    assert not out[IDLE:].any(), "no byte behind those that it may touch"
    assert now.tolist() == ours
    assert before.tolist() == ([*ours[:count], *was[count:]] if keep else was)


@pytest.mark.parametrize(
    ("differ", "size"),
    [(three_differ, 3), (six_differ, 6), (eight_differ, EIGHT), (many_differ, MANY)],
)
def test_any_bit_of_any_word_is_a_difference_and_no_other(
    differ: Callable[[int, int], bool], size: int
) -> None:
    def words() -> Ints:
        return np.arange(-3, size - 1, dtype=np.int64)

    ours, theirs = words(), words()
    at = ours.ctypes.data + 8, theirs.ctypes.data + 8
    theirs[0] = theirs[-1] = 99
    assert not differ(*at)
    for word in range(1, size + 1):
        for bit in (0, 31, 63):
            changed = words()
            changed.view(np.uint64)[word] ^= np.uint64(1 << bit)
            assert differ(at[0], changed.ctypes.data + 8)
