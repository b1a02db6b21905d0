"""Optical inspection: looks at soldered boards, and sends what it cannot pass to rework."""

from __future__ import annotations

from cellrt import (
    Cause,
    Command,
    Input,
    Interlock,
    Output,
    Parameter,
    Result,
    Route,
    Sequence,
    Step,
    Var,
    always,
    to,
)
from cellrt.blocks import DIV
from cells.inspection import UNHOLDING, Inspection
from cells.work import VIEWED, condemn

CALLS_MOST = 5
"""No board counts for more in the rate of calls: one that is lost altogether is no storm."""


class Aoi(Inspection):
    """Looks at each soldered board, a second time where the first look called anything.

    Of 300 parts at 500 ppm of false calls one board in seven has at least one, three times as many as
    have a true defect. Looking again with the same cameras errs alike, so the second look is a
    verification: side cameras at the places called, a few seconds long. It clears nine false calls in ten, and
    no true one. What is left, some 6 % of the boards, a person verifies at the rework stand.

    * No call: the board is good. Calls that the second look leaves: it is failed and goes to rework.
    * A storm of calls, true or false, holds the cell until somebody unholds or resets it: `calls_ppm`,
      over the last `storm_boards` or so, is beyond `storm_ppm`. Until
      then no board goes on, and none is ever passed without a look.
    """

    looks: int = Input(doc="1: the calls are a first look's; 2: a second one's")
    calls: int = Input(doc="parts taken for defective")
    calls_missing: int = Input(doc="of these, parts that are not there")
    calls_shifted: int = Input(doc="of these, parts beyond their tolerance")
    calls_solder: int = Input(doc="of these, bad joints")
    parts: int = Input(doc="parts in the program, as the machine has it")

    again: bool = Output(safe=always(to(False)), doc="the next look is a second one")
    parts_setpoint: int = Output(safe=always(to(0)), doc="parts in the program")

    parts_wanted: int = Parameter(300, unit="parts", low=1, high=2000, recipe=True)
    storm_boards: int = Parameter(10, unit="boards", low=2, high=100)
    storm_ppm: float = Parameter(5000.0, unit="ppm", low=100.0, high=1e6)
    calls_ppm: float = Var(retain=True, unit="ppm", doc="first looks' calls a part, of late")
    called: int = Var(retain=True, doc="boards that a first look called")
    cleared: int = Var(retain=True, doc="of these, boards that the second look cleared")

    interlocks = (
        *Inspection.interlocks,
        Interlock("no_storm_of_calls", Cause.NONE, Command.HOLD, only_running=True),
    )
    sequence = Sequence(
        Step(
            "empty",
            {"has_board": "judging", "transport_in": "filling", "transport_out": "emptying"},
        ),
        Step("filling", {"has_board": "judging", "none_came": "empty"}, within_s=20.0),
        Step("judging", {"done_with": "deliver", "ready_to_look": "looking"}, within_s=5.0),
        Step("looking", {"seen_once": "settling"}, within_s=25.0),
        Step("settling", {"done_with": "deliver", "in_doubt": "looking_again"}, within_s=5.0),
        Step("looking_again", {"seen_twice": "deciding"}, within_s=15.0),
        Step("deciding", {"done_with": "deliver"}, within_s=5.0),
        Step("deliver", {"transport_out": "emptying", "board_gone": "empty"}),
        Step("emptying", {"board_gone": "empty", "board_kept": "deliver"}, within_s=30.0),
    )

    def no_storm_of_calls(self) -> bool:
        return self.calls_ppm <= self.storm_ppm or self.unit.state == UNHOLDING

    def work_here(self) -> int:
        return VIEWED

    def seen_once(self) -> bool:
        return self.seen() and self.looks == 1

    def seen_twice(self) -> bool:
        return self.seen() and self.looks == 2

    def in_doubt(self) -> bool:
        return self.settled() and self.calls > 0 and not self.look_heard

    def work_complete(self) -> bool:
        return self.unit.step not in (LOOKING, SETTLING, LOOKING_AGAIN, DECIDING)

    def set_up(self) -> bool:
        return self.recipe_verified() and self.parts == self.parts_setpoint

    def count_anew(self) -> None:
        self.calls_ppm = 0.0

    def execute(self) -> None:
        self.parts_setpoint = self.parts_wanted
        self.tend(self.unit.step == DELIVER)
        self.again = False

    def settling(self) -> None:
        """Pass the board, or tell the machine that the next look is a second one."""
        self.again = True
        if self.settled():
            self.count_calls()
            if self.calls == 0:
                self.pass_board()

    def looking_again(self) -> None:
        self.again = True
        self.look_start = True

    def deciding(self) -> None:
        """What the second look leaves counts."""
        if self.settled() and not self.done_with():
            if self.calls == 0:
                self.cleared += 1
                self.pass_board()
            else:
                self.board.work_done |= VIEWED
                condemn(self.board, int(Route.REWORK))

    def pass_board(self) -> None:
        self.board.work_done |= VIEWED
        self.board.result = int(Result.GOOD)

    def count_calls(self) -> None:
        """The rate moves by one part in `storm_boards` with each board."""
        board_ppm = DIV(1e6 * min(self.calls, CALLS_MOST), float(self.parts_wanted), 0.0)
        self.calls_ppm += DIV(board_ppm - self.calls_ppm, float(self.storm_boards), 0.0)
        self.called += self.calls > 0


_STEPS = Aoi.sequence.names
LOOKING, SETTLING, LOOKING_AGAIN, DECIDING, DELIVER = (
    _STEPS.index(s) for s in ("looking", "settling", "looking_again", "deciding", "deliver")
)
