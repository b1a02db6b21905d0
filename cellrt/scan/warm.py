"""Warming: what a scan will touch is brought near while its thread spins to the edge.

Whoever slept for a millisecond finds the processor's caches filled by others. A scan that has little to do
then takes ten times as long as one right behind another: it waits for memory, and does so between its inputs
and its outputs. A thread that spins has nothing better to do than to wait for it beforehand. Nothing is changed
by it, and a thread that does not spin does without.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from cellrt.compiled import compiled
from cellrt.compiler.native import load_relaxed, prefetch, stack_address
from cellrt.scan.clock import Clock, look
from cellrt.shared.memory import LINE_BYTES
from cellrt.wire import Ints

CALM_NS = 2_000
"""So long before the edge nothing is touched any more: waiting for memory must not make a scan late."""

PIECE_BYTES = 4096
"""Between two looks at the clock."""

LARGEST_BYTES = 1 << 18
"""Of an array that is longer, a ring or a large line's image, only the head."""

LOOP_BYTES, CELL_BYTES, STACK_BYTES, HEAD_BYTES = 1 << 17, 1 << 14, 1 << 13, 4 * LINE_BYTES
"""Of the loop's machine code, of a cell's, of the loop's frame on the stack, and of what is shared."""

ROOM = 512


class Warm(NamedTuple):
    """`data` and `code` int64[ROOM, 2]: addresses, that of a piece and of what lies behind it; the rest 0."""

    data: Ints
    code: Ints


def nothing_warm() -> Warm:
    """Room for what is known when the loop has been compiled: see `know`."""
    return Warm(np.zeros((ROOM, 2), np.int64), np.zeros((ROOM, 2), np.int64))


def know(warm: Warm, memory: object, shared: Sequence[int], loop: int, entries: Ints) -> None:
    """Fill in what a scan touches: every array in `memory`, a tuple of tuples, the smallest first; of
    `shared` memory what lies at each address; machine code, that of the `loop` and that of the types' `entries`.

    What is small is touched once more at the end, so that it is nearest. Pieces beyond ROOM are left
    out: first this second touch of the small, then the largest arrays.
    """
    arrays = sorted((array.ctypes.data, array.nbytes) for array in _arrays(memory))
    sizes = dict(arrays)  # of arrays that begin at one place the longest
    sizes = {at: LINE_BYTES if n > LARGEST_BYTES else n for at, n in sizes.items()}
    sizes |= dict.fromkeys(shared, HEAD_BYTES)
    places = sorted(((at, at + n) for at, n in sizes.items()), key=lambda p: p[1] - p[0])
    _fill(warm.data, [*places, *(p for p in places if p[1] - p[0] < PIECE_BYTES)])
    _fill(
        warm.code, [(loop, loop + LOOP_BYTES), *((at, at + CELL_BYTES) for at in entries.tolist())]
    )


@compiled
def bring_near(warm: Warm, until_ns: int, now_ns: int, clock: Clock) -> int:
    """Touch what is known, until CALM_NS before `until_ns`; the time."""
    if now_ns < until_ns - CALM_NS:
        frame = stack_address() - STACK_BYTES // 2
        for at in range(frame, frame + STACK_BYTES, LINE_BYTES):
            prefetch(at)
    for n in range(ROOM):
        if warm.code[n, 0] == 0 or now_ns >= until_ns - CALM_NS:
            break
        for at in range(warm.code[n, 0], warm.code[n, 1], LINE_BYTES):
            prefetch(at)
        now_ns = look(clock)
    seen = 0
    for n in range(ROOM):
        if warm.data[n, 0] == 0 or now_ns >= until_ns - CALM_NS:
            break
        for at in range(warm.data[n, 0], warm.data[n, 1], LINE_BYTES):
            seen |= load_relaxed(at)
        now_ns = look(clock)
    return now_ns


def _arrays(memory: Any) -> Iterator[Any]:
    if isinstance(memory, np.ndarray):
        yield memory
    elif isinstance(memory, tuple):
        for part in memory:
            yield from _arrays(part)


def _fill(pieces: Ints, places: Sequence[tuple[int, int]]) -> None:
    """Places, cut into pieces of whole cache lines; those for which there is no room are left out."""
    cut = [
        (at, min(at + PIECE_BYTES, end))
        for begin, end in places
        for at in range(begin // LINE_BYTES * LINE_BYTES, end, PIECE_BYTES)
    ][: len(pieces)]
    pieces[: len(cut)] = np.array(cut, np.int64).reshape(-1, 2)
