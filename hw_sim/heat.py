"""Heat in a reflow tunnel: zones with their heaters, and a board on its way through them."""

from __future__ import annotations

from cellrt.blocks.arithmetic import snapped
from cellrt.tags import Record, Var
from hw_sim.belt import Board
from hw_sim.device import countdown

AMBIENT_DEGC = 25.0
COOLED_DEGC, UNCOOLED_DEGC = 50.0, 110.0
"""Air of the cooling section, and without its fans."""

ZONE_TAU_S = 1550.0
ZONE_RISE_K = 380.0
"""A zone at full power ends so far above ambient."""
HEATER_W = 5000.0
NEIGHBOUR_TAU_S = 12_000.0
"""Each neighbour pulls a zone towards it, slowly."""
CUT_OUT_DEGC = 320.0

BOARD_TAU_S = 40.0
"""A board of 160 x 100 mm with 300 parts follows the moving air with this lag, 100 % of mass."""
BOARD_J_K = 100.0
COOLING_FACTOR = 0.6
STILL_AIR_FACTOR = 1.6
"""What cooling jets, and fans at rest, make of the lag."""
LIQUIDUS_DEGC = 217.0
SOAK_LOW_DEGC, SOAK_HIGH_DEGC = 150.0, 200.0

PROBE_SIGMA_K, PROBE_SIGMA_S = 0.4, 0.4

RUN_OUT_S = 900.0


class Zone(Record):
    """One heated zone, its air and its masses as one.

    * A heater burnt out heats no more; one whose relay has welded heats fully while there is power.
    """

    duty_pct: float = Var(unit="%", low=0.0, high=100.0, doc="heater's share of its full power")
    temperature_degC: float = Var(AMBIENT_DEGC, unit="degC", doc="of the zone's air")
    burnt_out: bool = Var(doc="fault: the heater is open")
    welded: bool = Var(doc="fault: the heater's relay stays closed")
    drawn_W: float = Var(unit="W", doc="by the boards in it")

    def update(self, power: bool, before_degC: float, after_degC: float, dt_s: float) -> None:
        """One scan between two neighbours (of no neighbour: its own temperature)."""
        duty_pct = 100.0 if self.welded else min(max(self.duty_pct, 0.0), 100.0)
        if self.burnt_out or not power:
            duty_pct = 0.0
        degC = self.temperature_degC
        driven_K = ZONE_RISE_K * (duty_pct / 100.0 - self.drawn_W / HEATER_W)
        own_K_s = (driven_K + AMBIENT_DEGC - degC) / ZONE_TAU_S
        from_neighbours_K_s = (before_degC + after_degC - 2.0 * degC) / NEIGHBOUR_TAU_S
        self.temperature_degC = degC + (own_K_s + from_neighbours_K_s) * dt_s
        self.drawn_W = 0.0


class Passenger(Record):
    """A board on the chain."""

    board: Board
    position_mm: float = Var(unit="mm", doc="leading edge from the chain's beginning")
    lag_s: float = Var(unit="s", doc="with which it follows moving air")
    degC: float = Var(unit="degC")
    ramp_degC_s: float = Var(unit="degC/s", doc="steepest rise that it had")
    soak_s: float = Var(unit="s", doc="rising between 150 and 200 degC")

    def update(self, air_degC: float, lag_factor: float, dt_s: float) -> float:
        """One scan in air of this temperature; the heat that it draws, in W."""
        rise_K_s = snapped((air_degC - self.degC) / (self.lag_s * lag_factor))
        self.degC += rise_K_s * dt_s
        board = self.board
        board.peak_degC = max(board.peak_degC, self.degC)
        self.ramp_degC_s = max(self.ramp_degC_s, rise_K_s)
        if self.degC > LIQUIDUS_DEGC:
            board.liquid_s += dt_s
        if rise_K_s > 0.0 and SOAK_LOW_DEGC <= self.degC < SOAK_HIGH_DEGC:
            self.soak_s += dt_s
        return rise_K_s * BOARD_J_K * self.lag_s / BOARD_TAU_S


class Probe(Record):
    """What the profiling system says of the board that left the chain last."""

    count: int = Var(doc="boards that have left the chain")
    peak_degC: float = Var(unit="degC", doc="highest temperature of that board")
    liquid_s: float = Var(unit="s", doc="time above 217 degC")
    ramp_degC_s: float = Var(unit="degC/s", doc="steepest rise")
    soak_s: float = Var(unit="s", doc="time from 150 to 200 degC")

    def read(self, passenger: Passenger, peak_error: float, liquid_error: float) -> None:
        """The profile of a board that leaves; errors in sigmas."""
        self.count += 1
        self.peak_degC = passenger.board.peak_degC + PROBE_SIGMA_K * peak_error
        self.liquid_s = max(0.0, passenger.board.liquid_s + PROBE_SIGMA_S * liquid_error)
        self.ramp_degC_s = passenger.ramp_degC_s
        self.soak_s = passenger.soak_s


class RunOut(Record):
    """The oven's own: when the line falls silent it empties the heat by itself, for a time.

    * Once begun, it ends when the chain is empty, is commanded on, or has no power.
    """

    left_s: float = Var(unit="s")

    def update(self, begins: bool, ends: bool, dt_s: float) -> bool:
        """True while it drives the chain."""
        if ends:
            self.left_s = 0.0
        elif begins:
            self.left_s = RUN_OUT_S
        else:
            self.left_s = countdown(self.left_s, dt_s)
        return self.left_s > 0.0
