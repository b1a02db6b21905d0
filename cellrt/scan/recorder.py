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
from cellrt.scan.plan import COMMAND_WORDS, COMMANDS_A_SCAN, OUTPUT_HEAD, SAMPLE_HEAD, Plan
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

ONE = np.uint64(1)
"""Places without sign need no look at whether they count from the end."""

LAST, DUE, EPOCH, QUIET, BEGIN_AT, AT, BEHIND, FRESH = 0, 1, 2, 3, 4, 5, 6, 7
"""Words of `marks`: last scan; scan from which on a keyframe is due; epoch; quiet scans since the last record. Of
the record that is open: addresses where its changes begin and where the next one comes, number of the last block's
first word, and not 0 when a sample was fresh."""


class Recorder(NamedTuple):
    """What recording needs, all taken before the scan.

    `samples` int64[devices, 3]: begin and end of each device's sample in the inputs, 1 where it counts.
    `results` int64: the results as recorded last; `nothing` int64: zeros.
    `scratch`: where a record is put together. `ring`: a `RingFile`'s words.
    """

    samples: Ints
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
        results=np.zeros(result_words(plan), np.int64),
        nothing=np.zeros(plan.input_words + state_words(plan), np.int64),
        marks=np.zeros(8, np.int64),
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
    for k in range(w.results.size):
        r.results[k] = w.results[k]
    keyframe(r, w, inputs, scan, BEGIN)


@inlined
def take_samples(r: Recorder, inputs: Ints, samples: Ints, scan: int) -> None:
    """`samples`, which have the same layout, become the inputs of scan number `scan`; its record is begun.

    A device's raw values count when its sample has another number. This is the one way into the inputs, so they are
    what was recorded last: what is new is looked at where it is copied.
    """
    out, marks, devices = r.scratch, r.marks, r.samples.shape[0]
    bits_at = put(out, put(out, BODY, (scan - marks[LAST] - 1) << 2 | SCAN), marks[QUIET])
    marks[BEGIN_AT] = out.ctypes.data + bits_at + fresh_bytes(devices)
    to, behind, any_fresh = marks[BEGIN_AT], 0, 0
    for eight in range(0, devices, 8):
        bits = 0
        for n in range(eight, min(eight + 8, devices)):
            first = r.samples[n, 0]
            place = np.uint64(first)
            fresh = int(samples[place] != inputs[place])
            if fresh | samples[place + ONE] ^ inputs[place + ONE]:
                bits |= fresh << n - eight
                expect(inputs, place, fresh, fresh & r.samples[n, 2])
                new, old = samples.ctypes.data + WORD * first, inputs.ctypes.data + WORD * first
                count = r.samples[n, 1] - first if fresh else SAMPLE_HEAD
                to, behind = put_changes(to, new, old, count, first, behind, True)
        out[bits_at + (eight >> 3)] = bits
        any_fresh |= bits
    marks[AT], marks[BEHIND], marks[FRESH] = to, behind, any_fresh


@inlined
def record(r: Recorder, w: Work, inputs: Ints, scan: int) -> None:
    """Record scan number `scan` behind its step, while `inputs` still has its commands."""
    marks, to, behind = r.marks, r.marks[AT], r.marks[BEHIND]
    base, waiting, nothing = r.commands_base, inputs[r.commands_base], r.nothing.ctypes.data
    if waiting > 0:
        count = 1 + min(waiting, COMMANDS_A_SCAN) * COMMAND_WORDS
        commands = inputs.ctypes.data + WORD * base
        to, behind = put_changes(to, commands, nothing, count, base, behind, False)
    end = w.results.size if w.changed[0] else w.outputs.size
    now = w.results.ctypes.data + WORD * OUTPUT_HEAD
    was = r.results.ctypes.data + WORD * OUTPUT_HEAD
    first, count = inputs.size + OUTPUT_HEAD, end - OUTPUT_HEAD
    to, behind = put_changes(to, now, was, count, first, behind, True)
    if marks[FRESH] == 0 and to == marks[BEGIN_AT] and scan == marks[LAST] + 1:
        marks[QUIET] += 1
    else:
        write(r, to)
        marks[QUIET] = 0
    marks[LAST] = scan
    if scan >= marks[DUE]:
        keyframe(r, w, inputs, scan, KEYFRAME)


@compiled
def keyframe(r: Recorder, w: Work, inputs: Ints, scan: int, kind: int) -> None:
    """Record the samples and the state as they are after scan number `scan`."""
    out = r.scratch
    at = put(out, put(out, BODY, scan << 2 | kind), r.marks[EPOCH])
    to, nothing, base = out.ctypes.data + at, r.nothing.ctypes.data, inputs.size
    to, behind = put_changes(to, inputs.ctypes.data, nothing, r.commands_base, 0, 0, False)
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
        to, behind = put_changes(to, words.ctypes.data, nothing, words.size, base, behind, False)
        base += words.size
    write(r, to)
    r.marks[QUIET] = 0
    r.marks[DUE] = scan + r.keyframe_every


def state(w: Work) -> tuple[Ints, ...]:
    """All that one scan leaves to the next, in a keyframe's order: results, image, forces, jogs, the
    samples that were seen, the tasks' pace."""
    hands = w.forced, w.forced_until_ns, w.forces, w.jogged, w.jogged_until_ns
    return w.results, w.image.words, *hands, w.seen, *w.pace


@inlined
def write(r: Recorder, to: int) -> None:
    """Finish the record that ends at address `to` in `scratch`, and append it to the ring."""
    first, last = seal(r.scratch, to - r.scratch.ctypes.data)
    append(r.ring, r.scratch.ctypes.data + first, last - first)


@inlined
def finish(r: Recorder, w: Work, inputs: Ints) -> None:
    """Record where the scans end, so that the last quiet ones are not missing."""
    keyframe(r, w, inputs, r.marks[LAST], KEYFRAME)


@cached_njit
def take_in(r: Recorder, inputs: Ints, samples: Ints, scan: int) -> None:
    """`take_samples`, for a scan that is stepped from Python."""
    take_samples(r, inputs, samples, scan)


@cached_njit
def record_scan(r: Recorder, w: Work, inputs: Ints, scan: int) -> None:
    """`record`, for a scan that is stepped from Python."""
    record(r, w, inputs, scan)


@cached_njit
def finish_recording(r: Recorder, w: Work, inputs: Ints) -> None:
    """`finish`, for a scan that is stepped from Python."""
    finish(r, w, inputs)
