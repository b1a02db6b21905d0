"""The body of a recording: pieces of the ring, one behind the other.

    piece      magic, its length, the number of its first byte in the ring, crc32 of these, its bytes

The records inside check themselves. A piece that was not written to its end is read as far as it goes;
numbers that do not follow each other tell what the ring lost before anyone put it to disk.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cellrt.recording.header import Header, RecordingError, pack, unpack
from cellrt.shared.ringfile import Piece, RingFileReader, attach

RECORDING = "recording.cellrt"
"""What the recording of a run is called, in the run's folder."""

SHARED_MEMORY = Path("/dev/shm")

_FRAME = struct.Struct("<4sIq")
_CRC = struct.Struct("<I")
FRAME_BYTES = _FRAME.size + _CRC.size
PIECE_MAGIC = b"\xc5\x00pc"

SYNC_EVERY_S = 1.0
"""What a power cut may cost."""


@dataclass(frozen=True)
class Frame:
    """A piece in a file: its bytes are file[begin:end], the first one number `position` of the ring.

    `whole`: it was written to its end. `sound`: its own magic, length and position are undamaged.
    """

    begin: int
    end: int
    position: int
    whole: bool = True
    sound: bool = True


class RecordingWriter:
    """Appends pieces of a ring to a recording; goes on with one that is there already.

    `position` is the byte of the ring that should come next: a writer that was killed and started again
    doubles nothing and leaves nothing out. Raises RecordingError.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self._path = path
        self._synced_s = time.monotonic()
        self.position = 0
        try:
            self._file = path.open("r+b" if path.exists() else "w+b", 0)
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror}") from error
        try:
            if not self._resume(header):
                self._append(pack(header))
                self._sync()
        except BaseException:
            self._file.close()
            raise

    def write(self, piece: Piece) -> None:
        """Append a piece; once a second, wait until it is on the disk. Raises RecordingError."""
        if piece.data.size:
            self._append(framed(piece))
            self.position = piece.position + piece.data.size
        if time.monotonic() - self._synced_s >= SYNC_EVERY_S:
            self._sync()

    def close(self) -> None:
        """Wait until all is on the disk, and let go of the file. Raises RecordingError."""
        try:
            self._sync()
        finally:
            self._file.close()

    def _append(self, data: bytes) -> None:
        """All of it or nothing."""
        end = self._file.tell()
        try:
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._file.seek(end)
            self._file.truncate()
            raise RecordingError(f"{self._path}: {error.strerror}") from error

    def _sync(self) -> None:
        try:
            os.fdatasync(self._file.fileno())
        except OSError as error:
            raise RecordingError(f"{self._path}: {error.strerror}") from error
        self._synced_s = time.monotonic()

    def _resume(self, header: Header) -> bool:
        """Go to the end of the last whole piece of a recording that is there; False if there is none."""
        size, whole = os.fstat(self._file.fileno()).st_size, pack(header)
        if size < len(whole) and self._file.read(size) == whole[:size]:  # killed while it began
            self._file.seek(0)
            self._file.truncate()
            return False
        with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            there, end = unpack(data, self._path)
            if _line_of(there) != _line_of(header):
                raise RecordingError(
                    f"{self._path} is a recording of another line; give this one a new file"
                )
            for frame in frames(data, end):
                if frame.whole and frame.sound:
                    end, self.position = frame.end, frame.position + frame.end - frame.begin
        self._file.seek(end)
        self._file.truncate()
        return True


def _line_of(header: Header) -> tuple[object, ...]:
    """What must be the same for a recording to go on; its texts may be edited while the line runs."""
    return header.line, header.plan_hash, header.period_ns, header.seed


def ring_path(line: str, run_dir: Path) -> Path:
    """Where a run of a line has its ring: in memory, but by name."""
    return SHARED_MEMORY / f"cellrt-{os.getuid()}-{line}-{run_dir.name}.ring"


def framed(piece: Piece) -> bytes:
    """A piece as it stands in a file."""
    frame = _FRAME.pack(PIECE_MAGIC, piece.data.size, piece.position)
    return frame + _CRC.pack(zlib.crc32(frame)) + piece.data.tobytes()


def salvage(path: Path, ring_path: Path) -> int:
    """Bring a recording up to date from the ring that its processes left when all of them were killed.

    Bytes that were added. Raises RecordingError or RingFileError where the two do not belong together.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from error
    header, _ = unpack(data, path)
    ring = attach(ring_path, header.plan_hash)
    writer = RecordingWriter(path, header)
    piece = RingFileReader(ring, writer.position).drain()
    try:
        writer.write(piece)
    finally:
        writer.close()
    return piece.data.size


def frames(data: mmap.mmap | bytes, at: int) -> Iterator[Frame]:
    """The pieces of a file from byte `at` on.

    A piece whose frame is damaged lasts until the next sound frame; where it began in the ring is taken
    from the piece before it.
    """
    position = 0
    while at + FRAME_BYTES <= len(data):
        frame = _frame_at(data, at)
        if frame is None:
            end = _next_frame(data, at + 1)
            frame = Frame(at + FRAME_BYTES, max(end, at + FRAME_BYTES), position, sound=False)
        yield frame
        at, position = frame.end, frame.position + frame.end - frame.begin


def _frame_at(data: mmap.mmap | bytes, at: int) -> Frame | None:
    frame = data[at : at + _FRAME.size]
    if frame[:4] != PIECE_MAGIC or len(data) < at + FRAME_BYTES:
        return None
    if _CRC.pack(zlib.crc32(frame)) != data[at + _FRAME.size : at + FRAME_BYTES]:
        return None
    _, length, position = _FRAME.unpack(frame)
    begin, whole = at + FRAME_BYTES, at + FRAME_BYTES + length <= len(data)
    return Frame(begin, begin + length if whole else len(data), position, whole)


def _next_frame(data: mmap.mmap | bytes, at: int) -> int:
    """Where the next sound frame begins; the file's end if there is none."""
    while (at := data.find(PIECE_MAGIC, at)) >= 0:
        if _frame_at(data, at):
            return at
        at += 1
    return len(data)
