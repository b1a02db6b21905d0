"""A reflow oven: keeps eight zones at their temperatures, takes boards when it may, judges each profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from cellrt import (
    MS,
    Array,
    Board,
    Cause,
    Command,
    Input,
    Interlock,
    Output,
    Parameter,
    Recipe,
    Result,
    Route,
    Sequence,
    State,
    Step,
    Var,
    array,
)
from cellrt.blocks import LIMIT
from cellrt.tags import Scalar
from cells.machine import Machine
from cells.oven import BELT, PLACES, RUN_OUT_S, SETTING, STUB, ZONES, Passenger, Probe, Zone
from cells.profile import BOARD_MM, CHAIN_MM, in_window, objection, predict
from cells.work import SOLDERED, condemn, passes_through

AT_CHAIN_MM = 30.0
"""The light barrier at the chain's beginning stands so far behind it."""
JAM_MM = CHAIN_MM + 120.0 - AT_CHAIN_MM + 100.0
"""By then a board must have come out from behind the tunnel, as far as its way is known."""
AGAIN_MM = 300.0
"""Way that a board has to come out after a jam."""
ALARM_K = 15.0
"""A zone that was warm and is so far off has failed."""
SETTLED_S = 30.0
STANDS_S = 5.0
"""A chain that was told to run, and stands for so long, does not hear."""
ANEW_NS = 300 * MS
"""A command that was off for so long was seen off: what comes after it is given anew."""
FANS_OFF_DEGC = 80.0

RUNS_BITS = sum(
    1 << s
    for s in (
        *(State.EXECUTE, State.SUSPENDING, State.SUSPENDED, State.UNSUSPENDING),
        *(State.HOLDING, State.HELD, State.UNHOLDING, State.STOPPING, State.COMPLETING),
    )
)
"""States in which the chain runs, with boards or without, and boards are given on."""
EXECUTE, CLEARING = int(State.EXECUTE), int(State.CLEARING)


