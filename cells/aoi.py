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
    State,
    Step,
    Var,
    always,
    to,
)
from cellrt.blocks import DIV
from cells.station import Station
from cells.work import (
    SETTLED_NS,
    VIEWED,
    condemn,
)

CALLS_MOST = 5
"""No board counts for more in the rate of calls: one that is lost altogether is no storm."""
UNHOLDING = int(State.UNHOLDING)


class Aoi(Station):
    """Looks at each soldered board, a second time where the first look called anything.

    Of 300 parts at 500 ppm of false calls one board in seven has at least one, three times as many as
    have a true defect. Looking again with the same cameras errs alike, so the second look is a
    verification: side cameras at the places called, a few seconds long. It clears nine false calls in ten, and
    no true one. What is left, some 6 % of the boards, a person verifies at the rework stand.

    * A board that has failed passes through. One that cannot be read, or is another than was
      announced, is failed and leaves by removal.
    * No call: the board is good. Calls that the second look leaves: it is failed and goes to rework.
    * Looking takes nothing from a board: a look that was interrupted is done again.
    * A storm of calls, true or false, holds the cell until somebody unholds or resets it: `calls_ppm`,
      over the last `storm_boards` or so, is beyond `storm_ppm`. That begins a new count. Until
      then no board goes on, and none is ever passed without a look.
    """

    standing: bool = Input(doc="the belt stands")
    busy: bool = Input(doc="a look is under way")
    look_heard: bool = Input(doc="look_start, as the machine has it")
    done: bool = Input(doc="a look ended well")
    looked: int = Input(doc="board that the result is of")
    looks: int = Input(doc="1: the calls are a first look's; 2: a second one's")
    calls: int = Input(doc="parts taken for defective")
    calls_missing: int = Input(doc="of these, parts that are not there")
    calls_shifted: int = Input(doc="of these, parts beyond their tolerance")
    calls_solder: int = Input(doc="of these, bad joints")
    recipe_refused: bool = Input(doc="settings are beyond the machine's own limits")
    parts: int = Input(doc="parts in the program, as the machine has it")

    run: bool = Output(safe=always(to(False)), doc="belt motor")
    again: bool = Output(safe=always(to(False)), doc="the next look is a second one")
    look_start: bool = Output(safe=always(to(False)), doc="starts one look on its rising edge")
    parts_setpoint: int = Output(safe=always(to(0)), doc="parts in the program")

    parts_wanted: int = Parameter(300, unit="parts", low=1, high=2000, recipe=True)
    storm_boards: int = Parameter(10, unit="boards", low=2, high=100)
    storm_ppm: float = Parameter(5000.0, unit="ppm", low=100.0, high=1e6)
    calls_ppm: float = Var(retain=True, unit="ppm", doc="first looks' calls a part, of late")
    called: int = Var(retain=True, doc="boards that a first look called")
    cleared: int = Var(retain=True, doc="of these, boards that the second look cleared")

    interlocks = (
        *Station.interlocks,
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

    def ready_to_look(self) -> bool:
        """The board stands there, and the machine has seen the last look's start go off."""
        return self.barcode == self.board.id and self.standing and not self.look_heard

    def seen(self, look: int) -> bool:
        """The machine has looked at this board, since it heard that it shall."""
        of_this = self.done and self.looked == self.board.id and self.looks == look
        return of_this and self.look_heard

    def seen_once(self) -> bool:
        return self.seen(1)

    def seen_twice(self) -> bool:
        return self.seen(2)

    def settled(self) -> bool:
        """All values of the result are there."""
        return self.step_ns() >= SETTLED_NS

    def in_doubt(self) -> bool:
        return self.settled() and self.calls > 0 and not self.look_heard

    def work_complete(self) -> bool:
        return self.unit.step not in (LOOKING, SETTLING, LOOKING_AGAIN, DECIDING)

    def set_up(self) -> bool:
        """The machine has said that it works by the recipe, with the settings that it was sent."""
        return self.recipe_verified() and self.parts == self.parts_setpoint

    def unholding(self) -> bool:
        """Somebody has seen to the calls: count anew."""
        self.calls_ppm = 0.0
        return True

    def resetting(self) -> bool:
        """As after Held."""
        self.calls_ppm = 0.0
        return True

    def execute(self) -> None:
        """Recipe, belt and ports; a look is switched on by its step."""
        self.send_recipe()
        self.parts_setpoint = self.parts_wanted
        free = self.board_gone() and self.unit.step <= FILLING and self.set_up()
        self.run = self.convey(free, self.unit.step == DELIVER)
        self.look_start = False
        self.again = False

    def looking(self) -> None:
        self.look_start = True

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
FILLING, LOOKING, SETTLING = (_STEPS.index(s) for s in ("filling", "looking", "settling"))
LOOKING_AGAIN, DECIDING, DELIVER = (
    _STEPS.index(s) for s in ("looking_again", "deciding", "deliver")
)
