"""Board handover: Hermes' table as the standard has it, and two conveyors that lose no board."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_line import PERIOD_NS, PlainLine, command, lead_to_execute

from cellrt.assembly import Assembly
from cellrt.declared import rules
from cellrt.handover import GIVING_BITS, Handover, Link, Transfer
from cellrt.packml import Command, State
from cells.conveyor import Conveyor

BELT_MM, BOARD_MM, STEP_MM = 600.0, 160.0, 200.0 * PERIOD_NS * 1e-9
ENTRY_MM, EXIT_MM = 50.0, 550.0
MOVING = [s for s in Link if GIVING_BITS >> s & 1]
SIDES = ("up", "down")


def pair(every: dict[str, int] | None = None) -> Assembly:
    """Two conveyors joined by a handover."""
    return Assembly(
        {"up": Conveyor, "down": Conveyor},
        {"joint": Handover},
        (("up.outfeed.says", "joint.up"), ("down.infeed.says", "joint.down")),
        (
            ("joint.state", "up.outfeed.state"),
            ("joint.state", "down.infeed.state"),
            ("joint.down", "up.outfeed.hears"),
            ("joint.up", "down.infeed.hears"),
        ),
        every or {},
    )


@dataclass
class Plant:
    """Two belts end to end, and the boards on them by the place of their front edge.

    A board moves when any belt under it runs, which is the harder case for its owners.
    """

    line: PlainLine
    fronts: dict[int, float] = field(default_factory=dict)
    stored: list[int] = field(default_factory=list)
    fed: int = 0
    lifted: list[int] = field(default_factory=list)
    blocked_mm: list[float] = field(default_factory=list)
    doubled: int = 0
    dragged: int = 0

    def scan(self) -> None:
        self.move()
        self.sense()
        self.line.scan()
        self.gate()
        self.count_owners()
        self.watch_the_gap()

    def move(self) -> None:
        for board, front in self.fronts.items():
            tail = front - BOARD_MM
            on_up = tail < BELT_MM and self.line["up"].run
            on_down = front > BELT_MM and self.line["down"].run
            if on_up or on_down:
                self.fronts[board] = front + STEP_MM
            assert self.fronts[board] < 2 * BELT_MM, f"board {board} fell off the line"

    def sense(self) -> None:
        for number, side in enumerate(SIDES):
            cell, start = self.line[side], number * BELT_MM
            cell.board_at_entry = self.covered(start + ENTRY_MM)
            cell.board_at_exit = self.covered(start + EXIT_MM)
            cell.unit.io_good = True
            cell.guards_closed = True

    def gate(self) -> None:
        """The motors' safe reaction to every cause: off."""
        for side in SIDES:
            cell = self.line[side]
            cell.run = cell.run and cell.unit.cause == 0

    def covered(self, place_mm: float) -> bool:
        """A sensor sees a board, or something else that stands before it."""
        seen = any(f - BOARD_MM <= place_mm <= f for f in self.fronts.values())
        return seen or place_mm in self.blocked_mm

    def spanning(self) -> bool:
        return any(f - BOARD_MM < BELT_MM < f for f in self.fronts.values())

    def count_owners(self) -> None:
        """Every board has one owner; two records show it until the upstream cell's next scan."""
        up, down = self.line["up"].board.id, self.line["down"].board.id
        for board in (*self.fronts, *self.lifted):
            assert board in (up, down), f"board {board} is nobody's"
        assert not (up or down) or {up, down} - {0} == {*self.fronts, *self.lifted}
        self.doubled = self.doubled + 1 if up and up == down else 0
        assert self.doubled <= self.line.assembly.every.get("up", 1), f"board {up} is in two cells"

    def watch_the_gap(self) -> None:
        """No belt works for long against one that holds the same board."""
        held = self.spanning() and self.covered(EXIT_MM)
        alone = held and self.line["up"].run != self.line["down"].run
        self.dragged = self.dragged + 1 if alone else 0
        slowest = max([1, *self.line.assembly.every.values()])
        assert self.dragged <= 2 * slowest, "a belt drags a board out of one that stands"

    def feed(self, board: int | None = None) -> None:
        """Put a board on the upstream conveyor when that is empty, its record with it."""
        cell = self.line["up"]
        if cell.board.id == 0 and not cell.outfeed.moving() and not self.spanning():
            self.fed += 1
            cell.board.id = board or self.fed
            self.fronts[cell.board.id] = EXIT_MM

    def take_away(self, board: int) -> None:
        """Somebody lifts a board off the belt."""
        self.lifted.append(board)
        del self.fronts[board]

    def put_back(self, board: int, front_mm: float) -> None:
        self.lifted.remove(board)
        self.fronts[board] = front_mm

    def is_in(self, phase: object) -> bool:
        """Whether a phase of a transport, by name, is reached."""
        if phase == "spanning":
            return self.spanning()
        return phase == "transporting" and self.line["joint"].state == Link.TRANSPORTING

    def store(self) -> None:
        """Take a board off the downstream conveyor when that holds it."""
        cell = self.line["down"]
        if cell.board.id != 0:
            self.stored.append(cell.board.id)
            del self.fronts[cell.board.id]
            cell.board.id = 0


