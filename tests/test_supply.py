"""A request for material and its answer, between cell and machine, behind a field of any slowness."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cellrt.compiler.plain import plain
from cells.supply import Supply
from hw_sim import stock

LOW, FULL, ITEM = 10, 50, 305
TICK_S = 10.0


def record(kind: Any) -> Any:
    return plain(kind, np.zeros(kind.dtype.itemsize, np.uint8))


@settings(max_examples=200)
@given(
    exchanged=st.lists(st.booleans(), min_size=100, max_size=300),
    used=st.lists(st.integers(0, 2), min_size=300, max_size=300),
    mistakes=st.sets(st.integers(0, 299), max_size=3),
    cut=st.integers(0, 299),
)
def test_each_need_brings_one_delivery_and_what_is_wrong_is_brought_anew(
    exchanged: list[bool], used: list[int], mistakes: set[int], cut: int
) -> None:
    """Samples and outputs pass only now and then, the cell begins anew once, and what is there is used
    up meanwhile: nothing is ever brought that was not needed when it came."""
    cell, machine = record(Supply), record(stock.Supply)
    left, there, heard = FULL, ITEM, (FULL, ITEM)
    for n, passes in enumerate(exchanged):
        if n == cut:
            cell = record(Supply)
        if n in mistakes:
            machine.mistaken = 999
        left = max(0, left - used[n])
        if passes:
            heard, cell.supplied = (left, there), machine.supplied
        cell.ask(ITEM, heard[0] < LOW or heard[1] != ITEM)
        if passes:
            machine.asked = cell.asked
        brought = machine.bring(1, 0, True, TICK_S)
        if brought:
            assert left < LOW or there != ITEM
            left, there = FULL, brought
    for _ in range(60):
        cell.supplied = machine.supplied
        cell.ask(ITEM, left < LOW or there != ITEM)
        machine.asked = cell.asked
        if brought := machine.bring(1, 0, True, TICK_S):
            left, there = FULL, brought
    assert left >= LOW and there == ITEM and cell.asked == 0 and not machine.supplied
