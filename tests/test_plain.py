"""Plain mode leaves in the image, bit for bit, what compiled code leaves there."""

from __future__ import annotations

import math
import sys
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cellrt.cell import Cell
from cellrt.compiled import STRICT
from cellrt.compiler.entry import entry
from cellrt.compiler.methods import numba_type
from cellrt.compiler.plain import plain
from cellrt.handover import Link
from cellrt.image import Image, Layout
from cellrt.packml import State, Trigger
from cellrt.tags import Record, Var
from cells.conveyor import Conveyor

INT64 = st.integers(-(2**63), 2**63 - 1)


class Inner(Record):
    count: int = Var(3)
    on: bool = Var()

    def bump(self, by: int) -> int:
        self.count += by
        self.on = not self.on
        return self.count


class Numbers(Record):
    inner: Inner
    total: int = Var()
    whole: int = Var()
    real: float = Var(0.5)
    flag: bool = Var(True)
    other: Inner

    def store(self, a: Any, b: Any, x: Any) -> None:
        """Every kind of value into every kind of tag."""
        self.total = a + b
        self.total = self.total * 31 - b
        self.whole = x
        self.real = a
        self.flag = b
        self.inner.on = x
        self.inner.count = a > b
        self.other.bump(b)
        self.real += x * self.inner.bump(self.total >> 3)


@numba.njit(**STRICT)  # type: ignore[untyped-decorator]
def compiled_store(records: Any, a: int, b: int, x: float) -> None:
    records[0].store(a, b, x)


def test_proxy_reads_and_writes_scalars_in_the_image() -> None:
    image = Image(Layout({"first": Conveyor, "n": Numbers}))
    n = plain(Numbers, image.bytes, image.layout.offsets["n"])
    assert (n.inner.count, n.real, n.flag, n.total) == (3, 0.5, True, 0)
    assert [type(v) for v in (n.inner.count, n.real, n.flag)] == [int, float, bool]
    n.other.count = -7
    n.flag = False
    n.real = 1.25
    record = image.array("n")[0]
    assert (record["other"]["count"], record["flag"], record["real"]) == (-7, False, 1.25)
    assert record["inner"]["count"] == 3


def test_proxy_is_an_instance_of_its_record_and_runs_its_methods() -> None:
    n = plain(Numbers, Numbers.zeros())
    assert isinstance(n, Numbers) and isinstance(n.inner, Inner)
    assert n.inner is n.inner
    assert n.inner.bump(4) == 7 and n.inner.on


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
def test_any_view_of_the_bytes_serves(dtype: type[Any]) -> None:
    records = Numbers.zeros(2)
    second = plain(Numbers, records.view(dtype), Numbers.dtype.itemsize)
    second.total = 9
    assert list(records["total"]) == [0, 9]


def test_record_off_its_words_or_beyond_the_buffer_is_refused() -> None:
    records = Numbers.zeros()
    with pytest.raises(ValueError, match="whole words"):
        plain(Numbers, records, 4)
    with pytest.raises(ValueError, match="smaller than requested"):
        plain(Numbers, records, 8)


def test_float_that_no_int64_holds_is_refused_where_it_is_stored() -> None:
    n: Any = plain(Numbers, Numbers.zeros())
    for value in (math.nan, math.inf, 2.0**63):
        with pytest.raises(ValueError, match="does not fit an int tag"):
            n.whole = value


def test_nested_record_cannot_be_replaced() -> None:
    n: Any = plain(Numbers, Numbers.zeros())
    with pytest.raises(AttributeError):
        n.inner = n.other


@settings(deadline=None)
@given(INT64, INT64, st.floats(-1e15, 1e15))
@example(2**63 - 1, 1, -0.0)
@example(-(2**63), -1, 0.9999999999)
@example(2**62, 2**62, -1.5)
def test_every_kind_of_store_compiled_and_plain_leave_identical_bytes(
    a: int, b: int, x: float
) -> None:
    numba_type(Numbers)
    compiled, interpreted = Numbers.zeros(), Numbers.zeros()
    compiled_store(compiled, a, b, x)
    plain(Numbers, interpreted).store(a, b, x)
    assert compiled.tobytes() == interpreted.tobytes()


def test_breakpoint_in_a_cells_method_stops_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(Cell):
        level: int = Var(41)

        def always(self) -> None:
            self.level += 1
            breakpoint()

    seen = []
    monkeypatch.setattr(
        sys, "breakpointhook", lambda: seen.append(sys._getframe(1).f_locals["self"])
    )
    cell = plain(Stopped, Stopped.zeros())
    cell.dt_s = 0.01
    cell.scan()
    assert [(cell.level, cell.unit.state) for cell in seen] == [(42, State.STOPPED)]


def disturb(rng: np.random.Generator, *cells: Any) -> None:
    """The same random inputs for each: sensors, neighbours, commands and time."""
    step_ns = int(rng.choice([1_000_000, 10_000_000, 3_000_000_000]))
    well, sensors = rng.random(3) < 0.995, rng.random(4) < 0.5
    link, transfer, board = (int(n) for n in rng.integers(0, [9, 4, 3]))
    trigger = int(rng.choice(len(Trigger))) if rng.random() < 0.3 else -1
    hold_links = rng.random() < 0.8
    for cell in cells:
        cell.now_ns += step_ns
        cell.dt_s = step_ns * 1e-9
        cell.estop_released, cell.guards_closed, cell.unit.io_good = (bool(w) for w in well)
        cell.board_at_entry, cell.board_at_exit = bool(sensors[0]), bool(sensors[1])
        cell.infeed.hears.pushes, cell.outfeed.hears.pulls = bool(sensors[2]), bool(sensors[3])
        cell.infeed.hears.transfer = cell.outfeed.hears.transfer = transfer
        cell.infeed.hears.board.id = cell.outfeed.hears.holds = board
        if trigger >= 0:
            cell.unit.requests |= 1 << trigger
        if not hold_links:
            cell.infeed.state, cell.outfeed.state = link, int(Link.NOT_AVAILABLE_NOT_READY)
            if board == 1:
                cell.infeed.state, cell.outfeed.state = cell.outfeed.state, link


def test_10_000_random_scans_compiled_and_plain_leave_identical_bytes() -> None:
    images = [Image(Layout({"c": Conveyor})) for _ in range(2)]
    cells = [plain(Conveyor, image.bytes) for image in images]
    machine_code = entry(Conveyor).ctypes
    rng = np.random.default_rng(7)
    states, steps = set(), set()
    for scan in range(10_000):
        disturb(rng, *cells)
        machine_code(images[0].address)
        cells[1].scan()
        assert np.array_equal(images[0].bytes, images[1].bytes), scan
        states.add(State(cells[1].unit.state))
        steps.add(cells[1].unit.step)
    assert states == set(State) - {State.UNDEFINED}
    assert steps == {0, 1, 2, 3}
