"""An assembly refuses copies whose order would count: members and links touch in no order."""

from __future__ import annotations

import re

import pytest
from two_conveyors import pair

from cellrt.assembly import Assembly

WHOLE, FIELD, OTHER = "up.infeed", "up.infeed.state", "down.infeed"


def told(*to_members: tuple[str, str]) -> Assembly:
    """Two conveyors of which these parts are copied onto others."""
    both = pair()
    return Assembly(both.members, both.links, both.to_links, to_members)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((OTHER, WHOLE), ("joint.state", FIELD)),
        (("joint.state", FIELD), ("down.infeed.state", FIELD)),
    ],
)
def test_targets_that_overlap_are_refused_by_name(
    one: tuple[str, str], other: tuple[str, str], order: int
) -> None:
    copies = (one, other)[::order]
    with pytest.raises(ValueError, match=re.escape(f"{one[1]} and {other[1]} overlap")):
        told(*copies).schedule()


def test_targets_side_by_side_and_sources_that_overlap_are_copied() -> None:
    copies = (
        ("joint.state", FIELD),
        ("joint.up", "up.infeed.hears"),
        ("joint.state", "down.infeed.state"),
    )
    assert told(*copies).schedule().to_members.shape == (3, 3)


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=f"{OTHER} has .* bytes but {FIELD} has"):
        told((OTHER, FIELD)).schedule()
