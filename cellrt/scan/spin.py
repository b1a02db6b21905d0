"""How long before a scan is due its thread gets up: as long as this machine takes to wake it.

The kernel wakes a thread some microseconds late. Whoever asks to be woken earlier, and looks at the clock
until the time has come (spins), is on time; what that costs is a core's time, so it is learned and bounded.

Without a spin the thread gets up as early, and sleeps once more. A core that worked for others has nothing of
the way to a wake-up in its caches, from the interrupt in the hypervisor to this thread's stack: a bare C loop
wakes 17 us late on a core that idles or computes, 44 us on one that walks through memory, and 18 us there when it
was awake 60 us before.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cellrt.compiled import compiled
from cellrt.wire import Ints

FIRST_LATENCY_NS = 40_000
"""What is taken for the machine's wake-up latency before any was seen."""

CORE_SHARE = 0.6
"""Scan and spin together take no more of a core."""

REALTIME_SHARE = 0.8
"""Nor more of what the kernel leaves to real-time threads before it stops them; the rest is for io."""

RARE = 99
"""One waking in a hundred may take longer than what is taken for the latency: see `learn`."""

KERNEL = Path("/proc/sys/kernel")


class Spin(NamedTuple):
    """`words` int64[3]: how long before the next scan its thread gets up, wake-up latency as learned, execution
    time of the last scan; ns. `most_ns`: what this and the scan may take together; 0: it gets up when the scan is
    due. `spins`: until then it looks at the clock; else it sleeps once more."""

    words: Ints
    most_ns: int
    spins: bool


LENGTH, LATENCY, EXECUTION = 0, 1, 2


def spin(words: Ints, wall_period_ns: int, *, wanted: bool = True, kernel: Path = KERNEL) -> Spin:
    """A spin for scans that are `wall_period_ns` apart, its state kept in `words`; a second sleep where none
    is `wanted`."""
    share = min(CORE_SHARE, REALTIME_SHARE * realtime_share(kernel))
    made = Spin(words, int(share * wall_period_ns), wanted)
    words[:] = min(FIRST_LATENCY_NS * 3 // 2, made.most_ns), FIRST_LATENCY_NS, 0
    return made


def realtime_share(kernel: Path) -> float:
    """The share of a core after which Linux stops real-time threads (0..1); 1 where it never does."""
    try:
        runtime_us = int((kernel / "sched_rt_runtime_us").read_text())
        period_us = int((kernel / "sched_rt_period_us").read_text())
    except (OSError, ValueError):
        return 0.95  # Linux's own setting
    return 1.0 if runtime_us < 0 or period_us <= 0 else min(1.0, runtime_us / period_us)


@compiled
def learn(spin: Spin, late_ns: int) -> None:
    """A sleep ended `late_ns` after the time that was asked for.

    The latency is a decaying quantile: it rises by RARE parts when a sleep ended later, else it falls by
    one, and so comes to rest where one in a hundred is later. A part is a 4096th of it: a machine that
    stood still for long moves it no more than one that was just a little slow. The spin is half as long
    again, and leaves room for the scan.
    """
    words = spin.words
    part = max(words[LATENCY] >> 12, 1)
    words[LATENCY] += RARE * part if late_ns > words[LATENCY] else -part
    wanted_ns = words[LATENCY] + (words[LATENCY] >> 1)
    words[LENGTH] = max(min(wanted_ns, spin.most_ns - words[EXECUTION]), 0)
