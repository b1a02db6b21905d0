"""Reflow oven: entry belt, eight heated zones over one chain, cooling, exit belt, profiling system."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from cellrt.tags import Array, Var, array
from cellrt.wire import DeviceMap
from hw_sim.belt import BOARD_MM, Belt
from hw_sim.device import Contactor, SimDevice
from hw_sim.heat import (
    AMBIENT_DEGC,
    BOARD_TAU_S,
    COOLED_DEGC,
    COOLING_FACTOR,
    CUT_OUT_DEGC,
    STILL_AIR_FACTOR,
    UNCOOLED_DEGC,
    Passenger,
    Probe,
    RunOut,
    Zone,
)
from hw_sim.points import bit, health_registers, i16, modbus_map, u16, u32
from hw_sim.recipe import Recipe

ZONES = 8
PASSENGERS = 24
ENTRANCE_MM, ZONE_MM, CHAIN_MM = 150.0, 350.0, 3700.0
COOLING_MM = ENTRANCE_MM + ZONES * ZONE_MM
CHAIN_MM_S2 = 10.0
SLOWEST_MM_S, FASTEST_MM_S = 3.0, 25.0
JAM_MM = CHAIN_MM - 20.0
"""Where a board catches at the tunnel's end."""

ENTRY_MM, EXIT_MM = 300.0, 350.0
STUB_MM_S = 200.0
"""Entry and exit belt: their lengths and their speed; a board half on the chain goes with the chain."""
AT_ENTRY_MM, AT_STOP_MM = 30.0, 270.0
AT_CHAIN_MM = 30.0
AT_CHAIN_END_MM, AT_EXIT_MM = 120.0, 300.0

MASS_SIGMA_PCT = 1.5


class Draw(IntEnum):
    """Purposes of this device's draws."""

    MASS = 1
    PEAK = 2
    LIQUID = 3


DRAW_MASS, DRAW_PEAK, DRAW_LIQUID = (int(d) for d in Draw)


