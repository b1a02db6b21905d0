"""What the scan tells the time by: the machine's clock, or one that is moved by hand.

Which of the two it is follows from the type, when the loop around the scan is compiled: the choice costs
a running scan nothing, and a test's loop is the very loop that runs a line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from numba.extending import overload

from cellrt.compiled import INNER
from cellrt.compiler.native import monotonic_ns, sleep_until_ns
from cellrt.wire import Ints


class Monotonic(NamedTuple):
    """CLOCK_MONOTONIC. `scratch` int64[2]: room for what the kernel writes, taken before the scan."""

    scratch: Ints


class Moved(NamedTuple):
    """A clock that stands unless it is moved. `words` int64[4]: the time; what passes with each look at
    the clock; by how much a sleep ends late, all in ns; how often it was slept."""

    words: Ints


Clock = Monotonic | Moved
NOW, LOOK, LATE, SLEPT = 0, 1, 2, 3
"""Words of `Moved`."""


def look(clock: Clock) -> int:
    """The time in ns."""
    if isinstance(clock, Monotonic):
        return monotonic_ns(clock.scratch)
    clock.words[NOW] += clock.words[LOOK]
    return int(clock.words[NOW])


def sleep(clock: Clock, until_ns: int) -> None:
    """Sleep until `until_ns`; not at all where that is past."""
    if isinstance(clock, Monotonic):
        sleep_until_ns(until_ns, clock.scratch)
    elif until_ns > clock.words[NOW]:
        clock.words[NOW] = until_ns + clock.words[LATE]
        clock.words[SLEPT] += 1


@overload(look, jit_options=INNER, strict=False)  # type: ignore[untyped-decorator]
def _look(clock: Any) -> Callable[[Any], int]:
    if clock.instance_class is Monotonic:
        return lambda clock: monotonic_ns(clock.scratch)

    def moved(clock: Any) -> int:
        clock.words[NOW] += clock.words[LOOK]
        return clock.words[NOW]  # type: ignore[no-any-return]

    return moved


@overload(sleep, jit_options=INNER, strict=False)  # type: ignore[untyped-decorator]
def _sleep(clock: Any, until_ns: int) -> Callable[[Any, int], None]:
    if clock.instance_class is Monotonic:
        return lambda clock, until_ns: sleep_until_ns(until_ns, clock.scratch)

    def moved(clock: Any, until_ns: int) -> None:
        if until_ns > clock.words[NOW]:
            clock.words[NOW] = until_ns + clock.words[LATE]
            clock.words[SLEPT] += 1

    return moved
