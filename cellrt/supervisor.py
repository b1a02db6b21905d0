"""The supervisor: what the line is to do as a whole. It sees states and sends commands, nothing else.

It is asked at logical times, in the twin as in a running line, and it reads no clock, so that a whole
week is as deterministic as a scan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from enum import Enum

from cellrt.commander import Commander
from cellrt.declared import all_interlocks
from cellrt.interlock import Cause
from cellrt.packml import Command, Control, Mode, State
from cellrt.scan.commands import Operation
from cellrt.scan.plan import Plan

SETTLED_NS = 2_000_000_000
"""How long a line that fell is left alone before it may start by itself."""

RESTARTS_IN_A_ROW = 3
"""A line that falls again and again wants a person to look."""

CALM_NS = 60_000_000_000
"""A line that ran for so long since its last restart did not fall again and again."""

FIRST_RULE = 1
"""First-out of a cell whose inputs were not good: that is every cell's first rule."""

AT_REST = (State.STOPPED, State.ABORTED)
AT_WORK = (
    State.EXECUTE,
    State.SUSPENDING,
    State.SUSPENDED,
    State.UNSUSPENDING,
    State.HOLDING,
    State.HELD,
    State.UNHOLDING,
)
"""A cell that waits for boards works; so does one that is held: it was started."""
ENDING = (State.COMPLETING, State.COMPLETE, State.STOPPING)
"""A cell that still does what it was asked to do before."""

LOOKS_AT = ("state", "state_since_ns", "mode", "commander", "first_out", "io_good")
"""What it reads of a unit."""

Read = Callable[[str], bool | int | float]
"""Reads a tag of the latest snapshot by name."""


class Goal(Enum):
    """What whoever is in command wants of the line."""

    REST = "rest"
    RUN = "run"
    RECOVER = "recover"  # it was to run and fell: to run again where nobody needs to be asked
    STOP = "stop"
    ABORT = "abort"


_WAY: dict[Goal, dict[State, Command]] = {
    Goal.REST: {},
    Goal.RECOVER: {State.HELD: Command.UNHOLD},
    Goal.RUN: {
        State.ABORTED: Command.CLEAR,
        State.STOPPED: Command.RESET,
        State.COMPLETE: Command.RESET,
        State.IDLE: Command.START,
        State.HELD: Command.UNHOLD,
    },
    Goal.STOP: {
        s: Command.STOP
        for s in State
        if s
        not in (
            State.UNDEFINED,
            State.STOPPED,
            State.STOPPING,
            State.ABORTING,
            State.ABORTED,
            State.CLEARING,
        )
    },
    Goal.ABORT: {
        s: Command.ABORT for s in State if s not in (State.UNDEFINED, State.ABORTING, State.ABORTED)
    },
}
"""The command that brings a unit nearer to a goal, by the state that it is in."""


