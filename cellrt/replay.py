"""Replay: a recorded run once more, bit for bit, by the same step.

Every scan's results are compared with the recorded ones, and the whole state byte by byte at each keyframe,
from where the replay goes on as recorded: so one difference does not hide another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cellrt.compiled import compiled
from cellrt.compiler.cache import cached_njit
from cellrt.compiler.entry import Progress
from cellrt.line.spec import LineSpec
from cellrt.recording.header import Header, edited, planned
from cellrt.recording.reader import Finding, RecordingReader, read_one
from cellrt.scan.plan import OUTPUT_HEAD
from cellrt.scan.recorder import state
from cellrt.scan.records import KEYFRAME, SCAN, differ
from cellrt.scan.runner import Runner
from cellrt.scan.step import step
from cellrt.scan.tables import Tables, Work
from cellrt.scan.tape import EPOCH, NEXT, NUMBER, Tape, read_record
from cellrt.shared.ringfile import Octets
from cellrt.tags import WORD
from cellrt.wire import Floats, Ints

SCANS, DIFFERING, FIRST, LOADED = 0, 1, 2, 3
"""Words of a tally: scans replayed; of these, differing ones; the first of them since the last keyframe,
-1 none; 1 when there is a state to replay from."""

SHOWN = 10
"""Differences, and tags of each, that are worth a person's time."""


@dataclass(frozen=True)
class Difference:
    """From scan number `scan` on the replay had other results than the recorded ones.

    `tags` differed at the keyframe behind it, in `nbytes` bytes; empty where the recording ends before.
    """

    scan: int
    tags: tuple[str, ...]
    nbytes: int


@dataclass(frozen=True)
class Replayed:
    """What came of a replay.

    `scans` were replayed, up to number `last`; `differing` of them had other results. `findings`: what
    is wrong with the recording itself. `edited`: what has changed since. `cut_bytes`: those
    of a last record that was not written to its end.
    """

    header: Header
    scans: int
    last: int
    differing: int
    differences: tuple[Difference, ...]
    findings: tuple[Finding, ...]
    edited: tuple[str, ...]
    cut_bytes: int

    @property
    def differing_bytes(self) -> int:
        """Bytes of state that differed at keyframes; 0 for a faithful replay."""
        return sum(d.nbytes for d in self.differences)

    @property
    def faithful(self) -> bool:
        """The replay did the same in every scan, to the last byte of state at every keyframe."""
        return self.scans > 0 and not (self.differing or self.differences)

    def lines(self) -> list[str]:
        """For people."""
        period_s, last_s = self.header.period_ns / 1e9, self.last * self.header.period_ns / 1e9
        told = [
            f"{self.header.line}: {self.scans} scans of {period_s * 1e3:g} ms, up to {last_s:.3f} s"
        ]
        told += [f"not as it was recorded: {name}" for name in self.edited]
        told += [f"{f.scan * period_s:10.3f} s  scan {f.scan}: {f}" for f in self.findings]
        if self.cut_bytes:
            told.append(f"cut short: the last {self.cut_bytes} bytes are no whole record")
        for d in self.differences[:SHOWN]:
            tags = ", ".join(d.tags[:SHOWN]) + (" ..." if len(d.tags) > SHOWN else "")
            at_keyframe = f"; at the next keyframe: {tags}" if tags else ""
            told.append(f"{d.scan * period_s:10.3f} s  scan {d.scan} was another one{at_keyframe}")
        if len(self.differences) > SHOWN:
            told.append(f"and {len(self.differences) - SHOWN} more")
        return [*told, f"{self.differing} differing scans, {self.differing_bytes} differing bytes"]


