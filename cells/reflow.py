"""A reflow oven: takes boards when it may, carries them through the heat, judges each profile."""

from __future__ import annotations

from typing import ClassVar

from cellrt import (
    Array,
    Board,
    Cause,
    Command,
    Input,
    Interlock,
    Output,
    Parameter,
    Result,
    Route,
    Sequence,
    State,
    Step,
    Var,
    array,
)
from cellrt.blocks import LIMIT
from cells.furnace import Furnace
from cells.oven import PLACES, RUN_OUT_S, STUB, Passenger, Probe
from cells.profile import BOARD_MM, CHAIN_MM, in_window
from cells.work import SOLDERED, condemn, passes_through

AT_CHAIN_MM = 30.0
"""The light barrier at the chain's beginning stands so far behind it."""
JAM_MM = CHAIN_MM + 120.0 - AT_CHAIN_MM + 100.0
"""By then a board must have come out from behind the tunnel, as far as its way is known."""
AGAIN_MM = 300.0
"""Way that a board has to come out after a jam."""
RUNS_BITS = sum(
    1 << s
    for s in (
        *(State.EXECUTE, State.SUSPENDING, State.SUSPENDED, State.UNSUSPENDING),
        *(State.HOLDING, State.HELD, State.UNHOLDING, State.STOPPING, State.COMPLETING),
    )
)
"""States in which the chain runs, with boards or without, and boards are given on."""
EXECUTE, CLEARING = int(State.EXECUTE), int(State.CLEARING)


class Reflow(Furnace):
    """Carries boards through the heat; it cannot wait.

    * A board is asked for only while the oven is warm, works by the recipe, and every board inside and
      the incoming one fit behind it. On the chain it follows the one before by `gap_mm`.
    * Stop, Hold and Complete shut the entry, and what is inside runs out with the heat on; so does an
      Abort, up to the exit, but by e-stop. Starved or blocked the chain runs on.
    * A board that would run into the one waiting at the exit stops the chain.
    * A jam stops the chain, and every board inside is suspect.
    * A zone or fan that fails, or a warm-up that takes too long, holds the oven; each board is judged by its own profile.
    * A board too hot for its parts is scrap; one outside the paste's window, or suspect, goes to rework.
    """

    board_at_entry: bool = Input(doc="light barrier at the entry belt's beginning")
    board_at_stop: bool = Input(doc="light barrier at the entry belt's end")
    board_at_chain: bool = Input(doc="light barrier at the chain's beginning")
    board_at_chain_end: bool = Input(doc="a board reaches far onto the exit belt")
    board_at_exit: bool = Input(doc="light barrier at the exit belt's end")
    belt_mm: float = Input(unit="mm", doc="the chain's way")
    probe: Probe

    entry_run: bool = Output(safe=STUB, doc="entry belt motor")
    exit_run: bool = Output(safe=STUB, doc="exit belt motor")
    gap_mm: float = Parameter(30.0, unit="mm", low=10.0, high=500.0, doc="between two boards")
    passengers: Array[Passenger] = array(PLACES)
    leaving: Board
    offered: bool = Var(retain=True, doc="a transport of it was begun once; it may lie across")
    counted: int = Var(retain=True, doc="`probe.count` of the board that left last")
    at_chain: bool = Var(retain=True, doc="the entrance was covered")
    jammed: bool = Var(retain=True, doc="a board did not come out; until reset")
    rework: int = Var(retain=True, doc="boards outside the paste's window, or suspect")
    scrapped: int = Var(retain=True, doc="boards over their parts' ceiling")

    gives: ClassVar[str] = "leaving"
    runs_out: ClassVar[bool] = True
    finish_s: ClassVar[float] = RUN_OUT_S
    interlocks = (
        *Furnace.interlocks,
        Interlock("cut_out_closed", Cause.PROCESS),
        Interlock("chain_free", Cause.PROCESS),
        Interlock("chain_turns", Cause.PROCESS),
        Interlock("zones_well", Cause.NONE, Command.HOLD, only_running=True),
        Interlock("warm_in_time", Cause.NONE, Command.HOLD, only_running=True),
        Interlock("fans_turn", Cause.NONE, Command.HOLD, only_running=True),
    )
    sequence = Sequence(
        Step("warming", {"has_board": "loaded", "transport_in": "taking", "is_warm": "waiting"}),
        Step("waiting", {"has_board": "loaded", "transport_in": "taking", "is_cold": "warming"}),
        Step("taking", {"has_board": "loaded", "none_came": "waiting"}, within_s=20.0),
        Step("loaded", {"may_feed": "feeding"}),
        Step("feeding", {"gone_in": "waiting"}, within_s=40.0),
    )

    def chain_free(self) -> bool:
        return not self.jammed

    def may_feed(self) -> bool:
        """The entry is open, and the one before is far enough ahead."""
        last = self.passengers[LIMIT(0, self.count - 1, PLACES - 1)]
        ahead_mm = self.belt_mm - last.entered_mm + AT_CHAIN_MM
        apart = self.count == 0 or (not self.at_chain and ahead_mm >= BOARD_MM + self.gap_mm)
        return apart and self.open() and self.unit.state == EXECUTE

    def gone_in(self) -> bool:
        return self.board.id == 0

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
        return self.warm and fits and self.set_up()

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

    def free_exit(self) -> None:
        """Who clears a jam has freed the exit: boards that lay against each other get way again."""
        self.jammed = False
        for n in range(self.count):
            least_mm = self.belt_mm - JAM_MM + AGAIN_MM + n * BOARD_MM
            self.passengers[n].entered_mm = max(self.passengers[n].entered_mm, least_mm)

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


FEEDING = Reflow.sequence.names.index("feeding")
