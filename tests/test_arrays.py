"""Arrays of records, and whole records copied: the same bits compiled and plain, each tag by its name."""

from __future__ import annotations

from typing import Any

import pytest
from both_modes import Both
from hypothesis import given, settings
from hypothesis import strategies as st

from cellrt.image import Image, Layout
from cellrt.tags import Array, DeclarationError, Record, Var, array, find, leaves

COUNT = 5


class Item(Record):
    id: int = Var()
    on: bool = Var(True)
    weight_g: float = Var(2.5)


class Rack(Record):
    """Shelves of items; the last one taken lies on top."""

    before: int = Var(7)
    items: Array[Item] = array(COUNT)
    top: Item
    after: float = Var()

    def update(self, put: int, take: int, weight_g: float) -> float:
        """Put an item, take another, sum up."""
        self.items[put].id += put + 1
        self.items[put].on = not self.items[put].on
        self.items[put].weight_g += weight_g
        self.top.become(self.items[take])
        self.items[take].erase()
        self.after = 0.0
        for n in range(len(self.items)):
            self.after += self.items[n].weight_g
        return self.after


@pytest.fixture(scope="module")
def rack() -> Both[Rack]:
    both = Both(Rack)
    both.update(0, 1, 1.0)  # compiled here, not in an example's time
    return both


@settings(max_examples=100)
@given(
    put=st.integers(0, COUNT - 1),
    take=st.integers(0, COUNT - 1),
    weight_g=st.floats(-1e6, 1e6, allow_nan=False),
)
def test_compiled_and_plain_leave_the_same_bytes(
    rack: Both[Rack], put: int, take: int, weight_g: float
) -> None:
    rack.update(put, take, weight_g)
    assert rack.tag.before == 7, "no neighbour is touched"
    assert (rack.tag.items[take].id, rack.tag.items[take].on) == (0, False)


def test_every_tag_has_a_name_a_place_and_its_default() -> None:
    paths = [path for path, _ in leaves(Rack)]
    assert paths[:4] == ["before", "items.0.id", "items.0.on", "items.0.weight_g"]
    assert len(paths) == 2 + 3 * (COUNT + 1)
    image = Image(Layout({"left": Rack, "right": Rack}))
    for n in range(COUNT):
        leaf = image.layout.find(f"right.items.{n}.weight_g")
        assert image.read(leaf) == 2.5
        image.write(leaf, float(n))
    assert image.array("right")["items"]["weight_g"].tolist() == [[0.0, 1.0, 2.0, 3.0, 4.0]]
    assert image.array("left")["items"]["weight_g"].tolist() == [[2.5] * COUNT]
    start, size = image.layout.place("left.items.3")
    assert size == Item.dtype.itemsize
    assert image.layout.find("left.items.3.id").offset == start + find(Item, "id").offset


@pytest.mark.parametrize("path", ["items", "items.0", "items.5.id", "items.-1.id", "items.x.id"])
def test_what_is_no_tag_of_an_array_is_refused(path: str) -> None:
    with pytest.raises(KeyError):
        find(Rack, path)


@pytest.mark.parametrize("count", [0, -1])
def test_array_without_a_length_is_refused(count: int) -> None:
    with pytest.raises(DeclarationError, match=r"items: an array is of records"):
        type("Bad", (Record,), _declared(Array[Item], array(count)))


def test_array_of_numbers_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"items: an array is of records"):
        type("Bad", (Record,), _declared(Array[float], array(3)))  # type: ignore[type-var]


def _declared(kind: Any, value: Any) -> dict[str, Any]:
    return {"__module__": __name__, "__annotations__": {"items": kind}, "items": value}
