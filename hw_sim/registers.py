"""A device's four Modbus tables, and the answer to each request that touches them.

Modbus Application Protocol V1.1b3. What lies in the map is served; addresses between its points
are reserved and read as 0; a read beyond a table's end, or a write of anything that the map does
not let be written, is refused with exception 2 and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cellrt.compiled import compiled
from cellrt.compiler.cache import cached_njit
from cellrt.image import Image
from cellrt.modbus.requests import (
    Cells,
    Code,
    Refused,
    Request,
    confirmation,
    parse,
    reading,
    refusal,
)
from cellrt.wire import LOW, Floats, Ints, Point, Views, Wiring, gather, scatter, wiring
from hw_sim.device import SimDevice

TABLES = ("coil", "discrete", "holding", "input")
"""One after another in the cells."""


class Registers:
    """The tables of the device called `name` in an image.

    They are made up from the image at the first request after `stale` was set, so that a device
    nobody polls costs nothing and all that is read between two ticks belongs together.
    """

    def __init__(self, device: type[SimDevice], name: str, image: Image) -> None:
        """Raises ValueError for a point that is no integer or lies where it cannot be written."""
        self.stale = True
        points = device.points
        self._sizes, self._starts = _sizes(points)
        self._cells: Cells = np.zeros(sum(self._sizes.values()), np.uint16)
        raw: Ints = np.zeros(len(points), np.int64)
        self._memory = (
            wiring([(p, image.layout.find(f"{name}.{p.name}")) for p in points]),
            _places(points, self._starts),
            self._cells,
            raw,
            raw.view(np.float64),
            image.views,
        )
        self._writable = _writable(device.written(), self._starts, len(self._cells))

    def answer(self, pdu: bytes) -> bytes:
        """The response to a request, both without framing; what is refused changes nothing."""
        try:
            request = parse(pdu)
            first = self._span(request)
            last = first + request.count
            if not request.is_write:
                self._refresh()
                return reading(request, self._cells[first:last])
            if b"\0" in self._writable[first:last]:
                raise Refused(Code.ILLEGAL_ADDRESS)
        except Refused as refused:
            return refusal(pdu, refused.code)
        self._refresh()
        self._cells[first:last] = request.values
        _accept(first, last, *self._memory)
        return confirmation(pdu)

    def _span(self, request: Request) -> int:
        """Where a range of a table begins among all cells."""
        if request.address + request.count > self._sizes[request.table]:
            raise Refused(Code.ILLEGAL_ADDRESS)
        return self._starts[request.table] + request.address

    def _refresh(self) -> None:
        if self.stale:
            _publish(*self._memory)
            self.stale = False


def _table(point: Point) -> str:
    return point.address.partition(":")[0]


def _first(point: Point) -> int:
    return int(point.address.partition(":")[2])


def _width(point: Point) -> int:
    return max(1, point.wire.bits // 16)


def _sizes(points: Sequence[Point]) -> tuple[dict[str, int], dict[str, int]]:
    """How many cells each table has, and where it begins among all of them."""
    sizes, starts, at = dict.fromkeys(TABLES, 0), {}, 0
    for point in points:
        if point.wire.is_float:
            raise ValueError(f"{point.name} at {point.address}: registers here hold integers only")
        sizes[_table(point)] = max(sizes[_table(point)], _first(point) + _width(point))
    for table in TABLES:
        starts[table] = at
        at += sizes[table]
    return sizes, starts


def _places(points: Sequence[Point], starts: dict[str, int]) -> Ints:
    """int64[n, 2]: first cell of point n, and how many it takes."""
    return np.array([(starts[_table(p)] + _first(p), _width(p)) for p in points], np.int64)


def _writable(points: Sequence[Point], starts: dict[str, int], count: int) -> bytes:
    """A byte a cell, 1 where the network may write."""
    marks = bytearray(count)
    for point in points:
        if _table(point) not in ("coil", "holding"):
            raise ValueError(f"{point.name} at {point.address} cannot be written over Modbus")
        at = starts[_table(point)] + _first(point)
        marks[at : at + _width(point)] = b"\1" * _width(point)
    return bytes(marks)


@cached_njit
def _publish(
    wires: Wiring, places: Ints, cells: Cells, raw: Ints, reals: Floats, image: Views
) -> None:
    """Every tag into its cells, high word first."""
    for n in range(places.shape[0]):
        gather(wires, wires.rows[n], raw, reals, image)
        at, width = places[n, 0], places[n, 1]
        for k in range(width):
            cells[at + k] = (raw[n] >> (16 * (width - 1 - k))) & 0xFFFF


@cached_njit
def _accept(
    first: int,
    last: int,
    wires: Wiring,
    places: Ints,
    cells: Cells,
    raw: Ints,
    reals: Floats,
    image: Views,
) -> None:
    """Cells first..last-1 were written: the points that they belong to into their tags."""
    for n in range(places.shape[0]):
        at, width = places[n, 0], places[n, 1]
        if at < last and at + width > first:
            value = 0
            for k in range(width):
                value = value << 16 | cells[at + k]
            if wires.rows[n, LOW] < 0:
                value = signed(value, 16 * width)
            raw[n] = value
            scatter(wires, wires.rows[n], raw, reals, image)


@compiled
def signed(value: int, bits: int) -> int:
    """Two's complement of `bits` bits."""
    return value - (1 << bits) if value >> (bits - 1) else value
