"""The executive in the interpreter: the same scan with the cells' methods uncompiled, for a debugger.

Logical time stands while a breakpoint holds the scan, and goes slower where the interpreter cannot keep
the period: the grid begins anew behind a late scan, so nothing is passed over and no timer jumps.
"""

from __future__ import annotations

import time

from cellrt.compiler.cache import cached_njit
from cellrt.runtime.region import Status
from cellrt.scan.executive import (
    Desk,
    latch_inputs,
    note_recording,
    note_start,
    outputs_to_rest,
    publish_all,
)
from cellrt.scan.latch import ADVANCED, ALIVE_SINCE, Latch
from cellrt.scan.recorder import finish_recording, record
from cellrt.scan.runner import Runner
from cellrt.scan.tables import Tables, Work
from cellrt.shared.triple import publish
from cellrt.wire import Ints

STANDSTILL_NS = 200_000_000
"""A scan that took longer was held by a person."""


@cached_njit
def latch_once(t: Tables, desk: Desk, inputs: Ints, scan: int, woke_ns: int, epoch: int) -> None:
    latch_inputs(t, desk, inputs, scan, woke_ns, epoch)


@cached_njit
def publish_once(
    w: Work, desk: Desk, inputs: Ints, scan: int, now_ns: int, epoch: int, woke_ns: int
) -> None:
    note_recording(w, desk.status, now_ns)
    publish_all(w, desk, inputs, scan, now_ns, epoch, woke_ns)
    record(desk.recorder, w, inputs, scan)


@cached_njit
def note_start_once(
    w: Work, status: Ints, scan: int, now_ns: int, epoch: int, woke_ns: int
) -> None:
    note_start(w, status, scan, now_ns, epoch, woke_ns)


@cached_njit
def rest_once(t: Tables, w: Work, desk: Desk) -> None:
    outputs_to_rest(t, w)
    publish(desk.outputs_at, w.outputs.size, w.outputs.ctypes.data)


def run_plain(runner: Runner, desk: Desk, start_ns: int, wall_period_ns: int) -> None:
    """Scan in the interpreter until told to stop."""
    status, first = desk.status, True
    runner.scan = (time.monotonic_ns() - start_ns) // wall_period_ns + 1
    while status[Status.STOP] == 0:
        due_ns = start_ns + runner.scan * wall_period_ns
        time.sleep(max(0.0, (due_ns - time.monotonic_ns()) / 1e9))
        woke_ns = time.monotonic_ns()
        if woke_ns - due_ns > wall_period_ns:
            start_ns += woke_ns - due_ns
            status[Status.START_NS] = start_ns
        scan, now_ns = runner.scan, runner.now_ns
        latch_once(runner.tables, desk, runner.inputs, scan, woke_ns, runner.epoch)
        waiting = runner.inputs[runner.plan.commands_base]
        runner.step()
        runner.inputs[runner.plan.commands_base] = waiting  # they are recorded behind the step
        forgive(desk.latch, time.monotonic_ns() - woke_ns)
        if first:
            note_start_once(runner.work, status, scan, now_ns, runner.epoch, woke_ns)
            first = False
        publish_once(runner.work, desk, runner.inputs, scan, now_ns, runner.epoch, woke_ns)
    finish_recording(desk.recorder, runner.work, runner.inputs)
    rest_once(runner.tables, runner.work, desk)


def forgive(latch: Latch, held_ns: int) -> None:
    """Time in which a person held the scan makes no device stale: simulated ones stood still with it."""
    if held_ns > STANDSTILL_NS:
        for column in (ADVANCED, ALIVE_SINCE):
            latch.health[:, column] += held_ns * (latch.health[:, column] != 0)
