"""A device's four Modbus tables, and the answer to each request that touches them.

Modbus Application Protocol V1.1b3. What lies in the map is served; addresses between its points
are reserved and read as 0; a read beyond a table's end, or a write of anything that the map does
not let be written, is refused with exception 2 and changes nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from cellrt.compiled import compiled
from cellrt.compiler.cache import cached_njit
from cellrt.image import Image
from cellrt.wire import Floats, Ints, Point, Views, Wiring, gather, scatter, wiring
from hw_sim.device import SimDevice

Cells = npt.NDArray[np.uint16]
"""One cell a register or a bit; all four tables one after another."""

TABLES = ("coil", "discrete", "holding", "input")
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
MOST_BITS_READ, MOST_BITS_WRITTEN = 2000, 1968
MOST_REGISTERS_READ, MOST_REGISTERS_WRITTEN = 125, 123
COIL_ON, COIL_OFF = 0xFF00, 0x0000


class Refusal(Exception):
    """The request is answered with this exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


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
        self._functions: dict[int, Callable[[bytes], bytes]] = {
            1: lambda pdu: self._read_bits("coil", pdu),
            2: lambda pdu: self._read_bits("discrete", pdu),
            3: lambda pdu: self._read_registers("holding", pdu),
            4: lambda pdu: self._read_registers("input", pdu),
            5: self._write_coil,
            6: self._write_register,
            15: self._write_coils,
            16: self._write_registers,
        }

    def answer(self, pdu: bytes) -> bytes:
        """The response to a request, both without framing; what is refused changes nothing."""
        try:
            if pdu[0] not in self._functions:
                raise Refusal(ILLEGAL_FUNCTION)
            return self._functions[pdu[0]](pdu)
        except Refusal as refusal:
            return bytes((pdu[0] | 0x80, refusal.code))

    def _read_bits(self, table: str, pdu: bytes) -> bytes:
        cells = self._read(table, pdu, MOST_BITS_READ)
        data = np.packbits(cells.astype(np.bool_), bitorder="little").tobytes()
        return bytes((pdu[0], len(data))) + data

    def _read_registers(self, table: str, pdu: bytes) -> bytes:
        cells = self._read(table, pdu, MOST_REGISTERS_READ)
        return bytes((pdu[0], 2 * len(cells))) + cells.astype(">u2").tobytes()

    def _read(self, table: str, pdu: bytes, most: int) -> Cells:
        _sized(pdu, 5)
        address, count = struct.unpack_from(">HH", pdu, 1)
        first = self._span(table, address, count, most)
        self._refresh()
        return self._cells[first : first + count]

    def _write_coil(self, pdu: bytes) -> bytes:
        _sized(pdu, 5)
        address, value = struct.unpack_from(">HH", pdu, 1)
        if value not in (COIL_ON, COIL_OFF):
            raise Refusal(ILLEGAL_VALUE)
        self._write("coil", address, [value == COIL_ON], 1)
        return pdu

    def _write_register(self, pdu: bytes) -> bytes:
        _sized(pdu, 5)
        address, value = struct.unpack_from(">HH", pdu, 1)
        self._write("holding", address, [value], 1)
        return pdu

    def _write_coils(self, pdu: bytes) -> bytes:
        address, count, data = _several(pdu)
        if len(data) != -(-count // 8):
            raise Refusal(ILLEGAL_VALUE)
        bits = np.unpackbits(np.frombuffer(data, np.uint8), count=count, bitorder="little")
        self._write("coil", address, bits.tolist(), MOST_BITS_WRITTEN)
        return pdu[:5]

    def _write_registers(self, pdu: bytes) -> bytes:
        address, count, data = _several(pdu)
        if len(data) != 2 * count:
            raise Refusal(ILLEGAL_VALUE)
        self._write("holding", address, struct.unpack(f">{count}H", data), MOST_REGISTERS_WRITTEN)
        return pdu[:5]

    def _write(self, table: str, address: int, values: Sequence[int], most: int) -> None:
        first = self._span(table, address, len(values), most)
        last = first + len(values)
        if b"\0" in self._writable[first:last]:
            raise Refusal(ILLEGAL_ADDRESS)
        self._refresh()
        self._cells[first:last] = values
        _accept(first, last, *self._memory)

    def _span(self, table: str, address: int, count: int, most: int) -> int:
        """Where a range of a table begins among all cells."""
        if not 1 <= count <= most:
            raise Refusal(ILLEGAL_VALUE)
        if address + count > self._sizes[table]:
            raise Refusal(ILLEGAL_ADDRESS)
        return self._starts[table] + address

    def _refresh(self) -> None:
        if self.stale:
            _publish(*self._memory)
            self.stale = False


def _sized(pdu: bytes, size: int) -> None:
    if len(pdu) != size:
        raise Refusal(ILLEGAL_VALUE)


def _several(pdu: bytes) -> tuple[int, int, bytes]:
    if len(pdu) < 6 or len(pdu) != 6 + pdu[5]:
        raise Refusal(ILLEGAL_VALUE)
    address, count = struct.unpack_from(">HH", pdu, 1)
    return address, count, pdu[6:]


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
        gather(wires, n, raw, reals, image)
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
            if wires.places[n, 2] < 0:
                value = signed(value, 16 * width)
            raw[n] = value
            scatter(wires, n, n + 1, raw, reals, image)


@compiled
def signed(value: int, bits: int) -> int:
    """Two's complement of `bits` bits."""
    return value - (1 << bits) if value >> (bits - 1) else value