def plant(every: dict[str, int] | None = None) -> Plant:
    made = Plant(PlainLine(pair(every)))
    for side in SIDES:
        made.line[side].estop_released = True
    return made


def produce(p: Plant, boards: int, limit_scans: int = 4000) -> None:
    """Lead both cells to Execute, again and again, until `boards` are stored."""
    for _ in range(limit_scans):
        for side in SIDES:
            lead_to_execute(p.line[side])
        if len(p.stored) + len(p.fronts) < boards:
            p.feed()
        p.scan()
        if p.line["up"].board.id != p.line["down"].board.id:
            p.store()
        if len(p.stored) == boards:
            return
    states = [State(p.line[s].unit.state).name for s in SIDES]
    raise AssertionError(f"stuck with {p.stored} stored, {p.fronts} on the belts, {states}")


def until(p: Plant, condition: Callable[[], bool], limit_scans: int = 400) -> None:
    """Scan until `condition` holds; both cells are left alone."""
    for _ in range(limit_scans):
        if condition():
            return
        p.scan()
    raise AssertionError(f"never came: {p.fronts}, {Link(p.line['joint'].state).name}")


def transporting(front_mm: float = EXIT_MM) -> Plant:
    """Board 1 on its way, its front at `front_mm` or just past it."""
    p = plant()
    for side in SIDES:
        p.line[side].estop_released = True
    for _ in range(4):
        for side in SIDES:
            p.sense()
            lead_to_execute(p.line[side])
        p.scan()
    p.feed()
    until(p, lambda: p.line["joint"].state in MOVING and p.fronts[1] >= front_mm)
    return p


SPANNING_MM = BELT_MM + ENTRY_MM + STEP_MM
CLEAR_OF_UP_MM = BELT_MM + BOARD_MM + STEP_MM


def test_both_in_execute_boards_pass_in_order() -> None:
    p = plant()
    produce(p, 3)
    assert p.stored == [1, 2, 3]


@pytest.mark.parametrize("side", SIDES)
def test_transporting_abort_before_the_board_moved_ends_it_not_started(side: str) -> None:
    p = transporting()
    other = p.line["down" if side == "up" else "up"]
    command(p.line[side], Command.ABORT)
    until(p, lambda: p.line["joint"].state not in MOVING)
    assert p.line["up"].outfeed.says.transfer == Transfer.NOT_STARTED
    assert p.line["down"].infeed.says.transfer == Transfer.NOT_STARTED
    assert (p.line["up"].board.id, p.line["down"].board.id) == (1, 0)
    p.scan()
    assert other.unit.state == State.EXECUTE
    assert other.sequence.names[other.unit.step] == ("full" if side == "down" else "empty")
    produce(p, 1)


def test_second_transport_abort_before_the_board_moved_ends_it_not_started() -> None:
    p = plant()
    produce(p, 1)
    p.feed()
    until(p, lambda: p.line["joint"].state == Link.TRANSPORTING)
    command(p.line["up"], Command.ABORT)
    until(p, lambda: p.line["joint"].state not in MOVING)
    assert p.line["up"].board.id == 2


@pytest.mark.parametrize("side", SIDES)
def test_spanning_board_abort_is_held_by_both_and_goes_on_later(side: str) -> None:
    p = transporting(SPANNING_MM)
    command(p.line[side], Command.ABORT)
    for _ in range(3):
        p.scan()
    front = p.fronts[1]
    for _ in range(20):
        p.scan()
    assert p.fronts[1] == front and p.spanning()
    assert p.line["joint"].state == Link.TRANSPORTING
    assert p.line["up"].outfeed.says.transfer == Transfer.INCOMPLETE
    assert p.line["down"].infeed.says.transfer == Transfer.INCOMPLETE
    produce(p, 1)
    assert p.stored == [1]


