"""Somebody else's machine: a black box with SMEMA contacts at both ends and PackML tags."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from cellrt.packml import Command, State, Trigger, packml_next, trigger_of
from cellrt.statemachine import STAY
from cellrt.tags import Record, Var
from cellrt.wire import DeviceMap
from hw_sim.belt import Belt
from hw_sim.device import Contactor, SimDevice, countdown
from hw_sim.points import bit, i32, modbus_map, opcua_map, u16, u32

BELT_MM, BELT_MM_S, STOP_MM = 600.0, 200.0, 500.0
WORK_S = 9.0
ACTING_S = 0.5
"""How long each of its acting states takes."""
DRAW_FAIL = 1

EXECUTE, STOPPED = int(State.EXECUTE), int(State.STOPPED)
SC_BIT, ABORT_BIT = 1 << Trigger.SC, 1 << Trigger.ABORT
TRIGGERS = (0, *(1 << trigger_of(c) for c in Command))


class Phase(IntEnum):
    """Where its board is."""

    EMPTY = 0
    FILLING = 1
    WORKING = 2
    DONE = 3
    EMPTYING = 4


EMPTY, FILLING, WORKING, DONE, EMPTYING = (int(p) for p in Phase)


class Packml(Record):
    """The machine's own unit states (ISA-TR88.00.02); a command counts when its request rises."""

    state: int = Var(STOPPED)
    left_s: float = Var(ACTING_S, unit="s", doc="of the acting state")
    asked: bool = Var()

    def update(self, command: int, request: bool, fault: bool, dt_s: float) -> None:
        """One scan: the command, what is done, what went wrong."""
        rises, self.asked = request and not self.asked, request
        triggers = ABORT_BIT if fault else 0
        if rises and 0 < command < len(TRIGGERS):
            triggers |= TRIGGERS[command]
        self.left_s = countdown(self.left_s, dt_s)
        if self.left_s == 0.0:
            triggers |= SC_BIT
        following = packml_next(self.state, triggers)
        if following != STAY:
            self.state = following
            self.left_s = ACTING_S


class Foreign(SimDevice):
    """Somebody else's machine, of which nothing is known but its contacts and its PackML tags.

    * SMEMA (IPC-SMEMA-9851): it is ready until a board is wholly in; a board is available until it
      is wholly out. A failed board is available on the other contact.
    * It works in Execute only. A board on its way goes on when it executes again.
    * Its own fault, or the loss of power, aborts it.
    """

    belt: Belt
    motor: Contactor
    packml: Packml
    phase: int = Var(doc="Phase")
    left_s: float = Var(unit="s", doc="of the work on the board")
    fault: bool = Var(doc="a person's hand: something is wrong in the machine")
    fail_share: float = Var(0.02, low=0.0, high=1.0, doc="boards that it fails")

    upstream_available: bool = Var(doc="SMEMA: a board waits at its infeed")
    downstream_ready: bool = Var(doc="SMEMA: the machine behind it takes a board")
    command: int = Var(doc="PackML CntrlCmd")
    request: bool = Var(doc="PackML CmdChangeRequest")

    machine_ready: bool = Var(doc="SMEMA: it takes a board")
    board_available: bool = Var(doc="SMEMA: it has a good board to give")
    failed_available: bool = Var(doc="SMEMA: it has a failed board to give")
    state: int = Var(STOPPED, doc="PackML StateCurrent")

    device_map: ClassVar[DeviceMap] = opcua_map(
        namespace="urn:hw-sim:foreign",
        inputs=(
            bit("machine_ready", "Smema.MachineReady"),
            bit("board_available", "Smema.BoardAvailable"),
            bit("failed_available", "Smema.FailedBoardAvailable"),
            i32("state", "Status.StateCurrent"),
            u32("watchdog.trips", "Watchdog.Trips"),
            u32("watchdog.tripped_ms", "Watchdog.TrippedMs"),
        ),
        outputs=(
            bit("upstream_available", "Smema.UpstreamAvailable"),
            bit("downstream_ready", "Smema.DownstreamReady"),
            i32("command", "Command.CntrlCmd"),
            bit("request", "Command.CmdChangeRequest"),
        ),
    )

    def work(self, live: bool) -> None:
        """States, then the board, then the contacts."""
        self.packml.update(self.command, self.request, self.fault or not live, self.dt_s)
        self.state = self.packml.state
        runs = self.state == EXECUTE
        moving = runs and (self.phase == FILLING or self.phase == EMPTYING)
        self.belt.shut = self.phase != FILLING
        self.belt.move(self.motor.obey(moving, live), BELT_MM_S, BELT_MM, self.dt_s)
        if runs:
            self.go_on()
        self.machine_ready = runs and (self.phase == EMPTY or self.phase == FILLING)
        has = runs and (self.phase == DONE or self.phase == EMPTYING)
        self.board_available = has and not self.belt.board.defective and not self.is_failed()
        self.failed_available = has and not self.board_available

    def go_on(self) -> None:
        """One scan of the board's way through the machine."""
        here = self.belt.board.id != 0
        if self.phase == EMPTY and self.upstream_available:
            self.phase = FILLING
        elif self.phase == FILLING and here and self.belt.position_mm >= STOP_MM:
            self.phase, self.left_s = WORKING, WORK_S
        elif self.phase == FILLING and not here and not self.upstream_available:
            self.phase = EMPTY if self.belt.entry.overhang_mm == 0.0 else FILLING
        elif self.phase == WORKING:
            self.left_s = countdown(self.left_s, self.dt_s)
            if self.left_s == 0.0:
                self.phase = DONE
        elif self.phase == DONE and self.downstream_ready:
            self.phase = EMPTYING
        elif self.phase == EMPTYING and not here and self.belt.exit.tail_mm == 0.0:
            self.phase = EMPTY

    def is_failed(self) -> bool:
        """Its own judgement of the board."""
        return self.draw_uniform(self.belt.board.id, DRAW_FAIL) < self.fail_share

    def carried(self) -> int:
        """A board on the belt."""
        return int(self.belt.board.id != 0)


class ForeignModbus(Foreign):
    """The same machine with a Modbus interface."""

    device_map: ClassVar[DeviceMap] = modbus_map(
        inputs=(
            bit("machine_ready", "discrete:0"),
            bit("board_available", "discrete:1"),
            bit("failed_available", "discrete:2"),
            u16("state", "input:1"),
            u16("watchdog.trips", "input:20"),
            u16("watchdog.tripped_ms", "input:21"),
        ),
        outputs=(
            bit("upstream_available", "coil:0"),
            bit("downstream_ready", "coil:1"),
            u16("command", "holding:1"),
            bit("request", "coil:2"),
        ),
    )
