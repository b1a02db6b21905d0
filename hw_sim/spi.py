"""Solder-paste inspection: where the paste lies on a board, and how much of it there is."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from cellrt.tags import Array, Record, Var, array
from cellrt.wire import DeviceMap
from hw_sim.belt import Board
from hw_sim.device import SimDevice
from hw_sim.points import WATCHDOG_NODES, Points, bit, f64, opcua_map
from hw_sim.recipe import Recipe
from hw_sim.stage import STAGE_INPUTS, STAGE_OUTPUTS, Stage

LEAST_S, MORE_S = 8.0, 4.0
GAUGE_SIGMA_UM, GAUGE_SIGMA_MDEG = 1.0, 0.5
PAD_SIGMA = 0.08
"""Share of its volume by which a pad differs from the board's mean."""
AREA_SIGMA_PCT = 1.0
AREA_PCT_A_PCT = 0.4
"""More paste spreads: so much area for each % of volume."""
GROUPS, PADS = 8, 100
"""Pads are reported in groups of a hundred."""
STENCIL_UM = 120.0
LEAST_UM, MOST_UM = 80.0, 200.0


class Draw(IntEnum):
    """Purposes of this device's draws; each group's and then each pad's own follow the last."""

    TIME = 1
    OFFSET_X = 2
    OFFSET_Y = 3
    THETA = 4
    AREA = 10
    PAD = 100


DRAW_TIME, DRAW_X, DRAW_Y, DRAW_THETA, DRAW_AREA, DRAW_PAD = (int(d) for d in Draw)


class Group(Record):
    """What was measured of a hundred pads: means."""

    volume_pct: float = Var(unit="%", doc="mean volume of the group's pads, of the stencil's")
    height_um: float = Var(unit="um", doc="mean height of the group's pads")
    area_pct: float = Var(unit="%", doc="mean area of the group's pads, of the stencil's")


def _group(n: int) -> Points:
    return (
        f64(f"groups.{n}.volume_pct", f"Group{n}.Volume"),
        f64(f"groups.{n}.height_um", f"Group{n}.Height"),
        f64(f"groups.{n}.area_pct", f"Group{n}.Area"),
    )


class Spi(SimDevice):
    """Solder-paste inspection machine.

    * A look takes 8 to 12 s, and sees 800 pads in 8 groups. It reports and does not judge.
    * The same board measured again gives the same values.
    * Without paste on the pads offset and turn are 0.
    * Volume is told in % of what the apertures hold, by the stencil's thickness in the recipe.
    """

    stage: Stage
    recipe: Recipe
    stencil_setpoint_um: float = Var(STENCIL_UM, unit="um", doc="stencil's thickness; 80 to 200 um")
    stencil_um: float = Var(STENCIL_UM, unit="um", doc="thickness that the machine reckons with")
    groups: Array[Group] = array(GROUPS)
    offset_x_um: float = Var(unit="um", doc="of the paste against the pads")
    offset_y_um: float = Var(unit="um", doc="of the paste against the pads")
    theta_mdeg: float = Var(unit="mdeg", doc="the paste's turn against the pads")
    volume_pct: float = Var(unit="%", doc="mean of all pads")
    height_um: float = Var(unit="um", doc="mean of all pads")
    area_pct: float = Var(unit="%", doc="mean of all pads")
    least_pct: float = Var(unit="%", doc="volume of the pad that has least")
    most_pct: float = Var(unit="%", doc="volume of the pad that has most")

    device_map: ClassVar[DeviceMap] = opcua_map(
        namespace="urn:hw-sim:spi",
        inputs=(
            *STAGE_INPUTS,
            *(p for n in range(GROUPS) for p in _group(n)),
            f64("offset_x_um", "Result.OffsetX"),
            f64("offset_y_um", "Result.OffsetY"),
            f64("theta_mdeg", "Result.Theta"),
            f64("volume_pct", "Result.Volume"),
            f64("height_um", "Result.Height"),
            f64("area_pct", "Result.Area"),
            f64("least_pct", "Result.LeastVolume"),
            f64("most_pct", "Result.MostVolume"),
            f64("stencil_um", "Recipe.StencilActive"),
            bit("power_on", "PowerOn"),
            *WATCHDOG_NODES,
        ),
        outputs=(
            *STAGE_OUTPUTS,
            f64("stencil_setpoint_um", "Recipe.Stencil"),
        ),
    )

    def work(self, live: bool) -> None:
        """Belt, settings, and the look under way."""
        stage = self.stage
        stage.convey(live, self.dt_s)
        well = LEAST_UM <= self.stencil_setpoint_um <= MOST_UM
        if self.recipe.offer(well, stage.left_s == 0.0):
            self.stencil_um = self.stencil_setpoint_um
        if stage.asked(live):
            board = stage.belt.board.id
            stage.begin(LEAST_S + MORE_S * self.draw_uniform(board, DRAW_TIME))
        if stage.look(live, self.dt_s):
            self.measure(stage.belt.board)

    def carried(self) -> int:
        """A board on the belt."""
        return int(self.stage.belt.board.id != 0)

    def measure(self, board: Board) -> None:
        """All pads of a board, then their means, and where the paste lies as a whole."""
        self.volume_pct, self.height_um, self.area_pct = 0.0, 0.0, 0.0
        self.least_pct, self.most_pct = 1e3, 0.0
        for n in range(GROUPS):
            self.measure_group(board, n)
            self.volume_pct += self.groups[n].volume_pct / GROUPS
            self.height_um += self.groups[n].height_um / GROUPS
            self.area_pct += self.groups[n].area_pct / GROUPS
        seen = 1.0 if board.volume_pct > 0.0 else 0.0
        error_x_um = GAUGE_SIGMA_UM * self.draw_normal(board.id, DRAW_X)
        error_y_um = GAUGE_SIGMA_UM * self.draw_normal(board.id, DRAW_Y)
        error_mdeg = GAUGE_SIGMA_MDEG * self.draw_normal(board.id, DRAW_THETA)
        self.offset_x_um = seen * (board.offset_x_um + error_x_um)
        self.offset_y_um = seen * (board.offset_y_um + error_y_um)
        self.theta_mdeg = seen * (board.theta_mdeg + error_mdeg)

    def measure_group(self, board: Board, n: int) -> None:
        """One group's pads. More paste lies wider and higher."""
        total_pct, group = 0.0, self.groups[n]
        for pad in range(n * PADS, (n + 1) * PADS):
            deviation = PAD_SIGMA * self.draw_normal(board.id, DRAW_PAD + pad)
            pad_pct = board.volume_pct * max(0.0, 1.0 + deviation) * STENCIL_UM / self.stencil_um
            self.least_pct = min(self.least_pct, pad_pct)
            self.most_pct = max(self.most_pct, pad_pct)
            total_pct += pad_pct
        group.volume_pct = total_pct / PADS
        group.area_pct, group.height_um = 0.0, 0.0
        if group.volume_pct > 0.0:
            spread_pct = AREA_SIGMA_PCT * self.draw_normal(board.id, DRAW_AREA + n)
            spread_pct += AREA_PCT_A_PCT * (group.volume_pct - 100.0)
            group.area_pct = 100.0 + spread_pct
            group.height_um = self.stencil_um * group.volume_pct / group.area_pct
