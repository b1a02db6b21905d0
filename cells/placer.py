"""A pick-and-place machine: finds the board's fiducials, places every part, gives the board on."""

from __future__ import annotations

from collections.abc import Mapping

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
    Route,
    S,
    Sequence,
    State,
    Step,
    Var,
    always,
    array,
    to,
)
from cells.feeders import LANES, Feeders
from cells.station import Station
from cells.work import PLACED, condemn, identify

NOZZLES = 8
LOST_IN_A_ROW = 3
HELD = int(State.HELD)
MOST_PARTS = 1000
"""The machine takes no longer program."""


class Nozzle(Record):
    """One of the head's nozzles."""

    picks: int = Input(doc="parts that it placed")
    errors: int = Input(doc="parts that it could not hold")


class Placer(Station):
    """Places each board once, completely or not at all.

    * Failed boards pass through. An unknown board, one printed too long ago, or one with parts from
      a wrong reel goes to quarantine.
    * Fiducials not found: clamped anew and looked for once more, then the board is suspect. Three
      such boards in a row hold the machine until a person takes it out of Held.
    * A lane with a wrong reel, or with too many errors, is not used; another with the same part
      stands in. A part that no lane can give holds the machine: none is left out.
    * A reel is asked for while the one before it has `reel_low` parts left. A wrong one that comes is
      not used, and asked for anew.
    * The jaws hold the board without air. What interrupts a placement does not end it: it goes on
      where the machine says it stopped. A board that was let go meanwhile is scrap.
    """

    feeders: Feeders
    nozzles: Array[Nozzle] = array(NOZZLES)
    clamped: bool = Input()
    unclamped: bool = Input()
    look_taken: int = Input(doc="number of the look that the machine took last")
    fiducials_found: int = Input(doc="number of the look that found them; 0 none")
    fiducials_lost: int = Input(doc="number of the look that found none; 0 none")
    begun: bool = Input(doc="the board in the jaws is being placed; until they open")
    head_works: bool = Input()
    place_done: bool = Input()
    waiting: bool = Input(doc="no allowed lane has the next part")
    placed: int = Input(doc="parts on the board in the jaws, as the machine counts")
    vacuum_kPa: float = Input(unit="kPa", low=0.0, high=100.0, doc="of the head")
    nozzles_clogged: int = Input(doc="bits of the nozzles that are not used")

    belt_run: bool = Output(safe=always(to(False)))
    unclamp: bool = Output(safe=always(to(False)), doc="off: the jaws hold the board")
    look: int = Output(
        safe=always(to(0)), doc="a new number is a new look at the fiducials; 0 none"
    )
    place: bool = Output(safe=always(to(False)), doc="placing goes on while it is on")
    correction_x_um: float = Output(safe=always(to(0.0)), unit="um", low=-200.0, high=200.0)
    correction_y_um: float = Output(safe=always(to(0.0)), unit="um", low=-200.0, high=200.0)

    offset_x_um_wanted: float = Parameter(
        0.0, unit="um", low=-100.0, high=100.0, doc="of the paste: parts go there, not to the pads"
    )
    offset_y_um_wanted: float = Parameter(0.0, unit="um", low=-100.0, high=100.0)
    open_time_s: float = Parameter(
        3600.0, unit="s", low=60.0, high=28_800.0, doc="paste this old takes no parts"
    )
    error_limit_ppm: float = Parameter(
        750.0, unit="ppm", low=100.0, high=1e6, doc="errors in a window that block a lane"
    )
    error_window: int = Parameter(20_000, unit="picks", low=100, high=1_000_000)
    reel_low: int = Parameter(
        600, unit="parts", low=0, high=5000, doc="fewer left on a reel: the next one is asked for"
    )
    least_nozzles: int = Parameter(4, low=1, high=NOZZLES, doc="fewer that work hold the machine")
    looked: int = Var(doc="number of the last look")
    reclamped: bool = Var(doc="this board was clamped anew")
    lost_in_row: int = Var(retain=True, doc="boards in a row whose fiducials were not found")
    started: bool = Var(retain=True, doc="the present board has parts on it, or may have")

    interlocks = (
        *Station.interlocks,
        Interlock("reels_right", Cause.NONE, Command.HOLD, only_running=True),
        Interlock("parts_enough", Cause.NONE, Command.HOLD, only_running=True),
        Interlock("nozzles_enough", Cause.NONE, Command.HOLD, only_running=True),
        Interlock("fiducials_seen", Cause.NONE, Command.HOLD, only_running=True),
    )
    sequence = Sequence(
        Step(
            "empty",
            {"has_board": "judging", "transport_in": "filling", "transport_out": "emptying"},
        ),
        Step("filling", {"has_board": "judging", "none_came": "empty"}, within_s=20.0),
        Step(
            "judging",
            {"done_with": "releasing", "begun": "placing", "program_there": "clamping"},
            within_s=30.0,
            late=Command.HOLD,
        ),
        Step("clamping", {"clamped": "looking"}, within_s=3.0),
        Step(
            "looking",
            {"found": "placing", "lost_again": "suspect", "lost": "reclamping"},
            within_s=5.0,
        ),
        Step("reclamping", {"unclamped": "clamping"}, within_s=3.0),
        Step("suspect", {"done_with": "releasing"}),
        Step(
            "placing",
            {"done_with": "releasing", "place_done": "counting"},
            within_s=200.0,
            late=Command.HOLD,
        ),
        Step("counting", {"done_with": "releasing"}),
        Step("releasing", {"unclamped": "deliver"}, within_s=3.0),
        Step("deliver", {"transport_out": "emptying", "board_gone": "empty"}),
        Step("emptying", {"board_gone": "empty", "board_kept": "deliver"}, within_s=30.0),
    )

    @classmethod
    def unfit(cls, parameters: Mapping[str, bool | int | float]) -> str | None:
        """A program needs parts, no more than the machine takes, each from a lane that is used."""
        total = 0
        for n in range(LANES):
            part, parts = (parameters[f"feeders.lanes.{n}.{p}_wanted"] for p in ("part", "parts"))
            if parts and not part:
                return f"lane {n} gives {parts} parts of no part number; set its part_wanted"
            total += int(parts)
        if not 0 < total <= MOST_PARTS:
            return f"{total} parts for a board; the machine places 1 to {MOST_PARTS}"
        return None

    def lacks_part(self) -> bool:
        """A board would have to wait for a part, or does; the head, told to rest, does not say so."""
        waits = self.waiting or self.unit.state == HELD
        waits = self.unit.step == EMPTY or (self.unit.step == PLACING and waits)
        return waits and self.feeders.lane_in_need != 0

    def reels_right(self) -> bool:
        return not (self.lacks_part() and self.feeders.wrong_reel)

    def parts_enough(self) -> bool:
        return not self.lacks_part() or self.feeders.wrong_reel

    def nozzles_enough(self) -> bool:
        working = 0
        for n in range(NOZZLES):
            working += self.nozzles_clogged >> n & 1 == 0
        needed = self.unit.step == EMPTY or self.unit.step == PLACING
        return not needed or working >= self.least_nozzles

    def fiducials_seen(self) -> bool:
        return self.lost_in_row < LOST_IN_A_ROW or self.unit.step != EMPTY

    def work_here(self) -> int:
        return PLACED

    def program_there(self) -> bool:
        return self.recipe_verified() and self.feeders.settings_taken()

    def found(self) -> bool:
        return self.fiducials_found == self.looked

    def lost(self) -> bool:
        return self.fiducials_lost == self.looked

    def lost_again(self) -> bool:
        return self.lost() and self.reclamped

    def work_complete(self) -> bool:
        return self.unit.step <= FILLING or self.unit.step >= DELIVER

    def always(self) -> None:
        """The head rests unless a step lets it work; lanes are watched whatever the state."""
        self.look = 0
        self.place = False
        if self.unit.io_good:
            self.feeders.watch(self.error_limit_ppm, self.error_window)
            self.feeders.ask_for_reels(self.reel_low)
        if self.begun and self.feeders.strange_parts and self.board.id != 0:
            condemn(self.board, int(Route.REMOVAL))

    def unholding(self) -> bool:
        """A person has looked why fiducials were lost; the rule sees that in the next scan."""
        looked = self.lost_in_row == 0
        self.lost_in_row = 0
        return looked

    def execute(self) -> None:
        """Belt, jaws and ports, and what the machine is set to."""
        self.unclamp = self.board.id == 0 or self.unit.step >= RELEASING
        free = self.board_gone() and self.unit.step <= FILLING and self.unclamped
        asks = free and self.program_there()
        offers = self.unit.step == DELIVER and self.unclamped
        self.belt_run = self.convey(asks, offers) and self.unclamped
        self.correction_x_um = self.offset_x_um_wanted
        self.correction_y_um = self.offset_y_um_wanted
        self.send_recipe()

    def judging(self) -> None:
        """Who is it, can it still be placed, and was it let go while its parts were being placed?"""
        self.reclamped = False
        if self.done_with():
            return
        identify(self.board, self.barcode)
        printed_ns = self.board.printed_ns
        too_old = printed_ns != 0 and self.now_ns - printed_ns > self.open_time_s * S
        if too_old or (self.started and not self.begun):
            condemn(self.board, int(Route.REMOVAL))

    def looking(self) -> None:
        """A look of its own for each time that it comes here; the machine answers by the number."""
        if self.unit.step_entered:
            self.looked = max(self.looked, self.look_taken) + 1
        self.look = self.looked

    def reclamping(self) -> None:
        self.unclamp = True
        self.reclamped = True

    def suspect(self) -> None:
        if not self.done_with():
            condemn(self.board, int(Route.REWORK))
            self.lost_in_row += 1

    def placing(self) -> None:
        self.place = True
        self.lost_in_row = 0
        self.started = self.started or self.begun

    def counting(self) -> None:
        """Placed is what has every part on it."""
        if self.placed != self.feeders.parts_active:
            condemn(self.board, int(Route.REMOVAL))
        elif not self.done_with():
            self.board.work_done |= PLACED
            self.board.result = int(Result.GOOD)

    def releasing(self) -> None:
        self.started = False


_STEPS = Placer.sequence.names
EMPTY, FILLING, PLACING = (_STEPS.index(s) for s in ("empty", "filling", "placing"))
RELEASING, DELIVER = (_STEPS.index(s) for s in ("releasing", "deliver"))
