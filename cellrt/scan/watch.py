"""Watching: which of some tags have changed since they were looked at last. Who waits for them need not look
himself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cellrt.compiled import compiled
from cellrt.image import Layout
from cellrt.tags import WORD
from cellrt.wire import Ints, Views


class Watch(NamedTuple):
    """`tags` int64[n, 4]: 1 for a bool, its byte in the image or another's word, what was seen there last,
    and 1 where that has changed since `news` was asked for."""

    tags: Ints


def watch(layout: Layout, tags: Sequence[str]) -> Watch:
    """Tags of which nothing was seen yet. Raises KeyError."""
    rows = []
    for leaf in map(layout.find, tags):
        is_bool = leaf.field.kind is bool
        rows.append([is_bool, leaf.offset if is_bool else leaf.offset // WORD, -1, 0])
    return Watch(np.array(rows, np.int64).reshape(-1, 4))


def news(watched: Watch) -> list[int]:
    """Places, among the watched tags, of those that have changed since this was asked last."""
    places = np.flatnonzero(watched.tags[:, 3])
    watched.tags[places, 3] = 0
    return [int(place) for place in places]


@compiled
def moved(watched: Watch, image: Views) -> bool:
    """Whether anything differs from what was seen last; what is there now is then seen."""
    changed, tags = False, watched.tags
    for n in range(tags.shape[0]):
        at = tags[n, 1]
        value = int(image.bytes[at]) if tags[n, 0] != 0 else image.words[at]
        if value != tags[n, 2]:
            tags[n, 2], tags[n, 3] = value, 1
            changed = True
    return changed
