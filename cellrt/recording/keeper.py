"""Puts a run's ring to disk while the line runs, and knows what could not be put there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cellrt.recording.file import RecordingWriter
from cellrt.recording.header import Header, RecordingError
from cellrt.recording.reader import AT, SKIMMED, next_record, skim
from cellrt.scan.records import NOTHING, SCAN
from cellrt.shared.ringfile import Piece, RingFile, RingFileReader
from cellrt.wire import Ints

EVER = 1 << 62


class Gap(NamedTuple):
    """Bytes that the ring overwrote before they could be put to disk: what scans `first` to `last` left.

    `first` -1: what came before is not known any more.
    """

    nbytes: int
    first: int
    last: int


class Keeper:
    """A recording at `path`. `stuck` is why nothing can be written now; "" while all is well.

    A full disk loses nothing for as long as the ring holds it. `gaps`: what was lost, told once by `take_gaps`.
    """

    def __init__(self, path: Path, header: Header, ring: RingFile) -> None:
        self._path, self._header = path, header
        self._reader = RingFileReader(ring)
        self._writer: RecordingWriter | None = None
        self._marks: Ints = np.array([0, -1, 0], np.int64)
        self._lost: tuple[int, int] | None = None
        self._gaps: list[Gap] = []
        self.stuck = ""

    def save(self) -> None:
        """What came since the last time, to disk. Never raises for a disk."""
        try:
            if self._writer is None:
                self._writer = RecordingWriter(self._path, self._header)
                self._reader.position = self._writer.position
            expected = self._writer.position
            piece = self._reader.drain()
            self._writer.write(piece)
        except RecordingError as error:
            self.stuck = str(error)
            if self._writer is not None:
                self._reader.position = self._writer.position  # the ring keeps it for a while
        else:
            self.stuck = ""
            self._follow(piece, expected)

    def take_gaps(self) -> list[Gap]:
        """Gaps whose end is known by now, each once."""
        gaps, self._gaps = self._gaps, []
        return gaps

    def close(self) -> None:
        """Put the rest to disk and let go of the file."""
        self.save()
        if self._writer is not None:
            with suppress(RecordingError):
                self._writer.close()

    def _follow(self, piece: Piece, expected: int) -> None:
        """Scans of a piece that was written, and whether it is the one that should have come."""
        at, end = 0, piece.data.size
        if end and piece.position > expected:
            seen = int(self._marks[SKIMMED])
            before, first = self._lost or (0, seen + 1 if seen >= 0 else -1)
            self._lost = before + piece.position - expected, first
            at = int(next_record(piece.data, 0, end))
        while at < end:
            kind = int(skim(self._marks, piece.data, at, end, EVER))
            at = int(self._marks[AT])
            if kind == NOTHING:
                return
            if kind > SCAN and self._lost:
                self._gaps.append(Gap(*self._lost, int(self._marks[SKIMMED])))
                self._lost = None
