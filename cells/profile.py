"""A board's way through a reflow oven: what it will be, and what it may be.

The model is plain Python and serves before a setting is taken; in the scan each board is judged by the
profile that the oven measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cellrt import compiled

RAMP_LOW_DEGC_S, RAMP_HIGH_DEGC_S = 0.5, 2.0
LIQUIDUS_DEGC = 217.0
LIQUID_LOW_S, LIQUID_HIGH_S = 45.0, 90.0
PEAK_LOW_DEGC, PEAK_HIGH_DEGC = 235.0, 245.0
"""The paste's window, from its data sheet (SAC305)."""
CEILING_MARGIN_K = 5.0
"""The peak stays so far below the class temperature Tc of J-STD-020."""

ENTRANCE_MM, ZONE_MM, CHAIN_MM, BOARD_MM = 150.0, 350.0, 3700.0, 160.0
AMBIENT_DEGC, COOLED_DEGC = 25.0, 50.0
COOLING_FACTOR = 0.6
"""The oven, as its profiling runs showed it."""
STEP_S = 0.1


@dataclass(frozen=True)
class Profile:
    """What a board goes through."""

    peak_degC: float
    liquid_s: float
    ramp_degC_s: float


@compiled
def peak_limit_degC(class_degC: float) -> float:
    """The highest peak that paste and parts both bear."""
    return min(PEAK_HIGH_DEGC, class_degC - CEILING_MARGIN_K)


@compiled
def in_window(peak_degC: float, liquid_s: float, ramp_degC_s: float, class_degC: float) -> bool:
    """Whether the paste soldered as its maker promises, and no part was too hot."""
    well = PEAK_LOW_DEGC <= peak_degC <= peak_limit_degC(class_degC)
    well = well and LIQUID_LOW_S <= liquid_s <= LIQUID_HIGH_S
    return well and RAMP_LOW_DEGC_S <= ramp_degC_s <= RAMP_HIGH_DEGC_S


def predict(belt_mm_s: float, zones_degC: Sequence[float], lag_s: float) -> Profile:
    """The profile of a board that follows the air with `lag_s`, at this speed through these zones.

    The air goes from one zone's middle to the next in a straight line; the board is its middle.

    >>> predict(10.33, [105, 138, 158, 172, 188, 220, 252, 258], 40.0).peak_degC > 235.0
    True
    """
    degC, peak_degC, liquid_s, ramp_degC_s = AMBIENT_DEGC, AMBIENT_DEGC, 0.0, 0.0
    at_mm, cooling_mm = -BOARD_MM / 2, ENTRANCE_MM + len(zones_degC) * ZONE_MM
    while at_mm < CHAIN_MM:
        lag = lag_s if at_mm < cooling_mm else lag_s * COOLING_FACTOR
        rise = (_air_degC(at_mm, zones_degC) - degC) / lag
        degC += rise * STEP_S
        at_mm += belt_mm_s * STEP_S
        peak_degC, ramp_degC_s = max(peak_degC, degC), max(ramp_degC_s, rise)
        liquid_s += STEP_S if degC > LIQUIDUS_DEGC else 0.0
    return Profile(peak_degC, liquid_s, ramp_degC_s)


def _air_degC(at_mm: float, zones_degC: Sequence[float]) -> float:
    nodes = [AMBIENT_DEGC, *zones_degC, COOLED_DEGC]
    places = [0.0, *(ENTRANCE_MM + ZONE_MM * (n + 0.5) for n in range(len(zones_degC) + 1))]
    for (left, low), (right, high) in zip(
        zip(places, nodes, strict=True), zip(places[1:], nodes[1:], strict=True), strict=False
    ):
        if at_mm < right:
            return low + (high - low) * max(0.0, at_mm - left) / (right - left)
    return COOLED_DEGC


def objection(profile: Profile, class_degC: float) -> str | None:
    """What is wrong with a predicted profile, and by how much; None: it is well."""
    peak, limit = profile.peak_degC, peak_limit_degC(class_degC)
    if peak > limit:
        of = f"Tc {class_degC:g} less {CEILING_MARGIN_K:g}" if limit < PEAK_HIGH_DEGC else "paste"
        return f"the board would peak at {peak:.1f} degC, {peak - limit:.1f} above the {limit:g} of the {of}"
    for name, value, unit, low, high in (
        ("peak", peak, "degC", PEAK_LOW_DEGC, limit),
        ("time above liquidus", profile.liquid_s, "s", LIQUID_LOW_S, LIQUID_HIGH_S),
        ("steepest rise", profile.ramp_degC_s, "degC/s", RAMP_LOW_DEGC_S, RAMP_HIGH_DEGC_S),
    ):
        if not low <= value <= high:
            off = f"{low - value:.2g} below" if value < low else f"{value - high:.2g} above"
            return f"the board's {name} would be {value:.3g} {unit}, {off} the paste's {low:g} to {high:g}"
    return None
