"""The cell: one machine of the line, as a PackML unit with interlocks, a sequence and handovers.

A cell's class declares tags, interlocks and a sequence, and gives its states' work as methods:

* `execute()` in every scan of Execute, before the sequence;
* a method named after a step, in every scan of that step;
* a method named after an acting state (`resetting`, `starting`, `stopping`, ...) returns True when
  that state's work is complete; a state without one is passed at once, but Stopping, Completing,
  Holding and Suspending first end the transports under way;
* `always()` in every scan, whatever the state, before everything else.

In Maintenance the sequence goes on by single steps. In Manual nothing starts, and outputs with `jog` may
be moved by hand; whatever has to find its home does so in `resetting`.

In Held and Suspended the outputs stay as the logic left them: what must not stay on is switched off in
`holding`, `suspending` or `always`.

A scan of a cell is a function of its record alone. `self.now_ns` and `self.dt_s` are the scan's
stamp; there is no other clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from cellrt.compiled import compiled, lowest_set_bit
from cellrt.declared import declare
from cellrt.handover import Board
from cellrt.interlock import Cause, Interlock
from cellrt.packml import REST_BITS, RUNNING, Mode, State, Trigger, Unit, packml_next
from cellrt.sequence import Sequence
from cellrt.statemachine import STAY
from cellrt.tags import Record, Scalar, Var

SUSPEND_AFTER_NS = 30_000_000_000
"""Starved or blocked for so long is Suspended; a state that flaps with boards says nothing."""

POWER_UP_NS = 30_000_000_000
"""Power-up is Stopped; devices that have not answered by then make it Aborted."""

EXECUTE, STARTING, SUSPENDED = int(State.EXECUTE), int(State.STARTING), int(State.SUSPENDED)
STOPPED, HELD = int(State.STOPPED), int(State.HELD)
MAINTENANCE = int(Mode.MAINTENANCE)
SC_BIT = 1 << Trigger.SC
SUSPEND_BIT, UNSUSPEND_BIT = 1 << Trigger.SUSPEND, 1 << Trigger.UNSUSPEND
STOP_CAUSE, PROCESS_CAUSE = int(Cause.STOP), int(Cause.PROCESS)

RUNNING_BITS = sum(1 << s for s in RUNNING)
WAITS_BITS = sum(
    1 << s for s in (State.EXECUTE, State.SUSPENDING, State.SUSPENDED, State.UNSUSPENDING)
)
"""States in which a cell goes on telling its neighbours what it wants."""
PARTAKES_BITS = WAITS_BITS | sum(1 << s for s in (State.STOPPING, State.HOLDING, State.COMPLETING))
"""States in which a cell takes part in transports; in the last three only in those under way."""
ABORT_BITS = sum(1 << s for s in (State.ABORTING, State.ABORTED, State.CLEARING))
RELEASE_BITS = sum(
    1 << s
    for s in (
        State.CLEARING,
        State.RESETTING,
        State.STARTING,
        State.HELD,
        State.UNHOLDING,
        State.UNSUSPENDING,
    )
)
"""States on the way back to work, and Held; they forget an interlock whose condition is back."""


class Cell(Record):
    """Base of every cell."""

    looks_between: ClassVar[bool] = True
    now_ns: int = Var(unit="ns", doc="logical time of this scan")
    dt_s: float = Var(unit="s", doc="nominal time since this cell's last scan")
    unit: Unit
    board: Board

    interlocks: ClassVar[tuple[Interlock, ...]] = ()
    sequence: ClassVar[Sequence] = Sequence()
    period_ms: ClassVar[int] = 0
    """Scan this cell every so many ms; 0: in every scan. Its interlocks are looked at in every scan."""
    gives: ClassVar[str] = "board"
    """The `Board` from which the outfeed gives. A cell that holds several boards takes them into
    `board` and gives them from another."""
    runs_out: ClassVar[bool] = False
    """What is inside cannot wait: the outfeed goes on giving while the cell stops, holds, completes
    and is held. Such a cell gives in `always`."""

    finish_s: ClassVar[float] = 60.0
    """A Stop, Hold, Suspend or Complete that cannot end the work under way by then goes on without
    its end. As long as an oven takes to run out."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        declare(cls)

    @classmethod
    def unfit(cls, parameters: Mapping[str, Scalar]) -> str | None:
        """What is wrong with parameters (by tag) taken together, though each is within its limits.

        Asked before any of them is changed; plain Python, outside the scan. None: they fit.
        """
        return None

    def scan(self) -> None:
        """One scan: interlocks, the work of the state, then what PackML makes of both."""
        logic = self.dt_s > 0.0  # else this scan is not one of its own: the interlocks alone
        if logic:
            self.hear_ports()
            self.always()
        watch_interlocks(self)
        if logic:
            work(self)
        name_cause(self)

    def stopping(self) -> bool:
        """End the work in the machine: transports under way, and what `work_complete` awaits."""
        return finish(self, True)

    def completing(self) -> bool:
        """End the work in the machine, as `stopping` does."""
        return finish(self, True)

    def holding(self) -> bool:
        """End the transports under way: nothing moves while nobody looks."""
        return finish(self, False)

    def suspending(self) -> bool:
        """End the transports under way."""
        return finish(self, False)

    def request(self, trigger_bit: int) -> None:
        """Ask for a transition at the end of this scan; a bit of `packml.Trigger`."""
        self.unit.requests |= trigger_bit

    def step_ns(self) -> int:
        """How long the present step has lasted."""
        return self.now_ns - self.unit.step_since_ns

    def inputs_good(self) -> bool:
        """Every device this cell reads is fresh and well; the first interlock of every cell."""
        return self.unit.io_good

    def in_time(self) -> bool:
        """Its task keeps its time; the last interlock of every cell."""
        return not self.unit.overrun

    if TYPE_CHECKING:  # written out for each class by cellrt.declared

        def always(self) -> None: ...
        def execute(self) -> None: ...
        def work_complete(self) -> bool: ...
        def lost_conditions(self) -> int: ...
        def running_only(self) -> int: ...
        def rule_trigger(self, rule: int) -> int: ...
        def rule_cause(self, rule: int) -> int: ...
        def guards(self) -> int: ...
        def next_step(self, step: int, conditions: int) -> int: ...
        def late_rules(self) -> int: ...
        def finish_limit_ns(self) -> int: ...
        def late_rule(self, step: int) -> int: ...
        def step_within_ns(self, step: int) -> int: ...
        def step_action(self) -> None: ...
        def state_work(self) -> bool: ...
        def is_starved(self) -> bool: ...
        def is_blocked(self) -> bool: ...
        def ports_moving(self) -> bool: ...
        def hear_ports(self) -> None: ...
        def silence_ports(self) -> None: ...
        def leave_ports(self) -> None: ...
        def gives_still(self) -> bool: ...


