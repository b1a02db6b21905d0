"""Arithmetic with an answer for everything.

Where plain Python raises and compiled code goes on with an infinity or no number at all, these say what
comes out, the same in both.
"""

from __future__ import annotations

import math
from typing import TypeVar

from cellrt.compiled import compiled

Number = TypeVar("Number", int, float)

NEGLIGIBLE = 1e-9
"""Below this, what decays is 0."""


@compiled
def LIMIT(mn: Number, in_: Number, mx: Number) -> Number:
    """`in_`, kept between `mn` and `mx`: MIN(MAX(in_, mn), mx), as IEC 61131-3 defines it.

    All three are int, or all float. For no number (NaN) it is `mn`.

    >>> LIMIT(0.0, 130.0, 100.0)
    100.0
    """
    at_least = in_ if in_ >= mn else mn
    return at_least if at_least <= mx else mx


@compiled
def DIV(dividend: float, divisor: float, otherwise: float) -> float:
    """The quotient; `otherwise` where there is none: a divisor of 0, or a result beyond every number.

    >>> DIV(1.0, 4.0, 0.0), DIV(1.0, 0.0, -1.0)
    (0.25, -1.0)
    """
    if divisor == 0:
        return float(otherwise)
    quotient = float(dividend) / float(divisor)
    return quotient if math.isfinite(quotient) else float(otherwise)


@compiled
def SQRT(x: float, otherwise: float) -> float:
    """The square root; `otherwise` where there is none: `x` below 0, infinite or no number.

    >>> SQRT(9.0, 0.0), SQRT(-1e-12, 0.0)
    (3.0, 0.0)
    """
    value = float(x)
    return math.sqrt(value) if value >= 0.0 and math.isfinite(value) else float(otherwise)


@compiled
def snapped(x: float) -> float:
    """`x`, or 0 where it is negligible: what decays for ever would become subnormal, and slow."""
    return 0.0 if -NEGLIGIBLE < x < NEGLIGIBLE else x
