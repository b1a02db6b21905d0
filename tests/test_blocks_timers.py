"""TON, TOF and TP against IEC 61131-3's timing diagrams, entered by hand, one row a scan.

Left of the bar what goes in, in the order of `update`; right of it what must come out.
"""

from __future__ import annotations

import pytest
from both_modes import Both, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from cellrt.blocks import TOF, TON, TP
from cellrt.tags import Record

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
}


@pytest.mark.parametrize("case", DIAGRAMS)
def test_timer_driven_through_its_diagram(case: str) -> None:
    walk(*DIAGRAMS[case])


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
