"""The executive: one compiled loop that wakes, latches, steps and publishes. It never comes back to Python
while the line runs.

The grid is absolute: scan n is due at start + n x period. A scan that comes late is followed by the next
one that is still due and at least half a period away from it, never by a burst; what was passed over is
counted and told.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cellrt.compiled import compiled
from cellrt.compiler.cache import cached_njit
from cellrt.compiler.native import (
    copy_bytes,
    load_acquire,
    pause,
    store_release,
)
from cellrt.scan.clock import Clock, look, sleep
from cellrt.scan.events import emit
from cellrt.scan.histogram import count
from cellrt.scan.latch import Latch, judge
from cellrt.scan.meter import Meter, note
from cellrt.scan.plan import COMMANDS_A_SCAN
from cellrt.scan.recorder import Recorder, finish, record, take_samples
from cellrt.scan.spin import EXECUTION, LENGTH, Spin, learn
from cellrt.scan.step import step
from cellrt.scan.tables import Tables, Work
from cellrt.scan.tasks import decisions
from cellrt.scan.warm import Warm, bring_near
from cellrt.shared.queue import pop
from cellrt.shared.ring import append
from cellrt.shared.triple import publish, take
from cellrt.wire import Floats, Ints

STARTED, OVERRUN, RECORDING, RECORDING_LOST = 1, 11, 19, 20
STOP_CAUSE = 1
SCANS, OVERRUNS, BACK_TO_BACK, FIRST_SCAN_NS, SCAN, FIRST_SCAN = 8, 9, 10, 11, 12, 21
UNSAVED, LOST_BYTES, LOST_FIRST, LOST_LAST, TOLD_UNSAVED, TOLD_LOST = 30, 31, 32, 33, 34, 35
"""Words of `Status`."""


class Desk(NamedTuple):
    """Everything around the step: shared memory by address, and what was taken before the loop.

    `samples` and `snapshot` are int64 buffers for the samples from io and one snapshot; `retained` int64[n, 2]
    (byte offset, 0 bool 1 word) with its values last published in `kept`.
    """

    latch: Latch
    recorder: Recorder
    samples: Ints
    snapshot: Ints
    retained: Ints
    kept: Ints
    status: Ints
    lateness: Ints
    execution: Ints
    clock: Clock
    spin: Spin
    warm: Warm
    meter: Meter
    inputs_at: int
    outputs_at: int
    snapshots_at: Ints
    retained_at: int
    queues_at: Ints
    queue_capacity: int
    events_at: int
    events_capacity: int
    heartbeat_at: int
    snapshot_every: int


@cached_njit
def run_scans(
    t: Tables,
    w: Work,
    desk: Desk,
    entries: Ints,
    base: int,
    inputs: Ints,
    reals: Floats,
    start_ns: int,
    period_ns: int,
    wall_period_ns: int,
    epoch: int,
) -> int:
    """Scan until `status[STOP]` is set; the number of scans.

    Scan n is due at monotonic `start_ns` + n x `wall_period_ns` and has logical time n x `period_ns`.
    """
    done, scan = 0, (look(desk.clock) - start_ns) // wall_period_ns + 1
    stop_at = desk.status.ctypes.data
    skipped, late_ns, last_woke_ns = 0, 0, 0
    while load_acquire(stop_at) == 0:
        woke_ns = wait_for(start_ns + scan * wall_period_ns, desk)
        now_ns = scan * period_ns
        if woke_ns - last_woke_ns < wall_period_ns // 2:
            desk.status[BACK_TO_BACK] += 1
        last_woke_ns = woke_ns
        latch_inputs(t, desk, inputs, scan, woke_ns, epoch)
        step(t, w, entries, base, inputs, reals, now_ns, scan, epoch, desk.meter)
        if done == 0:
            note_start(w, desk.status, scan, now_ns, epoch, woke_ns)
        if skipped > 0:
            emit(w, now_ns, OVERRUN, 0, skipped, late_ns, 0, 0)
        note_recording(w, desk.status, now_ns)
        publish_all(w, desk, inputs, scan, now_ns, epoch, woke_ns)
        record(desk.recorder, w, inputs, scan)
        done += 1
        ended_ns = look(desk.clock)
        desk.spin.words[EXECUTION] = ended_ns - woke_ns
        count(desk.execution, ended_ns - woke_ns)
        note(desk.meter, desk.meter.rules.shape[0] - 1, skipped, 1, ended_ns - woke_ns)
        ready_ns = max(ended_ns, woke_ns + wall_period_ns // 2)
        skipped, late_ns = behind(start_ns, wall_period_ns, scan, ready_ns)
        scan += 1 + skipped
        if skipped > 0:
            desk.status[OVERRUNS] += skipped
    finish(desk.recorder, w, inputs)
    outputs_to_rest(t, w)
    publish(desk.outputs_at, w.outputs.size, w.outputs.ctypes.data)
    return done


@compiled
def note_start(w: Work, status: Ints, scan: int, now_ns: int, epoch: int, woke_ns: int) -> None:
    """A scan process did its first scan; perhaps it is the first one of the line."""
    emit(w, now_ns, STARTED, 0, epoch, 0, 0, 0)
    if status[FIRST_SCAN_NS] == 0:
        status[FIRST_SCAN] = scan
        status[FIRST_SCAN_NS] = woke_ns


@compiled
def note_recording(w: Work, status: Ints, now_ns: int) -> None:
    """What brain says of putting the recording to disk, as events when it changes."""
    if status[UNSAVED] != status[TOLD_UNSAVED]:
        status[TOLD_UNSAVED] = status[UNSAVED]
        emit(w, now_ns, RECORDING, 0, 1 - status[UNSAVED], 0, 0, 0)
    if status[LOST_BYTES] != status[TOLD_LOST]:
        lost = status[LOST_BYTES] - status[TOLD_LOST]
        status[TOLD_LOST] += lost
        emit(w, now_ns, RECORDING_LOST, 0, lost, status[LOST_FIRST], status[LOST_LAST], 0)


@compiled
def wait_for(due_ns: int, desk: Desk) -> int:
    """Sleep to just before `due_ns`, then spin or sleep to the edge; the time of waking."""
    asked_ns = due_ns - desk.spin.words[LENGTH]
    now_ns = look(desk.clock)
    if now_ns < asked_ns:
        sleep(desk.clock, asked_ns)
        now_ns = look(desk.clock)
        if desk.spin.most_ns > 0:
            learn(desk.spin, now_ns - asked_ns)
        if desk.spin.spins:
            now_ns = bring_near(desk.warm, due_ns, now_ns, desk.clock)
    if not desk.spin.spins and now_ns < due_ns:
        sleep(desk.clock, due_ns)
        now_ns = look(desk.clock)
    while now_ns < due_ns:
        pause()
        now_ns = look(desk.clock)
    count(desk.lateness, now_ns - due_ns)
    return now_ns


@compiled
def behind(start_ns: int, wall_period_ns: int, scan: int, ready_ns: int) -> tuple[int, int]:
    """How many scans after `scan` are due before `ready_ns`, when the next may begin, and by how much
    that is too late for the first of them, in ns."""
    next_due_ns = start_ns + (scan + 1) * wall_period_ns
    if ready_ns <= next_due_ns:
        return 0, 0
    late_ns = ready_ns - next_due_ns
    return (late_ns + wall_period_ns - 1) // wall_period_ns, late_ns


@compiled
def latch_inputs(t: Tables, desk: Desk, inputs: Ints, scan: int, woke_ns: int, epoch: int) -> None:
    """The newest samples, what the last scan's execution asks for and the waiting commands become this
    scan's inputs."""
    newest_samples(desk, woke_ns)
    take_samples(desk.recorder, inputs, desk.samples, scan)
    take_commands(t, desk, inputs, epoch)


