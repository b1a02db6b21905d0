"""What a line's clients read: the newest snapshot as registers and bits, where the map has them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from cellrt.line.modbus_map import (
    AGE_MS,
    CELLS,
    CHECKSUM,
    DEVICES_BAD,
    EPOCH,
    FIRST_DEVICE,
    SCAN,
    STATUS,
    TIME_MS,
    Entry,
    ModbusMap,
)
from cellrt.modbus.requests import Cells, Code, Refused, Request
from cellrt.scan.plan import SAMPLE_HEAD, Plan
from cellrt.scan.snapshot import Snapshot
from cellrt.tags import WORD
from cellrt.wire import Ints, Wire

MS_NS = 1_000_000
LONGEST_AGE_MS = 0xFFFF


class LineRegisters:
    """Both tables of a line.

    They are made up at the first read after a new snapshot, so that a server that nobody asks costs
    nothing, and all that is read of one snapshot belongs together. Without one, only the line's own
    block is read; its status says so.
    """

    def __init__(self, plan: Plan, table: ModbusMap, wall_start_ns: int) -> None:
        """`wall_start_ns` is the wall time (ns since 1970) of logical time 0."""
        self._plan = plan
        self._map = table
        self._wall_start_ns = wall_start_ns
        self._words: Cells = np.zeros(table.size, np.uint16)
        self._bits: Cells = np.zeros(table.size, np.uint16)
        self._good_at = np.array([s.base + SAMPLE_HEAD - 1 for s in plan.samples], np.int64)
        self._shown_words = Shown(plan, table.registers)
        self._shown_bits = Shown(plan, table.bits)
        self._snapshot: Snapshot | None = None
        self._began_ns = 0
        self._is_made = True
        self.put(CELLS, Wire.U16, len(plan.cells))
        self.put(CHECKSUM, Wire.U32, table.checksum)
        self.lose()

    def take(self, snapshot: Snapshot) -> None:
        """A newer snapshot."""
        self._snapshot, self._began_ns = snapshot, snapshot.monotonic_ns
        self._is_made = False

    def lose(self) -> None:
        """There are no snapshots any more: nothing that is known of the line holds."""
        self._snapshot, self._is_made = None, True
        self._words[STATUS] = self._bits[STATUS] = 0
        self._words[DEVICES_BAD] = len(self._plan.samples)
        self._bits[FIRST_DEVICE : self._map.first_cell] = 0

    @property
    def is_lost(self) -> bool:
        return self._snapshot is None

    def read(self, request: Request, monotonic_ns: int) -> Cells:
        """Cells as of this moment. Raises Refused for addresses behind the map, and for a line that
        is not scanned.
        """
        last = request.address + request.count
        if last > self._map.size:
            raise Refused(Code.ILLEGAL_ADDRESS)
        if self.is_lost and last > self._map.first_cell:
            raise Refused(Code.FAILURE)
        self._make()
        age_ms = (monotonic_ns - self._began_ns) // MS_NS
        self._words[AGE_MS] = min(max(age_ms, 0), LONGEST_AGE_MS)
        return (self._bits if request.is_of_bits else self._words)[request.address : last]

    def put(self, address: int, wire: Wire, value: int) -> None:
        """One of the line's own numbers, high word first."""
        for n in range(wire.bits // 16):
            self._words[address + n] = value >> (wire.bits - 16 * (n + 1)) & 0xFFFF

    def _make(self) -> None:
        if self._is_made or self._snapshot is None:
            return
        snapshot = self._snapshot
        self._is_made = True
        self._shown_words.into(self._words, snapshot)
        self._shown_bits.into(self._bits, snapshot)
        good = snapshot.samples[self._good_at] != 0
        self._words[STATUS] = self._bits[STATUS] = 1
        self._words[DEVICES_BAD] = len(good) - np.count_nonzero(good)
        self._bits[FIRST_DEVICE : FIRST_DEVICE + len(good)] = good
        self.put(SCAN, Wire.I64, snapshot.scan)
        self.put(EPOCH, Wire.U32, snapshot.epoch)
        self.put(TIME_MS, Wire.I64, (self._wall_start_ns + snapshot.now_ns) // MS_NS)


class Shown:
    """Tags of the image on their way into the cells of a table, all at once."""

    def __init__(self, plan: Plan, entries: Iterable[Entry]) -> None:
        rows = [(entry, plan.layout.find(entry.tag)) for entry in entries if entry.tag]
        kinds = [leaf.field.kind for _, leaf in rows]
        self._places = np.array([leaf.offset for _, leaf in rows], np.int64)
        self._bools = np.flatnonzero([kind is bool for kind in kinds])
        self._ints = np.flatnonzero([kind is int for kind in kinds])
        self._floats = np.flatnonzero([kind is float for kind in kinds])
        limits = [entry.wire.limits for entry, _ in rows]
        self._low, self._high = np.array(limits, np.int64).reshape(-1, 2).T
        cells = [
            (entry.address + n, row, 16 * (entry.width - 1 - n))
            for row, (entry, _) in enumerate(rows)
            for n in range(entry.width)
        ]
        self._at, self._row, self._shift = np.array(cells, np.int64).reshape(-1, 3).T

    def into(self, cells: Cells, snapshot: Snapshot) -> None:
        """Every tag into its cells; an integer within what its width can carry."""
        raw: Ints = np.zeros(len(self._places), np.int64)
        raw[self._bools] = snapshot.image.view(np.uint8)[self._places[self._bools]] != 0
        ints = self._ints
        words = snapshot.image[self._places[ints] // WORD]
        raw[ints] = np.clip(words, self._low[ints], self._high[ints])
        raw[self._floats] = _single(snapshot.image, self._places[self._floats] // WORD)
        cells[self._at] = raw[self._row] >> self._shift & 0xFFFF


def _single(image: Ints, words: Ints) -> npt.NDArray[np.uint32]:
    """The bits of doubles as floats of single precision; what is beyond them is infinite."""
    with np.errstate(over="ignore"):
        return image.view(np.float64)[words].astype(np.float32).view(np.uint32)
