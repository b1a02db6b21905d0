"""Solder-paste printer: belt, clamp, print, stencil wipe and kneading; paste comes on request."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from cellrt.tags import Var
from cellrt.wire import DeviceMap
from hw_sim.belt import Belt, Board
from hw_sim.device import Contactor, SimDevice, countdown
from hw_sim.paste import TORN, Paste
from hw_sim.points import bit, health_registers, i16, modbus_map, u16, u32
from hw_sim.recipe import Recipe
from hw_sim.squeegee import ALIGN, IDLE, STROKE, Clamp, Squeegee
from hw_sim.stock import Supply

BELT_MM = 400.0
BELT_MM_S = 200.0
ENTRY_MM = 30.0
STOP_MM = 350.0

ALIGN_S = 5.0
ALIGN_MORE_S = 1.0
"""The vision takes up to so much longer, board by board."""
WIPE_S = 25.0
KNEAD_S = 12.0
PRESSURE_TAU_S = 0.1
LEAST_PRESSURE_N, LEAST_MM_S, MOST_MM_S = 10.0, 10.0, 200.0

OFFSET_SIGMA_UM, THETA_SIGMA_MDEG = 5.0, 3.0
STROKE_BIAS_UM = 3.0
"""Front and rear stroke pull to opposite sides: 6 um apart."""
DRIFT_UM_K = 2.5
"""The frame grows with its temperature, which its own encoders do not see."""
AMBIENT_DEGC, WARM_DEGC, WARM_TAU_S = 22.0, 34.0, 3600.0

PASTE_PCT_A_PRINT = 0.8
LOW_PCT = 15.0


class Draw(IntEnum):
    """Purposes of this device's draws."""

    ALIGN = 1
    OFFSET_X = 2
    OFFSET_Y = 3
    THETA = 4
    VOLUME = 5


DRAW_ALIGN, DRAW_X, DRAW_Y, DRAW_THETA, DRAW_VOLUME = (int(d) for d in Draw)


