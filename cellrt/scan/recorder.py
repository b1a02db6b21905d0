"""The flight recorder: what each scan took in and what came of it, into the ring.

A scan is a function of its state, its inputs, its number and its epoch, so its inputs are all that a replay
needs. Its results stand beside them, so that a replay by edited logic can be held against what was. It runs
inside the scan: no allocation, no lock, no disk, and no wait for whoever empties the ring.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cellrt.compiled import compiled, inlined
from cellrt.compiler.cache import cached_njit
from cellrt.scan.plan import COMMAND_WORDS, COMMANDS_A_SCAN, OUTPUT_HEAD, Plan
from cellrt.scan.records import (
    BEGIN,
    BODY,
    KEYFRAME,
    SCAN,
    expect,
    fresh_bytes,
    longest_record,
    put,
    put_changes,
    seal,
)
from cellrt.scan.tables import Work, result_words
from cellrt.shared.ringfile import Octets, RingFile, append
from cellrt.tags import WORD
from cellrt.wire import Ints

KEYFRAME_EVERY_NS = 5_000_000_000
"""Logical time between keyframes: from each of them a replay can begin."""

LAST, DUE, EPOCH, QUIET = 0, 1, 2, 3
"""Words of `marks`: last scan, scan from which on a keyframe is due, epoch, quiet scans since the last record."""


class Recorder(NamedTuple):
    """What recording needs, all taken before the scan.

    `samples` int64[devices, 3]: begin and end of each device's sample in the inputs, 1 where it counts.
    `before` and `results` int64: the inputs and the results as recorded last; `nothing` int64: zeros.
    `scratch`: where a record is put together. `ring`: a `RingFile`'s words.
    """

    samples: Ints
    before: Ints
    results: Ints
    nothing: Ints
    marks: Ints
    scratch: Octets
    ring: Ints
    commands_base: int
    keyframe_every: int


def state_words(plan: Plan) -> int:
    """Length of what a keyframe has behind the inputs; `state` says what it is."""
    kept = len(plan.devices) + 4 * len(plan.terminals) + 1 + 2 * len(plan.assembly.periods)
    return result_words(plan) + plan.layout.nbytes // WORD + kept


def longest(plan: Plan) -> int:
    """Bytes of the longest record of a plan: what a ring must be made for."""
    return longest_record(plan.input_words + state_words(plan))


def recorder(plan: Plan, ring: RingFile) -> Recorder:
    """A recorder that writes into `ring`. Nothing is recorded before `begin`."""
    return Recorder(
        samples=samples(plan),
        before=np.zeros(plan.input_words, np.int64),
        results=np.zeros(result_words(plan), np.int64),
        nothing=np.zeros(plan.input_words + state_words(plan), np.int64),
        marks=np.zeros(4, np.int64),
        scratch=np.zeros(longest(plan), np.uint8),
        ring=ring.words,
        commands_base=plan.commands_base,
        keyframe_every=max(1, KEYFRAME_EVERY_NS // plan.line.period_ns),
    )


def samples(plan: Plan) -> Ints:
    """`Recorder.samples` of a plan."""
    rows = [[s.base, s.first_raw + s.raw, s.device.map.counter is not None] for s in plan.samples]
    return np.array(rows, np.int64).reshape(-1, 3)


@cached_njit
def begin(r: Recorder, w: Work, inputs: Ints, scan: int, epoch: int) -> None:
    """Record what a scan process starts from; `scan` is any number below that of its first scan."""
    r.marks[LAST], r.marks[EPOCH] = scan, epoch
    for k in range(r.commands_base):
        r.before[k] = inputs[k]
    for k in range(w.results.size):
        r.results[k] = w.results[k]
    keyframe(r, w, inputs, scan, BEGIN)


@inlined
def record(r: Recorder, w: Work, inputs: Ints, scan: int) -> None:
    """Record scan number `scan` behind its step, while `inputs` still has its commands."""
    out = r.scratch
    fresh_at = put(out, put(out, BODY, (scan - r.marks[LAST] - 1) << 2 | SCAN), r.marks[QUIET])
    begin_at = fresh_at + fresh_bytes(r.samples.shape[0])
    fresh = put_fresh(r, inputs, fresh_at)
    base, waiting = r.commands_base, inputs[r.commands_base]
    at, behind = put_changes(out, begin_at, inputs, r.before, 0, base, 0, 0, True)
    if waiting > 0:
        end = base + 1 + min(waiting, COMMANDS_A_SCAN) * COMMAND_WORDS
        at, behind = put_changes(out, at, inputs, r.nothing, base, end, 0, behind, False)
    base, end = inputs.size, w.results.size
    at, behind = put_changes(out, at, w.results, r.results, OUTPUT_HEAD, end, base, behind, True)
    if fresh == 0 and at == begin_at and scan == r.marks[LAST] + 1:
        r.marks[QUIET] += 1
    else:
        write(r, at)
        r.marks[QUIET] = 0
    r.marks[LAST] = scan
    if scan >= r.marks[DUE]:
        keyframe(r, w, inputs, scan, KEYFRAME)


@inlined
def put_fresh(r: Recorder, inputs: Ints, at: int) -> int:
    """Write which devices' samples are fresh, and expect what these mostly say; 0 if none is."""
    devices, any_fresh = r.samples.shape[0], 0
    for eight in range(0, devices, 8):
        bits = 0
        for n in range(eight, min(eight + 8, devices)):
            first = np.uint64(r.samples[n, 0])
            fresh = int(inputs[first] != r.before[first])
            bits |= fresh << n - eight
            expect(r.before, first, fresh, fresh & r.samples[n, 2])
        r.scratch[at + (eight >> 3)] = bits
        any_fresh |= bits
    return any_fresh