class Supervisor:
    """Brings every cell to the goal, each by one command a state visited.

    * `RUN` was asked for by a person. It clears and starts each cell once; what later stops or aborts, by
      itself or by another's command, is left alone. Held by an interlock, a cell goes on when that is well.
    * A cell that a person has taken, or that is not in Production, is sent nothing but Stop and Abort, is not
      waited for, and keeps the line from starting by itself. Released, it stands until `RUN` is asked for anew.
    * Cells that warn come to Execute before any other is started.
    * A stop reaches the cells behind one that runs out when that has come to rest.
    * A line that was to run and fell as a whole goes on by itself only as `may_restart` allows, and not
      again and again.
    """

    def __init__(self, plan: Plan, commander: Commander) -> None:
        self._plan = plan
        self.commander = commander
        self.goal = Goal.REST
        self._heralds = [c for c in plan.cells if "warning_lamp" in plan.line.cells[c].type.fields]
        self._cannot_wait = _cannot_wait(plan)
        self._numbers = {cell: number for number, cell in enumerate(plan.cells)}
        self._states: dict[str, State] = {}
        self._answered: dict[str, int] = {}
        self._cleared: set[str] = set()
        self._worked: set[str] = set()
        self._held: set[str] = set()
        self._fell_ns = 0
        self.restarted_ns = 0
        self.restarts = 0

    def pursue(self, goal: Goal) -> None:
        """Take up a goal that a person gives: one who has looked, so restarts count anew."""
        self.restarts = 0
        self._take_up(goal)

    def resume(self, goal: Goal, restarts: int, restarted_ns: int) -> None:
        """Take up a goal that an earlier process pursued, and how often that one restarted the line.

        It starts nothing that does not run.
        """
        self.restarts, self.restarted_ns = restarts, restarted_ns
        self._take_up(goal)
        self._worked.update(self._plan.cells)

    def _take_up(self, goal: Goal) -> None:
        self.goal = goal
        self._answered.clear()
        self._cleared.clear()
        self._worked.clear()

    def fall(self, now_ns: int) -> None:
        """The line fell: its scan began anew, or all cells aborted."""
        self._fell_ns = now_ns
        if now_ns - self.restarted_ns >= CALM_NS:
            self.restarts = 0
        self._take_up(Goal.RECOVER if self.goal in (Goal.RUN, Goal.RECOVER) else self.goal)

    def looks_at(self, cell: str) -> list[str]:
        """The tags of a cell on which decisions rest while they do not wait: until one of them changes, or
        another goal is taken up, there is nothing more to say."""
        return [f"{cell}.unit.{tag}" for tag in LOOKS_AT]

    @property
    def waits(self) -> bool:
        """It waits for a moment and not for a change: to start a line that fell."""
        return self.goal is Goal.RECOVER

    def decide(
        self, now_ns: int, read: Read, changed: AbstractSet[str] | None = None
    ) -> list[list[int]]:
        """Commands for this moment, from the states that `read` shows.

        `changed` are the cells of which anything of what it `looks_at` has changed since it was asked last
        with the same goal; None: perhaps all.
        """
        cells: Iterable[str] = self._plan.cells
        if changed is not None and not self._goes_round(changed):
            cells = sorted(changed, key=self._numbers.__getitem__)
        for cell in cells:
            before, state = self._states.get(cell), State(int(read(f"{cell}.unit.state")))
            self._states[cell] = state
            self._watch(cell, before, state, read)
        if self.goal is Goal.RUN and self._has_fallen(self._states, read):
            self.fall(now_ns)
        if self.goal is Goal.RECOVER and self._may_restart(now_ns, self._states, read):
            self.restarts += 1
            self.restarted_ns = now_ns
            self._take_up(Goal.RUN)
        return [command for cell in cells for command in self._command(cell, now_ns, read)]

    def _goes_round(self, changed: AbstractSet[str]) -> bool:
        """What changed in one cell counts for others: one that warns, or one that is to stop before them."""
        return self.goal is not Goal.RUN or not changed.isdisjoint(self._heralds)

    def _command(self, cell: str, now_ns: int, read: Read) -> list[list[int]]:
        """The command that a cell gets now; none for one that has had it in this state."""
        if self.goal not in (Goal.STOP, Goal.ABORT) and in_hand(cell, read):
            return []
        wanted = self._wanted(cell, self._states[cell], self._states, read)
        since_ns = _since_ns(cell, read)
        if wanted is None or self._answered.get(cell) == since_ns:
            return []
        self._answered[cell] = since_ns
        number = self._numbers[cell]
        return [self.commander.command(Operation.PACKML, number, int(wanted), now_ns)]

    def reached(self, read: Read) -> bool:
        """Every cell is where the goal wants it (or aborted, where only a person helps)."""
        states = [
            State(int(read(f"{cell}.unit.state")))
            for cell in self._plan.cells
            if self.goal in (Goal.STOP, Goal.ABORT) or not in_hand(cell, read)
        ]
        ends: dict[Goal, tuple[State, ...]] = {
            Goal.REST: tuple(State),
            Goal.RECOVER: tuple(State),
            Goal.RUN: (State.EXECUTE, State.SUSPENDED, State.HELD, State.ABORTED),
            Goal.STOP: AT_REST,
            Goal.ABORT: (State.ABORTED,),
        }
        return all(state in ends[self.goal] for state in states)

    def _watch(self, cell: str, before: State | None, state: State, read: Read) -> None:
        """Remember who has worked or was in hand, and who is held by an interlock and not by a person.

        Who completed or stopped has done what it was asked, and is reset where RUN is asked; but not when
        it fell.
        """
        fell = before in ENDING and state in (State.ABORTING, State.ABORTED)
        if state in AT_WORK or fell or in_hand(cell, read):
            self._worked.add(cell)
        if state not in (State.HOLDING, State.HELD):
            self._held.discard(cell)
        elif read(f"{cell}.unit.first_out"):
            self._held.add(cell)

    def _wanted(
        self, cell: str, state: State, states: dict[str, State], read: Read
    ) -> Command | None:
        """The command that a cell needs now, if it may have it."""
        wanted = _WAY[self.goal].get(state)
        if self.goal is Goal.STOP and any(
            states[c] not in AT_REST for c in self._cannot_wait[cell]
        ):
            return None
        if wanted is Command.UNHOLD:
            well = cell in self._held and not read(f"{cell}.unit.first_out")
            return wanted if well else None
        if wanted is None or self.goal is not Goal.RUN:
            return wanted
        if cell in self._worked or not read(f"{cell}.unit.io_good"):
            return None
        if wanted is Command.CLEAR and not self._may_clear(cell, read):
            return None
        warned = all(states[c] is State.EXECUTE for c in self._heralds)
        if wanted is Command.START and not (warned or cell in self._heralds):
            return None
        return wanted

    def _may_clear(self, cell: str, read: Read) -> bool:
        """Once for each request: what aborts again wants a person to look.

        Devices that were not there yet are no fault of a cell that has not worked yet.
        """
        waited_for_devices = int(read(f"{cell}.unit.first_out")) == FIRST_RULE
        if cell in self._cleared and not waited_for_devices:
            return False
        self._cleared.add(cell)
        return True

    def _has_fallen(self, states: dict[str, State], read: Read) -> bool:
        """Every cell has worked and was aborted by a rule, not by anyone's command."""
        return self._worked.issuperset(states) and all(
            state is State.ABORTED and read(f"{cell}.unit.first_out")
            for cell, state in states.items()
        )

    def _may_restart(self, now_ns: int, states: dict[str, State], read: Read) -> bool:
        return (
            now_ns - self._fell_ns >= SETTLED_NS
            and self.restarts < RESTARTS_IN_A_ROW
            and all(s in AT_REST and read(f"{c}.unit.io_good") for c, s in states.items())
            and not any(in_hand(c, read) for c in states)
            and may_restart(self._plan, read)
        )


