"""IEC 61131-3's blocks against its tables and timing diagrams, entered by hand, one row a scan.

Left of the bar what goes in, in the order of `update`; right of it what must come out.
"""

from __future__ import annotations

import pytest
from both_modes import Both
from hypothesis import given, settings
from hypothesis import strategies as st

from cellrt.blocks import CTD, CTU, CTUD, F_TRIG, HYSTERESIS, R_TRIG, RS, SR, TOF, TON, TP
from cellrt.tags import Record


def walk(block: type[Record], diagram: str) -> None:
    """Drive a block through a diagram; the first column right of the bar is also what it returns."""
    heading, *rows = [line.split("|") for line in diagram.strip().splitlines()]
    outputs = heading[1].split()
    both = Both(block)
    for row in rows:
        returned = both.update(*map(number, row[0].split()))
        found = {name: getattr(both.tag, name) for name in outputs}
        assert found == dict(zip(outputs, map(number, row[1].split()), strict=True)), "|".join(row)
        assert returned == found[outputs[0]]


def number(text: str) -> float:
    """L and H are the levels of a bool."""
    if text in "LH":
        return text == "H"
    return int(text) if text.lstrip("-").isdigit() else float(text)


DIAGRAMS: dict[str, tuple[type[Record], str]] = {
    "TON: longer than PT, then shorter": (
        TON,
        """
        in pt now | q et_ns
        L  3   0  | L  0
        H  3   1  | L  0
        H  3   2  | L  1
        H  3   3  | L  2
        H  3   4  | H  3
        H  3   9  | H  3
        L  3  10  | L  0
        H  3  11  | L  0
        H  3  13  | L  2
        L  3  14  | L  0
        L  3  20  | L  0
        """,
    ),
    "TON: in drops at the scan at which the time runs out": (
        TON,
        """
        in pt now | q et_ns
        H  3   0  | L  0
        H  3   2  | L  2
        L  3   3  | L  0
        H  3   4  | L  0
        H  3   6  | L  2
        H  3   7  | H  3
        """,
    ),
    "TON: scans that miss the end of the time": (
        TON,
        """
        in pt now | q et_ns
        H  25  0  | L  0
        H  25 10  | L 10
        H  25 20  | L 20
        H  25 30  | H 25
        """,
    ),
    "TON: PT 0 and less": (
        TON,
        """
        in pt now | q et_ns
        H   0  5  | H  0
        H   0  6  | H  0
        L   0  7  | L  0
        H  -4  8  | H  0
        """,
    ),
    "TON: PT longer and shorter while timing": (
        TON,
        """
        in pt now | q et_ns
        H  3   0  | L  0
        H  6   3  | L  3
        H  6   5  | L  5
        H  4   6  | H  4
        """,
    ),
    "TON: PT changed after the time ran out": (
        TON,
        """
        in pt now | q et_ns
        H  3   0  | L  0
        H  3   3  | H  3
        H  9   4  | H  3
        H  1   5  | H  3
        """,
    ),
    "TON: time below 0": (
        TON,
        """
        in pt now | q et_ns
        H  3  -2  | L  0
        H  3   0  | L  2
        H  3   1  | H  3
        """,
    ),
    "TOF: longer than PT, then shorter": (
        TOF,
        """
        in pt now | q et_ns
        L  3   0  | L  0
        L  3   5  | L  0
        H  3   6  | H  0
        H  3   8  | H  0
        L  3   9  | H  0
        L  3  11  | H  2
        L  3  12  | L  3
        L  3  15  | L  3
        H  3  16  | H  0
        L  3  17  | H  0
        L  3  19  | H  2
        H  3  20  | H  0
        L  3  21  | H  0
        L  3  24  | L  3
        """,
    ),
    "TOF: in rises at the scan at which the time runs out": (
        TOF,
        """
        in pt now | q et_ns
        H  3   0  | H  0
        L  3   1  | H  0
        H  3   4  | H  0
        L  3   5  | H  0
        L  3   7  | H  2
        """,
    ),
    "TOF: PT 0": (
        TOF,
        """
        in pt now | q et_ns
        H  0   0  | H  0
        L  0   1  | L  0
        L  0   2  | L  0
        """,
    ),
    "TOF: PT changed while timing and after": (
        TOF,
        """
        in pt now | q et_ns
        H  3   0  | H  0
        L  3   1  | H  0
        L  9   4  | H  3
        L  5   6  | L  5
        L  9   7  | L  5
        """,
    ),
    "TP: in longer than the pulse": (
        TP,
        """
        in pt now | q et_ns
        L  3   0  | L  0
        H  3   1  | H  0
        H  3   2  | H  1
        H  3   4  | L  3
        H  3   8  | L  3
        L  3   9  | L  0
        """,
    ),
    "TP: in shorter than the pulse": (
        TP,
        """
        in pt now | q et_ns
        H  3   0  | H  0
        L  3   1  | H  1
        L  3   2  | H  2
        L  3   3  | L  0
        L  3   4  | L  0
        H  3   5  | H  0
        """,
    ),
    "TP: in rises and falls within the pulse, and stays": (
        TP,
        """
        in pt now | q et_ns
        H  5   0  | H  0
        L  5   1  | H  1
        H  5   2  | H  2
        L  5   3  | H  3
        H  5   4  | H  4
        H  5   5  | L  5
        H  5   6  | L  5
        L  5   7  | L  0
        H  5   8  | H  0
        """,
    ),
    "TP: in rises at the scan that ends the pulse": (
        TP,
        """
        in pt now | q et_ns
        H  3   0  | H  0
        L  3   1  | H  1
        H  3   3  | L  3
        H  3   4  | L  3
        L  3   5  | L  0
        H  3   6  | H  0
        """,
    ),
    "TP: PT 0": (
        TP,
        """
        in pt now | q et_ns
        H  0   0  | L  0
        H  0   1  | L  0
        H  3   2  | L  0
        L  3   3  | L  0
        H  3   4  | H  0
        """,
    ),
    "TP: PT changed in the pulse and after": (
        TP,
        """
        in pt now | q et_ns
        H  3   0  | H  0
        H  6   3  | H  3
        H  4   5  | L  4
        H  9   6  | L  4
        """,
    ),
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


signal = st.lists(st.tuples(st.booleans(), st.integers(1, 4)), max_size=40)


@settings(deadline=None)
@given(signal, st.integers(0, 9))
def test_ton_any_signal_is_true_when_in_has_been_for_pt(
    scans: list[tuple[bool, int]], pt: int
) -> None:
    both, now, true_at = Both(TON), 0, list[int]()
    for level, later in scans:
        now += later
        true_at = [*true_at, now] if level else []
        assert both.update(level, pt, now) == (level and now - true_at[0] >= pt)


@settings(deadline=None)
@given(signal, st.integers(1, 9))
def test_tof_any_signal_is_the_inverse_of_ton_on_the_inverse(
    scans: list[tuple[bool, int]], pt: int
) -> None:
    off, on, now = Both(TOF), Both(TON), 0
    off.update(True, pt, now)
    for level, later in scans:
        now += later
        assert off.update(level, pt, now) is not on.update(not level, pt, now)
        assert off.tag.et_ns == on.tag.et_ns


@settings(deadline=None)
@given(signal, st.integers(1, 9))
def test_tp_any_signal_pulses_last_pt_and_begin_at_a_rising_edge(
    scans: list[tuple[bool, int]], pt: int
) -> None:
    both, now, began, was, pulsed = Both(TP), 0, 0, False, False
    for level, later in scans:
        now += later
        q = both.update(level, pt, now)
        if pulsed:
            assert q == (now - began < pt)
        else:
            assert q == (level and not was)
            began = now
        was, pulsed = level, q
