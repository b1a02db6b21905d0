"""Watching: whether any of some tags has changed since it was looked at last. Who waits for them need not look
himself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from cellrt.compiled import compiled
from cellrt.image import Layout
from cellrt.tags import WORD
from cellrt.wire import Ints, Views


class Watch(NamedTuple):
    """`words`, `bytes` int64[n, 2]: place of a tag in the image, and what was seen there last."""

    words: Ints
    bytes: Ints


def watch(layout: Layout, tags: Iterable[str]) -> Watch:
    """Tags of which nothing was seen yet. Raises KeyError."""
    leaves = [layout.find(tag) for tag in tags]
    bools = [[leaf.offset, -1] for leaf in leaves if leaf.field.kind is bool]
    words = [[leaf.offset // WORD, -1] for leaf in leaves if leaf.field.kind is not bool]
    return Watch(*(np.array(rows, np.int64).reshape(-1, 2) for rows in (words, bools)))


@compiled
def moved(watched: Watch, image: Views) -> bool:
    """Whether anything differs from what was seen last; what is there now is then seen."""
    changed = False
    for n in range(watched.words.shape[0]):
        value = image.words[watched.words[n, 0]]
        if value != watched.words[n, 1]:
            watched.words[n, 1] = value
            changed = True
    for n in range(watched.bytes.shape[0]):
        bit = int(image.bytes[watched.bytes[n, 0]])
        if bit != watched.bytes[n, 1]:
            watched.bytes[n, 1] = bit
            changed = True
    return changed
