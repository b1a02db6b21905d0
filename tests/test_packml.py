"""PackML against the standard's table, entered here by hand, and against `transitions`."""

from __future__ import annotations

import itertools

import numba
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellrt.compiled import STRICT
from cellrt.packml import (
    ACTING,
    AT_REST,
    CLEARED,
    PACKML,
    RUNNING,
    Command,
    Mode,
    State,
    Trigger,
    packml_next,
    trigger_of,
)
from cellrt.statemachine import STAY

# ISA-TR88.00.02 with OPC 30050's numbers: state, then what leads where. SC: the state's work is done.
TABLE = """
     1 Clearing      SC:Stopped        Abort:Aborting
     2 Stopped       Reset:Resetting   Abort:Aborting
     3 Starting      SC:Execute        Stop:Stopping  Abort:Aborting
     4 Idle          Start:Starting    Stop:Stopping  Abort:Aborting
     5 Suspended     Unsuspend:Unsuspending  Hold:Holding  Complete:Completing
                                       Stop:Stopping  Abort:Aborting
     6 Execute       Hold:Holding  Suspend:Suspending  Complete:Completing
                                       Stop:Stopping  Abort:Aborting
     7 Stopping      SC:Stopped        Abort:Aborting
     8 Aborting      SC:Aborted
     9 Aborted       Clear:Clearing
    10 Holding       SC:Held           Stop:Stopping  Abort:Aborting
    11 Held          Unhold:Unholding  Complete:Completing  Stop:Stopping  Abort:Aborting
    12 Unholding     SC:Execute        Stop:Stopping  Abort:Aborting
    13 Suspending    SC:Suspended      Stop:Stopping  Abort:Aborting
    14 Unsuspending  SC:Execute        Stop:Stopping  Abort:Aborting
    15 Resetting     SC:Idle           Stop:Stopping  Abort:Aborting
    16 Completing    SC:Complete       Stop:Stopping  Abort:Aborting
    17 Complete      Reset:Resetting   Stop:Stopping  Abort:Aborting
"""
STATES = {
    0: "UNDEFINED",
    1: "CLEARING",
    2: "STOPPED",
    3: "STARTING",
    4: "IDLE",
    5: "SUSPENDED",
    6: "EXECUTE",
    7: "STOPPING",
    8: "ABORTING",
    9: "ABORTED",
    10: "HOLDING",
    11: "HELD",
    12: "UNHOLDING",
    13: "SUSPENDING",
    14: "UNSUSPENDING",
    15: "RESETTING",
    16: "COMPLETING",
    17: "COMPLETE",
}
COMMANDS = {
    1: "RESET",
    2: "START",
    3: "STOP",
    4: "HOLD",
    5: "UNHOLD",
    6: "SUSPEND",
    7: "UNSUSPEND",
    8: "ABORT",
    9: "CLEAR",
    10: "COMPLETE",
}


def read_table() -> dict[tuple[str, str], str]:
    """(state, trigger) -> next state, in capitals."""
    answers: dict[tuple[str, str], str] = {}
    state = ""
    for word in TABLE.upper().split():
        if ":" in word:
            trigger, _, target = word.partition(":")
            answers[state, trigger] = target
        elif not word.isdigit():
            state = word
    return answers


STANDARD = read_table()
NUMBER = {name: number for number, name in STATES.items()}

compiled_next = numba.njit(**STRICT)(packml_next)


def test_states_and_commands_have_the_standards_numbers() -> None:
    assert {int(s): s.name for s in State} == STATES
    assert {int(c): c.name for c in Command} == COMMANDS
    assert [int(m) for m in (Mode.PRODUCTION, Mode.MAINTENANCE, Mode.MANUAL)] == [1, 2, 3]


@pytest.mark.parametrize("step", [packml_next, compiled_next], ids=["plain", "compiled"])
def test_every_state_and_command_answers_as_the_standard_says(step: object) -> None:
    assert callable(step)
    for state, trigger in itertools.product(State, [*(trigger_of(c) for c in Command), Trigger.SC]):
        expected = STANDARD.get((state.name, trigger.name))
        found = step(int(state), 1 << trigger)
        assert found == (NUMBER[expected] if expected else STAY), (state.name, trigger.name)


def test_every_trigger_at_once_abort_wins_then_stop() -> None:
    every = sum(1 << t for t in Trigger)
    for state in State:
        for without, winner in ((0, "ABORT"), (1 << Trigger.ABORT, "STOP")):
            if target := STANDARD.get((state.name, winner)):
                assert packml_next(int(state), every & ~without) == NUMBER[target]


def test_superstates_are_what_stop_and_abort_act_on() -> None:
    assert {s.name for s in RUNNING} == {s for s, t in STANDARD if t == "STOP"}
    assert {s.name for s in CLEARED} == {s for s, t in STANDARD if t == "ABORT"}
    assert {s.name for s in ACTING} == {s for s, t in STANDARD if t == "SC"}


def test_states_at_rest_end_only_on_a_command() -> None:
    assert {s.name for s in AT_REST} == {"UNDEFINED", "STOPPED", "IDLE", "COMPLETE", "ABORTED"}
    assert not set(AT_REST) & set(ACTING)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([*Trigger, Trigger.SC, Trigger.SC]), min_size=200, max_size=400))
def test_long_walks_reference_plain_and_compiled_stay_together(walk: list[Trigger]) -> None:
    reference = PACKML.reference(State.STOPPED)
    plain = compiled = int(State.STOPPED)
    for trigger in walk:
        reference.trigger(trigger.name)
        plain = stay(plain, packml_next(plain, 1 << trigger))
        compiled = stay(compiled, compiled_next(compiled, 1 << trigger))
        assert State(plain).name == State(compiled).name == reference.state


@given(st.sampled_from(State), st.integers(0, 2 ** len(Trigger) - 1))
def test_many_triggers_at_once_the_most_urgent_that_applies_wins(state: State, mask: int) -> None:
    asked = [t for t in Trigger if mask >> t & 1 and (state.name, t.name) in STANDARD]
    expected = NUMBER[STANDARD[state.name, min(asked).name]] if asked else STAY
    assert packml_next(int(state), mask) == expected
    assert compiled_next(int(state), mask) == expected


def stay(state: int, following: int) -> int:
    return state if following == STAY else following
