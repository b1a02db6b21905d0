"""Record classes: their layout in memory, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from cellrt.image import Image, Layout
from cellrt.tags import DeclarationError, Field, Input, Parameter, Record, Role, Var, find, leaves
from cells.printer import Printer


class Axis(Record):
    homed: bool = Var()
    place_mm: float = Var(2.5, unit="mm", low=0.0, high=10.0)
    moves: int = Var(7, retain=True)


class Gantry(Record):
    busy: bool = Var()
    x: Axis
    wanted_mm: float = Parameter(1.0, unit="mm", low=0.0, high=10.0)
    y: Axis
    open: bool = Input()


class WideGantry(Gantry):
    z: Axis
    wanted_mm: float = Parameter(3.0, unit="mm")


def test_record_holds_words_before_bools_and_whole_words_only() -> None:
    fields = Gantry.dtype.fields
    assert fields is not None
    assert Axis.dtype.itemsize == 32
    assert [fields[n][1] for n in ("x", "wanted_mm", "y", "busy", "open")] == [8, 40, 48, 80, 81]
    assert Gantry.dtype.itemsize == 88


def test_two_types_with_the_same_tags_are_two_types() -> None:
    class Other(Record):
        homed: bool = Var()
        place_mm: float = Var(2.5)
        moves: int = Var(7)

    assert Other.dtype != Axis.dtype


def test_every_byte_of_every_tag_is_its_own() -> None:
    layout = Layout({"a": Printer, "b": Gantry, "c": Printer})
    taken: set[int] = set()
    for leaf in layout.tags():
        place = set(range(leaf.offset, leaf.offset + layout.place(leaf.path)[1]))
        assert not taken & place, leaf.path
        taken |= place


def test_zeros_have_the_declared_defaults_of_nested_records_too() -> None:
    record = Gantry.zeros()[0]
    assert (record["x"]["place_mm"], record["y"]["moves"], record["wanted_mm"]) == (2.5, 7, 1.0)


def test_subclass_inherits_tags_and_may_declare_one_anew() -> None:
    assert [p for p, _ in leaves(WideGantry)][-3:] == ["z.homed", "z.place_mm", "z.moves"]
    assert WideGantry.fields["wanted_mm"].default == 3.0
    assert Gantry.fields["wanted_mm"].default == 1.0


def test_find_gives_offset_and_declaration_of_a_dotted_path() -> None:
    leaf = find(Gantry, "y.moves")
    image = Image(Layout({"g": Gantry}))
    image.array("g")["y"]["moves"] = 1234
    assert leaf.field.retain and leaf.field.role is Role.VAR
    assert int(image.views.words[leaf.offset // 8]) == 1234
    assert image.read(image.layout.find("g.y.moves")) == 1234


@pytest.mark.parametrize("path", ["x.nowhere", "nowhere", "x", "g.x.homed"])
def test_find_of_what_is_no_scalar_tag_raises_key_error(path: str) -> None:
    with pytest.raises(KeyError):
        find(Gantry, path)


def declared(kind: object, value: object) -> None:
    """Make a record class of one tag."""
    type(
        "Made", (Record,), {"__annotations__": {"tag": kind}, "tag": value, "__module__": __name__}
    )


@pytest.mark.parametrize(
    ("kind", "value", "complaint"),
    [
        (str, Var(), "a tag is"),
        (np.int32, Var(), "a tag is"),
        (list[int], Var(), "a tag is"),
        (int, 5, "a tag is"),
        (int, Var(0.5), "is int but its default is 0.5"),
        (bool, Var(1), "is bool but its default is 1"),
        (float, Var(told=True), "is float and changes all the time"),
        (float, Var(True), "is float but its default is True"),
        (float, Var(11.0, high=10.0), r"11.0 is outside -inf\.\.10.0"),
    ],
)
def test_tag_that_no_image_can_hold_is_refused(kind: object, value: object, complaint: str) -> None:
    with pytest.raises(DeclarationError, match=complaint):
        declared(kind, value)


def test_tag_with_the_name_of_a_method_is_refused() -> None:
    with pytest.raises(DeclarationError, match="every record has a zeros already"):
        type(
            "Made",
            (Record,),
            {"__annotations__": {"zeros": int}, "zeros": Var(), "__module__": __name__},
        )


def test_field_that_holds_a_record_says_so() -> None:
    assert Gantry.fields["x"].is_record
    assert isinstance(Gantry.fields["busy"], Field) and not Gantry.fields["busy"].is_record
