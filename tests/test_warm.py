"""Warming: all that a scan touches is known, and touching it makes no scan late."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cellrt.compiler.cache import cached_njit
from cellrt.scan.clock import LOOK, NOW, Moved
from cellrt.scan.warm import CALM_NS, LARGEST_BYTES, Warm, bring_near, know, nothing_warm
from cellrt.shared.memory import LINE_BYTES
from cellrt.wire import Ints

LOOP = 4096


class Inner(NamedTuple):
    one: Ints
    part_of_it: Ints
    number: int


class Outer(NamedTuple):
    inner: Inner
    large: Ints


@cached_njit
def warmed(warm: Warm, until_ns: int, clock: Moved) -> int:
    return bring_near(warm, until_ns, int(clock.words[0]), clock)


def known(words: int) -> tuple[Warm, Outer]:
    one = np.arange(words)
    memory = Outer(Inner(one, one[: words // 2], 7), np.arange(LARGEST_BYTES // 8 + 1))
    warm = nothing_warm()
    know(warm, memory, [memory.large.ctypes.data + (1 << 12)], LOOP, np.array([LOOP], np.int64))
    return warm, memory


def clock(now_ns: int, look_ns: int) -> Moved:
    words = np.zeros(3, np.int64)
    words[NOW], words[LOOK] = now_ns, look_ns
    return Moved(words)


def covers(warm: Warm, begin: int, nbytes: int) -> bool:
    lines = {at for first, end in warm.data.tolist() for at in range(first, end, LINE_BYTES)}
    return all(
        at in lines for at in range(begin // LINE_BYTES * LINE_BYTES, begin + nbytes, LINE_BYTES)
    )


@given(st.integers(1, 5000))
def test_every_array_in_nested_tuples_is_known_a_long_one_by_its_head(words: int) -> None:
    warm, memory = known(words)
    assert covers(warm, memory.inner.one.ctypes.data, memory.inner.one.nbytes)
    assert covers(warm, memory.large.ctypes.data, 8)
    assert covers(warm, memory.large.ctypes.data + (1 << 12), 8), "what is shared"
    assert not covers(warm, memory.large.ctypes.data, memory.large.nbytes)


@settings(deadline=None)  # the first one compiles
@given(st.integers(1, 5000), st.integers(1, 50_000), st.integers(-5_000, 400_000))
def test_touching_ends_before_the_edge_and_changes_nothing(
    words: int, look_ns: int, left_ns: int
) -> None:
    warm, memory = known(words)
    before = [array.copy() for array in (memory.inner.one, memory.large)]
    moved = clock(1_000_000, look_ns)
    now_ns = warmed(warm, 1_000_000 + left_ns, moved)
    assert now_ns == moved.words[NOW]
    assert now_ns <= max(1_000_000, 1_000_000 + left_ns - CALM_NS + look_ns)
    assert (memory.inner.one == before[0]).all() and (memory.large == before[1]).all()


def test_nothing_known_takes_no_time() -> None:
    moved = clock(0, 100)
    assert warmed(nothing_warm(), 1_000_000, moved) == 0 == moved.words[NOW]
