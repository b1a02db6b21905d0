"""A line's scan many times over, in compiled code: what one costs when nothing else is asked for."""

from __future__ import annotations

import time

from cellrt.compiler.cache import cached_njit
from cellrt.scan.runner import Runner
from cellrt.scan.step import step
from cellrt.scan.tables import Tables, Work
from cellrt.wire import Floats, Ints


@cached_njit
def many_steps(
    t: Tables,
    w: Work,
    entries: Ints,
    base: int,
    inputs: Ints,
    reals: Floats,
    period_ns: int,
    first: int,
    scans: int,
    epoch: int,
) -> None:
    """`scans` scans from number `first`; the inputs stand still."""
    for scan in range(first, first + scans):
        step(t, w, entries, base, inputs, reals, scan * period_ns, scan, epoch, None)


def scan_ns(r: Runner, scans: int) -> float:
    """Run so many scans; ns of processor time a scan."""
    memory = r.tables, r.work, r.entries, r.image.address, r.inputs, r.input_reals
    times = r.plan.line.period_ns, r.scan, scans, r.epoch
    began_ns = time.thread_time_ns()
    many_steps(*memory, *times)
    took_ns = time.thread_time_ns() - began_ns
    r.scan += scans
    return took_ns / scans
