"""The simulated plant of a line under test: what is truly there, whatever the line believes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cellrt.image import Image
from cellrt.line.problem import choose
from cellrt.tags import Scalar


class Plant:
    """Every tag of every simulated device, by `device.tag`, to be read and set.

    Unknown names raise LookupError, with the nearest that there are; a value of another type than the
    tag's raises ValueError.
    """

    def __init__(self, image: Image, census: Callable[[], Mapping[str, int]]) -> None:
        self._image = image
        self._census = census

    def __getitem__(self, tag: str) -> Scalar:
        try:
            return self._image[tag]
        except KeyError:
            raise self._unknown(tag) from None

    def __setitem__(self, tag: str, value: Scalar) -> None:
        try:
            self._image[tag] = value
        except KeyError:
            raise self._unknown(tag) from None

    def census(self) -> Mapping[str, int]:
        """Boards, counted where they lie: entered, stored, in the line and so on."""
        return self._census()

    def _unknown(self, tag: str) -> LookupError:
        there = [leaf.path for leaf in self._image.layout.tags()]
        return LookupError(f"the plant has no tag {tag!r}; {choose(tag, there)}")