@compiled
def work(cell: Cell) -> None:
    """The work of the state, then the transition that follows."""
    unit = cell.unit
    if unit.state == EXECUTE:
        run_sequence(cell)
    elif cell.state_work():
        unit.requests |= SC_BIT
    watch_waiting(cell)
    restrain_ports(cell)
    follow_packml(cell)


@compiled
def time_in_state_ns(cell: Cell) -> int:
    """How long the unit has been in its PackML state."""
    return cell.now_ns - cell.unit.state_since_ns


@compiled
def watch_interlocks(cell: Cell) -> None:
    """Latch what was lost, name the first, ask for what its loss commands."""
    unit = cell.unit
    unit.io_seen = unit.io_seen or unit.io_good
    lost = cell.lost_conditions()
    unit.well = lost == 0
    if not unit.io_seen and unit.state == STOPPED and time_in_state_ns(cell) < POWER_UP_NS:
        return
    if not RUNNING_BITS >> unit.state & 1:
        lost &= ~cell.running_only()
    if RELEASE_BITS >> unit.state & 1:
        release(cell, lost)
    trip(cell, lost)


@compiled
def release(cell: Cell, lost: int) -> None:
    """Forget what is lost no more. Held keeps a late step: that has no condition to come back."""
    unit = cell.unit
    kept = cell.late_rules() if unit.state == HELD else 0
    unit.tripped &= lost | kept
    if unit.tripped == 0:
        unit.first_out = 0


