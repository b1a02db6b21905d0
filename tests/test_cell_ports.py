"""A cell between its neighbours, in virtual time, compiled and plain: starved, blocked, transporting."""

from __future__ import annotations

import pytest
from virtual_cell import VirtualCell

from cellrt.handover import Link, Transfer
from cellrt.packml import Command, State
from cells.conveyor import Conveyor


@pytest.fixture(params=["plain", "compiled"])
def conveyor(request: pytest.FixtureRequest) -> VirtualCell:
    """A conveyor in Execute, empty, its neighbours silent."""
    made = VirtualCell(Conveyor, request.param == "compiled")
    made.cell.infeed.state = made.cell.outfeed.state = int(Link.NOT_AVAILABLE_NOT_READY)
    made.scan(estop_released=True, guards_closed=True)
    return made.to_execute()


def test_starved_for_30_s_is_suspended_and_comes_back_with_a_board(conveyor: VirtualCell) -> None:
    infeed = conveyor.cell.infeed
    infeed.state = int(Link.MACHINE_READY)
    assert conveyor.scan_for(30.0) is State.EXECUTE and conveyor.cell.unit.starved
    conveyor.scan()
    assert conveyor.scan_for(0.1) is State.SUSPENDED
    assert conveyor.scan_for(100.0) is State.SUSPENDED and infeed.says.machine_ready
    infeed.state = int(Link.AVAILABLE_AND_READY)
    assert conveyor.scan() is State.UNSUSPENDING
    assert conveyor.scan() is State.EXECUTE
    conveyor.scan()
    assert infeed.says.start_transport


def test_starved_a_board_now_and_then_never_suspends(conveyor: VirtualCell) -> None:
    for _ in range(3):
        conveyor.cell.infeed.state = int(Link.MACHINE_READY)
        assert conveyor.scan_for(29.9) is State.EXECUTE
        conveyor.cell.infeed.state = int(Link.NOT_AVAILABLE_NOT_READY)
        conveyor.scan()


def test_blocked_for_30_s_is_suspended_and_goes_on_offering(conveyor: VirtualCell) -> None:
    conveyor.cell.board.id = 5
    conveyor.cell.outfeed.state = int(Link.BOARD_AVAILABLE)
    assert conveyor.scan_for(31.0) is State.SUSPENDED and conveyor.cell.unit.blocked
    assert conveyor.cell.outfeed.says.board_available
    conveyor.cell.outfeed.state = int(Link.AVAILABLE_AND_READY)
    conveyor.scan()
    assert conveyor.scan() is State.EXECUTE


def begin_transport_in(conveyor: VirtualCell) -> None:
    """A board has come as far as the entry of the conveyor."""
    infeed = conveyor.cell.infeed
    infeed.state = int(Link.AVAILABLE_AND_READY)
    conveyor.scan()
    infeed.state = int(Link.TRANSPORTING)
    infeed.hears.board.id = 7
    infeed.hears.pushes = True
    conveyor.scan(board_at_entry=True)
    assert conveyor.cell.run and infeed.says.transfer == Transfer.INCOMPLETE


@pytest.mark.parametrize(
    ("command", "during", "after"),
    [
        (Command.STOP, State.STOPPING, State.STOPPED),
        (Command.HOLD, State.HOLDING, State.HELD),
        (Command.SUSPEND, State.SUSPENDING, State.SUSPENDED),
        (Command.COMPLETE, State.COMPLETING, State.COMPLETE),
    ],
)
def test_transport_under_way_is_finished_first(
    conveyor: VirtualCell, command: Command, during: State, after: State
) -> None:
    begin_transport_in(conveyor)
    conveyor.scan(command)
    assert conveyor.scan_for(2.0) is during and conveyor.cell.run
    conveyor.scan(board_at_exit=True)
    assert conveyor.cell.board.id == conveyor.cell.infeed.says.holds == 7
    assert not conveyor.cell.run
    conveyor.cell.infeed.state = int(Link.TRANSPORT_STOPPED)
    assert conveyor.scan() is after
    assert conveyor.cell.run == 0 and not conveyor.cell.infeed.says.machine_ready


def test_stopping_starts_no_transport(conveyor: VirtualCell) -> None:
    conveyor.scan()
    assert conveyor.cell.infeed.says.machine_ready
    assert conveyor.scan(Command.STOP) is State.STOPPING
    conveyor.cell.infeed.state = int(Link.AVAILABLE_AND_READY)
    conveyor.scan()
    assert not conveyor.cell.infeed.says.start_transport
    assert not conveyor.cell.infeed.says.machine_ready
