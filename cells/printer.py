"""A solder-paste printer: takes a bare board, clamps it, prints it, gives it on."""

from __future__ import annotations

from cellrt import (
    Cause,
    Cell,
    Command,
    Infeed,
    Input,
    Interlock,
    Outfeed,
    Output,
    Parameter,
    Result,
    Sequence,
    Step,
    Var,
    always,
    hold,
    safe,
    to,
)
from cells.work import PRINTED


class Printer(Cell):
    """Prints each board once.

    * The belt runs only while the clamp is open.
    * A print that anything interrupts is never repeated: the board is failed and passed on.
    * The stencil is wiped after `wipe_after` prints, between boards.
    * Low paste holds the printer between boards; the rest of the line drains.
    """

    infeed: Infeed
    outfeed: Outfeed
    estop_released: bool = Input()
    guards_closed: bool = Input()
    board_at_entry: bool = Input()
    board_at_stop: bool = Input()
    clamped: bool = Input()
    unclamped: bool = Input()
    printing: bool = Input()
    print_done: bool = Input()
    wiping: bool = Input()
    paste_low: bool = Input()
    fault: bool = Input()
    pressure_N: float = Input(unit="N", low=0.0, high=200.0)
    stroke_mm: float = Input(unit="mm", low=0.0, high=400.0)
    offset_x_um: float = Input(unit="um", low=-500.0, high=500.0, doc="of the last print")
    offset_y_um: float = Input(unit="um", low=-500.0, high=500.0, doc="of the last print")
    paste_pct: float = Input(unit="%", low=0.0, high=100.0)
    temperature_degC: float = Input(unit="degC", low=0.0, high=60.0)
    barcode: int = Input(doc="board under the scanner; 0 none")
    prints_since_wipe: int = Input()

    belt_run: bool = Output(safe=always(to(False)))
    clamp: bool = Output(
        safe=safe(
            stop=to(False),
            process=hold(2.0, False),
            comms=hold(2.0, False),
            guard=hold(2.0, False),
            estop=to(False),
        ),
        doc="a stroke under way ends before the board is let go",
    )
    print_start: bool = Output(safe=always(to(False)), doc="starts one print on its rising edge")
    wipe_start: bool = Output(safe=always(to(False)), doc="starts one wipe on its rising edge")
    pressure_setpoint_N: float = Output(safe=always(to(0.0)), unit="N", low=0.0, high=200.0)
    stroke_speed_mm_s: float = Output(safe=always(to(0.0)), unit="mm/s", low=0.0, high=200.0)
    correction_x_um: float = Output(safe=always(to(0.0)), unit="um", low=-200.0, high=200.0)
    correction_y_um: float = Output(safe=always(to(0.0)), unit="um", low=-200.0, high=200.0)

    pressure_N_wanted: float = Parameter(80.0, unit="N", low=30.0, high=150.0)
    stroke_mm_s_wanted: float = Parameter(60.0, unit="mm/s", low=20.0, high=100.0)
    offset_x_um_wanted: float = Parameter(0.0, unit="um", low=-100.0, high=100.0)
    offset_y_um_wanted: float = Parameter(0.0, unit="um", low=-100.0, high=100.0)
    wipe_after: int = Parameter(12, unit="prints", low=1, high=50)
    started: bool = Var(retain=True, doc="a print of the present board was begun")

    interlocks = (
        Interlock("estop_released", Cause.ESTOP),
        Interlock("guards_closed", Cause.GUARD),
        Interlock("machine_well", Cause.PROCESS),
        Interlock("paste_enough", Cause.NONE, Command.HOLD, only_running=True),
    )
    sequence = Sequence(
        Step(
            "empty",
            {
                "has_board": "judging",
                "transport_in": "filling",
                "transport_out": "emptying",
                "wipe_due": "wipe",
            },
        ),
        Step("filling", {"has_board": "judging", "none_came": "empty"}, within_s=20.0),
        Step("judging", {"done_with": "deliver", "untouched": "clamping"}),
        Step("clamping", {"clamped": "stroke"}, within_s=3.0),
        Step("stroke", {"print_done": "releasing"}, within_s=25.0),
        Step("releasing", {"unclamped": "deliver"}, within_s=3.0),
        Step("deliver", {"transport_out": "emptying", "board_gone": "empty"}),
        Step("emptying", {"board_gone": "empty", "board_kept": "deliver"}, within_s=30.0),
        Step("wipe", {"wiped": "empty"}, within_s=40.0),
    )

    def machine_well(self) -> bool:
        return not self.fault

    def paste_enough(self) -> bool:
        return not self.paste_low or self.unit.step != 0

    def has_board(self) -> bool:
        return self.board.id != 0

    def none_came(self) -> bool:
        return self.board.id == 0 and not self.infeed.moving()

    def board_gone(self) -> bool:
        return self.board.id == 0 and not self.outfeed.moving()

    def board_kept(self) -> bool:
        return self.board.id != 0 and not self.outfeed.moving()

    def transport_in(self) -> bool:
        return self.infeed.moving()

    def transport_out(self) -> bool:
        return self.outfeed.moving()

    def done_with(self) -> bool:
        return self.board.work_done & PRINTED != 0 or self.board.result == Result.FAILED

    def untouched(self) -> bool:
        return not self.started

    def wipe_due(self) -> bool:
        return self.prints_since_wipe >= self.wipe_after

    def wiped(self) -> bool:
        return self.prints_since_wipe < self.wipe_after and not self.wiping

    def work_complete(self) -> bool:
        return self.unit.step not in (CLAMPING, STROKE, RELEASING, WIPE)

    def execute(self) -> None:
        """Belt and ports; what the steps need is switched off here and on by them."""
        free = self.board_gone() and self.unit.step <= FILLING and not self.wipe_due()
        filling = self.infeed.take(self.board, free, self.board_at_stop, self.board_at_entry)
        ready = self.unit.step == DELIVER
        emptying = self.outfeed.give(self.board, ready, not self.board_at_stop)
        self.belt_run = (filling or emptying) and self.unclamped
        self.clamp = False
        self.print_start = False
        self.wipe_start = False
        self.pressure_setpoint_N = self.pressure_N_wanted
        self.stroke_speed_mm_s = self.stroke_mm_s_wanted
        self.correction_x_um = self.offset_x_um_wanted
        self.correction_y_um = self.offset_y_um_wanted

    def judging(self) -> None:
        """A board whose print was begun but not seen to end is scrap."""
        if self.started and self.board.work_done & PRINTED == 0:
            self.board.result = int(Result.FAILED)
        self.started = self.started and not self.done_with()

    def clamping(self) -> None:
        self.clamp = True

    def stroke(self) -> None:
        self.clamp = True
        self.print_start = True
        self.started = True

    def releasing(self) -> None:
        if self.unit.step_entered:
            self.board.work_done |= PRINTED
            self.board.printed_ns = self.now_ns
            self.board.result = int(Result.GOOD)
            self.started = False

    def wipe(self) -> None:
        self.wipe_start = True


_STEPS = Printer.sequence.names
FILLING, CLAMPING, STROKE = (_STEPS.index(s) for s in ("filling", "clamping", "stroke"))
RELEASING, DELIVER, WIPE = (_STEPS.index(s) for s in ("releasing", "deliver", "wipe"))
