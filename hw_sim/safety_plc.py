"""Safety PLC: e-stop, guards, local reset, and the power to cut every drive in the plant.

A model of what such a device does, not a safety function. The nodes under `Panel` exist only in the
simulation: they are a person's hands at the machine.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from cellrt.tags import Record, Var
from cellrt.wire import DeviceMap
from hw_sim.device import SimDevice
from hw_sim.points import WATCHDOG_NODES, bit, i32, opcua_map

RESET_LEAST_S, RESET_MOST_S = 0.35, 2.0


class FirstOut(IntEnum):
    """What cut the drives first."""

    NONE = 0
    ESTOP = 1
    GUARD = 2
    WATCHDOG = 3


NONE, ESTOP, GUARD, WATCHDOG = (int(f) for f in FirstOut)


class ResetButton(Record):
    """After ISO 13849-1: acts on release, when it was held neither too short nor too long."""

    pressed: bool = Var()
    held_s: float = Var(unit="s")

    def released(self, pressed: bool, dt_s: float) -> bool:
        """True in the scan of a release that counts."""
        let_go = self.pressed and not pressed
        counts = let_go and RESET_LEAST_S <= self.held_s <= RESET_MOST_S
        self.held_s = self.held_s + dt_s if pressed else 0.0
        self.pressed = pressed
        return counts


class SafetyPlc(SimDevice):
    """Safety PLC.

    * E-stop or an open guard cuts the drives until it is well again and the reset button, held 0.35
      to 2 s, is released. Everything well at power-up needs no reset.
    * A line whose heartbeat stands still gets no power, and gets it back when the heartbeat moves:
      that is no safety function and needs no reset.
    * What must run out, an oven's chain and fans, loses its power to an e-stop only.
    * The unattended key arms while all is well; an e-stop disarms it until the key is turned anew.
    """

    button: ResetButton
    latched: bool = Var(doc="an e-stop or guard waits for the reset")
    estop_latched: bool = Var(doc="an e-stop waits for the reset")
    key_seen: bool = Var()

    panel_estop_pressed: bool = Var(doc="a person's hand: the e-stop is pressed in")
    panel_guard_open: bool = Var(doc="a person's hand: a guard is open")
    panel_reset_pressed: bool = Var(doc="a person's hand: the reset button is down")
    panel_unattended_key: bool = Var(doc="a person's hand: the key is turned to unattended")
    warning_lamp: bool = Var(doc="the line is about to start by itself")

    estop_released: bool = Var(doc="no e-stop is pressed")
    guards_closed: bool = Var(doc="every guard is closed")
    drives_enabled: bool = Var(doc="drives, contactors and air have power")
    run_out_enabled: bool = Var(doc="what must run out has power")
    unattended_armed: bool = Var(doc="the line may restart by itself")
    guards_unbroken: bool = Var(doc="guards stayed closed since the key was turned")
    first_out: int = Var(doc="what cut the drives first: 0 none, 1 e-stop, 2 guard, 3 watchdog")

    device_map: ClassVar[DeviceMap] = opcua_map(
        namespace="urn:hw-sim:safety-plc",
        inputs=(
            bit("estop_released", "Safety.EStopReleased"),
            bit("guards_closed", "Safety.GuardsClosed"),
            bit("drives_enabled", "Safety.DrivesEnabled"),
            bit("unattended_armed", "Safety.UnattendedArmed"),
            bit("guards_unbroken", "Safety.GuardsUnbroken"),
            i32("first_out", "Safety.FirstOut"),
            *WATCHDOG_NODES,
        ),
        outputs=(
            bit("warning_lamp", "Lamp.Warning"),
            bit("panel_estop_pressed", "Panel.EStopPressed"),
            bit("panel_guard_open", "Panel.GuardOpen"),
            bit("panel_reset_pressed", "Panel.ResetPressed"),
            bit("panel_unattended_key", "Panel.UnattendedKey"),
        ),
    )

    def work(self, live: bool) -> None:
        """Inputs, reset, first-out, power. `live` here says that the line's heart beats."""
        self.estop_released = not self.panel_estop_pressed
        self.guards_closed = not self.panel_guard_open
        well = self.estop_released and self.guards_closed
        reset = self.button.released(self.panel_reset_pressed, self.dt_s)
        if not well:
            self.trip()
        elif reset:
            self.latched = False
            self.estop_latched = False
            self.first_out = NONE
        enabled = well and not self.latched and live
        if self.drives_enabled and not enabled and self.first_out == NONE:
            self.first_out = WATCHDOG
        self.drives_enabled = enabled
        self.estop_latched = self.estop_latched or not self.estop_released
        self.run_out_enabled = not self.estop_latched
        self.arm(well and not self.latched)

    def trip(self) -> None:
        """Latch, and name the first cause; an e-stop or a guard outranks a mere watchdog."""
        if not self.latched:
            self.first_out = GUARD if self.estop_released else ESTOP
        self.latched = True

    def arm(self, well: bool) -> None:
        """The key arms on being turned; the guards' record begins there."""
        turned = self.panel_unattended_key and not self.key_seen
        self.key_seen = self.panel_unattended_key
        if turned and well:
            self.unattended_armed = True
            self.guards_unbroken = True
        self.unattended_armed = (
            self.unattended_armed and self.panel_unattended_key and self.estop_released
        )
        self.guards_unbroken = self.guards_unbroken and self.unattended_armed and self.guards_closed
