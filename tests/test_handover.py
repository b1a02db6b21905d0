"""Two conveyors pass boards on, whatever interrupts them, and none is lost or doubled."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_line import PlainLine, command, lead_to_execute
from two_conveyors import (
    BELT_MM,
    BOARD_MM,
    ENTRY_MM,
    EXIT_MM,
    MOVING,
    SIDES,
    STEP_MM,
    pair,
    plant,
    produce,
    transporting,
    until,
)

from cellrt.declared import rules
from cellrt.handover import Link, Transfer
from cellrt.packml import Command, State
from cells.conveyor import Conveyor

SPANNING_MM = BELT_MM + ENTRY_MM + STEP_MM
CLEAR_OF_UP_MM = BELT_MM + BOARD_MM + STEP_MM


def test_both_in_execute_boards_pass_in_order() -> None:
    p = plant()
    produce(p, 3)
    assert p.stored == [1, 2, 3]


@pytest.mark.parametrize("side", SIDES)
def test_transporting_abort_before_the_board_moved_ends_it_not_started(side: str) -> None:
    p = transporting()
    other = p.line["down" if side == "up" else "up"]
    command(p.line[side], Command.ABORT)
    until(p, lambda: p.line["joint"].state not in MOVING)
    assert p.line["up"].outfeed.says.transfer == Transfer.NOT_STARTED
    assert p.line["down"].infeed.says.transfer == Transfer.NOT_STARTED
    assert (p.line["up"].board.id, p.line["down"].board.id) == (1, 0)
    p.scan()
    assert other.unit.state == State.EXECUTE
    assert other.sequence.names[other.unit.step] == ("full" if side == "down" else "empty")
    produce(p, 1)


def test_second_transport_abort_before_the_board_moved_ends_it_not_started() -> None:
    p = plant()
    produce(p, 1)
    p.feed()
    until(p, lambda: p.line["joint"].state == Link.TRANSPORTING)
    command(p.line["up"], Command.ABORT)
    until(p, lambda: p.line["joint"].state not in MOVING)
    assert p.line["up"].board.id == 2


@pytest.mark.parametrize("side", SIDES)
def test_spanning_board_abort_is_held_by_both_and_goes_on_later(side: str) -> None:
    p = transporting(SPANNING_MM)
    command(p.line[side], Command.ABORT)
    for _ in range(3):
        p.scan()
    front = p.fronts[1]
    for _ in range(20):
        p.scan()
    assert p.fronts[1] == front and p.spanning()
    assert p.line["joint"].state == Link.TRANSPORTING
    assert p.line["up"].outfeed.says.transfer == Transfer.INCOMPLETE
    assert p.line["down"].infeed.says.transfer == Transfer.INCOMPLETE
    produce(p, 1)
    assert p.stored == [1]


def test_upstream_clear_then_abort_lets_downstream_take_the_board_alone() -> None:
    p = transporting(CLEAR_OF_UP_MM)
    p.scan()
    command(p.line["up"], Command.ABORT)
    until(p, lambda: p.line["down"].board.id == 1)
    p.scan()
    assert p.line["up"].unit.state == State.ABORTED
    assert p.line["up"].board.id == 0, "its record went with the board, whatever its state"
    assert p.line["joint"].state not in MOVING
    assert p.line["up"].outfeed.says.transfer == Transfer.COMPLETE


def test_board_lost_on_the_way_trips_the_step_limits_of_both() -> None:
    p = transporting(SPANNING_MM)
    p.take_away(1)
    down, up = p.line["down"], p.line["up"]
    until(p, lambda: down.unit.state == State.ABORTED)
    assert rules(Conveyor)[down.unit.first_out - 1] == "filling within 15 s"
    until(p, lambda: up.unit.state == State.ABORTED)
    assert rules(Conveyor)[up.unit.first_out - 1] == "emptying within 30 s"
    assert (up.board.id, down.board.id) == (1, 0), "until the downstream holds it, it is upstream's"
    p.put_back(1, EXIT_MM)
    produce(p, 1)
    assert p.stored == [1]


def test_downstream_exit_blocked_from_the_start_takes_nothing_over() -> None:
    p = transporting()
    p.blocked_mm.append(BELT_MM + EXIT_MM)
    for _ in range(3):
        p.scan()
    assert p.line["down"].infeed.says.transfer != Transfer.COMPLETE
    assert (p.line["up"].board.id, p.line["down"].board.id) == (1, 0)


def test_upstream_exit_blocked_after_the_board_left_keeps_it_from_asking_for_more() -> None:
    p = transporting(EXIT_MM + BOARD_MM - 2 * STEP_MM)
    p.blocked_mm.append(EXIT_MM)
    up = p.line["up"]
    until(p, lambda: up.board.id == 0)
    assert up.outfeed.moving() and not up.infeed.says.machine_ready
    until(p, lambda: up.unit.state == State.ABORTED, 700)
    assert rules(Conveyor)[up.unit.first_out - 1] == "emptying within 30 s"


def test_board_that_comes_round_again_is_a_board_like_any_other() -> None:
    p = plant()
    produce(p, 1)
    p.feed(board=1)
    p.scan()
    assert p.line["up"].board.id == 1
    produce(p, 2)
    assert p.stored == [1, 1]


def test_available_and_ready_offer_withdrawn_as_transport_starts_stays_withdrawn() -> None:
    joint = PlainLine(pair())["joint"]
    joint.state = int(Link.AVAILABLE_AND_READY)
    joint.down.machine_ready = True
    joint.down.start_transport = True
    joint.scan()
    assert joint.state == Link.MACHINE_READY


def test_exit_blocked_again_after_the_transport_finished_still_gives_the_board_away() -> None:
    """A loader's pusher goes home while its board still travels: its exit is clear only for a moment."""
    p = transporting(EXIT_MM + BOARD_MM + 2 * STEP_MM)
    up, down = p.line["up"], p.line["down"]
    until(p, lambda: up.outfeed.state == Link.TRANSPORT_FINISHED)
    p.blocked_mm.append(EXIT_MM)
    until(p, lambda: down.board.id != 0, 700)
    until(p, lambda: up.board.id == 0, 5)


waits = st.one_of(st.integers(0, 80), st.sampled_from(["transporting", "spanning"]))
interruption = st.tuples(
    waits,
    st.sampled_from(SIDES),
    st.sampled_from([*Command, "estop", "flicker", "recover", "recover"]),
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(interruption, max_size=12),
    st.sampled_from([{}, {"up": 3}, {"down": 3}, {"up": 3, "down": 2}]),
)
def test_any_interruptions_lose_and_double_no_board(
    interruptions: list[tuple[Any, str, Any]], every: dict[str, int]
) -> None:
    p = plant(every)
    recovering = set(SIDES)
    for wait, side, what in interruptions:
        for _ in range(wait if isinstance(wait, int) else 150):
            if p.is_in(wait):
                break
            if p.fed < 3:
                p.feed()
            p.scan()
            for each in recovering:
                lead_to_execute(p.line[each])
        if what == "estop":
            p.line[side].estop_released ^= True
        elif what == "recover":
            recovering ^= {side}
        elif what == "flicker":
            p.blocked_mm = [] if p.blocked_mm else [EXIT_MM]
        else:
            command(p.line[side], what)
    p.blocked_mm = []
    for side in SIDES:
        p.line[side].estop_released = True
    produce(p, 3)
    assert p.stored == [1, 2, 3]
