"""Snapshots: one scan's inputs and image as a frozen view, for those who only look.

The scan publishes a snapshot as one int64 array: SNAPSHOT_HEAD words (number of the scan, its
logical time in ns, its epoch, its monotonic time in ns, how many forces there are, 1 while the
recording cannot be put to disk, the rest 0), the samples as they stand in the inputs of the scan,
then the words of the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cellrt.image import Image
from cellrt.scan.plan import Plan
from cellrt.tags import WORD, Leaf, Scalar
from cellrt.wire import Ints

SNAPSHOT_HEAD = 8
SCAN, NOW_NS, EPOCH, MONOTONIC_NS, FORCES, UNSAVED = 0, 1, 2, 3, 4, 5
"""Places in the head."""


def image_base(plan: Plan) -> int:
    """Word at which the image begins."""
    return SNAPSHOT_HEAD + plan.commands_base


def snapshot_words(plan: Plan) -> int:
    """Length of a plan's snapshots."""
    return image_base(plan) + plan.layout.nbytes // WORD


@dataclass(frozen=True)
class Snapshot:
    """What one scan left behind. Views of `words`, not copies: whoever keeps one keeps the array.

    `samples` int64: for each device its sample's number, whether it is good, and its raw values
    (`plan.samples` has the places). `image` int64: every tag, as `plan.layout` places it.
    """

    words: Ints
    samples: Ints
    image: Ints

    @classmethod
    def of(cls, plan: Plan, words: Ints) -> Snapshot:
        """A published array as a snapshot. Raises ValueError when its length is not the plan's."""
        if words.shape != (snapshot_words(plan),):
            raise ValueError(
                f"a snapshot of {words.shape} words; this plan's have {snapshot_words(plan)}"
            )
        view = words.view()
        view.flags.writeable = False
        image = image_base(plan)
        return cls(view, view[SNAPSHOT_HEAD:image], view[image:])

    @classmethod
    def take(
        cls, plan: Plan, image: Image, inputs: Ints, scan: int, now_ns: int, epoch: int = 1
    ) -> Snapshot:
        """A snapshot of a scan that runs in this process."""
        head = np.zeros(SNAPSHOT_HEAD, np.int64)
        head[[SCAN, NOW_NS, EPOCH]] = scan, now_ns, epoch
        return cls.of(plan, np.concatenate((head, inputs[: plan.commands_base], image.views.words)))

    @property
    def scan(self) -> int:
        """Number of the scan."""
        return int(self.words[SCAN])

    @property
    def now_ns(self) -> int:
        """Logical time of the scan."""
        return int(self.words[NOW_NS])

    @property
    def epoch(self) -> int:
        """Epoch of the scan process: it counts its starts."""
        return int(self.words[EPOCH])

    @property
    def monotonic_ns(self) -> int:
        """Monotonic time at which the scan began."""
        return int(self.words[MONOTONIC_NS])

    @property
    def forces(self) -> int:
        """How many inputs and outputs are forced."""
        return int(self.words[FORCES])

    def value(self, leaf: Leaf) -> Scalar:
        """A tag's value as a Python scalar."""
        if leaf.field.kind is bool:
            return bool(self.image.view(np.uint8)[leaf.offset])
        if leaf.field.kind is int:
            return int(self.image[leaf.offset // WORD])
        return float(self.image.view(np.float64)[leaf.offset // WORD])
