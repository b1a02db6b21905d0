"""What the line knows of its safety PLC. No safety function is here; the PLC cuts power by itself."""

from __future__ import annotations

from cellrt import Input, Output, always, to
from cells.machine import Guarded


class SafetyStation(Guarded):
    """Shows the safety PLC's status as tags and drives its warning lamp.

    * The lamp is lit for three seconds before this cell, and after it the line, goes into Execute.
    """

    drives_enabled: bool = Input(doc="the PLC gives power to drives, contactors and air")
    unattended_armed: bool = Input(doc="the key for restart by itself is turned")
    guards_unbroken: bool = Input(doc="guards stayed closed since the key was turned")
    safety_first_out: int = Input(doc="0 none, 1 e-stop, 2 guard, 3 watchdog")
    warning_lamp: bool = Output(safe=always(to(False)), doc="the line is about to start by itself")

    def starting(self) -> bool:
        """The warning comes before any machine of the line moves."""
        self.warning_lamp = self.now_ns - self.unit.state_since_ns < WARNING_NS
        return not self.warning_lamp

    def execute(self) -> None:
        self.warning_lamp = False


WARNING_NS = 3_000_000_000