def test_upstream_clear_then_abort_lets_downstream_take_the_board_alone() -> None:
    p = transporting(CLEAR_OF_UP_MM)
    p.scan()
    command(p.line["up"], Command.ABORT)
    until(p, lambda: p.line["down"].board.id == 1)
    p.scan()
    assert p.line["up"].unit.state == State.ABORTED
    assert p.line["up"].board.id == 0, "its record went with the board, whatever its state"
    assert p.line["joint"].state not in MOVING
    assert p.line["up"].outfeed.says.transfer == Transfer.COMPLETE


def test_board_lost_on_the_way_trips_the_step_limits_of_both() -> None:
    p = transporting(SPANNING_MM)
    p.take_away(1)
    down, up = p.line["down"], p.line["up"]
    until(p, lambda: down.unit.state == State.ABORTED)
    assert rules(Conveyor)[down.unit.first_out - 1] == "filling within 15 s"
    until(p, lambda: up.unit.state == State.ABORTED)
    assert rules(Conveyor)[up.unit.first_out - 1] == "emptying within 30 s"
    assert (up.board.id, down.board.id) == (1, 0), "until the downstream holds it, it is upstream's"
    p.put_back(1, EXIT_MM)
    produce(p, 1)
    assert p.stored == [1]


def test_downstream_exit_blocked_from_the_start_takes_nothing_over() -> None:
    p = transporting()
    p.blocked_mm.append(BELT_MM + EXIT_MM)
    for _ in range(3):
        p.scan()
    assert p.line["down"].infeed.says.transfer != Transfer.COMPLETE
    assert (p.line["up"].board.id, p.line["down"].board.id) == (1, 0)


def test_upstream_exit_blocked_after_the_board_left_keeps_it_from_asking_for_more() -> None:
    p = transporting(EXIT_MM + BOARD_MM - 2 * STEP_MM)
    p.blocked_mm.append(EXIT_MM)
    up = p.line["up"]
    until(p, lambda: up.board.id == 0)
    assert up.outfeed.moving() and not up.infeed.says.machine_ready
    until(p, lambda: up.unit.state == State.ABORTED, 700)
    assert rules(Conveyor)[up.unit.first_out - 1] == "emptying within 30 s"


def test_board_that_comes_round_again_is_a_board_like_any_other() -> None:
    p = plant()
    produce(p, 1)
    p.feed(board=1)
    p.scan()
    assert p.line["up"].board.id == 1
    produce(p, 2)
    assert p.stored == [1, 1]


def test_available_and_ready_offer_withdrawn_as_transport_starts_stays_withdrawn() -> None:
    joint = PlainLine(pair())["joint"]
    joint.state = int(Link.AVAILABLE_AND_READY)
    joint.down.machine_ready = True
    joint.down.start_transport = True
    joint.scan()
    assert joint.state == Link.MACHINE_READY


waits = st.one_of(st.integers(0, 80), st.sampled_from(["transporting", "spanning"]))
interruption = st.tuples(
    waits,
    st.sampled_from(SIDES),
    st.sampled_from([*Command, "estop", "recover", "recover"]),
)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(interruption, max_size=12),
    st.sampled_from([{}, {"up": 3}, {"down": 3}, {"up": 3, "down": 2}]),
)
def test_any_interruptions_lose_and_double_no_board(
    interruptions: list[tuple[Any, str, Any]], every: dict[str, int]
) -> None:
    p = plant(every)
    recovering = set(SIDES)
    for wait, side, what in interruptions:
        for _ in range(wait if isinstance(wait, int) else 150):
            if p.is_in(wait):
                break
            if p.fed < 3:
                p.feed()
            p.scan()
            for each in recovering:
                lead_to_execute(p.line[each])
        if what == "estop":
            p.line[side].estop_released ^= True
        elif what == "recover":
            recovering ^= {side}
        else:
            command(p.line[side], what)
    for side in SIDES:
        p.line[side].estop_released = True
    produce(p, 3)
    assert p.stored == [1, 2, 3]


def test_exit_blocked_again_after_the_transport_finished_still_gives_the_board_away() -> None:
    """A loader's pusher goes home while its board still travels: its exit is clear only for a moment."""
    p = transporting(EXIT_MM + BOARD_MM + 2 * STEP_MM)
    up, down = p.line["up"], p.line["down"]
    until(p, lambda: up.outfeed.state == Link.TRANSPORT_FINISHED)
    p.blocked_mm.append(EXIT_MM)
    until(p, lambda: down.board.id != 0, 700)
    until(p, lambda: up.board.id == 0, 5)
