"""A cell made from another: what it inherits, adds and replaces, compiled and plain."""

from __future__ import annotations

import re
from typing import ClassVar

import pytest
from virtual_cell import VirtualCell

from cellrt.cell import Cell
from cellrt.check import findings
from cellrt.declared import rules
from cellrt.interlock import Cause, Interlock
from cellrt.packml import State
from cellrt.sequence import Sequence, Step
from cellrt.tags import DeclarationError, Input, Output, Parameter, Var, leaves


class Lifter(Cell):
    """Lifts, then lowers."""

    guard_closed: bool = Input()
    up: bool = Input()
    lift: bool = Output()
    weight_kg: float = Parameter(1.0, low=0.0, high=2.0)
    lifted: int = Var()

    interlocks: ClassVar[tuple[Interlock, ...]] = (Interlock("guard_closed", Cause.GUARD),)
    sequence = Sequence(Step("rising", {"up": "sinking"}), Step("sinking", {"down": "rising"}))

    def down(self) -> bool:
        return not self.up

    def execute(self) -> None:
        self.lift = False

    def rising(self) -> None:
        self.lift = True
        self.lifted += self.gain()

    def gain(self) -> int:
        return 1


class Tilter(Lifter):
    """Lifts, tilts, lowers; heavier things."""

    oil_enough: bool = Input()
    tilted: bool = Input()
    tilt: bool = Output()
    weight_kg: float = Parameter(5.0, low=0.0, high=10.0)

    interlocks = (*Lifter.interlocks, Interlock("oil_enough", Cause.PROCESS))
    sequence = Sequence(
        Step("rising", {"up": "tilting"}),
        Step("tilting", {"tilted": "sinking"}, within_s=1.0),
        Step("sinking", {"down": "rising"}),
    )

    def tilting(self) -> None:
        self.tilt = True

    def gain(self) -> int:
        return 10


@pytest.fixture(params=["plain", "compiled"])
def tilter(request: pytest.FixtureRequest) -> VirtualCell:
    made = VirtualCell(Tilter, request.param == "compiled")
    made.scan(guard_closed=True, oil_enough=True)
    return made.to_execute()


def test_inherits_tags_rules_and_conditions_before_its_own() -> None:
    tags = [path for path, _ in leaves(Tilter)]
    assert tags.index("lifted") < tags.index("oil_enough")
    own = "guard_closed", "oil_enough"
    assert rules(Tilter) == ("inputs_good", *own, "overrun", "tilting within 1 s")
    assert rules(Lifter) == ("inputs_good", "guard_closed", "overrun")


def test_redeclared_parameter_has_its_own_default_and_range() -> None:
    assert [c.zeros()[0]["weight_kg"] for c in (Lifter, Tilter)] == [1.0, 5.0]
    assert (Lifter.fields["weight_kg"].high, Tilter.fields["weight_kg"].high) == (2.0, 10.0)


def test_execute_goes_by_its_own_sequence_with_inherited_actions(tilter: VirtualCell) -> None:
    tilter.scan()
    assert tilter.cell.lift and tilter.step == "rising"
    tilter.scan(up=True)
    assert tilter.step == "tilting"
    tilter.scan()
    assert tilter.cell.tilt and not tilter.cell.lift
    tilter.scan(tilted=True)
    assert tilter.step == "sinking"
    tilter.scan(up=False)
    assert tilter.step == "rising"


def test_inherited_action_calls_the_methods_that_replace_its_own(tilter: VirtualCell) -> None:
    lifted = tilter.cell.lifted
    tilter.scan()
    assert tilter.cell.lifted == lifted + 10


@pytest.mark.parametrize("lost", ["guard_closed", "oil_enough"])
def test_execute_loses_an_inherited_or_own_rule_and_names_it(
    tilter: VirtualCell, lost: str
) -> None:
    assert tilter.scan(**{lost: False}) is State.ABORTING
    assert tilter.first_out == lost


def test_both_can_stand_in_one_process_compiled() -> None:
    lifter = VirtualCell(Lifter, compiled=True)
    lifter.scan(guard_closed=True)
    lifter.to_execute().scan(up=True)
    assert lifter.step == "sinking" and lifter.cell.lifted == 1


def test_step_with_a_name_that_every_cell_has_is_refused_in_a_grandchild_too() -> None:
    with pytest.raises(DeclarationError, match=re.escape("every cell has a scan() already")):
        type("Odd", (Tilter,), {"sequence": Sequence(Step("scan")), "__module__": __name__})


def test_check_of_a_heir_reads_what_it_inherits() -> None:
    class Wrong(Cell):
        """Divides by what may be 0."""

        level: float = Input()

        def execute(self) -> None:
            self.level = 1.0 / self.level

    class Heir(Wrong):
        """Inherits the fault."""

    (finding,) = findings(Heir)
    assert (finding,) == tuple(findings(Wrong)) and "may be 0" in finding.message
