"""Where a device map's points lie in Modbus's four tables, and which of them travel together.

Addresses count from zero, as on the wire. Values wider than a register take several, high word
first.
"""

from __future__ import annotations

import enum
import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cellrt.drivers.outputs import value_of
from cellrt.wire import Ints, Point, Wire

CODES = {
    Wire.BOOL: "H",
    Wire.I16: "h",
    Wire.U16: "H",
    Wire.I32: "i",
    Wire.U32: "I",
    Wire.I64: "q",
    Wire.F32: "f",
    Wire.F64: "d",
}
"""How `struct` calls a value in registers."""


class Table(enum.Enum):
    """One of the four tables of a Modbus device, by the word that a device map uses for it."""

    COIL = "coil"
    DISCRETE = "discrete"
    HOLDING = "holding"
    INPUT = "input"

    @property
    def is_bits(self) -> bool:
        return self in (Table.COIL, Table.DISCRETE)

    @property
    def is_writable(self) -> bool:
        return self in (Table.COIL, Table.HOLDING)

    @property
    def most_read(self) -> int:
        """Cells that one request may read (Modbus Application Protocol V1.1b3, 6.1 to 6.4)."""
        return 2000 if self.is_bits else 125

    @property
    def most_written(self) -> int:
        """Cells that one request may write (Modbus Application Protocol V1.1b3, 6.11 and 6.12)."""
        return 1968 if self.is_bits else 123

    @property
    def worth_reading(self) -> int:
        """Unused cells that are cheaper to read along than to leave out by a second request."""
        return 128 if self.is_bits else 16


@dataclass(frozen=True)
class Place:
    """One point in its table. `row` is its index among the raw values."""

    row: int
    point: Point
    table: Table
    first: int
    end: int


def place(row: int, point: Point) -> Place:
    """Raises ValueError, naming point and mend, for an address that no Modbus device can have."""
    word, _, number = point.address.partition(":")
    named = f"{point.name} at {point.address}"
    if word not in {t.value for t in Table} or not number.isdecimal():
        raise ValueError(f"{named}: a Modbus address is coil:N, discrete:N, holding:N or input:N")
    table, first = Table(word), int(number)
    if table.is_bits and point.wire is not Wire.BOOL:
        raise ValueError(f"{named}: a {word} is one bit; its type is bool, not {point.wire.value}")
    end = first + max(point.wire.bits // 16, 1)
    if end > 0x10000:
        raise ValueError(f"{named}: the last address is 65535")
    return Place(row, point, table, first, end)


class Block:
    """Neighbours that travel in one request: `count` cells of `table` from `first`."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.places = tuple(places)
        self.table = places[0].table
        self.first = places[0].first
        self.count = max(p.end for p in places) - self.first
        self.rows = np.array([p.row for p in places])
        self._bits = np.array([p.first - self.first for p in places])
        self._codecs = list(_codecs(places, self.first))

    def __str__(self) -> str:
        last = self.first + self.count - 1
        names = ", ".join(p.point.name for p in self.places)
        return f"{self.table.value}:{self.first}{f'..{last}' if self.count > 1 else ''} ({names})"

    def decode(self, data: bytes, raw: Ints) -> None:
        """The cells as they are on the wire, into their raw values."""
        if self.table.is_bits:
            cells = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
            raw[self.rows] = cells[self._bits]
            return
        for codec, rows, wire in self._codecs:
            values = codec.unpack_from(data)
            if wire.is_float:
                raw.view(np.float64)[rows] = values
            else:
                raw[rows] = [v != 0 for v in values] if wire is Wire.BOOL else values

    def encode(self, raw: Ints) -> bytes:
        """Raw values as cells on the wire; for blocks without gaps."""
        if self.table.is_bits:
            return np.packbits(raw[self.rows] != 0, bitorder="little").tobytes()
        return b"".join(
            struct.pack(">" + CODES[p.point.wire], value_of(p.point.wire, raw, p.row))
            for p in self.places
        )


def _codecs(places: Sequence[Place], first: int) -> Iterator[tuple[struct.Struct, Ints, Wire]]:
    """How registers from `first` on are unpacked: several points by one `struct`, raw values of one
    kind, no two of them in the same register; with their rows, and the wire that stands for the kind.
    """
    left = list(places)
    while left:
        kind, at, code, taken = left[0].point.wire, first, ">", []
        for each in left:
            if _kind(each.point.wire) == _kind(kind) and each.first >= at:
                code += f"{2 * (each.first - at)}x{CODES[each.point.wire]}"
                at = each.end
                taken.append(each)
        left = [each for each in left if each not in taken]
        yield struct.Struct(code), np.array([p.row for p in taken]), kind


def _kind(wire: Wire) -> tuple[bool, bool]:
    return wire is Wire.BOOL, wire.is_float


def to_read(places: Iterable[Place]) -> list[Block]:
    """Few requests: near neighbours in one, and the unused cells between them read along."""
    return [
        Block(run)
        for table, mine in _by_table(places)
        for run in _runs(mine, table.worth_reading, table.most_read)
    ]


def without_gaps(block: Block) -> list[Block]:
    """The same points, without the unused cells between them."""
    return [Block(run) for run in _runs(block.places, 0, block.table.most_read)]


def to_write(places: Iterable[Place]) -> list[Block]:
    """Adjacent points in one request; a cell that is not in the map is never written.

    Raises ValueError for a point in a table that cannot be written, and for two at one address.
    """
    blocks: list[Block] = []
    for table, mine in _by_table(places):
        if not table.is_writable:
            raise ValueError(f"{_named(mine[0])} is an output; outputs are coil:N or holding:N")
        for one, other in itertools.pairwise(mine):
            if other.first < one.end:
                raise ValueError(
                    f"{_named(other)} overlaps {_named(one)}; give each its own address"
                )
        blocks += [Block(run) for run in _runs(mine, 0, table.most_written)]
    return blocks


def _named(at: Place) -> str:
    return f"{at.point.name} at {at.point.address}"


def _by_table(places: Iterable[Place]) -> Iterator[tuple[Table, list[Place]]]:
    places = sorted(places, key=lambda p: p.first)
    for table in Table:
        if mine := [p for p in places if p.table is table]:
            yield table, mine


def _runs(places: Iterable[Place], gap: int, most: int) -> Iterator[list[Place]]:
    run: list[Place] = []
    end = 0
    for each in places:
        if run and (each.first > end + gap or each.end - run[0].first > most):
            yield run
            run = []
        end = max(end, each.end) if run else each.end
        run.append(each)
    if run:
        yield run
