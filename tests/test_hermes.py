"""Hermes' handover states against the standard's table, entered here by hand, and `transitions`."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numba
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellrt.compiled import STRICT
from cellrt.handover import GIVING_BITS, HERMES, TAKING_BITS, Link, Signal, hermes_next
from cellrt.statemachine import STAY

# IPC-HERMES-9852: state; what the upstream machine may send; what the downstream machine may send.
TABLE = """
NotConnected                   | | ServiceDescription:ServiceDescriptionDownstream
ServiceDescriptionDownstream   | ServiceDescription:NotAvailableNotReady |
NotAvailableNotReady           | BoardAvailable:BoardAvailable | MachineReady:MachineReady
BoardAvailable                 | RevokeBoardAvailable:NotAvailableNotReady | \
                                 MachineReady:AvailableAndReady
MachineReady                   | BoardAvailable:AvailableAndReady | \
                                 RevokeMachineReady:NotAvailableNotReady StartTransport:Transporting
AvailableAndReady              | RevokeBoardAvailable:MachineReady | \
                                 RevokeMachineReady:BoardAvailable StartTransport:Transporting
Transporting                   | TransportFinished:TransportFinished | StopTransport:TransportStopped
TransportStopped               | TransportFinished:NotAvailableNotReady |
TransportFinished              | | StopTransport:NotAvailableNotReady
"""


def squeezed(name: str) -> str:
    return name.replace("_", "").lower()


def read_table() -> dict[tuple[str, str], str]:
    """(state, signal) -> next state; the two service descriptions are told apart by their sender."""
    answers: dict[tuple[str, str], str] = {}
    for line in TABLE.strip().splitlines():
        state, upstream, downstream = (part.strip().lower() for part in line.split("|"))
        for sender, part in (("upstream", upstream), ("downstream", downstream)):
            for answer in part.split():
                signal, _, target = answer.partition(":")
                answers[state, sender * (signal == "servicedescription") + signal] = target
        if state != "notconnected":
            answers[state, "disconnect"] = "notconnected"
    return answers


STANDARD = read_table()
STATE = {squeezed(s.name): s for s in Link}

compiled_next = numba.njit(**STRICT)(hermes_next)


@pytest.mark.parametrize("step", [hermes_next, compiled_next], ids=["plain", "compiled"])
def test_every_state_and_signal_answers_as_the_standard_says(
    step: Callable[[int, int], int],
) -> None:
    answered = 0
    for state, signal in itertools.product(Link, Signal):
        target = STANDARD.get((squeezed(state.name), squeezed(signal.name)))
        expected = STAY if target is None else STATE[target]
        assert step(int(state), 1 << signal) == expected, (state.name, signal.name)
        answered += target is not None
    assert answered == len(STANDARD), "every row of the table was asked for"


def test_transporting_stop_and_finish_at_once_are_heard_one_after_the_other() -> None:
    both = 1 << Signal.STOP_TRANSPORT | 1 << Signal.TRANSPORT_FINISHED
    assert hermes_next(Link.TRANSPORTING, both) == Link.TRANSPORT_STOPPED
    assert hermes_next(Link.TRANSPORT_STOPPED, both) == Link.NOT_AVAILABLE_NOT_READY


def test_available_and_ready_start_is_heard_before_a_revocation() -> None:
    crossing = 1 << Signal.START_TRANSPORT | 1 << Signal.REVOKE_MACHINE_READY
    assert hermes_next(Link.AVAILABLE_AND_READY, crossing) == Link.TRANSPORTING


def test_downstream_is_done_with_a_transport_that_it_stopped_upstream_is_not() -> None:
    moving = {Link.TRANSPORTING, Link.TRANSPORT_FINISHED}
    assert {s for s in Link if TAKING_BITS >> s & 1} == moving
    assert {s for s in Link if GIVING_BITS >> s & 1} == moving | {Link.TRANSPORT_STOPPED}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(Signal), min_size=200, max_size=400))
def test_long_walks_reference_plain_and_compiled_stay_together(walk: list[Signal]) -> None:
    reference = HERMES.reference(Link.NOT_CONNECTED)
    plain = compiled = int(Link.NOT_CONNECTED)
    for signal in walk:
        reference.trigger(signal.name)
        plain = stay(plain, hermes_next(plain, 1 << signal))
        compiled = stay(compiled, compiled_next(compiled, 1 << signal))
        assert Link(plain).name == Link(compiled).name == reference.state


def stay(state: int, following: int) -> int:
    return state if following == STAY else following