class Reflow(SimDevice):
    """Reflow oven for boards of 160 mm. 150 mm of entrance, 2.8 m of heat, 0.75 m of cooling.

    * The chain carries a board from where its centre has left the entry belt to where its tail has
      reached the exit belt. Boards on it never overlap; one that meets another slips.
    * Heaters have power only while the chain moves and the cut-out has not opened.
    * The cut-out opens over 320 degC, whatever is commanded; a person closes it.
    * Belt speed and recipe are taken over while the chain is empty; settings beyond what the oven
      can are refused and the old ones kept.
    * Chain, fans and heaters have a power of their own, which a guard or a silent line does not cut.
    * The line falls silent: heaters off, both belts stand; chain and fans empty the oven by themselves,
      up to a board that waits at the exit.
    """

    entry: Belt
    exit: Belt
    entry_motor: Contactor
    chain_motor: Contactor
    exit_motor: Contactor
    fan_motor: Contactor
    own_run_out: RunOut
    recipe: Recipe
    passengers: Array[Passenger] = array(PASSENGERS)
    count: int = Var(doc="boards on the chain")
    chain_powered: bool = Var(True, doc="chain, fans and heaters have power")
    jam: bool = Var(doc="fault: a board catches at the tunnel's end")
    fan_broken: bool = Var(doc="fault: the fans stand")
    cut_out_reset: bool = Var(doc="a person closes the cut-out")

    zones: Array[Zone] = array(ZONES)
    entry_run: bool = Var(doc="entry belt motor")
    chain_run: bool = Var(doc="chain motor")
    exit_run: bool = Var(doc="exit belt motor")
    fans_run: bool = Var(doc="circulation and cooling fans")
    belt_setpoint_mm_s: float = Var(unit="mm/s", doc="chain's speed, 3 to 25 mm/s")

    board_at_entry: bool = Var(doc="light barrier 30 mm from the entry belt's beginning")
    board_at_stop: bool = Var(doc="light barrier 30 mm before the entry belt's end")
    board_at_chain: bool = Var(doc="light barrier 30 mm behind the chain's beginning")
    board_at_chain_end: bool = Var(doc="light barrier 120 mm from the exit belt's beginning")
    board_at_exit: bool = Var(doc="light barrier 50 mm before the exit belt's end")
    fans_well: bool = Var(doc="all fans turn")
    cut_out_open: bool = Var(doc="the over-temperature cut-out has opened")
    belt_mm: float = Var(unit="mm", doc="the chain's way since power-up")
    belt_actual_mm_s: float = Var(unit="mm/s", doc="the chain's speed")
    belt_set_mm_s: float = Var(10.33, unit="mm/s", doc="chain's speed in force")
    probe: Probe

    device_map: ClassVar[DeviceMap] = modbus_map(
        inputs=(
            bit("board_at_entry", "discrete:0"),
            bit("board_at_stop", "discrete:1"),
            bit("board_at_chain", "discrete:2"),
            bit("board_at_chain_end", "discrete:3"),
            bit("board_at_exit", "discrete:4"),
            bit("fans_well", "discrete:5"),
            bit("cut_out_open", "discrete:6"),
            bit("recipe.refused", "discrete:7"),
            *health_registers(8, 32),
            *(i16(f"zones.{n}.temperature_degC", f"input:{10 + n}", 0.1) for n in range(ZONES)),
            u16("belt_actual_mm_s", "input:20", 0.01),
            u16("belt_set_mm_s", "input:21", 0.01),
            u32("belt_mm", "input:22", 0.1),
            u32("probe.count", "input:24"),
            i16("probe.peak_degC", "input:26", 0.1),
            u16("probe.liquid_s", "input:27", 0.1),
            u16("probe.ramp_degC_s", "input:28", 0.01),
            u16("probe.soak_s", "input:29", 0.1),
            u16("recipe.active", "input:30"),
            u16("recipe.version_active", "input:31"),
        ),
        outputs=(
            bit("entry_run", "coil:0"),
            bit("chain_run", "coil:1"),
            bit("exit_run", "coil:2"),
            bit("fans_run", "coil:3"),
            u16("belt_setpoint_mm_s", "holding:1", 0.01),
            u16("recipe.number", "holding:2"),
            u16("recipe.version", "holding:3"),
            *(u16(f"zones.{n}.duty_pct", f"holding:{10 + n}", 0.01) for n in range(ZONES)),
        ),
    )

    def work(self, live: bool) -> None:
        """Settings, chain and stubs, heat, then what the sensors see."""
        hot_live = self.chain_powered and not self.watchdog.safe
        self.take_settings()
        self.drive_chain(hot_live)
        self.move_entry(live)
        self.carry()
        self.leave()
        self.exit.move(self.exit_motor.obey(self.exit_run, live), STUB_MM_S, EXIT_MM, self.dt_s)
        fans_on = self.fan_motor.obey(self.fans_run, hot_live) or self.own_run_out.left_s > 0.0
        self.fans_well = fans_on and not self.fan_broken
        self.heat(hot_live)
        self.sense()

    def carried(self) -> int:
        """Boards on the chain and on both belts."""
        return self.count + (self.entry.board.id != 0) + (self.exit.board.id != 0)

    def take_settings(self) -> None:
        """Take over or refuse what is offered, while the chain is empty."""
        well = SLOWEST_MM_S <= self.belt_setpoint_mm_s <= FASTEST_MM_S
        if self.recipe.offer(well, self.count == 0):
            self.belt_set_mm_s = self.belt_setpoint_mm_s

    def drive_chain(self, live: bool) -> None:
        """The motor, at the line's word or by the oven's own; the encoder."""
        was_on = self.chain_motor.on
        on = self.chain_motor.obey(self.chain_run, live)
        ends = on or self.count == 0 or not self.chain_powered
        runs_out = self.own_run_out.update(was_on and not live, ends, self.dt_s)
        first_mm = self.passengers[0].position_mm if self.count > 0 else 0.0
        free_mm = min(self.exit.position_mm - BOARD_MM, AT_CHAIN_END_MM) - 5.0
        waits = self.exit.board.id != 0 and first_mm >= CHAIN_MM + free_mm
        wanted_mm_s = self.belt_set_mm_s if on or (runs_out and not waits) else 0.0
        most_mm_s = CHAIN_MM_S2 * self.dt_s
        self.belt_actual_mm_s += min(
            max(wanted_mm_s - self.belt_actual_mm_s, -most_mm_s), most_mm_s
        )
        self.belt_mm += self.belt_actual_mm_s * self.dt_s

    def overhang_mm(self) -> float:
        """How far the first board on the chain reaches onto the exit belt."""
        ahead_mm = self.passengers[0].position_mm - CHAIN_MM if self.count > 0 else 0.0
        return max(0.0, ahead_mm)

    def move_entry(self, live: bool) -> None:
        """The entry belt pushes its board under the chain's grip; the chain takes it by its centre."""
        entry, last = self.entry, max(self.count - 1, 0)
        entered_mm = self.passengers[last].position_mm if self.count > 0 else CHAIN_MM
        room = self.count < PASSENGERS and entered_mm - BOARD_MM > entry.overhang_mm
        entry.exit.taken = 0
        entry.exit.speed_mm_s = self.belt_actual_mm_s if room else 0.0
        entry.exit.tail_mm = max(0.0, BOARD_MM - entered_mm)
        if entry.board.id != 0 and entry.overhang_mm >= BOARD_MM / 2 and room:
            self.enter()
        entry.move(self.entry_motor.obey(self.entry_run, live), STUB_MM_S, ENTRY_MM, self.dt_s)

    def enter(self) -> None:
        """The chain carries the board from here on."""
        new = self.passengers[self.count]
        new.erase()
        new.board.become(self.entry.board)
        new.position_mm = self.entry.overhang_mm
        new.degC = AMBIENT_DEGC
        mass_pct = new.board.mass_pct
        mass_pct += MASS_SIGMA_PCT * self.draw_normal(new.board.id, DRAW_MASS)
        new.lag_s = BOARD_TAU_S * max(mass_pct, 10.0) / 100.0
        self.entry.exit.taken = new.board.id
        self.entry.exit.tail_mm = BOARD_MM - new.position_mm
        self.count += 1

    def carry(self) -> None:
        """Every board goes with the chain, up to the one ahead of it."""
        limit_mm = CHAIN_MM + EXIT_MM
        if self.exit.board.id != 0:
            limit_mm = CHAIN_MM + max(0.0, self.exit.position_mm - BOARD_MM)
        elif self.exit.exit.tail_mm > 0.0:
            limit_mm -= self.exit.exit.tail_mm
        if self.jam:
            limit_mm = min(limit_mm, JAM_MM)
        for n in range(self.count):
            passenger = self.passengers[n]
            step_mm = self.belt_actual_mm_s * self.dt_s
            reached_mm = min(passenger.position_mm + step_mm, limit_mm)
            passenger.position_mm = max(passenger.position_mm, reached_mm)
            limit_mm = passenger.position_mm - BOARD_MM

    def leave(self) -> None:
        """The first board on the chain goes over to the exit belt, and its profile to the probe."""
        overhang_mm = self.overhang_mm()
        crosses = overhang_mm >= BOARD_MM and self.exit.board.id == 0
        if crosses:
            first, probe = self.passengers[0], self.probe
            number = first.board.id
            peak, liquid = (
                self.draw_normal(number, DRAW_PEAK),
                self.draw_normal(number, DRAW_LIQUID),
            )
            probe.read(first, peak, liquid)
            self.exit.put(first.board, overhang_mm)
            for n in range(1, self.count):
                self.passengers[n - 1].become(self.passengers[n])
            self.count -= 1
            self.passengers[self.count].erase()
        self.exit.entry.overhang_mm = self.overhang_mm()

    def heat(self, live: bool) -> None:
        """Boards in their air, zones with their heaters, the cut-out."""
        for n in range(self.count):
            self.warm_board(n)
        hottest_degC, before_degC = 0.0, self.zones[0].temperature_degC
        power = live and not self.cut_out_open and self.belt_actual_mm_s >= SLOWEST_MM_S
        for n in range(ZONES):
            zone, degC = self.zones[n], self.zones[n].temperature_degC
            after_degC = self.zones[n + 1].temperature_degC if n + 1 < ZONES else degC
            zone.update(power, before_degC, after_degC, self.dt_s)
            before_degC, hottest_degC = degC, max(hottest_degC, degC)
        if hottest_degC > CUT_OUT_DEGC:
            self.cut_out_open = True
        elif self.cut_out_reset:
            self.cut_out_open = False

    def warm_board(self, n: int) -> None:
        """One board, by its middle."""
        passenger = self.passengers[n]
        at_mm = passenger.position_mm - BOARD_MM / 2
        factor = 1.0 if at_mm < COOLING_MM else COOLING_FACTOR
        if not self.fans_well:
            factor = STILL_AIR_FACTOR
        drawn_W = passenger.update(self.air_degC(at_mm), factor, self.dt_s)
        if ENTRANCE_MM <= at_mm < COOLING_MM:
            self.zones[int((at_mm - ENTRANCE_MM) / ZONE_MM)].drawn_W += drawn_W

    def air_degC(self, at_mm: float) -> float:
        """The air goes from one zone's middle to the next in a straight line, and to the cooling."""
        cooling_degC = COOLED_DEGC if self.fans_well else UNCOOLED_DEGC
        place = (at_mm - ENTRANCE_MM) / ZONE_MM - 0.5
        if place < 0.0:
            share = max(0.0, at_mm / (ENTRANCE_MM + ZONE_MM / 2))
            return AMBIENT_DEGC + share * (self.zones[0].temperature_degC - AMBIENT_DEGC)
        if place >= ZONES:
            return cooling_degC
        n = int(place)
        after_degC = self.zones[n + 1].temperature_degC if n + 1 < ZONES else cooling_degC
        return self.zones[n].temperature_degC + (place - n) * (
            after_degC - self.zones[n].temperature_degC
        )

    def sense(self) -> None:
        """Light barriers, as everything stands after this scan."""
        last = max(self.count - 1, 0)
        entered_mm = self.passengers[last].position_mm if self.count > 0 else CHAIN_MM
        on_chain = entered_mm - BOARD_MM <= AT_CHAIN_MM <= entered_mm
        self.board_at_entry = self.entry.sees(AT_ENTRY_MM)
        self.board_at_stop = self.entry.sees(AT_STOP_MM)
        self.board_at_chain = on_chain or self.entry.overhang_mm >= AT_CHAIN_MM
        self.board_at_chain_end = self.exit.sees(AT_CHAIN_END_MM)
        self.board_at_exit = self.exit.sees(AT_EXIT_MM)
