"""Where things stand round the unloading robot: its taught places, their slots, and the zone it shares.

x runs along the cell, y into the places, z up.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from cellrt.compiled import compiled

REACH_MM = 400.0
"""How far the arm reaches into every place; 0: drawn in."""
NEAR_MM = 2.0
"""Within so much of a place the arm is there."""
ZONE_X_MM, ZONE_Y_MM = 250.0, 20.0
"""The nest's zone: so far to either side of it, and reaching further in than that."""


class Place(IntEnum):
    """Taught places, as numbered in the robot's controller."""

    NONE = 0
    NEST = 1
    MAGAZINE_A = 2
    MAGAZINE_B = 3
    STAND = 4
    SCRAP = 5
    HOME = 6


NONE, NEST, MAGAZINE_A, MAGAZINE_B, STAND, SCRAP, HOME = (int(p) for p in Place)

SLOTS = np.array([0, 1, 50, 50, 10, 1, 1], np.int64)
"""Slots by place."""
_X_MM = np.array([0.0, 300.0, 900.0, 1200.0, 1500.0, 600.0, 100.0])
_Z_MM = np.array([0.0, 200.0, 50.0, 50.0, 100.0, 300.0, 600.0])
"""Of each place's first slot."""
_PITCH_MM = np.array([0.0, 0.0, 10.0, 10.0, 40.0, 0.0, 0.0])


@compiled
def x_of_mm(place: int) -> float:
    """x of a place."""
    return float(_X_MM[place])


@compiled
def z_of_mm(place: int, slot: int) -> float:
    """z of a slot; slots count from 0, upwards."""
    return float(_Z_MM[place] + slot * _PITCH_MM[place])


@compiled
def is_slot(place: int, slot: int) -> bool:
    """There is such a place, and it has such a slot."""
    return 0 < place < SLOTS.shape[0] and 0 <= slot < int(SLOTS[place])


@compiled
def place_before(x_mm: float) -> int:
    """The place (home is none) that an arm at `x_mm` has before it, or NONE."""
    for place in range(NEST, HOME):
        if abs(x_mm - x_of_mm(place)) <= NEAR_MM:
            return place
    return NONE


@compiled
def slot_before(place: int, z_mm: float) -> int:
    """The slot of a place that an arm at `z_mm` has before it, or -1."""
    pitch_mm = float(_PITCH_MM[place])
    slot = int((z_mm - z_of_mm(place, 0)) / pitch_mm + 0.5) if pitch_mm > 0.0 else 0
    near = is_slot(place, slot) and abs(z_mm - z_of_mm(place, slot)) <= NEAR_MM
    return slot if near else -1


@compiled
def in_nest_zone(x_mm: float, y_mm: float) -> bool:
    """The arm reaches in where boards arrive."""
    return y_mm > ZONE_Y_MM and abs(x_mm - x_of_mm(NEST)) < ZONE_X_MM
