"""The stage of an inspection machine: a belt with a stop, a scanner over it, and the looks taken there."""

from __future__ import annotations

from cellrt.tags import Record, Var
from hw_sim.belt import Belt
from hw_sim.device import Contactor, countdown
from hw_sim.points import bit, u32

STAGE_MM = 400.0
STAGE_MM_S = 200.0
ENTRY_MM = 30.0
STOP_MM = 350.0

STAGE_INPUTS = (
    bit("stage.at_entry", "Belt.AtEntry"),
    bit("stage.at_stop", "Belt.AtStop"),
    bit("stage.standing", "Belt.Standing"),
    u32("stage.barcode", "Scanner.Barcode"),
    u32("stage.looked", "Result.Board"),
    bit("stage.busy", "Look.Busy"),
    bit("stage.heard", "Look.Heard"),
    bit("stage.done", "Look.Done"),
    bit("stage.fault", "Look.Fault"),
    u32("recipe.active", "Recipe.Active"),
    u32("recipe.version_active", "Recipe.VersionActive"),
    bit("recipe.refused", "Recipe.Refused"),
)
STAGE_OUTPUTS = (
    bit("stage.run", "Belt.Run"),
    bit("stage.look_start", "Look.Start"),
    u32("recipe.number", "Recipe.Number"),
    u32("recipe.version", "Recipe.Version"),
)
"""Nodes of a machine's `stage` and of its `recipe`."""


class Stage(Record):
    """A board is looked at where it stands, without a clamp; looking takes nothing from it.

    * A look begins on the rising edge of `look_start` and goes on by itself. It needs a board that
      stands at the stop; otherwise the start is refused with `fault`. Another start begins anew.
    * A board that moves, loss of power or of the heartbeat ends it with `fault`, without a result.
    * A result stands until the board leaves or the next look begins.
    """

    belt: Belt
    motor: Contactor
    start: Contactor
    left_s: float = Var(unit="s", doc="of the look under way")
    hangs: bool = Var(doc="fault: a look never ends")
    smeared: bool = Var(doc="fault: the scanner reads no barcode")

    run: bool = Var(doc="belt motor")
    look_start: bool = Var(doc="rising edge: one look")
    at_entry: bool = Var(doc="light barrier 30 mm from the belt's beginning")
    at_stop: bool = Var(doc="light barrier at the stop")
    standing: bool = Var(doc="the belt stands")
    barcode: int = Var(doc="id of the board at the stop; 0 none")
    heard: bool = Var(doc="look_start, as the machine has it: off before the next edge can count")
    busy: bool = Var(doc="a look is under way")
    done: bool = Var(doc="a look ended well; until the board leaves or another begins")
    fault: bool = Var(doc="a start was refused or a look cut short; until look_start is off")
    looked: int = Var(doc="id of the board that the result is of, as it was scanned")

    def convey(self, live: bool, dt_s: float) -> None:
        """Belt and its sensors."""
        self.belt.stand_in_the_way(self.at_stop, dt_s)
        self.belt.move(self.motor.obey(self.run, live), STAGE_MM_S, STAGE_MM, dt_s)
        self.at_entry = self.belt.sees(ENTRY_MM)
        self.at_stop = self.belt.sees(STOP_MM)
        self.standing = self.belt.speed_mm_s == 0.0
        self.barcode = 0 if self.smeared else self.belt.read(STOP_MM)
        self.done = self.done and self.at_stop

    def asked(self, live: bool) -> bool:
        """True in the scan in which a look is to begin."""
        self.heard = self.look_start
        self.start.obey(self.look_start, live)
        self.fault = self.fault and self.look_start
        if self.start.rose and not self.may_look():
            self.fault = True
        return self.start.rose and not self.fault

    def begin(self, takes_s: float) -> None:
        """A look that takes so long."""
        self.left_s = takes_s
        self.done = False

    def look(self, live: bool, dt_s: float) -> bool:
        """True in the scan in which a look ends well; what it saw is then to be put down."""
        ended = False
        if self.left_s > 0.0 and not (live and self.may_look()):
            self.left_s = 0.0
            self.fault = True
        elif self.left_s > 0.0 and not self.hangs:
            self.left_s = countdown(self.left_s, dt_s)
            ended = self.left_s == 0.0
        if ended:
            self.done = True
            self.looked = self.barcode
        self.busy = self.left_s > 0.0
        return ended

    def may_look(self) -> bool:
        """A board stands at the stop, and reaches over no end."""
        there = self.at_stop and self.belt.board.id != 0 and self.belt.overhang_mm == 0.0
        return there and self.standing
