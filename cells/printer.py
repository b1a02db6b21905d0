"""A solder-paste printer: takes a bare board, clamps it, prints it, gives it on."""

from __future__ import annotations

from collections.abc import Mapping

from cellrt import (
    Cause,
    Command,
    Input,
    Interlock,
    Output,
    Parameter,
    Result,
    Sequence,
    Step,
    Var,
    always,
    hold,
    safe,
    stay,
    to,
)
from cellrt.blocks import LIMIT
from cells.station import Station
from cells.supply import Supply
from cells.work import PRINTED, READ_WITHIN_NS, identify

N_A_PCT = -10.0 / 3.0
"""A softer squeegee leaves more paste: so much pressure for each % of volume."""
MOST_CORRECTION_N = 15.0
PRINT_S = 25.0
"""The machine's own print is over by then."""
WIRE_N, WIRE_MM_S = 0.1, 0.1
"""Resolution of the settings on the wire."""


class Printer(Station):
    """Prints each board once.

    * The belt runs only while the clamp is open.
    * A board is asked for once the machine works by the recipe, and has its settings.
    * The board at the stop must be the one that was announced. One that cannot be read within half
      a second, or is another, is failed, leaves by removal, and is not printed.
    * A board that has failed passes through.
    * A print that anything interrupts is never repeated: the board is failed and passed on.
    * The stencil is wiped after `wipe_after` prints, and when `wipes_asked` changes, between boards.
    * After a pause of `knead_after_s` the paste is kneaded before the next board comes in. After
      one of `waste_after_s` the next print is a reject: its board is failed.
    * Each stroke, front and rear, has its own offset correction.
    * Volume is corrected through the pressure, by 15 N at most.
    * Paste is asked for before it runs low or ends its life on the stencil, and when it is another
      than the recipe's.
    * Low paste holds the printer between boards; the rest of the line drains. Paste past its life, or
      of another number, holds it before any print.
    """

    supply: Supply
    clamped: bool = Input()
    unclamped: bool = Input()
    printing: bool = Input()
    print_done: bool = Input()
    wiping: bool = Input()
    kneading: bool = Input()
    rear: bool = Input(doc="the next stroke goes from the rear to the front")
    paste_low: bool = Input()
    pressure_N: float = Input(unit="N", low=0.0, high=200.0)
    stroke_mm: float = Input(unit="mm", low=0.0, high=400.0)
    offset_x_um: float = Input(unit="um", low=-500.0, high=500.0, doc="of the last print")
    offset_y_um: float = Input(unit="um", low=-500.0, high=500.0, doc="of the last print")
    paste_pct: float = Input(unit="%", low=0.0, high=100.0)
    paste_number: int = Input(doc="number of the paste on the stencil")
    paste_age_s: float = Input(
        unit="s", low=0.0, high=1e6, doc="since this paste was put on the stencil"
    )
    temperature_degC: float = Input(unit="degC", low=0.0, high=60.0)
    prints_since_wipe: int = Input()
    wipes: int = Input(doc="full wipes that the machine has counted")
    pause_s: float = Input(unit="s", doc="since a squeegee last moved the paste")
    pressure_set_N: float = Input(unit="N", low=0.0, high=200.0, doc="as the machine has it")
    speed_set_mm_s: float = Input(unit="mm/s", low=0.0, high=200.0, doc="as the machine has it")
    recipe_refused: bool = Input(doc="settings are beyond the machine's own limits")

    belt_run: bool = Output(safe=always(to(False)))
    clamp: bool = Output(
        safe=safe(
            stop=hold(PRINT_S, False),
            process=hold(PRINT_S, False),
            comms=hold(PRINT_S, False),
            guard=stay(False),
            estop=stay(False),
        ),
        doc="a print under way ends by itself before the board is let go; whoever stopped it by "
        "e-stop or guard finds clamp and squeegee as they were, until the cell is cleared",
    )
    print_start: bool = Output(safe=always(to(False)), doc="starts one print on its rising edge")
    wipe_start: bool = Output(safe=always(to(False)), doc="starts one wipe on its rising edge")
    knead_start: bool = Output(safe=always(to(False)), doc="kneads once on its rising edge")
    pressure_setpoint_N: float = Output(safe=always(to(0.0)), unit="N", low=0.0, high=200.0)
    stroke_speed_mm_s: float = Output(safe=always(to(0.0)), unit="mm/s", low=0.0, high=200.0)
    correction_x_um: float = Output(safe=always(to(0.0)), unit="um", low=-200.0, high=200.0)
    correction_y_um: float = Output(safe=always(to(0.0)), unit="um", low=-200.0, high=200.0)

    pressure_N_wanted: float = Parameter(80.0, unit="N", low=30.0, high=150.0, recipe=True)
    stroke_mm_s_wanted: float = Parameter(80.0, unit="mm/s", low=20.0, high=100.0, recipe=True)
    front_x_um_wanted: float = Parameter(0.0, unit="um", low=-100.0, high=100.0)
    front_y_um_wanted: float = Parameter(0.0, unit="um", low=-100.0, high=100.0)
    rear_x_um_wanted: float = Parameter(0.0, unit="um", low=-100.0, high=100.0)
    rear_y_um_wanted: float = Parameter(0.0, unit="um", low=-100.0, high=100.0)
    volume_pct_wanted: float = Parameter(
        0.0, unit="%", low=-4.0, high=4.0, doc="more volume than the recipe's pressure gives"
    )
    wipe_after: int = Parameter(15, unit="prints", low=1, high=50, recipe=True)
    wipes_asked: int = Parameter(0, low=0, high=999_999, doc="another value asks for one wipe")
    knead_after_s: float = Parameter(600.0, unit="s", low=60.0, high=7200.0)
    waste_after_s: float = Parameter(1800.0, unit="s", low=60.0, high=14400.0)
    paste_number_wanted: int = Parameter(
        305, low=1, high=9999, recipe=True, doc="number of the paste"
    )
    paste_low_pct: float = Parameter(
        40.0, unit="%", low=20.0, high=90.0, doc="less is left: paste is asked for"
    )
    paste_life_s: float = Parameter(
        28_800.0, unit="s", low=600.0, high=86_400.0, doc="on the stencil; older, it prints nothing"
    )
    paste_ahead_s: float = Parameter(
        900.0, unit="s", low=60.0, high=7200.0, doc="so long before its end paste is asked for"
    )
    wipes_answered: int = Var(retain=True, doc="`wipes_asked` as of the last wipe")
    wipes_before: int = Var(doc="machine's count of wipes as of the last step that was no wipe")
    first_is_waste: bool = Var(retain=True, doc="the next print ends a long pause")
    started: bool = Var(retain=True, doc="a print of the present board was begun")

    interlocks = (
        *Station.interlocks,
        Interlock("paste_enough", Cause.NONE, Command.HOLD, only_running=True),
        Interlock("paste_alive", Cause.NONE, Command.HOLD, only_running=True),
        Interlock("paste_right", Cause.NONE, Command.HOLD, only_running=True),
    )
    sequence = Sequence(
        Step(
            "empty",
            {
                "has_board": "judging",
                "transport_in": "filling",
                "transport_out": "emptying",
                "wipe_due": "wipe",
                "dry": "knead",
            },
        ),
        Step("filling", {"has_board": "judging", "none_came": "empty"}, within_s=20.0),
        Step("judging", {"done_with": "deliver", "ready_to_print": "clamping"}),
        Step("clamping", {"clamped": "stroke"}, within_s=3.0),
        Step("stroke", {"print_done": "releasing"}, within_s=PRINT_S),
        Step("releasing", {"unclamped": "deliver"}, within_s=3.0),
        Step("deliver", {"transport_out": "emptying", "board_gone": "empty"}),
        Step("emptying", {"board_gone": "empty", "board_kept": "deliver"}, within_s=30.0),
        Step("wipe", {"wiped": "empty"}, within_s=40.0),
        Step("knead", {"kneaded": "empty"}, within_s=30.0),
    )

    def between_boards(self) -> bool:
        return self.unit.step in (EMPTY, WIPE, KNEAD)

    def before_print(self) -> bool:
        """No board is in the machine, or one that waits for its print."""
        waits = self.unit.step in (JUDGING, CLAMPING) and not self.done_with()
        return self.between_boards() or waits

    def paste_enough(self) -> bool:
        return not (self.paste_low and self.between_boards())

    def paste_alive(self) -> bool:
        return self.paste_age_s < self.paste_life_s or not self.before_print()

    def paste_right(self) -> bool:
        return self.paste_number == self.paste_number_wanted or not self.before_print()

    @classmethod
    def unfit(cls, parameters: Mapping[str, bool | int | float]) -> str | None:
        """Fresh paste must not be asked for at once again."""
        life_s, ahead_s = (parameters[f"paste_{p}_s"] for p in ("life", "ahead"))
        if ahead_s < life_s:
            return None
        return f"paste_ahead_s {ahead_s:g} is not under paste_life_s {life_s:g}; ask later"

    def work_here(self) -> int:
        return PRINTED

    def ready_to_print(self) -> bool:
        return not self.started and self.barcode == self.board.id

    def wipe_due(self) -> bool:
        return self.prints_since_wipe >= self.wipe_after or self.wipes_asked != self.wipes_answered

    def wiped(self) -> bool:
        return self.wipes != self.wipes_before and not self.wiping

    def dry(self) -> bool:
        """A board waits, and the paste is too dry for it."""
        waits = self.infeed.hears.board_available and self.board.id == 0
        return waits and self.pause_s >= self.knead_after_s

    def kneaded(self) -> bool:
        return self.pause_s < self.knead_after_s and not self.kneading

    def set_up(self) -> bool:
        """The machine has said that it works by the recipe, with the settings that it was sent."""
        pressure_well = abs(self.pressure_set_N - self.pressure_setpoint_N) <= WIRE_N
        speed_well = abs(self.speed_set_mm_s - self.stroke_speed_mm_s) <= WIRE_MM_S
        return self.recipe_verified() and pressure_well and speed_well

    def work_complete(self) -> bool:
        return self.unit.step not in (CLAMPING, STROKE, RELEASING, WIPE, KNEAD)

    def always(self) -> None:
        """Paste is asked for whatever the state."""
        if self.unit.io_good:
            ends = self.paste_age_s >= self.paste_life_s - self.paste_ahead_s
            ends = ends or self.paste_pct < self.paste_low_pct or self.paste_low
            ends = ends or self.paste_number != self.paste_number_wanted
            self.supply.ask(self.paste_number_wanted, ends)

    def execute(self) -> None:
        """Belt and ports; what the steps need is switched off here and on by them.

        A print that goes on from before an abort ends first, whatever the step is.
        """
        self.set_machine()
        free = self.board_gone() and self.unit.step <= FILLING and self.set_up()
        free = free and not self.wipe_due() and not self.dry()
        self.belt_run = self.convey(free, self.unit.step == DELIVER) and self.unclamped
        self.clamp = self.printing
        self.print_start = False
        self.wipe_start = False
        self.knead_start = False
        if self.unit.step != WIPE:
            self.wipes_before = self.wipes

    def set_machine(self) -> None:
        """Recipe, settings and corrections."""
        self.send_recipe()
        softer_N = N_A_PCT * self.volume_pct_wanted
        self.pressure_setpoint_N = self.pressure_N_wanted + LIMIT(
            -MOST_CORRECTION_N, softer_N, MOST_CORRECTION_N
        )
        self.stroke_speed_mm_s = self.stroke_mm_s_wanted
        self.correction_x_um = self.rear_x_um_wanted if self.rear else self.front_x_um_wanted
        self.correction_y_um = self.rear_y_um_wanted if self.rear else self.front_y_um_wanted

    def judging(self) -> None:
        """A board whose print was begun but not seen to end is scrap, and so is an unknown one."""
        if self.started and self.board.work_done & PRINTED == 0:
            self.board.result = int(Result.FAILED)
        elif not self.done_with() and self.step_ns() >= READ_WITHIN_NS:
            identify(self.board, self.barcode)
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
            self.board.result = int(Result.FAILED if self.first_is_waste else Result.GOOD)
            self.started = False
            self.first_is_waste = False

    def wipe(self) -> None:
        self.wipe_start = True
        if self.wiped():
            self.wipes_answered = self.wipes_asked

    def knead(self) -> None:
        self.first_is_waste = self.first_is_waste or self.pause_s >= self.waste_after_s
        self.knead_start = True


_STEPS = Printer.sequence.names
EMPTY, FILLING, JUDGING, CLAMPING, STROKE = (
    _STEPS.index(s) for s in ("empty", "filling", "judging", "clamping", "stroke")
)
RELEASING, DELIVER, WIPE, KNEAD = (
    _STEPS.index(s) for s in ("releasing", "deliver", "wipe", "knead")
)
