"""A furnace: eight zones at the temperatures of a recipe, over a chain that has to move."""

from __future__ import annotations

from collections.abc import Mapping

from cellrt import MS, Array, Input, Output, Parameter, Recipe, State, Var, array
from cellrt.tags import Scalar
from cells.machine import Machine
from cells.oven import BELT, SETTING, ZONES, Zone
from cells.profile import objection, predict

ALARM_K = 15.0
"""A zone that was warm and is so far off has failed."""
SETTLED_S = 30.0
STANDS_S = 5.0
"""A chain that was told to run, and stands for so long, does not hear."""
ANEW_NS = 300 * MS
"""A command that was off for so long was seen off: what comes after it is given anew."""
FANS_OFF_DEGC = 80.0

CLEARING, UNHOLDING = int(State.CLEARING), int(State.UNHOLDING)


class Furnace(Machine):
    """Heat and drives; which boards come and go is its heir's.

    * Heaters are on only while the chain moves.
    * Zones that are not all warm within `warm_within_s` are a fault; who unholds gives them that time
      again.
    * Settings change only while no board is inside, and ones by which boards would not be soldered
      well, as far as can be reckoned, do not fit.
    * A drive that lost the line obeys only a command that is given anew: who clears the oven gives it.
    """

    recipe: Recipe
    fans_well: bool = Input(doc="all fans turn")
    cut_out_open: bool = Input(doc="the over-temperature cut-out has opened")
    recipe_refused: bool = Input(doc="the oven did not take the settings")
    belt_actual_mm_s: float = Input(unit="mm/s", low=0.0, high=50.0)
    belt_set_mm_s: float = Input(unit="mm/s", low=0.0, high=50.0, doc="speed in force")
    recipe_active: int = Input(doc="recipe in force")
    version_active: int = Input(doc="its version")
    zones: Array[Zone] = array(ZONES)

    chain_run: bool = Output(safe=BELT, doc="chain motor")
    fans_run: bool = Output(safe=BELT, doc="circulation and cooling fans")
    belt_setpoint_mm_s: float = Output(safe=SETTING, unit="mm/s", low=0.0, high=50.0)
    recipe_number: int = Output(safe=SETTING)
    recipe_version: int = Output(safe=SETTING)

    belt_wanted_mm_s: float = Parameter(10.33, unit="mm/s", low=4.5, high=20.0, recipe=True)
    zone_1_degC: float = Parameter(105.0, unit="degC", low=50.0, high=300.0, recipe=True)
    zone_2_degC: float = Parameter(138.0, unit="degC", low=50.0, high=300.0, recipe=True)
    zone_3_degC: float = Parameter(158.0, unit="degC", low=50.0, high=300.0, recipe=True)
    zone_4_degC: float = Parameter(172.0, unit="degC", low=50.0, high=300.0, recipe=True)
    zone_5_degC: float = Parameter(188.0, unit="degC", low=50.0, high=300.0, recipe=True)
    zone_6_degC: float = Parameter(220.0, unit="degC", low=50.0, high=300.0, recipe=True)
    zone_7_degC: float = Parameter(252.0, unit="degC", low=50.0, high=300.0, recipe=True)
    zone_8_degC: float = Parameter(258.0, unit="degC", low=50.0, high=300.0, recipe=True)
    class_degC: float = Parameter(
        250.0,
        unit="degC",
        low=220.0,
        high=260.0,
        recipe=True,
        doc="class temperature Tc of the product's most delicate package, J-STD-020",
    )
    board_lag_s: float = Parameter(
        40.0,
        unit="s",
        low=10.0,
        high=120.0,
        recipe=True,
        doc="with which the product follows the oven's air, from its profiling run",
    )
    tolerance_K: float = Parameter(3.0, unit="K", low=0.5, high=10.0, doc="of a warm zone")
    warm_within_s: float = Parameter(
        2700.0,
        unit="s",
        low=300.0,
        high=7200.0,
        doc="heaters on, the oven is warm by then; from cold it takes some 1,600 s",
    )

    count: int = Var(retain=True, doc="boards on the chain")
    deaf: bool = Var(doc="the chain's drive may have lost the line; until cleared")
    chain_anew: bool = Var(doc="the chain's command is off, only to be given anew")
    fans_anew: bool = Var(doc="and the fans'")
    stands_s: float = Var(unit="s", doc="how long the chain has stood against its command")
    class_now_degC: float = Var(unit="degC", retain=True, doc="of the boards inside")
    belt_now_mm_s: float = Var(unit="mm/s", retain=True, doc="for the boards inside")
    number_now: int = Var(retain=True, doc="recipe of the boards inside")
    version_now: int = Var(retain=True, doc="its version")
    off_K: float = Var(unit="K", doc="of the zone that is farthest from its setpoint")
    off_zone: int = Var(doc="which one that is, from 1")
    warming_s: float = Var(unit="s", doc="how long the heaters have been on and the oven not warm")
    settled_s: float = Var(unit="s", doc="how long all zones have been within their tolerance")
    warm: bool = Var(doc="all zones are at their temperatures")
    released: bool = Var(doc="it was warm since the heaters came on")

    @classmethod
    def unfit(cls, parameters: Mapping[str, Scalar]) -> str | None:
        """Settings whose profile would leave the paste's window or break the parts' ceiling."""
        told = {tag: float(parameters.get(tag, f.default or 0.0)) for tag, f in _SETTINGS.items()}
        zones_degC = [told[f"zone_{n + 1}_degC"] for n in range(ZONES)]
        profile = predict(told["belt_wanted_mm_s"], zones_degC, told["board_lag_s"])
        wrong = objection(profile, told["class_degC"])
        return f"at {told['belt_wanted_mm_s']:g} mm/s {wrong}" if wrong else None

    def cut_out_closed(self) -> bool:
        return not self.cut_out_open

    def chain_turns(self) -> bool:
        return self.stands_s < STANDS_S

    def zones_well(self) -> bool:
        return not self.released or self.off_K <= ALARM_K

    def warm_in_time(self) -> bool:
        """No heater is too weak, or dead, for its zone: `off_zone` says which."""
        return self.warming_s <= self.warm_within_s

    def fans_turn(self) -> bool:
        return self.fans_well or not self.released

    def is_warm(self) -> bool:
        return self.warm

    def is_cold(self) -> bool:
        return not self.warm

    def set_up(self) -> bool:
        """The oven has said that it works by what is wanted."""
        verified = self.recipe.verified(self.recipe_active, self.version_active)
        set_well = abs(self.belt_set_mm_s - self.belt_now_mm_s) < 0.006
        return verified and set_well and self.in_force()

    def clearing(self) -> bool:
        """The drive sees the chain's command off."""
        seen = self.now_ns - self.unit.state_since_ns >= ANEW_NS
        self.deaf = self.deaf and not seen
        return not self.deaf

    def gives_anew(self) -> bool:
        return self.deaf and self.unit.state == CLEARING

    def watch_chain(self) -> None:
        """Whether the drive follows its command, and hears a new one."""
        follows = self.belt_actual_mm_s > self.belt_now_mm_s / 2
        against = self.chain_run and self.unit.io_good and self.unit.state != CLEARING
        against = against and not follows
        self.stands_s = self.stands_s + self.dt_s if against else 0.0
        self.deaf = self.deaf or not self.unit.io_good or not self.chain_turns()

    def adopt(self) -> None:
        """Settings come into force while no board is inside."""
        if self.count == 0 and self.recipe.version != 0:
            if not self.in_force():
                self.released = False
                self.settled_s = 0.0
            self.belt_now_mm_s = self.belt_wanted_mm_s
            self.class_now_degC = self.class_degC
            self.number_now = self.recipe.number
            self.version_now = self.recipe.version
            for n in range(ZONES):
                self.zones[n].setpoint_degC = self.zone_degC(n)
        self.belt_setpoint_mm_s = self.belt_now_mm_s
        self.recipe_number = self.number_now
        self.recipe_version = self.version_now

    def in_force(self) -> bool:
        """What the oven works by is what is wanted."""
        same = self.belt_now_mm_s == self.belt_wanted_mm_s
        same = same and self.class_now_degC == self.class_degC
        for n in range(ZONES):
            same = same and self.zones[n].setpoint_degC == self.zone_degC(n)
        return same

    def zone_degC(self, n: int) -> float:
        """The wanted temperature of zone n, counted from 0."""
        first = self.zone_1_degC if n == 0 else self.zone_2_degC
        second = self.zone_3_degC if n == 2 else self.zone_4_degC
        third = self.zone_5_degC if n == 4 else self.zone_6_degC
        fourth = self.zone_7_degC if n == 6 else self.zone_8_degC
        front, back = first if n < 2 else second, third if n < 6 else fourth
        return front if n < 4 else back

    def heat(self) -> None:
        """Eight zones; warm when all of them have been where they shall be for a while."""
        chain_on, fans_on = self.chain_run or self.chain_anew, self.fans_run or self.fans_anew
        on = chain_on and self.belt_actual_mm_s > self.belt_now_mm_s / 2
        on = on and not self.cut_out_open
        self.off_K = 0.0
        hottest_degC = 0.0
        for n in range(ZONES):
            off_K = self.zones[n].control(on, self.dt_s)
            if off_K > self.off_K:
                self.off_K, self.off_zone = off_K, n + 1
            hottest_degC = max(hottest_degC, self.zones[n].temperature_degC)
        inside = on and self.off_K <= self.tolerance_K
        self.settled_s = self.settled_s + self.dt_s if inside else 0.0
        self.warm = self.settled_s >= SETTLED_S
        self.released = on and (self.released or self.warm)
        waits = on and not self.warm and self.unit.state != UNHOLDING
        self.warming_s = self.warming_s + self.dt_s if waits else 0.0
        self.fans_anew = fans_on and self.gives_anew()
        cools = fans_on and hottest_degC > FANS_OFF_DEGC
        self.fans_run = (self.chain_run or cools) and not self.fans_anew


_SETTINGS = {tag: field for tag, field in Furnace.fields.items() if field.recipe}
