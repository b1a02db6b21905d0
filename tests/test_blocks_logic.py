"""Counters, edges, bistables and HYSTERESIS against IEC 61131-3's tables, entered by hand, a row a scan.

Left of the bar what goes in, in the order of `update`; right of it what must come out.
"""

from __future__ import annotations

import pytest
from both_modes import Both, walk

from cellrt.blocks import CTD, CTU, CTUD, F_TRIG, HYSTERESIS, R_TRIG, RS, SR
from cellrt.tags import Record

DIAGRAMS: dict[str, tuple[type[Record], str]] = {
    "CTU": (
        CTU,
        """
        cu r pv | q cv
        L  L  2 | L  0
        H  L  2 | L  1
        H  L  2 | L  1
        L  L  2 | L  1
        H  L  2 | H  2
        L  L  2 | H  2
        H  L  2 | H  3
        H  L  4 | L  3
        H  H  4 | L  0
        H  L  4 | L  0
        L  L  4 | L  0
        H  L  4 | L  1
        """,
    ),
    "CTU: true at the first scan; an edge while reset is spent; PV 0": (
        CTU,
        """
        cu r pv | q cv
        H  L  1 | H  1
        L  H  1 | L  0
        H  H  1 | L  0
        H  L  1 | L  0
        H  L  0 | H  0
        """,
    ),
    "CTD": (
        CTD,
        """
        cd ld pv | q cv
        L  L   2 | H  0
        L  H   2 | L  2
        H  L   2 | L  1
        H  L   2 | L  1
        L  L   2 | L  1
        H  L   2 | H  0
        L  L   2 | H  0
        H  L   2 | H -1
        L  H   2 | L  2
        H  H   2 | L  2
        H  L   2 | L  2
        """,
    ),
    "CTUD": (
        CTUD,
        """
        cu cd r ld pv | cv qu qd
        L  L  L  L  2 | 0  L  H
        H  L  L  L  2 | 1  L  L
        L  L  L  L  2 | 1  L  L
        H  L  L  L  2 | 2  H  L
        L  H  L  L  2 | 1  L  L
        L  L  L  L  2 | 1  L  L
        H  H  L  L  2 | 1  L  L
        L  L  L  H  2 | 2  H  L
        L  H  L  H  2 | 2  H  L
        L  H  L  L  2 | 2  H  L
        H  L  H  H  2 | 0  L  H
        L  H  L  L  2 | -1 L  H
        """,
    ),
    "R_TRIG: true at the first scan is an edge": (
        R_TRIG,
        """
        clk | q
        H   | H
        H   | L
        L   | L
        H   | H
        L   | L
        L   | L
        """,
    ),
    "R_TRIG: false at the first scan": (
        R_TRIG,
        """
        clk | q
        L   | L
        H   | H
        H   | L
        """,
    ),
    "F_TRIG: false at the first scan is an edge": (
        F_TRIG,
        """
        clk | q
        L   | H
        L   | L
        H   | L
        L   | H
        L   | L
        """,
    ),
    "F_TRIG: true at the first scan": (
        F_TRIG,
        """
        clk | q
        H   | L
        H   | L
        L   | H
        """,
    ),
    "SR": (
        SR,
        """
        s1 r | q1
        L  L | L
        H  L | H
        L  L | H
        L  H | L
        L  L | L
        H  H | H
        H  H | H
        L  H | L
        """,
    ),
    "RS": (
        RS,
        """
        s  r1 | q1
        L  L  | L
        H  L  | H
        L  L  | H
        L  H  | L
        H  H  | L
        H  L  | H
        H  H  | L
        L  L  | L
        """,
    ),
    "HYSTERESIS: on its edges it stays": (
        HYSTERESIS,
        """
        value threshold eps | q
        10.0  10.0      2.0 | L
        12.0  10.0      2.0 | L
        12.5  10.0      2.0 | H
         9.0  10.0      2.0 | H
         8.0  10.0      2.0 | H
         nan  10.0      2.0 | H
         7.5  10.0      2.0 | L
        11.0  10.0      2.0 | L
         nan  10.0      2.0 | L
        """,
    ),
}


@pytest.mark.parametrize("case", DIAGRAMS)
def test_block_driven_through_its_diagram(case: str) -> None:
    walk(*DIAGRAMS[case])


@pytest.mark.parametrize("block", [CTU, CTUD])
def test_counter_at_the_end_of_an_int64_counts_no_further_up(block: type[Record]) -> None:
    both = Both(block, cv=2**63 - 2)
    for level in (True, False, True, False):
        both.update(level, *[False] * (1 if block is CTU else 3), 0)
    assert both.tag.cv == 2**63 - 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("block", [CTD, CTUD])
def test_counter_at_the_end_of_an_int64_counts_no_further_down(block: type[Record]) -> None:
    both = Both(block, cv=-(2**63) + 1)
    for level in (True, False, True, False):
        both.update(*([level, False] if block is CTD else [False, level, False, False]), 0)
    assert both.tag.cv == -(2**63)  # type: ignore[attr-defined]