@compiled
def newest_samples(desk: Desk, woke_ns: int) -> None:
    """What io published last, numbered, and each device good or bad."""
    came = take(desk.inputs_at, desk.samples.size, desk.samples.ctypes.data)
    judge(desk.latch, desk.samples, came, woke_ns)


@compiled
def take_commands(t: Tables, desk: Desk, inputs: Ints, epoch: int) -> None:
    """What the last scan's execution asks for, and the waiting commands, into the inputs."""
    waiting = decisions(desk.meter, inputs, t.commands_base + 1, epoch)
    room = inputs.ctypes.data + (t.commands_base + 1) * 8
    for k in range(desk.queues_at.size):
        while waiting < COMMANDS_A_SCAN and pop(
            desk.queues_at[k], desk.queue_capacity, room + waiting * 64
        ):
            waiting += 1
    inputs[t.commands_base] = waiting


@compiled
def publish_all(
    w: Work, desk: Desk, inputs: Ints, scan: int, now_ns: int, epoch: int, woke_ns: int
) -> None:
    """Outputs first, then what others want to know, the heartbeat last.

    Snapshots go by scans done: where every other scan is passed over, their numbers may be all odd.
    """
    publish(desk.outputs_at, w.outputs.size, w.outputs.ctypes.data)
    for n in range(w.event_count[0]):
        append(desk.events_at, desk.events_capacity, w.events.ctypes.data + n * 64)
    publish_retained(w, desk)
    if desk.status[SCANS] % desk.snapshot_every == 0:
        s = desk.snapshot
        s[0], s[1], s[2], s[3], s[4] = scan, now_ns, epoch, woke_ns, w.forces[0]
        s[5] = desk.status[UNSAVED]
        samples = s.size - 8 - w.image.words.size
        copy_bytes(s.ctypes.data + 64, inputs.ctypes.data, samples * 8)
        copy_bytes(s.ctypes.data + 64 + samples * 8, w.image.words.ctypes.data, w.image.bytes.size)
        for k in range(desk.snapshots_at.size):
            publish(desk.snapshots_at[k], s.size, s.ctypes.data)
    desk.status[SCANS] += 1
    desk.status[SCAN] = scan
    store_release(desk.heartbeat_at, load_acquire(desk.heartbeat_at) + 1)


@compiled
def publish_retained(w: Work, desk: Desk) -> None:
    """Retained tags, when one of them has changed."""
    changed = False
    for n in range(desk.retained.shape[0]):
        at = desk.retained[n, 0]
        value = np.int64(w.image.bytes[at]) if desk.retained[n, 1] == 0 else w.image.words[at >> 3]
        if value != desk.kept[n]:
            desk.kept[n] = value
            changed = True
    if changed:
        publish(desk.retained_at, desk.kept.size, desk.kept.ctypes.data)


@compiled
def outputs_to_rest(t: Tables, w: Work) -> None:
    """Every output at its safe value for a stop, or for what is worse: the last thing a scan says."""
    for n in range(t.gates.shape[0]):
        cause = max(w.image.words[t.gates[n, 0]], STOP_CAUSE)
        w.outputs[t.gates[n, 2]] = t.gates[n, 3 * cause + 2]