class Reflow(Machine):
    """Carries boards through the heat; it cannot wait.

    * A board is asked for only while the oven is warm, works by the recipe, and every board inside and
      the incoming one fit behind it. On the chain it follows the one before by `gap_mm`.
    * Stop, Hold and Complete shut the entry, and what is inside runs out with the heat on; so does an
      Abort, up to the exit, but by e-stop. Starved or blocked the chain runs on.
    * Heaters are on only while the chain moves.
    * A board that would run into the one waiting at the exit stops the chain.
    * A jam stops the chain, and every board inside is suspect.
    * A drive that lost the line obeys only a command that is given anew: who clears the oven gives it.
    * A zone or fan that fails holds the oven; each board is judged by its own profile.
    * A board too hot for its parts is scrap; one outside the paste's window, or suspect, goes to rework.
    * Settings change only while no board is inside.
    """

    recipe: Recipe
    board_at_entry: bool = Input(doc="light barrier at the entry belt's beginning")
    board_at_stop: bool = Input(doc="light barrier at the entry belt's end")
    board_at_chain: bool = Input(doc="light barrier at the chain's beginning")
    board_at_chain_end: bool = Input(doc="a board reaches far onto the exit belt")
    board_at_exit: bool = Input(doc="light barrier at the exit belt's end")
    fans_well: bool = Input(doc="all fans turn")
    cut_out_open: bool = Input(doc="the over-temperature cut-out has opened")
    recipe_refused: bool = Input(doc="the oven did not take the settings")
    belt_mm: float = Input(unit="mm", doc="the chain's way")
    belt_actual_mm_s: float = Input(unit="mm/s", low=0.0, high=50.0)
    belt_set_mm_s: float = Input(unit="mm/s", low=0.0, high=50.0, doc="speed in force")
    recipe_active: int = Input(doc="recipe in force")
    version_active: int = Input(doc="its version")
    probe: Probe
    zones: Array[Zone] = array(ZONES)

    entry_run: bool = Output(safe=STUB, doc="entry belt motor")
    chain_run: bool = Output(safe=BELT, doc="chain motor")
    exit_run: bool = Output(safe=STUB, doc="exit belt motor")
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
    gap_mm: float = Parameter(30.0, unit="mm", low=10.0, high=500.0, doc="between two boards")
    tolerance_K: float = Parameter(3.0, unit="K", low=0.5, high=10.0, doc="of a warm zone")

    passengers: Array[Passenger] = array(PLACES)
    leaving: Board
    offered: bool = Var(retain=True, doc="a transport of it was begun once; it may lie across")
    count: int = Var(retain=True, doc="boards on the chain")
    counted: int = Var(retain=True, doc="`probe.count` of the board that left last")
    at_chain: bool = Var(retain=True, doc="the entrance was covered")
    jammed: bool = Var(retain=True, doc="a board did not come out; until reset")
    deaf: bool = Var(doc="the chain's drive may have lost the line; until cleared")
    chain_anew: bool = Var(doc="the chain's command is off, only to be given anew")
    fans_anew: bool = Var(doc="and the fans'")
    stands_s: float = Var(unit="s", doc="how long the chain has stood against its command")
    class_now_degC: float = Var(unit="degC", retain=True, doc="of the boards inside")
    belt_now_mm_s: float = Var(unit="mm/s", retain=True, doc="for the boards inside")
    number_now: int = Var(retain=True, doc="recipe of the boards inside")
    version_now: int = Var(retain=True, doc="its version")
    off_K: float = Var(unit="K", doc="of the zone that is farthest from its setpoint")
    settled_s: float = Var(unit="s", doc="how long all zones have been within their tolerance")
    warm: bool = Var(doc="all zones are at their temperatures")
    released: bool = Var(doc="it was warm since the heaters came on")
    rework: int = Var(retain=True, doc="boards outside the paste's window, or suspect")
    scrapped: int = Var(retain=True, doc="boards over their parts' ceiling")

    gives: ClassVar[str] = "leaving"
    runs_out: ClassVar[bool] = True
    finish_s: ClassVar[float] = RUN_OUT_S
    interlocks = (
        *Machine.interlocks,
        Interlock("cut_out_closed", Cause.PROCESS),
        Interlock("chain_free", Cause.PROCESS),
        Interlock("chain_turns", Cause.PROCESS),
        Interlock("zones_well", Cause.NONE, Command.HOLD, only_running=True),
        Interlock("fans_turn", Cause.NONE, Command.HOLD, only_running=True),
    )
    sequence = Sequence(
        Step("warming", {"has_board": "loaded", "transport_in": "taking", "is_warm": "waiting"}),
        Step("waiting", {"has_board": "loaded", "transport_in": "taking", "is_cold": "warming"}),
        Step("taking", {"has_board": "loaded", "none_came": "waiting"}, within_s=20.0),
        Step("loaded", {"may_feed": "feeding"}),
        Step("feeding", {"gone_in": "waiting"}, within_s=40.0),
    )

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

    def chain_free(self) -> bool:
        return not self.jammed

    def chain_turns(self) -> bool:
        return self.stands_s < STANDS_S

    def zones_well(self) -> bool:
        return not self.released or self.off_K <= ALARM_K

    def fans_turn(self) -> bool:
        return self.fans_well or not self.released

    def is_warm(self) -> bool:
        return self.warm

    def is_cold(self) -> bool:
        return not self.warm

    def may_feed(self) -> bool:
        """The entry is open, and the one before is far enough ahead."""
        last = self.passengers[LIMIT(0, self.count - 1, PLACES - 1)]
        ahead_mm = self.belt_mm - last.entered_mm + AT_CHAIN_MM
        apart = self.count == 0 or (not self.at_chain and ahead_mm >= BOARD_MM + self.gap_mm)
        return apart and self.open() and self.unit.state == EXECUTE

    def gone_in(self) -> bool:
        return self.board.id == 0

    def clearing(self) -> bool:
        """The drive sees the chain's command off."""
        seen = self.now_ns - self.unit.state_since_ns >= ANEW_NS
        self.deaf = self.deaf and not seen
        return not self.deaf

    def gives_anew(self) -> bool:
        return self.deaf and self.unit.state == CLEARING

    def work_complete(self) -> bool:
        """What is in the heat has run out."""
        return self.count == 0 and self.leaving.id == 0 and self.unit.step != FEEDING

    def always(self) -> None:
        """Boards and heat are looked after in every state."""
        if self.unit.state == CLEARING and self.jammed:
            self.free_exit()
        if self.unit.io_good:
            self.enter()
            self.leave()
            self.watch_exit()
        self.adopt()
        self.watch_chain()
        self.run_belts()
        self.heat()

    def execute(self) -> None:
        """The entry."""
        free = self.board.id == 0 and not self.board_at_stop and self.open()
        filling = self.infeed.take(self.board, free, self.board_at_stop, self.board_at_entry)
        self.entry_run = self.entry_run or filling

    def feeding(self) -> None:
        self.entry_run = self.board.id != 0

    def open(self) -> bool:
        """One board more may come into the heat."""
        fits = self.count + int(self.leaving.id != 0) + 1 <= self.outfeed.hears.room
        verified = self.recipe.verified(self.recipe_active, self.version_active)
        set_well = abs(self.belt_set_mm_s - self.belt_now_mm_s) < 0.006
        return self.warm and fits and verified and set_well and self.in_force()

    def enter(self) -> None:
        """A board is on the chain from when it covers the entrance; its way counts from its tail."""
        if self.board_at_chain and not self.at_chain and self.board.id != 0 and self.count < PLACES:
            new = self.passengers[LIMIT(0, self.count, PLACES - 1)]
            new.board.become(self.board)
            new.entered_mm = self.belt_mm
            new.suspect = False
            self.board.id = 0
            self.count += 1
        elif self.at_chain and not self.board_at_chain and self.count > 0:
            last = self.passengers[LIMIT(0, self.count - 1, PLACES - 1)]
            last.entered_mm = self.belt_mm - BOARD_MM
        self.at_chain = self.board_at_chain

    def leave(self) -> None:
        """A board has left the chain: it is judged by the profile that came with it."""
        if self.probe.count < self.counted or self.count == 0:
            self.counted = self.probe.count
        elif self.probe.count > self.counted and self.leaving.id == 0:
            self.counted += 1
            self.leaving.become(self.passengers[0].board)
            self.offered = False
            own = self.probe.count == self.counted and not self.passengers[0].suspect
            self.judge(self.leaving, own)
            self.count -= 1
            for n in range(PLACES - 1):
                self.passengers[n].become(self.passengers[LIMIT(0, n + 1, PLACES - 1)])
            self.passengers[PLACES - 1].erase()

    def judge(self, board: Board, own: bool) -> None:
        """Good stays what it was; `own`: the profile is this board's, and to be trusted."""
        probe = self.probe
        board.work_done |= SOLDERED
        if probe.peak_degC > self.class_now_degC:
            condemn(board, int(Route.REMOVAL))
            self.scrapped += 1
        elif not (own and self.profile_well()):
            if board.route == Route.LINE:
                condemn(board, int(Route.REWORK))
            board.result = int(Result.FAILED)
            self.rework += 1
        elif not passes_through(board):
            board.result = int(Result.GOOD)

    def profile_well(self) -> bool:
        probe = self.probe
        return in_window(probe.peak_degC, probe.liquid_s, probe.ramp_degC_s, self.class_now_degC)

    def first_way_mm(self) -> float:
        """How far the first board on the chain has come from the entrance's light barrier."""
        return self.belt_mm - self.passengers[0].entered_mm if self.count > 0 else 0.0

    def watch_exit(self) -> None:
        """A board that should have come out, and has not, is a jam."""
        late = self.first_way_mm() > JAM_MM and not self.board_at_chain_end
        if late and not self.jammed:
            self.jammed = True
            for n in range(self.count):
                self.passengers[n].suspect = True

    def watch_chain(self) -> None:
        """Whether the drive follows its command, and hears a new one."""
        follows = self.belt_actual_mm_s > self.belt_now_mm_s / 2
        against = self.chain_run and self.unit.io_good and self.unit.state != CLEARING
        against = against and not follows
        self.stands_s = self.stands_s + self.dt_s if against else 0.0
        self.deaf = self.deaf or not self.unit.io_good or not self.chain_turns()

    def free_exit(self) -> None:
        """Who clears a jam has freed the exit: boards that lay against each other get way again."""
        self.jammed = False
        for n in range(self.count):
            least_mm = self.belt_mm - JAM_MM + AGAIN_MM + n * BOARD_MM
            self.passengers[n].entered_mm = max(self.passengers[n].entered_mm, least_mm)

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

    def run_belts(self) -> None:
        """Chain and exit; of the entry, what the board that lies half on the chain needs."""
        runs = RUNS_BITS >> self.unit.state & 1 == 1
        meets = self.board_at_exit and self.board_at_chain_end
        self.offered = self.offered or self.outfeed.moving()
        waits = self.leaving.id != 0 and not self.board_at_exit and not self.offered
        meets = meets or (waits and self.first_way_mm() > CHAIN_MM - AT_CHAIN_MM - 5.0)
        was_on = self.chain_run or self.chain_anew
        self.chain_anew = was_on and self.gives_anew()
        goes_on = runs or (was_on and self.count > 0)
        self.chain_run = goes_on and not meets and not self.jammed and not self.chain_anew
        half_in = self.board_at_chain and self.board_at_stop and self.board.id == 0
        self.entry_run = half_in and self.chain_run
        if runs:
            gone = not self.board_at_exit
            emptying = self.outfeed.give(self.leaving, self.board_at_exit or self.offered, gone)
            self.exit_run = emptying or waits
        else:
            self.exit_run = waits and self.chain_run

    def heat(self) -> None:
        """Eight zones; warm when all of them have been where they shall be for a while."""
        chain_on, fans_on = self.chain_run or self.chain_anew, self.fans_run or self.fans_anew
        on = chain_on and self.belt_actual_mm_s > self.belt_now_mm_s / 2
        on = on and not self.cut_out_open
        self.off_K = 0.0
        hottest_degC = 0.0
        for n in range(ZONES):
            self.off_K = max(self.off_K, self.zones[n].control(on, self.dt_s))
            hottest_degC = max(hottest_degC, self.zones[n].temperature_degC)
        inside = on and self.off_K <= self.tolerance_K
        self.settled_s = self.settled_s + self.dt_s if inside else 0.0
        self.warm = self.settled_s >= SETTLED_S
        self.released = on and (self.released or self.warm)
        self.fans_anew = fans_on and self.gives_anew()
        cools = fans_on and hottest_degC > FANS_OFF_DEGC
        self.fans_run = (self.chain_run or cools) and not self.fans_anew


_SETTINGS = {tag: field for tag, field in Reflow.fields.items() if field.recipe}
FEEDING = Reflow.sequence.names.index("feeding")
