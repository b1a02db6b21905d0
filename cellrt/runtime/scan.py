"""The process `scan`: control and nothing else."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from cellrt.compiler.cache import prepare
from cellrt.compiler.entry import CompileError
from cellrt.compiler.fingerprint import fingerprint
from cellrt.handover import Link
from cellrt.runtime.child import Station, refuse, take_station
from cellrt.runtime.plainloop import run_plain
from cellrt.runtime.realtime import become_realtime
from cellrt.runtime.region import EVENTS_KEPT, QUEUE, SENDERS, WATCHERS, Status
from cellrt.runtime.trial import measure, private
from cellrt.scan.clock import Monotonic
from cellrt.scan.events import B_ID, U_STATE, U_STEP
from cellrt.scan.executive import Desk, run_scans
from cellrt.scan.histogram import BINS
from cellrt.scan.latch import latch
from cellrt.scan.meter import COUNTS
from cellrt.scan.recorder import begin, recorder
from cellrt.scan.runner import Runner
from cellrt.scan.snapshot import snapshot_words
from cellrt.scan.spin import spin
from cellrt.scan.tasks import meter
from cellrt.scan.warm import know, nothing_warm
from cellrt.shared.memory import Role
from cellrt.shared.ringfile import attach
from cellrt.shared.triple import TripleReader
from cellrt.wire import Ints

SNAPSHOT_EVERY_NS = 20_000_000


def code_hash(station_types: list[type]) -> str:
    """What the cells' logic is, as one hash: a restarted scan must run what the first one ran."""
    return fingerprint(*station_types)


def main() -> None:
    """Compile, take up retained values, then scan until told to stop."""
    station = take_station(Role.SCAN)
    status, began_ns = station.status, time.monotonic_ns()
    if code_hash(station.plan.assembly.types()) != station.order.code_hash:
        refuse("scan", "a cell was edited since the line was started; restart the line")
    try:
        runner, desk = make_ready(station)
    except CompileError as error:
        refuse("scan", str(error))
    status[Status.COMPILE_NS] = time.monotonic_ns() - began_ns
    if status[Status.START_NS] == 0 and not station.order.plain:
        try_out(station)
    rights = become_realtime()
    status[Status.FIFO], status[Status.DMA_LATENCY] = rights.fifo, rights.dma_latency
    status[Status.SPINS] = station.order.spin and not station.order.plain
    power_up(station, runner, desk)
    status[Status.READY_NS] = time.monotonic_ns()
    if station.order.plain:
        run_plain(runner, desk, int(status[Status.START_NS]), station.wall_period_ns)
    else:
        run_scans(*loop_arguments(station, runner, desk))


def make_ready(station: Station) -> tuple[Runner, Desk]:
    """A new epoch's scan with its memory and machine code; nothing is known of the plant yet.

    Raises CompileError.
    """
    epoch, plain = station.region.begin_epoch(), station.order.plain
    station.status[Status.EPOCH] = epoch
    progress = Progress(station.status)
    runner = Runner(station.plan, compiled=not plain, epoch=epoch, progress=progress)
    desk = make_desk(station, runner)
    if not plain:
        loop = prepare(run_scans, *loop_arguments(station, runner, desk))
        memory = desk, runner.tables, runner.work, runner.entries, runner.inputs
        know(desk.warm, memory, shared_places(desk), loop, runner.entries)
    return runner, desk


def shared_places(desk: Desk) -> list[int]:
    """Where the hand-overs to other processes begin."""
    one = desk.inputs_at, desk.outputs_at, desk.retained_at, desk.events_at, desk.heartbeat_at
    return [*one, *desk.queues_at.tolist(), *desk.snapshots_at.tolist()]


def try_out(station: Station) -> None:
    """Refuse to begin with a line that this machine cannot scan in its period."""
    plan = station.plan
    with private(station) as copy:
        runner = Runner(plan)
        desk = make_desk(copy, runner)
        begin(desk.recorder, runner.work, runner.inputs, 0, runner.epoch)
        cost = measure(copy, loop_arguments(copy, runner, desk))
    if why := cost.refusal(plan.line.name, station.wall_period_ns / 1e3, station.speed):
        refuse("scan", why)


def loop_arguments(station: Station, runner: Runner, desk: Desk) -> tuple[Any, ...]:
    """What `run_scans` is called with."""
    return (
        runner.tables,
        runner.work,
        desk,
        runner.entries,
        runner.image.address,
        runner.inputs,
        runner.input_reals,
        int(station.status[Status.START_NS]),
        station.plan.line.period_ns,
        station.wall_period_ns,
        runner.epoch,
    )


