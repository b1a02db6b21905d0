"""A cell's scan in virtual time, compiled and plain: interlocks, sequence, PackML and the causes."""

from __future__ import annotations

import pytest
from virtual_cell import VirtualCell

from cellrt.cell import POWER_UP_NS, Cell
from cellrt.interlock import Cause, Interlock, always, to
from cellrt.packml import Command, State, Unit
from cellrt.sequence import Sequence, Step
from cellrt.tags import Input, Output, Var


class Press(Cell):
    """Presses a part: ram down, ram up."""

    estop_released: bool = Input()
    water_flows: bool = Input()
    oil_enough: bool = Input()
    part: bool = Input()
    ram_down: bool = Input()
    ram_up: bool = Input()
    ram: bool = Output(safe=always(to(False)))
    entries: int = Var(doc="first scans of pressing")
    scans: int = Var(doc="scans in whatever state")
    busy: bool = Var(doc="a Stop waits for its end")

    interlocks = (
        Interlock("estop_released", Cause.ESTOP),
        Interlock("cooled", Cause.PROCESS, Command.STOP),
        Interlock("oil_enough", Cause.PROCESS, Command.HOLD, only_running=True),
    )
    sequence = Sequence(
        Step("waiting", {"part": "pressing"}),
        Step("pressing", {"ram_down": "lifting"}, within_s=2.0),
        Step("lifting", {"ram_up": "waiting"}, within_s=1.0, late=Command.HOLD),
    )

    def cooled(self) -> bool:
        return self.water_flows

    def always(self) -> None:
        self.scans += 1

    def execute(self) -> None:
        self.ram = False

    def pressing(self) -> None:
        self.ram = True
        self.entries += self.unit.step_entered

    def work_complete(self) -> bool:
        return not self.busy

    def clearing(self) -> bool:
        return self.now_ns - self.unit.state_since_ns >= 50_000_000


@pytest.fixture(params=["plain", "compiled"])
def press(request: pytest.FixtureRequest) -> VirtualCell:
    """A press in Stopped with everything well."""
    made = VirtualCell(Press, request.param == "compiled")
    made.scan(estop_released=True, water_flows=True, oil_enough=True)
    assert made.state is State.STOPPED
    return made


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_power_up_waits_for_the_devices_then_aborts_without_them(compiled: bool) -> None:
    press = VirtualCell(Press, compiled)
    press.cell.unit.io_good = False
    assert press.scan_for(POWER_UP_NS * 1e-9) is State.STOPPED and press.first_out == ""
    assert press.scan() is State.ABORTING and press.first_out == "inputs_good"


def test_power_up_inputs_once_seen_are_missed_at_once(press: VirtualCell) -> None:
    press.cell.unit.io_good = False
    assert press.scan() is State.ABORTING and press.first_out == "inputs_good"


def test_stopped_reset_and_start_lead_to_execute_a_state_a_scan(press: VirtualCell) -> None:
    path = [press.scan(Command.RESET), press.scan(), press.scan(Command.START), press.scan()]
    assert path == [State.RESETTING, State.IDLE, State.STARTING, State.EXECUTE]
    assert press.step == "waiting"
    assert press.cell.scans == 5


def test_command_is_forgotten_when_the_state_does_not_answer(press: VirtualCell) -> None:
    assert press.scan(Command.START) is State.STOPPED
    press.scan(Command.RESET)
    assert press.scan() is State.IDLE
    assert press.scan() is State.IDLE


def test_several_commands_in_one_scan_abort_before_stop_before_hold(press: VirtualCell) -> None:
    press.to_execute()
    assert press.scan(Command.HOLD, Command.STOP, Command.ABORT) is State.ABORTING
    press.cell.unit.state = int(State.EXECUTE)
    assert press.scan(Command.HOLD, Command.STOP) is State.STOPPING


def test_execute_estop_lost_aborts_and_names_the_cause_in_the_same_scan(press: VirtualCell) -> None:
    press.to_execute()
    assert press.scan(estop_released=False) is State.ABORTING
    assert press.first_out == "estop_released"
    assert press.cell.unit.cause == Cause.ESTOP
    assert press.cell.unit.cause_since_ns == press.cell.unit.state_since_ns
    assert press.scan() is State.ABORTED


def test_aborted_a_second_loss_does_not_take_the_first_ones_name(press: VirtualCell) -> None:
    press.scan(water_flows=False)
    press.scan(estop_released=False)
    assert press.first_out == "cooled"
    assert press.cell.unit.tripped == 0b0110
    assert press.cell.unit.cause == Cause.ESTOP, "the worst cause gates the outputs"


def test_two_lost_in_one_scan_the_first_declared_is_the_first_out(press: VirtualCell) -> None:
    press.cell.unit.io_good = False
    press.scan(estop_released=False)
    assert press.first_out == "inputs_good"


def test_condition_back_stays_latched_until_clear(press: VirtualCell) -> None:
    press.scan(estop_released=False)
    press.scan(estop_released=True)
    assert press.scan_for(1.0) is State.ABORTED
    assert press.first_out == "estop_released" and press.cell.unit.cause == Cause.ESTOP
    assert press.scan(Command.CLEAR) is State.CLEARING
    press.scan()
    assert press.first_out == "" and press.cell.unit.cause == Cause.PROCESS
    assert press.scan_for(0.1) is State.STOPPED
    assert press.cell.unit.cause == Cause.STOP


def test_aborted_clear_with_the_condition_still_lost_aborts_again(press: VirtualCell) -> None:
    press.scan(estop_released=False)
    press.scan()
    press.scan(Command.CLEAR)
    assert press.scan() is State.ABORTING
    assert press.first_out == "estop_released" and press.cell.unit.cause == Cause.ESTOP


