"""Sequences: dense tables of steps, their limits, and what a sequence refuses."""

from __future__ import annotations

import pytest

from cellrt.cell import Cell
from cellrt.declared import rules
from cellrt.packml import Command
from cellrt.sequence import Sequence, Step
from cellrt.statemachine import STAY, fire
from cellrt.tags import DeclarationError, Input, Var


def test_step_goes_where_its_first_true_condition_leads() -> None:
    sequence = Sequence(
        Step("a", {"jam": "c", "done": "b"}, within_s=1.5),
        Step("b", {"done": "a"}),
        Step("c", {"jam": "c"}, within_s=0.001),
    )
    allow, next_, within_ns = sequence.tables()
    assert sequence.conditions == ("jam", "done")
    assert fire(allow, next_, 0, 0b11) == 2
    assert fire(allow, next_, 0, 0b10) == 1
    assert fire(allow, next_, 1, 0b11) == 0
    assert fire(allow, next_, 1, 0b01) == STAY
    assert list(within_ns) == [1_500_000_000, 0, 1_000_000]


def test_priority_that_contradicts_an_earlier_step_is_refused() -> None:
    sequence = Sequence(Step("a", {"x": "b", "y": "a"}), Step("b", {"y": "a", "x": "b"}))
    with pytest.raises(DeclarationError, match="'b': its conditions' priority contradicts"):
        sequence.tables()


def test_step_that_goes_nowhere_is_refused_with_the_steps_there_are() -> None:
    with pytest.raises(DeclarationError, match="'a' goes to 'z', which is no step; steps are a, b"):
        Sequence(Step("a", {"x": "z"}), Step("b"))


def test_two_steps_of_one_name_are_refused() -> None:
    with pytest.raises(DeclarationError, match="two steps of one name"):
        Sequence(Step("a"), Step("a"))


def test_more_conditions_than_an_int64_has_bits_are_refused() -> None:
    with pytest.raises(DeclarationError, match="at most 62"):
        Sequence(Step("a", {f"c{n}": "a" for n in range(63)}))


def test_diagram_begins_at_the_first_step() -> None:
    lines = Sequence(Step("a", {"x": "b"}), Step("b")).mermaid().splitlines()
    assert lines == ["stateDiagram-v2", "    [*] --> a", "    a --> b: x"]


def test_rules_are_interlocks_first_then_step_limits() -> None:
    class Timed(Cell):
        go: bool = Input()
        sequence = Sequence(
            Step("slow", {"go": "quick"}, within_s=2.5),
            Step("quick", {}, within_s=1.0, late=Command.HOLD),
        )

    assert rules(Timed) == ("inputs_good", "overrun", "slow within 2.5 s", "quick within 1 s")


def refused(complaint: str, **body: object) -> None:
    with pytest.raises(DeclarationError, match=complaint):
        type("Made", (Cell,), {"__module__": __name__, **body})


def test_condition_that_is_neither_tag_nor_method_is_refused() -> None:
    refused(
        "'nowhere' is neither a bool tag nor a method",
        sequence=Sequence(Step("a", {"nowhere": "a"})),
    )


def test_condition_that_is_a_number_is_refused() -> None:
    body = {"__annotations__": {"count": int}, "count": Var()}
    refused("'count' is a tag but no bool", sequence=Sequence(Step("a", {"count": "a"})), **body)


@pytest.mark.parametrize("name", ["scan", "guards"])
def test_step_with_the_name_of_a_method_of_every_cell_is_refused(name: str) -> None:
    refused(rf"every cell has a {name}\(\) already", sequence=Sequence(Step(name)))


def test_method_with_the_name_of_a_generated_one_is_refused() -> None:
    refused(r"every cell has a guards\(\) already", guards=lambda self: 0)


@pytest.mark.parametrize("name", ["held", "execute", "now_ns"])
def test_step_with_the_name_of_a_state_or_tag_is_refused(name: str) -> None:
    refused("has the name of a tag or a PackML state", sequence=Sequence(Step(name)))