def in_hand(cell: str, read: Read) -> bool:
    """A person has a cell to himself: he took it, or it is not in Production."""
    local = read(f"{cell}.unit.commander") == Control.LOCAL
    return local or read(f"{cell}.unit.mode") != Mode.PRODUCTION


def _since_ns(cell: str, read: Read) -> int:
    return int(read(f"{cell}.unit.state_since_ns"))


def _cannot_wait(plan: Plan) -> dict[str, list[str]]:
    """For each cell, those before it whose boards must go on to it until they have run out."""
    before: dict[str, list[str]] = {cell: [] for cell in plan.cells}
    for h in plan.line.handovers:
        before[h.taker].append(h.giver)

    def above(cell: str, seen: tuple[str, ...]) -> list[str]:
        new = [c for c in before[cell] if c not in seen]
        return [d for c in new for d in (c, *above(c, (*seen, c)))]

    oven = {c for c in plan.cells if plan.line.cells[c].type.runs_out}
    return {cell: [c for c in above(cell, (cell,)) if c in oven] for cell in plan.cells}


def may_restart(plan: Plan, read: Read) -> bool:
    """Whether the line may start by itself after a fault: all of what specs for unattended running ask.

    The line file allows it, the key was turned locally, the guards were not opened since, and no cell's
    first-out was an e-stop or a guard.
    """
    if not plan.line.unattended:
        return False
    for cell in plan.cells:
        causes = [rule.cause for rule in all_interlocks(plan.line.cells[cell].type)]
        first = int(read(f"{cell}.unit.first_out")) - 1
        if 0 <= first < len(causes) and causes[first] >= Cause.GUARD:
            return False
    armed = [c for c in plan.cells if "unattended_armed" in plan.line.cells[c].type.fields]
    return bool(armed) and all(
        read(f"{c}.unattended_armed") and read(f"{c}.guards_unbroken") for c in armed
    )
