"""Solder-paste inspection: measures what the printer put on a board, and judges it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from cellrt import (
    Array,
    Cause,
    Command,
    Input,
    Interlock,
    Output,
    Parameter,
    Record,
    Result,
    Sequence,
    Step,
    Var,
    always,
    array,
    compiled,
    to,
)
from cellrt.blocks import DIV
from cells.inspection import UNHOLDING, Inspection
from cells.work import MEASURED

GROUPS = 8
WIRE_UM = 0.05


class Verdict(IntEnum):
    """What the paste on a board is worth. A warned board is good, and somebody should know."""

    NONE = 0
    PASS = 1
    WARN = 2
    FAIL = 3


PASS, WARN, FAIL = (int(v) for v in (Verdict.PASS, Verdict.WARN, Verdict.FAIL))


class Group(Record):
    """What the machine measured of a group of pads: means."""

    volume_pct: float = Input(unit="%", low=0.0, high=500.0)
    height_um: float = Input(unit="um", low=0.0, high=1000.0)
    area_pct: float = Input(unit="%", low=0.0, high=500.0)


@compiled
def used_pct(value: float, low: float, high: float) -> float:
    """How much of its tolerance a value uses up: 0 in the middle, 100 at either limit."""
    middle, half = (low + high) / 2.0, (high - low) / 2.0
    return DIV(100.0 * abs(value - middle), half, 1e6)


class Spi(Inspection):
    """Measures each printed board once, and judges it here.

    The machine only measures: the limits are this cell's parameters, so that they are versioned with
    the recipe, every change is in the journal, and a replay judges again. 80 to 120 % of volume hold for
    the mean of each group of pads; a single pad (sigma 8 %) is given more.

    * A board fails when anything is beyond its limits; without paste, or printed twice, it is. It stays
      on the line's route: the reject conveyor takes it off.
    * Beyond `warn_pct` of a tolerance the board is good, and `verdict` says Warn.
    * After `fails_most` failures in a row the cell holds until somebody unholds or resets it.
    """

    groups: Array[Group] = array(GROUPS)
    offset_x_um: float = Input(unit="um", low=-500.0, high=500.0)
    offset_y_um: float = Input(unit="um", low=-500.0, high=500.0)
    theta_mdeg: float = Input(unit="mdeg", low=-500.0, high=500.0)
    volume_pct: float = Input(unit="%", low=0.0, high=500.0, doc="mean of all pads")
    height_um: float = Input(unit="um", low=0.0, high=1000.0, doc="mean of all pads")
    area_pct: float = Input(unit="%", low=0.0, high=500.0, doc="mean of all pads")
    least_pct: float = Input(unit="%", low=0.0, high=1000.0, doc="volume of the emptiest pad")
    most_pct: float = Input(unit="%", low=0.0, high=1000.0, doc="volume of the fullest pad")
    stencil_um: float = Input(unit="um", low=0.0, high=500.0, doc="as the machine has it")

    stencil_setpoint_um: float = Output(safe=always(to(0.0)), unit="um", low=0.0, high=500.0)

    stencil_um_wanted: float = Parameter(120.0, unit="um", low=80.0, high=200.0, recipe=True)
    volume_least_pct: float = Parameter(80.0, unit="%", low=0.0, high=200.0, recipe=True)
    volume_most_pct: float = Parameter(120.0, unit="%", low=0.0, high=200.0, recipe=True)
    pad_least_pct: float = Parameter(40.0, unit="%", low=0.0, high=300.0, recipe=True)
    pad_most_pct: float = Parameter(160.0, unit="%", low=0.0, high=300.0, recipe=True)
    height_least_um: float = Parameter(90.0, unit="um", low=0.0, high=500.0, recipe=True)
    height_most_um: float = Parameter(150.0, unit="um", low=0.0, high=500.0, recipe=True)
    area_least_pct: float = Parameter(70.0, unit="%", low=0.0, high=200.0, recipe=True)
    area_most_pct: float = Parameter(130.0, unit="%", low=0.0, high=200.0, recipe=True)
    offset_most_um: float = Parameter(75.0, unit="um", low=1.0, high=500.0, recipe=True)
    theta_most_mdeg: float = Parameter(50.0, unit="mdeg", low=1.0, high=500.0, recipe=True)
    warn_pct: float = Parameter(70.0, unit="%", low=1.0, high=100.0, doc="of any tolerance")
    fails_most: int = Parameter(3, unit="boards", low=1, high=100)
    verdict: int = Var(retain=True, doc="spi.Verdict of the board measured last")
    used_up_pct: float = Var(retain=True, unit="%", doc="of the tolerance that it used up most")
    fails_in_row: int = Var(retain=True, doc="boards failed since the last good one")

    interlocks = (
        *Inspection.interlocks,
        Interlock("few_fails_in_row", Cause.NONE, Command.HOLD, only_running=True),
    )
    sequence = Sequence(
        Step(
            "empty",
            {"has_board": "judging", "transport_in": "filling", "transport_out": "emptying"},
        ),
        Step("filling", {"has_board": "judging", "none_came": "empty"}, within_s=20.0),
        Step("judging", {"done_with": "deliver", "ready_to_look": "looking"}, within_s=5.0),
        Step("looking", {"seen": "settling"}, within_s=20.0),
        Step("settling", {"done_with": "deliver"}, within_s=5.0),
        Step("deliver", {"transport_out": "emptying", "board_gone": "empty"}),
        Step("emptying", {"board_gone": "empty", "board_kept": "deliver"}, within_s=30.0),
    )

    @classmethod
    def unfit(cls, parameters: Mapping[str, bool | int | float]) -> str | None:
        """A tolerance whose limits leave nothing between them."""
        for what, unit in (("volume", "pct"), ("pad", "pct"), ("height", "um"), ("area", "pct")):
            least, most = f"{what}_least_{unit}", f"{what}_most_{unit}"
            if parameters[least] >= parameters[most]:
                return f"{least} must be less than {most}"
        return None

    def few_fails_in_row(self) -> bool:
        return self.fails_in_row < self.fails_most or self.unit.state == UNHOLDING

    def work_here(self) -> int:
        return MEASURED

    def work_complete(self) -> bool:
        return self.unit.step not in (LOOKING, SETTLING)

    def set_up(self) -> bool:
        well = abs(self.stencil_um - self.stencil_setpoint_um) <= WIRE_UM
        return well and self.recipe_verified()

    def count_anew(self) -> None:
        self.fails_in_row = 0

    def execute(self) -> None:
        self.stencil_setpoint_um = self.stencil_um_wanted
        self.tend(self.unit.step == DELIVER)

    def settling(self) -> None:
        """The verdict, once."""
        if self.settled() and self.board.work_done & MEASURED == 0:
            self.board.work_done |= MEASURED
            self.used_up_pct = self.most_used_pct()
            self.judge()

    def judge(self) -> None:
        """From the worst of all that was measured."""
        self.verdict = PASS
        if self.used_up_pct > 100.0:
            self.verdict = FAIL
        elif self.used_up_pct > self.warn_pct:
            self.verdict = WARN
        failed = self.verdict == FAIL
        self.fails_in_row = self.fails_in_row + 1 if failed else 0
        self.board.result = int(Result.FAILED if failed else Result.GOOD)

    def most_used_pct(self) -> float:
        """How much of any tolerance the board uses up, at most."""
        most = used_pct(self.offset_x_um, -self.offset_most_um, self.offset_most_um)
        most = max(most, used_pct(self.offset_y_um, -self.offset_most_um, self.offset_most_um))
        most = max(most, used_pct(self.theta_mdeg, -self.theta_most_mdeg, self.theta_most_mdeg))
        most = max(most, used_pct(self.least_pct, self.pad_least_pct, self.pad_most_pct))
        most = max(most, used_pct(self.most_pct, self.pad_least_pct, self.pad_most_pct))
        for n in range(GROUPS):
            most = max(most, self.group_used_pct(self.groups[n]))
        return most

    def group_used_pct(self, group: Group) -> float:
        """The same for one group of pads."""
        most = used_pct(group.volume_pct, self.volume_least_pct, self.volume_most_pct)
        most = max(most, used_pct(group.height_um, self.height_least_um, self.height_most_um))
        return max(most, used_pct(group.area_pct, self.area_least_pct, self.area_most_pct))


_STEPS = Spi.sequence.names
LOOKING, SETTLING, DELIVER = (_STEPS.index(s) for s in ("looking", "settling", "deliver"))