@compiled
def keyframe(r: Recorder, w: Work, inputs: Ints, scan: int, kind: int) -> None:
    """Record the samples and the state as they are after scan number `scan`."""
    out = r.scratch
    at = put(out, put(out, BODY, scan << 2 | kind), r.marks[EPOCH])
    at, behind = put_changes(out, at, inputs, r.nothing, 0, r.commands_base, 0, 0, False)
    base = inputs.size
    for words in (
        w.results,
        w.image.words,
        w.forced,
        w.forced_until_ns,
        w.forces,
        w.jogged,
        w.jogged_until_ns,
        w.seen,
        w.pace.multiple,
        w.pace.scanned,
    ):
        at, behind = put_changes(out, at, words, r.nothing, 0, words.size, base, behind, False)
        base += words.size
    write(r, at)
    r.marks[QUIET] = 0
    r.marks[DUE] = scan + r.keyframe_every


def state(w: Work) -> tuple[Ints, ...]:
    """All that one scan leaves to the next, in a keyframe's order: results, image, forces, jogs, the
    samples that were seen, the tasks' pace."""
    hands = w.forced, w.forced_until_ns, w.forces, w.jogged, w.jogged_until_ns
    return w.results, w.image.words, *hands, w.seen, *w.pace


@inlined
def write(r: Recorder, end: int) -> None:
    """Finish the record in `scratch` and append it to the ring."""
    first, last = seal(r.scratch, end)
    append(r.ring, r.scratch.ctypes.data + first, last - first)


@inlined
def finish(r: Recorder, w: Work, inputs: Ints) -> None:
    """Record where the scans end, so that the last quiet ones are not missing."""
    keyframe(r, w, inputs, r.marks[LAST], KEYFRAME)


@cached_njit
def record_scan(r: Recorder, w: Work, inputs: Ints, scan: int) -> None:
    """`record`, for a scan that is stepped from Python."""
    record(r, w, inputs, scan)


@cached_njit
def finish_recording(r: Recorder, w: Work, inputs: Ints) -> None:
    """`finish`, for a scan that is stepped from Python."""
    finish(r, w, inputs)