class Player:
    """A recording and a runner that does the same again.

    Replaying begins with the first keyframe at or after logical time `start_ns`; None: with the first.
    """

    def __init__(
        self,
        path: Path,
        line: LineSpec | None = None,
        *,
        compiled: bool = True,
        start_ns: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """`line` None: the line as it was recorded. Raises RecordingError, LineError, CompileError."""
        self.reader = RecordingReader(path)
        plan = planned(self.reader.header, line, exactly=True)
        self.runner = Runner(plan, compiled=compiled, progress=progress)
        self.runner.inputs = self.reader.tape.inputs
        self.runner.input_reals = self.runner.inputs.view(np.float64)
        self.differences: list[Difference] = []
        self.tally: Ints = np.array([0, 0, -1, 0], np.int64)
        self.loads = 0
        self._start = None if start_ns is None else start_ns // plan.line.period_ns

    @property
    def loaded_image(self) -> Ints:
        """Words of the image in the keyframe from which the replay went on last; `loads` counts them."""
        header = self.reader.header
        return self.reader.tape.frame[header.image_base :][: header.image_bytes // WORD]

    def run(self) -> None:
        """Replay to the end."""
        advance = self._many if self.runner.compiled else self._one
        for kind in self.reader.walk(advance):
            if kind != SCAN:
                self._keyframe(kind)
        self._note((), 0)

    def scans(self) -> Iterator[Ints]:
        """Replay scan by scan; yields each one's events, with the runner as the scan left it."""
        for kind in self.reader.walk(self._one_if_loaded):
            if kind != SCAN:
                self._keyframe(kind)
            elif self.tally[LOADED]:
                yield self.runner.work.events[: self.runner.work.event_count[0]]

    def _keyframe(self, kind: int) -> None:
        """The state against the keyframe read last, then go on from this one."""
        tape = self.reader.tape
        if self._start is not None and self.reader.scan < self._start and not self.loads:
            return
        told = tape.frame[self.runner.plan.input_words :]
        if kind == KEYFRAME and self.tally[LOADED]:
            ours = np.concatenate(state(self.runner.work))
            nbytes = int(np.count_nonzero(ours.view(np.uint8) != told.view(np.uint8)))
            self._note(self.reader.header.differing(ours, told) if nbytes else (), nbytes)
        else:
            self._note((), 0)
        restore(self.runner.work, told)
        self.tally[LOADED] = 1
        self.loads += 1

    def _note(self, tags: tuple[str, ...], nbytes: int) -> None:
        """Remember a difference since the last keyframe, if there was one."""
        first = int(self.tally[FIRST])
        if nbytes or first >= 0:
            self.differences.append(
                Difference(self.reader.scan if first < 0 else first, tags, nbytes)
            )
        self.tally[FIRST] = -1

    def _many(self, tape: Tape, data: Octets, at: int, end: int) -> int:
        r = self.runner
        kind: int = run_records(
            r.tables,
            r.work,
            r.entries,
            r.image.address,
            r.input_reals,
            r.plan.line.period_ns,
            tape,
            self.tally,
            data,
            at,
            end,
        )
        return kind

    def _one(self, tape: Tape, data: Octets, at: int, end: int) -> int:
        """As `_many`, one record at a time: for a look at every scan, and for a debugger in the cells."""
        kind: int = read_one(tape, data, at, end)
        if kind == SCAN and self.tally[LOADED]:
            self.runner.scan, self.runner.epoch = int(tape.head[NUMBER]), int(tape.head[EPOCH])
            self.runner.step()
            compare_scan(self.runner.work, tape, self.tally)
        return kind

    def _one_if_loaded(self, tape: Tape, data: Octets, at: int, end: int) -> int:
        """What comes before the state that the replay begins with is only read, and read fast."""
        return (self._one if self.tally[LOADED] else self._many)(tape, data, at, end)


def same_layout(path: Path, line: LineSpec | None = None) -> bool:
    """Today's line has every word where the recorded one had it. Raises RecordingError, LineError."""
    header = RecordingReader(path).header
    plan = planned(header, line)
    steps = {name: list(cell.type.sequence.names) for name, cell in plan.line.cells.items()}
    return plan.hash == header.plan_hash and steps == header.cells


def restore(work: Work, told: Ints) -> None:
    """Take up a state as a keyframe has it behind the inputs."""
    at = 0
    for words in state(work):
        words[:] = told[at : at + words.size]
        at += words.size


def replay(
    path: Path,
    line: LineSpec | None = None,
    *,
    compiled: bool = True,
    progress: Progress | None = None,
) -> Replayed:
    """Replay a whole recording and compare. `line` None: the line as it was recorded.

    Raises RecordingError, LineError or CompileError where there is nothing that can be replayed.
    """
    player = Player(path, line, compiled=compiled, progress=progress)
    player.run()
    reader, tally = player.reader, player.tally
    return Replayed(
        reader.header,
        int(tally[SCANS]),
        reader.scan,
        int(tally[DIFFERING]),
        tuple(player.differences),
        tuple(reader.findings),
        edited(reader.header, player.runner.plan),
        reader.cut_bytes,
    )


@cached_njit
def run_records(
    t: Tables,
    w: Work,
    entries: Ints,
    base: int,
    reals: Floats,
    period_ns: int,
    tape: Tape,
    tally: Ints,
    data: Octets,
    at: int,
    end: int,
) -> int:
    """Scan by the records from `at` on, as far as they are scans; the kind of the last one."""
    kind, head = SCAN, tape.head
    while kind == SCAN and at < end:
        kind = read_record(tape, data, at, end)
        at = head[NEXT]
        if kind == SCAN and tally[LOADED] != 0:
            scan = head[NUMBER]
            step(t, w, entries, base, tape.inputs, reals, scan * period_ns, scan, head[EPOCH], None)
            compare(w, tape, tally)
    return kind


@compiled
def compare(w: Work, tape: Tape, tally: Ints) -> None:
    """Count a scan, and whether its results are the recorded ones."""
    tally[SCANS] += 1
    if differ(w.results, tape.results, OUTPUT_HEAD, w.results.size):
        tally[DIFFERING] += 1
        if tally[FIRST] < 0:
            tally[FIRST] = tape.head[NUMBER]


@cached_njit
def compare_scan(w: Work, tape: Tape, tally: Ints) -> None:
    compare(w, tape, tally)