class Progress:
    """How far compiling has come, where the watcher can see it."""

    def __init__(self, status: Ints) -> None:
        self._status = status

    def __call__(self, name: str, done: int, total: int) -> None:
        self._status[Status.COMPILED], self._status[Status.TO_COMPILE] = done, total


def make_desk(station: Station, runner: Runner) -> Desk:
    """Addresses of everything that the scan shares, and scratch memory."""
    plan, section, clock = station.plan, station.region.section, Monotonic(np.zeros(2, np.int64))
    tasks = section("tasks").words[: COUNTS * len(plan.tasks)]
    task_times = section("task-execution").words[: BINS * len(plan.tasks)]
    retained = [[t.offset, t.field.kind is not bool] for t in plan.retained]
    return Desk(
        recorder=recorder(plan, attach(Path(station.order.ring), plan.hash)),
        latch=latch(plan, section("ages").words[: BINS * max(len(plan.devices), 1)]),
        samples=np.zeros(plan.commands_base, np.int64),
        snapshot=np.zeros(snapshot_words(plan), np.int64),
        retained=np.array(retained, np.int64).reshape(-1, 2),
        kept=np.zeros(max(len(plan.retained), 1), np.int64),
        status=station.status,
        lateness=section("lateness").words[:BINS],
        execution=section("execution").words[:BINS],
        clock=clock,
        spin=spin(
            station.status[Status.EARLY_NS :][:3], station.wall_period_ns, wanted=station.order.spin
        ),
        warm=nothing_warm(),
        meter=meter(plan, clock, station.wall_period_ns, tasks, task_times),
        inputs_at=section("inputs").address,
        outputs_at=section("outputs").address,
        snapshots_at=np.array([section(f"snapshot-{w}").address for w in WATCHERS], np.int64),
        retained_at=section("retained").address,
        queues_at=np.array([section(f"commands-{s}").address for s in SENDERS], np.int64),
        queue_capacity=QUEUE,
        events_at=section("events").address,
        events_capacity=EVENTS_KEPT,
        heartbeat_at=station.region.heartbeat_address(Role.SCAN),
        snapshot_every=max(1, SNAPSHOT_EVERY_NS // station.wall_period_ns),
    )


def power_up(station: Station, runner: Runner, desk: Desk) -> None:
    """Take up what is retained, as of now. The first scan ever makes now the beginning of logical time."""
    status = station.status
    if status[Status.START_NS] == 0:
        status[Status.START_NS] = time.monotonic_ns()
    now_ns = station.logical_ns(time.monotonic_ns())
    known = TripleReader(station.region.section("retained")).recall(desk.kept)
    take_up(runner, desk.kept if known else None, now_ns)
    last_scan = now_ns // station.plan.line.period_ns - 1
    begin(desk.recorder, runner.work, runner.inputs, last_scan, runner.epoch)


def take_up(runner: Runner, kept: Ints | None, now_ns: int) -> None:
    """Retained values into a fresh image; every unit Stopped as of now. No old image is looked at.

    `kept`: raw bits, in the order of `plan.retained`. A handover that was not under way begins anew:
    neither side has said anything yet.
    """
    plan, image = runner.plan, runner.image
    if kept is not None:
        for leaf, value in zip(plan.retained, kept, strict=False):
            real = leaf.field.kind is float
            image.write(leaf, float(value.view(np.float64)) if real else int(value))
    for cell in plan.cells:
        image.write(plan.layout.find(f"{cell}.unit.state_since_ns"), now_ns)
    for handover in plan.handovers:
        state = plan.layout.find(f"{handover}.state")
        if int(image.read(state)) < Link.TRANSPORTING:
            image.write(state, int(Link.NOT_AVAILABLE_NOT_READY))
    settle(runner)


def settle(runner: Runner) -> None:
    """What is in the image now is no news: what was there before is not reported."""
    words, work = runner.image.views.words, runner.work
    for k, (unit, board, _, leaving, *_) in enumerate(runner.tables.units.tolist()):
        state, step = words[unit + U_STATE], words[unit + U_STEP]
        work.cells[k] = state, step, words[board + B_ID], 0, words[leaving + B_ID]
    for k, (state, _) in enumerate(runner.tables.states.tolist()):
        work.links[k] = words[state]
    for k, leaf in enumerate(runner.plan.told):
        work.told[k] = int(runner.image.read(leaf))


if __name__ == "__main__":
    main()
