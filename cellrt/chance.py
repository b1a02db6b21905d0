"""Chance as a hash: a draw depends on its own keys and on nothing that was drawn before it.

A draw's keys are the seed, the device, the board and the purpose; each purpose has one draw. Results are
the same bits compiled and plain, and on every processor: only exact integer arithmetic and the operations
that IEEE 754 rounds correctly (+ - * / and the square root) are used. The C library's logarithm and
cosine are not among them, their last bits differ between its versions for different processors.

The integers are np.uint64 and go through np.add and np.multiply, which wrap in silence in either mode. An
overflow of int64 is undefined in compiled code, and never happens in plain Python.
"""

from __future__ import annotations

import math

import numpy as np

from cellrt.compiled import compiled

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FACTOR_1, _FACTOR_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFT_1, _SHIFT_2, _SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)

_FRACTION_BITS = 2**53 - 1
_FRACTION_UNIT = 2.0**-53
_SQRT_HALF = 0.7071067811865476
_LN_2 = 0.6931471805599453


@compiled
def splitmix64(state: int) -> int:
    """The output of the generator SplitMix64 whose state is `state`; int64 to int64, one to one.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    z = np.add(np.uint64(np.int64(state)), _GAMMA)
    z = np.multiply(z ^ (z >> _SHIFT_1), _FACTOR_1)
    z = np.multiply(z ^ (z >> _SHIFT_2), _FACTOR_2)
    return int(np.int64(z ^ (z >> _SHIFT_3)))


@compiled
def draw(seed: int, device: int, board: int, purpose: int) -> int:
    """64 random bits, as an int64."""
    h = splitmix64(seed)
    h = splitmix64(h ^ device)
    h = splitmix64(h ^ board)
    return splitmix64(h ^ purpose)


@compiled
def uniform(seed: int, device: int, board: int, purpose: int) -> float:
    """Evenly distributed from 0 (included) to 1 (not included), in steps of 2**-53."""
    return fraction(draw(seed, device, board, purpose))


@compiled
def normal(seed: int, device: int, board: int, purpose: int) -> float:
    """Normally distributed with mean 0 and deviation 1, by Marsaglia's polar method."""
    h = draw(seed, device, board, purpose)
    while True:
        h = splitmix64(h)
        x = 2.0 * fraction(h) - 1.0
        h = splitmix64(h)
        y = 2.0 * fraction(h) - 1.0
        square = x * x + y * y
        if 0.0 < square < 1.0:
            return x * math.sqrt(-2.0 * log_below_1(square) / square)


@compiled
def fraction(bits: int) -> float:
    """The upper 53 of 64 bits, as a number from 0 to below 1."""
    return ((bits >> 11) & _FRACTION_BITS) * _FRACTION_UNIT


@compiled
def log_below_1(x: float) -> float:
    """Natural logarithm of 0 < x < 1, within 4 units of its last place.

    Doubling brings x near 1, where ln x = 2 (t + t**3/3 + t**5/5 + ...), t = (x - 1)/(x + 1), t**2 < 0.03.
    """
    doublings = 0
    while x < _SQRT_HALF:
        x *= 2.0
        doublings += 1
    t = (x - 1.0) / (x + 1.0)
    series = 0.0
    for power in range(21, 0, -2):
        series = series * (t * t) + 1.0 / power
    return 2.0 * t * series - doublings * _LN_2