def test_execute_inputs_stale_abort_for_lost_communication(press: VirtualCell) -> None:
    press.to_execute().cell.unit.io_good = False
    assert press.scan() is State.ABORTING
    assert (press.first_out, press.cell.unit.cause) == ("inputs_good", Cause.COMMS)


def test_interlock_with_stop_stops(press: VirtualCell) -> None:
    press.to_execute()
    assert press.scan(water_flows=False) is State.STOPPING
    assert press.scan() is State.STOPPED
    assert press.cell.unit.cause == Cause.PROCESS
    press.scan(Command.RESET, water_flows=True)
    assert press.scan() is State.IDLE and press.first_out == ""


def test_stopped_rule_for_running_states_only_is_not_looked_at(press: VirtualCell) -> None:
    press.scan(oil_enough=False)
    assert press.cell.unit.tripped == 0


def test_held_condition_back_forgets_the_interlock(press: VirtualCell) -> None:
    press.to_execute()
    press.scan(oil_enough=False)
    press.scan()
    assert press.scan() is State.HELD and press.first_out == "oil_enough"
    assert press.scan(oil_enough=True) is State.HELD and press.first_out == ""


def test_execute_interlock_with_hold_holds_until_unhold_with_the_condition_back(
    press: VirtualCell,
) -> None:
    press.to_execute()
    press.scan(oil_enough=False)
    assert press.scan() is State.HELD and press.cell.unit.cause == Cause.PROCESS
    press.scan(Command.UNHOLD)
    assert press.scan() is State.EXECUTE and press.cell.unit.cause == Cause.PROCESS
    assert press.scan() is State.HOLDING
    press.scan()
    press.scan(Command.UNHOLD, oil_enough=True)
    assert press.scan() is State.EXECUTE
    assert press.cell.unit.cause == Cause.NONE and press.first_out == ""


def test_idle_rule_lost_and_back_before_start_does_not_gate_execute(press: VirtualCell) -> None:
    press.scan(Command.RESET)
    press.scan()
    assert press.scan(oil_enough=False) is State.IDLE
    assert press.first_out == "oil_enough"
    press.scan(Command.START, oil_enough=True)
    assert press.scan() is State.EXECUTE
    assert press.cell.unit.cause == Cause.NONE


def test_step_too_late_trips_its_rule_by_name(press: VirtualCell) -> None:
    press.to_execute()
    press.scan(part=True)
    assert press.scan_for(2.0) is State.EXECUTE
    assert press.scan() is State.ABORTING
    assert (press.first_out, press.cell.unit.cause) == ("pressing within 2 s", Cause.PROCESS)


def test_step_too_late_with_hold_holds_and_gets_its_time_again(press: VirtualCell) -> None:
    press.to_execute()
    press.scan(part=True)
    press.scan(ram_down=True)
    assert press.step == "lifting"
    assert press.scan_for(1.05) is State.HELD
    assert press.first_out == "lifting within 1 s"
    press.scan(Command.UNHOLD)
    assert press.scan_for(1.0) is State.EXECUTE and press.first_out == ""


def test_held_unhold_returns_to_execute_in_the_same_step(press: VirtualCell) -> None:
    press.to_execute()
    press.scan(part=True)
    press.scan_for(0.5)
    assert press.cell.entries == 1
    press.scan(Command.HOLD)
    assert press.scan_for(60.0) is State.HELD and press.step == "pressing"
    press.scan(Command.UNHOLD)
    press.scan()
    assert press.scan_for(1.9) is State.EXECUTE, "the step's time began anew"
    assert press.step == "pressing" and press.cell.entries == 2


def test_start_begins_at_the_first_step(press: VirtualCell) -> None:
    press.to_execute()
    press.scan(part=True)
    press.scan(Command.STOP)
    assert press.scan() is State.STOPPED and press.step == "pressing"
    press.to_execute()
    assert press.step == "waiting"


def test_stopping_waits_for_the_work_but_not_for_ever(press: VirtualCell) -> None:
    press.to_execute().cell.busy = True
    press.scan(Command.STOP)
    assert press.scan_for(60.0) is State.STOPPING
    press.scan()
    assert press.scan() is State.STOPPED


class SlowPress(Press):
    """It may take ten minutes to end its work."""

    finish_s = 600.0


def test_stopping_waits_as_long_as_the_cell_needs() -> None:
    slow = VirtualCell(SlowPress, compiled=False)
    slow.scan(estop_released=True, water_flows=True, oil_enough=True)
    slow.to_execute().cell.busy = True
    slow.scan(Command.STOP)
    assert slow.scan_for(600.0) is State.STOPPING
    slow.scan()
    assert slow.scan() is State.STOPPED


def test_execute_complete_ends_the_work_then_is_complete(press: VirtualCell) -> None:
    press.to_execute().cell.busy = True
    press.scan(Command.COMPLETE)
    assert press.scan_for(1.0) is State.COMPLETING
    press.cell.busy = False
    assert press.scan() is State.COMPLETE
    assert press.cell.unit.cause == Cause.STOP
    assert press.scan(Command.RESET) is State.RESETTING


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        (State.UNDEFINED, Cause.STOP),
        (State.STOPPED, Cause.STOP),
        (State.IDLE, Cause.STOP),
        (State.COMPLETE, Cause.STOP),
        (State.ABORTED, Cause.PROCESS),
        (State.HELD, Cause.NONE),
    ],
)
def test_state_at_rest_gates_the_outputs(press: VirtualCell, state: State, cause: Cause) -> None:
    press.cell.unit.state = int(state)
    press.scan()
    assert press.cell.unit.cause == cause


def test_power_up_is_stopped() -> None:
    assert Unit.zeros()[0]["state"] == State.STOPPED
