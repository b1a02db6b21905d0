"""Chance as a hash: what happens to a board does not depend on what happened before it.

The integers stay below 2**31 and their products below 2**62, so that compiled code (which wraps)
and plain Python (which does not) draw alike.
"""

from __future__ import annotations

from cellrt.compiled import compiled

MASK = 0x7FFFFFFF


@compiled
def mix(x: int) -> int:
    """A one-to-one scrambling of 31 bits: two rounds of multiply and shift, after lowbias32."""
    x = (x ^ (x >> 16)) & MASK
    x = (x * 0x21F0AAAD) & MASK
    x = x ^ (x >> 15)
    x = (x * 0x735A2D97) & MASK
    return x ^ (x >> 15)


@compiled
def uniform(seed: int, board: int, purpose: int) -> float:
    """Between 0 and 1, neither included. `seed` is the device's own (see `plant.sow`)."""
    h = mix((seed & MASK) ^ 0x5BD1E995)
    h = mix(h ^ (board & MASK))
    h = mix(h ^ (purpose & MASK))
    return (h + 0.5) / (MASK + 1.0)


@compiled
def normal(seed: int, board: int, purpose: int) -> float:
    """Mean 0, deviation 1, never beyond 3.5: the sum of four uniforms, needing no logarithm."""
    total = 0.0
    for part in range(4):
        total += uniform(seed, board, 4 * purpose + part)
    return (total - 2.0) * 1.7320508075688772
