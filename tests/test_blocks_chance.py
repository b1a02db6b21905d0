"""Draws: the reference's numbers, the same bits in both modes, and the distributions they promise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from both_modes import bits, into_machine_code
from hypothesis import given, settings
from hypothesis import strategies as st

from cellrt.chance import draw, log_below_1, normal, splitmix64, uniform

COUNT = 100_000
MASK = 2**64 - 1
GAMMA = 0x9E3779B97F4A7C15
REFERENCE = [
    (0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]),
    (1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]),
]
"""Seed and first outputs of SplitMix64 (Vigna's splitmix64.c; Rosetta Code)."""

GOLDEN = (-3072355124115617029, "0x1.aab99a95d6799p-1", "-0x1.58dcef69e4078p-1")
"""draw, uniform and normal of the keys 1, 2, 3, 4; computed once with unbounded integers and libm."""

key = st.integers(-(2**63), 2**63 - 1)


@into_machine_code
def drawn(seed: int, device: int, board: int, purpose: int) -> tuple[int, float, float]:
    return (
        draw(seed, device, board, purpose),
        uniform(seed, device, board, purpose),
        normal(seed, device, board, purpose),
    )


@into_machine_code
def fill(draws: Any, seed: int, device: int, purpose: int) -> None:
    for board in range(COUNT):
        _, draws[0, board], draws[1, board] = drawn(seed, device, board, purpose)


def boards(seed: int, device: int, purpose: int) -> Any:
    """Uniform and normal draws for board after board. Shape (2, COUNT)."""
    draws = np.empty((2, COUNT))
    fill(draws, seed, device, purpose)
    return draws


def signed(word: int) -> int:
    return word - 2**64 if word >> 63 else word


@pytest.mark.parametrize("seed,outputs", REFERENCE)
def test_splitmix64_gives_the_reference_outputs(seed: int, outputs: list[int]) -> None:
    states = [signed((seed + n * GAMMA) & MASK) for n in range(len(outputs))]
    assert [splitmix64(state) & MASK for state in states] == outputs


@settings(deadline=None)
@given(st.lists(key, min_size=4, max_size=4))
def test_draws_of_any_keys_are_the_same_bits_compiled_and_plain(keys: list[int]) -> None:
    expected = draw(*keys), uniform(*keys), normal(*keys)
    assert [bits(found) for found in drawn(*keys)] == [bits(each) for each in expected]
    assert 0.0 <= expected[1] < 1.0


def test_draws_are_the_same_bits_on_every_machine() -> None:
    assert draw(1, 2, 3, 4) == GOLDEN[0]
    assert uniform(1, 2, 3, 4).hex() == GOLDEN[1]
    assert normal(1, 2, 3, 4).hex() == GOLDEN[2]


@settings(deadline=None)
@given(st.lists(key, min_size=4, max_size=4), st.integers(0, 3), key)
def test_draw_with_one_key_changed_is_another(keys: list[int], which: int, other: int) -> None:
    changed = [*keys[:which], other, *keys[which + 1 :]]
    assert (draw(*keys) == draw(*changed)) == (keys == changed)


def test_draw_with_keys_exchanged_is_another() -> None:
    assert len({draw(1, 2, 3, 4), draw(2, 1, 3, 4), draw(1, 3, 2, 4), draw(1, 2, 4, 3)}) == 4


def test_uniform_draws_of_many_boards_are_even_and_independent() -> None:
    found, other = boards(1, 7, 3)[0], boards(1, 7, 4)[0]
    counts = np.histogram(found, 100, (0.0, 1.0))[0]
    chi_square = ((counts - COUNT / 100) ** 2 / (COUNT / 100)).sum()
    assert chi_square < 99 + 5 * math.sqrt(2 * 99)
    for apart in (found[1:], other[1:], boards(2, 7, 3)[0][1:]):
        assert abs(np.corrcoef(found[:-1], apart)[0, 1]) < 5 / math.sqrt(COUNT)
    assert abs(np.corrcoef(found, other)[0, 1]) < 5 / math.sqrt(COUNT)


def test_normal_draws_of_many_boards_have_the_moments_and_the_tails() -> None:
    found = boards(1, 7, 3)[1]
    assert abs(found.mean()) < 5 / math.sqrt(COUNT)
    assert abs(found.std() - 1.0) < 5 / math.sqrt(2 * COUNT)
    for sigmas in (1.0, 2.0, 3.0, 4.0):
        expected = COUNT * math.erfc(sigmas / math.sqrt(2))
        assert abs((np.abs(found) > sigmas).sum() - expected) < 5 * math.sqrt(expected)


@settings(deadline=None)
@given(st.floats(1e-300, 1.0, exclude_max=True))
def test_log_below_1_is_the_logarithm(x: float) -> None:
    expected = math.log(x)
    assert abs(log_below_1(x) - expected) <= 4 * math.ulp(expected)
