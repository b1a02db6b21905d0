"""Every block on random inputs: compiled and plain leave the same bits, call after call."""

from __future__ import annotations

import math

import pytest
from both_modes import Both
from hypothesis import given, settings
from hypothesis import strategies as st

from cellrt import blocks
from cellrt.tags import Record, leaves

Strategy = st.SearchStrategy[float]

level: Strategy = st.booleans()
count: Strategy = st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1))
pt: Strategy = st.one_of(st.integers(-1, 9), st.integers(-(2**61), 2**61))
now: Strategy = st.one_of(st.integers(0, 20), st.integers(0, 2**62))
odd: Strategy = st.sampled_from([0.0, -0.0, 5e-324, 1e-9, -1e-9, math.nan, math.inf, -math.inf])
value: Strategy = st.one_of(st.floats(-1e6, 1e6), odd)
dt: Strategy = st.floats(0.0, 10.0)

INPUTS: dict[type[Record], tuple[Strategy, ...]] = {
    blocks.TON: (level, pt, now),
    blocks.TOF: (level, pt, now),
    blocks.TP: (level, pt, now),
    blocks.CTU: (level, level, count),
    blocks.CTD: (level, level, count),
    blocks.CTUD: (level, level, level, level, count),
    blocks.R_TRIG: (level,),
    blocks.F_TRIG: (level,),
    blocks.SR: (level, level),
    blocks.RS: (level, level),
    blocks.PID: (level, value, value, value, dt),
    blocks.RAMP: (value, value, dt),
    blocks.LAG: (value, st.floats(0.0, 100.0), dt),
    blocks.HYSTERESIS: (value, value, value),
}
TUNINGS: dict[str, Strategy] = {
    "kp": st.floats(-100.0, 100.0),
    "ti_s": st.floats(0.0, 100.0),
    "td_s": st.floats(0.0, 100.0),
    "filter_n": st.floats(1.0, 20.0),
    "out_low": st.floats(-100.0, 0.0),
    "out_high": st.floats(0.0, 100.0),
}
DECAYING = {(blocks.LAG, "out"), (blocks.PID, "derivative")}


def test_every_block_is_exercised_here() -> None:
    exported = {getattr(blocks, name) for name in blocks.__all__}
    assert {b for b in exported if isinstance(b, type)} == set(INPUTS)


@pytest.mark.parametrize("block", INPUTS, ids=lambda block: block.__name__)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_block_any_inputs_leave_the_same_bits_compiled_and_plain(
    block: type[Record], data: st.DataObject
) -> None:
    tuning = {tag: data.draw(TUNINGS[tag]) for tag in block.fields if tag in TUNINGS}
    both = Both(block, **tuning)
    for inputs in data.draw(st.lists(st.tuples(*INPUTS[block]), max_size=20)):
        both.update(*inputs)
        assert_sound(block, both)


def assert_sound(block: type[Record], both: Both[Record]) -> None:
    """No block keeps what is no number, nor the endless tail of what decays."""
    for path, tag in leaves(block):
        found = getattr(both.tag, path) if tag.kind is float else 0.0
        assert math.isfinite(found), path
        assert (block, path) not in DECAYING or found == 0.0 or abs(found) >= 1e-9, path
