"""Automatic optical inspection of soldered boards: true defects, false calls and escapes."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import ClassVar

from cellrt.compiled import compiled
from cellrt.tags import Var
from cellrt.wire import DeviceMap
from hw_sim.belt import Board
from hw_sim.device import SimDevice
from hw_sim.points import WATCHDOG_NODES, bit, opcua_map, u32
from hw_sim.recipe import Recipe
from hw_sim.stage import STAGE_INPUTS, STAGE_OUTPUTS, Stage

LEAST_S, MORE_S = 12.0, 2.0
AGAIN_S = 3.5
"""A second look goes to the places called only; both together take at most 18 s."""
PARTS, MOST_PARTS = 300, 2000
GLARE_PPM = 50_000.0
PPM = 1e-6

MELTS_DEGC, LEAST_DEGC, MOST_DEGC = 217.0, 235.0, 250.0
LEAST_LIQUID_S, MOST_LIQUID_S = 45.0, 90.0
COLD_PPM, HOT_PPM, TORN_PPM = 10_000.0, 2_000.0, 50_000.0
"""Joints that are bad beyond the process window, and on boards printed twice or not to the end."""
VOLUME_FREE_PCT, VOLUME_PPM_A_PCT = 20.0, 100.0
OFFSET_FREE_UM, OFFSET_PPM_A_UM = 75.0, 20.0
"""Paste this far from nominal costs nothing, beyond it so much a part."""


class Draw(IntEnum):
    """Purposes of this device's draws; those of part n are 16 n further on."""

    TIME = 1
    DEFECT = 2
    ESCAPE = 3
    FALSE = 4
    AGAIN = 5


class Truth(IntEnum):
    """What is wrong with a part."""

    WELL = 0
    MISSING = 1
    SHIFTED = 2
    SOLDER = 3


DRAW_TIME, DRAW_DEFECT, DRAW_ESCAPE, DRAW_FALSE, DRAW_AGAIN = (int(d) for d in Draw)
WELL, MISSING, SHIFTED, SOLDER = (int(t) for t in Truth)


@compiled
def solder_ppm(board: Board, base_ppm: float) -> float:
    """How many of a million parts are soldered badly on such a board."""
    if board.prints == 0 or board.peak_degC < MELTS_DEGC:
        return 1e6
    offset_um = math.sqrt(board.offset_x_um**2 + board.offset_y_um**2)
    ppm = base_ppm
    ppm += VOLUME_PPM_A_PCT * max(0.0, abs(board.volume_pct - 100.0) - VOLUME_FREE_PCT)
    ppm += OFFSET_PPM_A_UM * max(0.0, offset_um - OFFSET_FREE_UM)
    if board.peak_degC < LEAST_DEGC or board.liquid_s < LEAST_LIQUID_S:
        ppm += COLD_PPM
    if board.peak_degC > MOST_DEGC or board.liquid_s > MOST_LIQUID_S:
        ppm += HOT_PPM
    return ppm + (TORN_PPM if board.defective else 0.0)