@compiled
def trip(cell: Cell, lost: int) -> None:
    """Trip the rules in the mask `lost`."""
    unit = cell.unit
    if lost & ~unit.tripped and unit.first_out == 0:
        unit.first_out = 1 + lowest_set_bit(lost & ~unit.tripped)
    unit.tripped |= lost
    while lost:
        unit.requests |= cell.rule_trigger(lowest_set_bit(lost))
        lost &= lost - 1


@compiled
def run_sequence(cell: Cell) -> None:
    """One scan of Execute: the common work, the step's action, then the step's way out."""
    unit = cell.unit
    cell.execute()
    cell.step_action()
    unit.step_entered = False
    within_ns = cell.step_within_ns(unit.step)
    following = cell.next_step(unit.step, cell.guards())
    if following >= 0 and (unit.step_asked or not one_by_one(unit)):
        unit.step = following
        unit.step_since_ns = cell.now_ns
        unit.step_entered = True
        unit.step_asked = False
    elif following < 0 and within_ns > 0 and cell.step_ns() > within_ns:
        trip(cell, 1 << cell.late_rule(unit.step))


@compiled
def one_by_one(unit: Unit) -> bool:
    """In Maintenance each transition waits for its command; the end of the work waits for nobody."""
    return unit.mode == MAINTENANCE and unit.state == EXECUTE


@compiled
def finish(cell: Cell, work_too: bool) -> bool:
    """Go on until no transport is under way and, with `work_too`, the cell's work is complete."""
    run_sequence(cell)
    if not cell.ports_moving() and (not work_too or cell.work_complete()):
        return True
    return time_in_state_ns(cell) > cell.finish_limit_ns()


@compiled
def watch_waiting(cell: Cell) -> None:
    """Starved or blocked for long is Suspended, and ends when the neighbour comes."""
    unit = cell.unit
    unit.starved, unit.blocked = cell.is_starved(), cell.is_blocked()
    if not (unit.starved or unit.blocked):
        unit.waiting_since_ns = cell.now_ns
        if unit.state == SUSPENDED:
            unit.requests |= UNSUSPEND_BIT
    elif unit.state == EXECUTE and cell.now_ns - unit.waiting_since_ns > SUSPEND_AFTER_NS:
        unit.requests |= SUSPEND_BIT


@compiled
def restrain_ports(cell: Cell) -> None:
    """Tell the neighbours no more than the unit's state can keep."""
    state = cell.unit.state
    if not PARTAKES_BITS >> state & 1 and not cell.gives_still():
        cell.leave_ports()
    elif not WAITS_BITS >> state & 1:
        cell.silence_ports()


@compiled
def follow_packml(cell: Cell) -> None:
    """Make the most urgent transition asked for."""
    unit = cell.unit
    following = packml_next(unit.state, unit.requests)
    unit.requests = 0
    if following == STAY:
        return
    if unit.state == STARTING:
        unit.step = 0
    if following == EXECUTE:
        unit.step_since_ns = cell.now_ns
        unit.step_entered = True
        unit.step_asked = False
        unit.waiting_since_ns = cell.now_ns
    unit.state = following
    unit.state_since_ns = cell.now_ns


@compiled
def name_cause(cell: Cell) -> None:
    """By which cause the outputs are gated: the worst of what tripped, else the unit's rest."""
    unit = cell.unit
    cause, tripped = 0, unit.tripped
    while tripped:
        cause = max(cause, cell.rule_cause(lowest_set_bit(tripped)))
        tripped &= tripped - 1
    if ABORT_BITS >> unit.state & 1:
        cause = max(cause, PROCESS_CAUSE)
    elif REST_BITS >> unit.state & 1:
        cause = max(cause, STOP_CAUSE)
    if unit.cause == 0:  # an output that has run out stays so, whatever cause takes over
        unit.cause_since_ns = cell.now_ns
    unit.cause = cause
