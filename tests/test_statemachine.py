"""State machines as data: dense tables, priorities, the reference and the diagram."""

from __future__ import annotations

from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellrt.compiled import lowest_set_bit
from cellrt.statemachine import STAY, StateMachine, fire


class Door(IntEnum):
    OPEN = 0
    CLOSED = 1
    LOCKED = 3


class Hand(IntEnum):
    ALARM = 0
    PUSH = 1
    TURN = 2


ROWS = (
    ((Door.CLOSED, Door.LOCKED), Hand.ALARM, Door.OPEN),
    ((Door.OPEN,), Hand.PUSH, Door.CLOSED),
    ((Door.CLOSED,), Hand.PUSH, Door.OPEN),
    ((Door.CLOSED,), Hand.TURN, Door.LOCKED),
    ((Door.LOCKED,), Hand.TURN, Door.CLOSED),
)
DOOR = StateMachine("Door", Door, Hand, ROWS)
ALLOW, NEXT = DOOR.allow(), DOOR.next()


def bits(*hands: Hand) -> int:
    return sum(1 << h for h in hands)


def test_trigger_that_a_state_does_not_name_leaves_it_alone() -> None:
    assert fire(ALLOW, NEXT, Door.OPEN, bits(Hand.TURN)) == STAY
    assert fire(ALLOW, NEXT, Door.OPEN, 0) == STAY


def test_simultaneous_triggers_the_lowest_bit_that_applies_wins() -> None:
    assert fire(ALLOW, NEXT, Door.CLOSED, bits(Hand.PUSH, Hand.TURN)) == Door.OPEN
    assert fire(ALLOW, NEXT, Door.LOCKED, bits(Hand.PUSH, Hand.TURN)) == Door.CLOSED
    assert fire(ALLOW, NEXT, Door.LOCKED, bits(*Hand)) == Door.OPEN


def test_number_between_two_states_answers_to_nothing() -> None:
    assert fire(ALLOW, NEXT, 2, bits(*Hand)) == STAY


def test_two_answers_to_one_trigger_are_refused() -> None:
    twice = StateMachine("Door", Door, Hand, (*ROWS, ((Door.OPEN,), Hand.PUSH, Door.LOCKED)))
    with pytest.raises(ValueError, match="Door: OPEN has two answers to PUSH"):
        twice.next()


def test_the_same_answer_given_twice_is_refused_too() -> None:
    with pytest.raises(ValueError, match="two answers"):
        StateMachine("Door", Door, Hand, (*ROWS, ROWS[1])).next()


def test_reference_takes_the_same_steps() -> None:
    reference = DOOR.reference(Door.OPEN)
    for hand in (Hand.TURN, Hand.PUSH, Hand.TURN, Hand.PUSH, Hand.ALARM):
        expected = fire(ALLOW, NEXT, Door[reference.state], bits(hand))
        reference.trigger(hand.name)
        assert expected in (STAY, Door[reference.state])


def test_diagram_has_a_line_for_every_transition() -> None:
    lines = DOOR.mermaid().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert "    LOCKED --> OPEN: ALARM" in lines
    assert len(lines) == 1 + 6


@given(st.integers(1, 2**62))
def test_lowest_set_bit_is_the_first_that_is_set(mask: int) -> None:
    assert mask >> lowest_set_bit(mask) & 1
    assert mask & ((1 << lowest_set_bit(mask)) - 1) == 0