class Printer(SimDevice):
    """Solder-paste printer.

    * A print needs a clamped board at the stop and usable settings, and no wipe or kneading under
      way; otherwise the start is refused with `fault`.
    * Started, it goes through by itself with the settings that it was started with: the vision
      aligns board and stencil, the squeegee strokes, the table lowers.
    * Loss of the clamp, of power or of the heartbeat ends it where it is. A board printed
      halfway, or twice, is scrap.
    * The volume falls from print to print until the stencil is wiped. Paste that lies still dries:
      kneading, a stroke to and fro with no board, mends two thirds of it, the next print the rest.
    * Paste comes on request. Between two prints a person scrapes off what is left on the stencil and
      puts the fresh one on.
    """

    belt: Belt
    motor: Contactor
    clamp_jaw: Clamp
    start: Contactor
    wipe: Contactor
    knead: Contactor
    squeegee: Squeegee
    paste: Paste
    supply: Supply
    recipe: Recipe
    wipe_left_s: float = Var(unit="s")
    knead_left_s: float = Var(unit="s")
    smeared: bool = Var(doc="fault: the scanner reads no barcode")

    belt_run: bool = Var(doc="belt motor")
    clamp: bool = Var(doc="clamp closed")
    print_start: bool = Var(doc="rising edge: one print, 14 to 16 s")
    wipe_start: bool = Var(doc="rising edge: one stencil wipe, 25 s")
    knead_start: bool = Var(doc="rising edge: the paste is kneaded once, 12 s")
    pressure_setpoint_N: float = Var(80.0, unit="N", doc="of the squeegee; at least 10 N")
    stroke_speed_mm_s: float = Var(60.0, unit="mm/s", doc="of the squeegee; 10 to 200 mm/s")
    correction_x_um: float = Var(unit="um", doc="added to where the paste goes")
    correction_y_um: float = Var(unit="um", doc="added to where the paste goes")

    board_at_entry: bool = Var(doc="light barrier 30 mm from the belt's beginning")
    board_at_stop: bool = Var(doc="light barrier at the printing place")
    clamped: bool = Var(doc="clamp is closed")
    unclamped: bool = Var(True, doc="clamp is open")
    printing: bool = Var(doc="a print is under way")
    print_done: bool = Var(doc="the print ended well; until unclamped or started again")
    wiping: bool = Var(doc="a wipe is under way")
    kneading: bool = Var(doc="the paste is being kneaded")
    rear: bool = Var(doc="the next stroke, or the one under way, goes from the rear to the front")
    paste_low: bool = Var(doc="paste under 15 %")
    fault: bool = Var(doc="a start was refused or a print cut short; until print_start is off")
    pressure_N: float = Var(unit="N", doc="squeegee pressure")
    stroke_mm: float = Var(unit="mm", doc="place of the squeegee, from the front")
    offset_x_um: float = Var(unit="um", doc="of the last print, by the machine's own encoders")
    offset_y_um: float = Var(unit="um", doc="of the last print, by the machine's own encoders")
    paste_pct: float = Var(100.0, unit="%", doc="paste on the stencil")
    temperature_degC: float = Var(AMBIENT_DEGC, unit="degC", doc="of the frame")
    barcode: int = Var(doc="id of the board at the stop; 0 none")
    prints_since_wipe: int = Var(doc="prints since the last full wipe")
    wipes: int = Var(doc="full wipes since power-up")
    pressure_set_N: float = Var(80.0, unit="N", doc="pressure that the machine has taken over")
    speed_set_mm_s: float = Var(60.0, unit="mm/s", doc="speed that the machine has taken over")

    device_map: ClassVar[DeviceMap] = modbus_map(
        inputs=(
            bit("board_at_entry", "discrete:0"),
            bit("board_at_stop", "discrete:1"),
            bit("clamped", "discrete:2"),
            bit("unclamped", "discrete:3"),
            bit("printing", "discrete:4"),
            bit("print_done", "discrete:5"),
            bit("wiping", "discrete:6"),
            bit("paste_low", "discrete:7"),
            bit("fault", "discrete:8"),
            *health_registers(9, 20),
            bit("kneading", "discrete:11"),
            bit("rear", "discrete:12"),
            bit("recipe.refused", "discrete:13"),
            u16("pressure_N", "input:10", 0.1),
            u16("stroke_mm", "input:11", 0.1),
            i16("offset_x_um", "input:12", 0.1),
            i16("offset_y_um", "input:13", 0.1),
            u16("paste_pct", "input:14", 0.1),
            i16("temperature_degC", "input:15", 0.1),
            u32("barcode", "input:16"),
            u16("prints_since_wipe", "input:18"),
            u16("wipes", "input:19"),
            u16("paste.pause_s", "input:22"),
            u16("pressure_set_N", "input:23", 0.1),
            u16("speed_set_mm_s", "input:24", 0.1),
            u16("recipe.active", "input:25"),
            u16("recipe.version_active", "input:26"),
            u16("paste.number", "input:27"),
            u32("paste.age_s", "input:28"),
            bit("supply.supplied", "discrete:14"),
        ),
        outputs=(
            bit("belt_run", "coil:0"),
            bit("clamp", "coil:1"),
            bit("print_start", "coil:2"),
            bit("wipe_start", "coil:3"),
            u16("pressure_setpoint_N", "holding:1", 0.1),
            u16("stroke_speed_mm_s", "holding:2", 0.1),
            i16("correction_x_um", "holding:3", 0.1),
            i16("correction_y_um", "holding:4", 0.1),
            bit("knead_start", "coil:4"),
            u16("recipe.number", "holding:5"),
            u16("recipe.version", "holding:6"),
            u16("supply.asked", "holding:7"),
        ),
    )

    def work(self, live: bool) -> None:
        """Belt and clamp, print, wipe, paste and heat, then the sensors."""
        self.clamp_jaw.update(self.clamp, live, self.dt_s)
        self.belt.held = self.clamp_jaw.closed > 0.0
        self.belt.move(self.motor.obey(self.belt_run, live), BELT_MM_S, BELT_MM, self.dt_s)
        self.start.obey(self.print_start, live)
        self.wipe.obey(self.wipe_start, live)
        self.knead.obey(self.knead_start, live)
        self.sense()
        if self.recipe.offer(self.settings_well(), self.squeegee.phase == IDLE):
            self.pressure_set_N = self.pressure_setpoint_N
            self.speed_set_mm_s = self.stroke_speed_mm_s
        self.fault = self.fault and self.print_start
        if self.start.rose:
            self.begin_print()
        if self.squeegee.phase != IDLE:
            self.print_on(live and self.clamped)
        self.wipe_on(live)
        self.knead_on(live)
        self.use_up()
        self.show()

    def carried(self) -> int:
        """A board on the belt."""
        return int(self.belt.board.id != 0)

    def sense(self) -> None:
        """Sensors of belt and clamp."""
        self.board_at_entry = self.belt.sees(ENTRY_MM)
        self.board_at_stop = self.belt.sees(STOP_MM)
        self.clamped = self.clamp_jaw.closed >= 1.0
        self.unclamped = self.clamp_jaw.closed == 0.0
        self.barcode = 0 if self.smeared else self.belt.read(STOP_MM)
        self.print_done = self.print_done and not self.unclamped

    def settings_well(self) -> bool:
        """Settings sent are within what the machine can do."""
        speed_well = LEAST_MM_S <= self.stroke_speed_mm_s <= MOST_MM_S
        return speed_well and self.pressure_setpoint_N >= LEAST_PRESSURE_N

    def begin_print(self) -> None:
        """Go by the settings sent, or refuse."""
        squeegee, board = self.squeegee, self.belt.board
        free = squeegee.phase == IDLE and self.wipe_left_s == 0.0 and self.knead_left_s == 0.0
        there = self.board_at_stop and board.id != 0 and self.belt.overhang_mm == 0.0
        if not (self.settings_well() and free and there and self.clamped):
            self.fault = True
            return
        self.print_done = False
        squeegee.begin(ALIGN_S + ALIGN_MORE_S * self.draw_uniform(board.id, DRAW_ALIGN))
        squeegee.speed_mm_s = self.stroke_speed_mm_s
        squeegee.pressure_N = self.pressure_setpoint_N
        squeegee.correction_x_um = self.correction_x_um
        squeegee.correction_y_um = self.correction_y_um

    def print_on(self, well: bool) -> None:
        """One scan of a print under way."""
        squeegee, board = self.squeegee, self.belt.board
        if not well:
            self.fault = True
            if squeegee.phase != ALIGN:
                board.defective = True
                board.volume_pct *= TORN * squeegee.stroked()
            squeegee.break_off()
        elif squeegee.go_on(self.dt_s):
            if squeegee.phase == STROKE:
                self.put_paste(board)
            self.print_done = squeegee.phase == IDLE

    def put_paste(self, board: Board) -> None:
        """The stroke begins: from here on the board has paste, where and how much is decided."""
        squeegee = self.squeegee
        board.defective = board.defective or board.prints > 0
        board.prints += 1
        board.printed_ns = self.now_ns
        bias_um = -STROKE_BIAS_UM if squeegee.rear else STROKE_BIAS_UM
        error_x_um = OFFSET_SIGMA_UM * self.draw_normal(board.id, DRAW_X)
        error_y_um = OFFSET_SIGMA_UM * self.draw_normal(board.id, DRAW_Y) + bias_um
        self.offset_x_um = squeegee.correction_x_um + error_x_um
        self.offset_y_um = squeegee.correction_y_um + error_y_um
        board.offset_x_um = self.offset_x_um + DRIFT_UM_K * (self.temperature_degC - AMBIENT_DEGC)
        board.offset_y_um = self.offset_y_um
        board.theta_mdeg = THETA_SIGMA_MDEG * self.draw_normal(board.id, DRAW_THETA)
        deviation = self.draw_normal(board.id, DRAW_VOLUME)
        self.paste.put(board, self.prints_since_wipe, squeegee.pressure_N, deviation)
        self.prints_since_wipe += 1
        self.paste_pct = max(0.0, self.paste_pct - PASTE_PCT_A_PRINT)

    def wipe_on(self, live: bool) -> None:
        """Between prints only; one that is cut short counts for nothing."""
        if self.wipe.rose and self.squeegee.phase == IDLE and self.knead_left_s == 0.0:
            self.wipe_left_s = WIPE_S
        elif not live:
            self.wipe_left_s = 0.0
        elif self.wipe_left_s > 0.0:
            self.wipe_left_s = countdown(self.wipe_left_s, self.dt_s)
            if self.wipe_left_s == 0.0:
                self.prints_since_wipe = 0
                self.wipes += 1
                self.paste.clogged = False

    def knead_on(self, live: bool) -> None:
        """Between prints and wipes only; one that is cut short counts for nothing."""
        free = self.squeegee.phase == IDLE and self.wipe_left_s == 0.0
        if self.knead.rose and free:
            self.knead_left_s = KNEAD_S
        elif not live:
            self.knead_left_s = 0.0
        elif self.knead_left_s > 0.0:
            self.knead_left_s = countdown(self.knead_left_s, self.dt_s)
            if self.knead_left_s == 0.0:
                self.paste.knead()

    def use_up(self) -> None:
        """Paste ages and runs low, and fresh one is brought; the frame warms up with the work."""
        printing = self.squeegee.phase != IDLE
        self.paste.age_s += self.dt_s
        if not printing:
            self.paste.rest(self.dt_s)
        free = not printing and self.wipe_left_s == 0.0 and self.knead_left_s == 0.0
        number = self.supply.bring(self.seed, 0, free, self.dt_s)
        if number != 0:
            self.paste.renew(number)
            self.paste_pct = 100.0
        self.paste_low = self.paste_pct < LOW_PCT
        towards_degC = WARM_DEGC if printing else AMBIENT_DEGC
        self.temperature_degC += (towards_degC - self.temperature_degC) * self.dt_s / WARM_TAU_S

    def show(self) -> None:
        """What the machine reports of its print."""
        squeegee = self.squeegee
        self.printing = squeegee.phase != IDLE
        self.wiping = self.wipe_left_s > 0.0
        self.kneading = self.knead_left_s > 0.0
        self.rear = squeegee.rear
        self.stroke_mm = squeegee.place_mm()
        wanted_N = squeegee.pressure_N if squeegee.phase == STROKE else 0.0
        self.pressure_N += (wanted_N - self.pressure_N) * min(1.0, self.dt_s / PRESSURE_TAU_S)
        if self.pressure_N < 1e-9:
            self.pressure_N = 0.0
