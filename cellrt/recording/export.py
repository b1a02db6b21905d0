"""A window cut out of a run, running or dead, into one file with all that it takes to replay it elsewhere.

What brain has put to disk and what the ring still holds are read as one row of records. The window begins
with the keyframe at or before its first scan, which has the image, and ends with the record that has its
last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cellrt.recording.file import RECORDING, framed, frames
from cellrt.recording.header import RecordingError, pack, unpack
from cellrt.recording.reader import AT, BEGAN, SKIMMED, next_record, skim
from cellrt.scan.records import NOTHING, SCAN
from cellrt.shared.ringfile import Piece, RingFileError, RingFileReader, attach
from cellrt.wire import Ints


@dataclass(frozen=True)
class Keyframe:
    """A place to begin: scan, and the byte of the ring at which the record lies."""

    scan: int
    position: int


@dataclass(frozen=True)
class Extent:
    """From which scan to which a run is recorded; `keyframes` of it, oldest first."""

    keyframes: tuple[Keyframe, ...]
    last: int


class Source:
    """A run's recording and its ring, if there still is one. Raises RecordingError."""

    def __init__(self, run_dir: Path, ring: Path) -> None:
        path = run_dir / RECORDING
        try:
            data = path.read_bytes()
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror}; this run recorded nothing") from error
        self.header, begin = unpack(data, path)
        self.pieces: list[Piece] = []
        for frame in frames(data, begin):
            if frame.whole:
                self._add(
                    Piece(frame.position, np.frombuffer(data[frame.begin : frame.end], np.uint8))
                )
        end = self.pieces[-1].position + self.pieces[-1].data.size if self.pieces else 0
        with suppress(RingFileError):  # a line that has ended in good order has none
            self._add(RingFileReader(attach(ring, self.header.plan_hash), end).drain())
        self.pieces = [*_joined(self.pieces)]

    def _add(self, piece: Piece) -> None:
        if piece.data.size:
            self.pieces.append(piece)

    def extent(self) -> Extent:
        """What there is. Raises RecordingError where there is not one keyframe."""
        keyframes, last = [], -1
        for kind, scan, position, _ in self._records(1 << 62):
            if kind > SCAN:
                keyframes.append(Keyframe(scan, position))
            last = max(last, scan)
        if not keyframes:
            raise RecordingError(f"the recording of {self.header.line} holds no scans yet")
        return Extent(tuple(keyframes), last)

    def cut(self, first: int, last: int) -> bytes:
        """A recording of scans `first` to `last`. Raises RecordingError where there are none of them."""
        extent = self.extent()
        period_s = self.header.period_ns / 1e9
        if last < extent.keyframes[0].scan or first > extent.last or first > last:
            begin_s, end_s = extent.keyframes[0].scan * period_s, extent.last * period_s
            raise RecordingError(
                f"no scans from {first * period_s:.3f} s to {last * period_s:.3f} s; {self.header.line} "
                f"is recorded from {begin_s:.3f} s to {end_s:.3f} s"
            )
        begins = [k for k in extent.keyframes if k.scan <= first] or [extent.keyframes[0]]
        begin = end = begins[-1].position
        for _, scan, position, behind in self._records(last):
            end = behind
            if position >= begin and scan >= last:
                break
        data = pack(replace(self.header, start=begin))
        for piece in self.pieces:
            low, high = max(begin, piece.position), min(end, piece.position + piece.data.size)
            if low < high:
                data += framed(Piece(low, piece.data[low - piece.position : high - piece.position]))
        return data

    def _records(self, until: int) -> Iterator[tuple[int, int, int, int]]:
        """Kind, scan, begin and end of keyframes, of the last record of each piece, and of records from
        scan `until` on. What is damaged is passed over: it is cut out with the rest."""
        marks: Ints = np.array([0, -1, 0], np.int64)
        expected = self.header.start
        for piece in self.pieces:
            end, at = piece.data.size, 0
            if piece.position != expected:
                at = int(next_record(piece.data, 0, end))
            while at < end:
                kind = int(skim(marks, piece.data, at, end, until))
                begin, at = int(marks[BEGAN]), int(marks[AT])
                if kind == NOTHING:
                    at = int(next_record(piece.data, at + 1, end))
                    continue
                yield kind, int(marks[SKIMMED]), piece.position + begin, piece.position + at
            expected = piece.position + end


def _joined(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Pieces that follow each other made one; a record may begin in one and end in the next only where a
    writer was overtaken."""
    waiting: list[Piece] = []
    for piece in pieces:
        if waiting and waiting[-1].position + waiting[-1].data.size != piece.position:
            yield Piece(waiting[0].position, np.concatenate([p.data for p in waiting]))
            waiting = []
        waiting.append(piece)
    if waiting:
        yield Piece(waiting[0].position, np.concatenate([p.data for p in waiting]))
