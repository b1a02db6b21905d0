"""The twin of the SMT line: how many times faster than life, and where a scan's time goes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import numpy as np

from bench.places import FACTORY, SMT_LINE, STATION
from bench.registry import Bench, Pair, Round, subject
from cellrt.app.simulate import VirtualLine
from cellrt.compiler.cache import cached_njit
from cellrt.compiler.native import monotonic_ns
from cellrt.line.load import load_line
from cellrt.scan.step import step
from cellrt.scan.tables import Tables, Work
from cellrt.supervisor import Goal
from cellrt.twin import Plant, exchange_in, exchange_out, solve_plant
from cellrt.wire import Floats, Ints

LINE_UP_S = 3600
FACTORY_UP_S = 2400
FOR_S, QUICK_S = 600, 10
SCANS, QUICK_SCANS = 20_000, 100


@cached_njit
def run_parts(
    t: Tables,
    w: Work,
    plant: Plant,
    entries: Ints,
    base: int,
    inputs: Ints,
    reals: Floats,
    period_ns: int,
    first: int,
    scans: int,
    epoch: int,
    spent: Ints,
    scratch: Ints,
) -> None:
    """Scans as the twin's; time spent on logic, physics, mapping and the clock itself in ns: int64[4]."""
    for scan in range(first, first + scans):
        now_ns = scan * period_ns
        began = monotonic_ns(scratch)
        exchange_in(plant, inputs, reals, scan)
        sensed = monotonic_ns(scratch)
        step(t, w, entries, base, inputs, reals, now_ns, scan, epoch, None)
        solved = monotonic_ns(scratch)
        exchange_out(plant, w.outputs, w.output_reals)
        acted = monotonic_ns(scratch)
        solve_plant(plant, now_ns, scan, t.dt_s)
        ended = monotonic_ns(scratch)
        spent[0] += solved - sensed
        spent[1] += ended - acted
        spent[2] += sensed - began + acted - solved
        spent[3] += monotonic_ns(scratch) - ended


@subject(
    Bench("twin_speed", "x", "real time"),
    Bench("twin_logic", "ns/scan"),
    Bench("twin_physics", "ns/scan"),
    Bench("twin_mapping", "ns/scan"),
)
def twin(quick: bool) -> Iterator[Round]:
    """The line at work, with supervisor and journal; then its scan's parts alone."""
    line = VirtualLine(load_line(STATION if quick else SMT_LINE))
    line.pursue(Goal.RUN)
    for_s, scans = (QUICK_S, QUICK_SCANS) if quick else (FOR_S, SCANS)
    pursue(line, for_s if quick else LINE_UP_S)
    parts_ns(line, 1)

    def one_round() -> Mapping[str, Pair]:
        logic, physics, mapping = parts_ns(line, scans)
        return {
            "twin_speed": Pair(for_s / pursue(line, for_s), 1.0),
            "twin_logic": Pair(logic),
            "twin_physics": Pair(physics),
            "twin_mapping": Pair(mapping),
        }

    yield one_round


@subject(
    Bench("twin_factory_speed", "x", "real time"),
    Bench("factory_scan", "us/scan"),
    rounds=3,
)
def factory(quick: bool) -> Iterator[Round]:
    """Twenty lines at work, with supervisor and events; then the scan of their 300 cells by itself."""
    line = VirtualLine(load_line(FACTORY))
    line.pursue(Goal.RUN)
    for_s, scans = (1, QUICK_SCANS) if quick else (FOR_S, SCANS // 20)
    pursue(line, for_s if quick else FACTORY_UP_S)
    parts_ns(line, 1)

    def one_round() -> Mapping[str, Pair]:
        logic_ns, _, _ = parts_ns(line, scans)
        return {
            "twin_factory_speed": Pair(for_s / pursue(line, for_s), 1.0),
            "factory_scan": Pair(logic_ns / 1e3),
        }

    yield one_round


def pursue(line: VirtualLine, for_s: int) -> float:
    """Wall time in s that so much logical time takes."""
    began_s = time.perf_counter()
    for _ in line.run(for_s * 1_000_000_000):
        pass
    return time.perf_counter() - began_s


def parts_ns(line: VirtualLine, scans: int) -> tuple[float, float, float]:
    """ns a scan for logic, physics and mapping, the clock's own time taken off."""
    r, plant, spent = line.twin.runner, line.twin.plant, np.zeros(4, np.int64)
    memory = r.tables, r.work, plant, r.entries, r.image.address, r.inputs, r.input_reals
    times = r.plan.line.period_ns, r.scan, scans, r.epoch
    run_parts(*memory, *times, spent, np.zeros(2, np.int64))
    r.scan += scans
    logic, physics, mapping, clock = (spent / scans).tolist()
    return logic - clock, physics - clock, mapping - 2 * clock
