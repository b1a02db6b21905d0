"""Which Modbus cells travel together, for any map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellrt.drivers.registers import Block, Place, Table, place, to_read, to_write, without_gaps
from cellrt.wire import Point, Wire

WIDTHS = st.sampled_from([w for w in Wire if not w.is_float])


def points(tables: list[str]) -> st.SearchStrategy[list[Point]]:
    """Points in arbitrary order, bits of one cell and numbers of any width, overlaps included."""

    def point(table: str, address: int, wire: Wire) -> Point:
        bits = table in ("coil", "discrete")
        return Point("p", f"{table}:{address}", Wire.BOOL if bits else wire)

    return st.lists(
        st.builds(point, st.sampled_from(tables), st.integers(0, 3000), WIDTHS),
        min_size=1,
        max_size=60,
    )


def cells(blocks: list[Block]) -> list[tuple[Table, int]]:
    return [(b.table, cell) for b in blocks for cell in range(b.first, b.first + b.count)]


@given(points([t.value for t in Table]))
def test_reading_covers_every_point_once_and_within_the_limits(of: list[Point]) -> None:
    places = [place(row, p) for row, p in enumerate(of)]
    blocks = to_read(places)
    assert sorted(row for b in blocks for row in b.rows) == list(range(len(of)))
    for block in blocks:
        assert 1 <= block.count <= (2000 if block.table.is_bits else 125)
        for at in block.places:
            assert block.first <= at.first and at.end <= block.first + block.count
        parts = without_gaps(block)
        wanted = {(at.table, cell) for at in block.places for cell in range(at.first, at.end)}
        assert set(cells(parts)) == wanted


@given(points(["coil", "holding"]))
def test_writing_touches_the_cells_of_the_map_and_no_other(of: list[Point]) -> None:
    places: list[Place] = []
    taken: set[tuple[Table, int]] = set()
    for point in of:
        at = place(len(places), point)
        mine = {(at.table, cell) for cell in range(at.first, at.end)}
        if not mine & taken:
            places.append(at)
            taken |= mine
    blocks = to_write(places)
    assert sorted(cells(blocks), key=str) == sorted(taken, key=str)
    assert all(b.count <= (1968 if b.table.is_bits else 123) for b in blocks)


@given(points(["coil", "holding"]), st.data())
def test_what_is_encoded_decodes_to_itself(of: list[Point], data: st.DataObject) -> None:
    (at,) = places = [place(0, of[0])]
    low, high = at.point.wire.low, at.point.wire.high
    values = np.array([data.draw(st.integers(low, high))], np.int64)
    (block,) = to_write(places)
    back = np.zeros(1, np.int64)
    block.decode(block.encode(values), back)
    assert back.tolist() == values.tolist()


@given(points(["holding", "input"]), st.data())
def test_registers_are_decoded_as_each_point_alone_would_be(
    of: list[Point], data: st.DataObject
) -> None:
    """Overlaps, gaps and all widths together, against `int.from_bytes`."""
    raw = np.full(len(of), 77, np.int64)
    wanted = {}
    for block in to_read(place(row, p) for row, p in enumerate(of)):
        cells = data.draw(st.binary(min_size=2 * block.count, max_size=2 * block.count))
        block.decode(cells, raw)
        for at in block.places:
            mine = cells[2 * (at.first - block.first) : 2 * (at.end - block.first)]
            signed = at.point.wire.value[0] == "i"
            number = int.from_bytes(mine, "big", signed=signed)
            wanted[at.row] = int(number != 0) if at.point.wire is Wire.BOOL else number
    assert raw.tolist() == [wanted[row] for row in range(len(of))]


@given(points(["coil", "discrete"]), st.data())
def test_bits_are_decoded_lowest_first(of: list[Point], data: st.DataObject) -> None:
    raw = np.full(len(of), 77, np.int64)
    wanted = {}
    for block in to_read(place(row, p) for row, p in enumerate(of)):
        size = -(-block.count // 8)
        cells = data.draw(st.binary(min_size=size, max_size=size))
        block.decode(cells, raw)
        for at in block.places:
            byte, bit = divmod(at.first - block.first, 8)
            wanted[at.row] = cells[byte] >> bit & 1
    assert raw.tolist() == [wanted[row] for row in range(len(of))]


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (Point("p", "register:1", Wire.U16), "p at register:1: a Modbus address is coil:N"),
        (Point("p", "holding:x", Wire.U16), "a Modbus address is coil:N"),
        (Point("p", "holding", Wire.U16), "a Modbus address is coil:N"),
        (Point("p", "coil:1", Wire.U16), "a coil is one bit; its type is bool, not u16"),
        (Point("p", "holding:65535", Wire.U32), "the last address is 65535"),
    ],
)
def test_address_that_cannot_be_is_refused(point: Point, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        place(0, point)


def test_output_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(
        ValueError, match="p at input:1 is an output; outputs are coil:N or holding:N"
    ):
        to_write([place(0, Point("p", "input:1", Wire.U16))])


def test_outputs_that_overlap_are_refused() -> None:
    wide, narrow = Point("wide", "holding:1", Wire.U32), Point("narrow", "holding:2", Wire.U16)
    with pytest.raises(ValueError, match="narrow at holding:2 overlaps wide at holding:1"):
        to_write([place(0, narrow), place(1, wide)])