class Aoi(SimDevice):
    """Optical inspection machine.

    * A look takes 12 to 14 s and sees every part of the program. With `again` it goes with the side
      cameras to the places called by the first look, and takes 3.5 s.
    * A defect escapes both looks, or neither: 2 in 100 do. A false call is cleared by the second look
      9 times in 10. The same board looked at again gives the same calls.
    * Parts of the program that are not on the board are missing. A joint is bad by chance, and more
      often by too little or too much paste, by paste beside its pad, and outside the oven's window.
    """

    stage: Stage
    recipe: Recipe
    again: bool = Var(doc="the look to be started is a second one, at the calls of the first")
    second: bool = Var(doc="the look under way, or the last, is a second one")
    parts_setpoint: int = Var(PARTS, doc="parts in the program; 1 to 2000")
    parts: int = Var(PARTS, doc="parts in the program that the machine works by")

    defect_ppm: float = Var(150.0, doc="bad joints of a million parts, with nothing else amiss")
    false_ppm: float = Var(500.0, doc="false calls of a million good parts")
    escapes: float = Var(0.02, doc="share of defects that no look sees")
    cleared: float = Var(0.9, doc="share of false calls that the second look clears")
    glare: bool = Var(doc="fault: a lamp glares; false calls by the dozen, and none is cleared")

    calls: int = Var(doc="parts that the look takes for defective")
    calls_missing: int = Var(doc="of these, parts that are not there")
    calls_shifted: int = Var(doc="of these, parts beyond their tolerance")
    calls_solder: int = Var(doc="of these, bad joints")
    looks: int = Var(doc="1: the calls are a first look's; 2: a second one's")

    device_map: ClassVar[DeviceMap] = opcua_map(
        namespace="urn:hw-sim:aoi",
        inputs=(
            *STAGE_INPUTS,
            u32("calls", "Result.Calls"),
            u32("calls_missing", "Result.Missing"),
            u32("calls_shifted", "Result.Shifted"),
            u32("calls_solder", "Result.Solder"),
            u32("looks", "Result.Looks"),
            u32("parts", "Recipe.PartsActive"),
            bit("power_on", "PowerOn"),
            *WATCHDOG_NODES,
        ),
        outputs=(
            *STAGE_OUTPUTS,
            bit("again", "Look.Again"),
            u32("parts_setpoint", "Recipe.Parts"),
        ),
    )

    def work(self, live: bool) -> None:
        """Belt, settings, and the look under way."""
        stage = self.stage
        stage.convey(live, self.dt_s)
        well = 0 < self.parts_setpoint <= MOST_PARTS
        if self.recipe.offer(well, stage.left_s == 0.0):
            self.parts = self.parts_setpoint
        if stage.asked(live):
            self.second = self.again
            first_s = LEAST_S + MORE_S * self.draw_uniform(stage.belt.board.id, DRAW_TIME)
            stage.begin(AGAIN_S if self.second else first_s)
        if stage.look(live, self.dt_s):
            self.inspect(stage.belt.board)

    def carried(self) -> int:
        """A board on the belt."""
        return int(self.stage.belt.board.id != 0)

    def inspect(self, board: Board) -> None:
        """Every part: what is true of it, and what the look takes it for."""
        self.looks = 2 if self.second else 1
        self.calls, self.calls_missing, self.calls_shifted, self.calls_solder = 0, 0, 0, 0
        missing = max(board.missing, self.parts - board.placed)
        bad_ppm = solder_ppm(board, self.defect_ppm)
        board.defects = 0
        for part in range(self.parts):
            truth = self.truth(board, part, missing, bad_ppm)
            board.defects += truth != WELL
            if self.called(board.id, part, truth):
                self.calls += 1
                self.calls_missing += truth == MISSING
                self.calls_shifted += truth == SHIFTED
                self.calls_solder += truth in (SOLDER, WELL)

    def truth(self, board: Board, part: int, missing: int, bad_ppm: float) -> int:
        """What is wrong with a part; the first ones are the missing, then come the shifted."""
        if part < missing:
            return MISSING
        if part < missing + board.shifted:
            return SHIFTED
        bad = self.chance(board.id, part, DRAW_DEFECT) < bad_ppm * PPM
        return SOLDER if bad else WELL

    def called(self, board: int, part: int, truth: int) -> bool:
        """Whether the look takes a part for defective."""
        if truth != WELL:
            return self.chance(board, part, DRAW_ESCAPE) >= self.escapes
        false_ppm = GLARE_PPM if self.glare else self.false_ppm
        if self.chance(board, part, DRAW_FALSE) >= false_ppm * PPM:
            return False
        stays = self.glare or self.chance(board, part, DRAW_AGAIN) >= self.cleared
        return stays or not self.second

    def chance(self, board: int, part: int, purpose: int) -> float:
        """A draw of one part of a board."""
        return self.draw_uniform(board, 16 * part + purpose)
