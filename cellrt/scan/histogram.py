"""Histograms that the scan itself keeps: 16 bins an octave (6 % wide), no allocation, no search."""

from __future__ import annotations

import numpy as np

from cellrt.compiled import compiled, highest_set_bit
from cellrt.wire import Ints

BINS = 640
"""Covers 0 to 2**43 ns, two hours. The last two words are the maximum and the count."""

_MAXIMUM, _COUNT = BINS - 2, BINS - 1


@compiled
def count(bins: Ints, value: int) -> None:
    """Count a value (ns; negative ones as 0)."""
    value = max(value, 0)
    place = value
    if value >= 16:
        octave = highest_set_bit(value)
        place = min((octave - 3) * 16 + (value >> (octave - 4) & 15), _MAXIMUM - 1)
    bins[place] += 1
    bins[_COUNT] += 1
    if value > bins[_MAXIMUM]:
        bins[_MAXIMUM] = value


def value_of(place: int) -> float:
    """The middle of a bin."""
    if place < 16:
        return float(place)
    octave, part = place // 16 + 3, place % 16
    return float((1 << octave) + (part + 0.5) * (1 << (octave - 4)))


def percentile(bins: Ints, share: float) -> float:
    """The value under which `share` (0..1) of all counted ones lie; 0 when nothing was counted."""
    total = int(bins[_COUNT])
    if total == 0:
        return 0.0
    below = np.cumsum(bins[:_MAXIMUM])
    place = int(np.searchsorted(below, share * total))
    return min(value_of(place), float(bins[_MAXIMUM]))


def merged(histograms: Ints) -> Ints:
    """Of int64[n, BINS], one histogram of all that they counted."""
    bins: Ints = histograms.sum(axis=0)
    bins[_MAXIMUM] = histograms[:, _MAXIMUM].max(initial=0)
    return bins


def summary(bins: Ints, unit_ns: float = 1e3) -> dict[str, float]:
    """p50, p99, p999 and max, in units of `unit_ns` (1e3: microseconds)."""
    shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
    values = {name: percentile(bins, share) for name, share in shares.items()}
    values["max"] = float(bins[_MAXIMUM])
    return {name: round(value / unit_ns, 3) for name, value in values.items()}
