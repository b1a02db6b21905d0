"""The flight recorder: in every scan, what it took in and a checksum of what came of it, into the ring.

A scan is a function of its state, its inputs, its number and its epoch, so this is all that a replay
needs. It runs inside the scan: no allocation, no lock, no disk, and no wait for whoever empties the ring.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cellrt.compiled import compiled
from cellrt.compiler.cache import cached_njit
from cellrt.scan.plan import COMMAND_WORDS, COMMANDS_A_SCAN, Plan
from cellrt.scan.records import (
    BEGIN,
    BODY,
    KEYFRAME,
    SCAN,
    checksum,
    longest_record,
    put,
    put_32,
    put_changes,
    seal,
)
from cellrt.scan.tables import Work
from cellrt.shared.ringfile import Octets, RingFile, append
from cellrt.tags import WORD
from cellrt.wire import Ints

KEYFRAME_EVERY_NS = 1_000_000_000
"""Logical time between keyframes: from each of them a replay can begin."""

LAST, DUE, EPOCH = 0, 1, 2
"""Words of `marks`: scan recorded last, scan from which on a keyframe is due, epoch."""


class Recorder(NamedTuple):
    """What recording needs, all taken before the scan.

    `samples` int64[devices, 2]: base and words of each device's sample in the inputs. `before` int64: the
    inputs as recorded last; `nothing` int64: zeros. `scratch`: where a record is put together. `ring`: a
    `RingFile`'s words.
    """

    samples: Ints
    before: Ints
    nothing: Ints
    marks: Ints
    scratch: Octets
    ring: Ints
    commands_base: int
    keyframe_every: int


def state_words(plan: Plan) -> int:
    """Length of the state in a keyframe; `state` says what it is."""
    kept = len(plan.devices) + 5 * len(plan.cells) + len(plan.handovers)
    kept += 4 * len(plan.terminals) + 1
    return plan.layout.nbytes // WORD + plan.output_words + kept


def longest(plan: Plan) -> int:
    """Bytes of the longest record of a plan: what a ring must be made for."""
    return longest_record(plan.input_words + state_words(plan))


def recorder(plan: Plan, ring: RingFile) -> Recorder:
    """A recorder that writes into `ring`. Nothing is recorded before `begin`."""
    return Recorder(
        samples=np.array([[s.base, s.raw + 2] for s in plan.samples], np.int64).reshape(-1, 2),
        before=np.zeros(plan.input_words, np.int64),
        nothing=np.zeros(plan.input_words + state_words(plan), np.int64),
        marks=np.zeros(4, np.int64),
        scratch=np.zeros(longest(plan), np.uint8),
        ring=ring.words,
        commands_base=plan.commands_base,
        keyframe_every=max(1, KEYFRAME_EVERY_NS // plan.line.period_ns),
    )


@cached_njit
def begin(r: Recorder, w: Work, inputs: Ints, scan: int, epoch: int) -> None:
    """Record what a scan process starts from; `scan` is any number below that of its first scan."""
    r.marks[LAST], r.marks[EPOCH] = scan, epoch
    for k in range(r.commands_base):
        r.before[k] = inputs[k]
    keyframe(r, w, inputs, scan, BEGIN)


@compiled
def record(r: Recorder, w: Work, inputs: Ints, scan: int) -> None:
    """Record scan number `scan` behind its step, while `inputs` still has its commands.

    A device is looked at when its sample is fresh or it turned good or bad: the step does the same.
    """
    out, behind = r.scratch, 0
    at = put(out, BODY, (scan - r.marks[LAST]) << 2 | SCAN)
    at = put_32(out, at, checksum(w))
    for n in range(r.samples.shape[0]):
        base = r.samples[n, 0]
        if inputs[base] != r.before[base] or inputs[base + 1] != r.before[base + 1]:
            end = base + r.samples[n, 1]
            at, behind = put_changes(out, at, inputs, r.before, base, end, 0, behind)
            for k in range(base, end):
                r.before[k] = inputs[k]
    base, waiting = r.commands_base, inputs[r.commands_base]
    if waiting > 0:
        end = base + 1 + min(waiting, COMMANDS_A_SCAN) * COMMAND_WORDS
        at, behind = put_changes(out, at, inputs, r.nothing, base, end, 0, behind)
    write(r, at)
    r.marks[LAST] = scan
    if scan >= r.marks[DUE]:
        keyframe(r, w, inputs, scan, KEYFRAME)


@compiled
def keyframe(r: Recorder, w: Work, inputs: Ints, scan: int, kind: int) -> None:
    """Record the samples and the state as they are after scan number `scan`."""
    out = r.scratch
    at = put(out, put(out, BODY, scan << 2 | kind), r.marks[EPOCH])
    at, behind = put_changes(out, at, inputs, r.nothing, 0, r.commands_base, 0, 0)
    base = inputs.size
    for words in (
        w.image.words,
        w.outputs,
        w.forced,
        w.forced_until_ns,
        w.forces,
        w.jogged,
        w.jogged_until_ns,
        w.seen,
        w.links,
    ):
        at, behind = put_changes(out, at, words, r.nothing, 0, words.size, base, behind)
        base += words.size
    for row in range(w.cells.shape[0]):
        words = w.cells[row]
        at, behind = put_changes(out, at, words, r.nothing, 0, words.size, base, behind)
        base += words.size
    write(r, at)
    r.marks[DUE] = scan + r.keyframe_every


def state(w: Work) -> tuple[Ints, ...]:
    """All that one scan leaves to the next, in a keyframe's order: the image, the outputs, forces and jogs,
    and what was seen and told."""
    hands = w.forced, w.forced_until_ns, w.forces, w.jogged, w.jogged_until_ns
    return w.image.words, w.outputs, *hands, w.seen, w.links, w.cells.reshape(-1)


@compiled
def write(r: Recorder, end: int) -> None:
    """Finish the record in `scratch` and append it to the ring."""
    first, last = seal(r.scratch, end)
    append(r.ring, r.scratch.ctypes.data + first, last - first)


@cached_njit
def record_scan(r: Recorder, w: Work, inputs: Ints, scan: int) -> None:
    """`record`, for a scan that is stepped from Python."""
    record(r, w, inputs, scan)
