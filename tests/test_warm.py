"""Warming: all that a scan touches is known, and touching it makes no scan late."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellrt.compiler.cache import cached_njit
from cellrt.scan.clock import LOOK, NOW, Moved
from cellrt.scan.warm import (
    CALM_NS,
    CELL_BYTES,
    LARGEST_BYTES,
    LOOP_BYTES,
    PIECE_BYTES,
    ROOM,
    Warm,
    bring_near,
    know,
    nothing_warm,
)
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
    words = np.zeros(4, np.int64)
    words[NOW], words[LOOK] = now_ns, look_ns
    return Moved(words)


def known_pieces(warm: Warm) -> int:
    return sum(int(np.count_nonzero(pieces[:, 0])) for pieces in warm)


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


@settings(deadline=None)
@given(st.integers(1, 5000), st.integers(1, 50_000))
def test_with_time_enough_the_clock_is_looked_at_behind_every_piece(
    words: int, look_ns: int
) -> None:
    warm, _ = known(words)
    now_ns = warmed(warm, 1 << 40, clock(0, look_ns))
    assert now_ns == known_pieces(warm) * look_ns
    assert np.count_nonzero(warm.code[:, 0]) == (LOOP_BYTES + CELL_BYTES) // PIECE_BYTES


@pytest.mark.parametrize("large", [ROOM - 8, ROOM - 6, ROOM, 2 * ROOM])
def test_more_than_there_is_room_for_the_small_is_known_and_no_piece_is_cut(large: int) -> None:
    """Beside six small arrays: whether they, their second touch or the large ones find no room."""
    memory = np.zeros(large * 512 + 8 * 512, np.int64)
    start = -memory.ctypes.data % PIECE_BYTES // 8
    pieces = memory[start:]
    small = [pieces[512 * n : 512 * n + 8] for n in range(6)]
    pages = [pieces[512 * n : 512 * (n + 1)] for n in range(6, large + 6)]
    warm = nothing_warm()
    know(warm, (*pages, *small), [], LOOP, np.zeros(0, np.int64))
    told = warm.data[warm.data[:, 0] != 0].tolist()
    touched = [[a.ctypes.data, a.ctypes.data + a.nbytes] for a in (*small, *pages, *small)]
    assert told == touched[:ROOM]
    assert warmed(warm, 1 << 40, clock(0, 1)) == known_pieces(warm)


def test_nothing_known_takes_no_time() -> None:
    moved = clock(0, 100)
    assert warmed(nothing_warm(), 1_000_000, moved) == 0 == moved.words[NOW]
