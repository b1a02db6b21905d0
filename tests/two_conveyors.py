"""Two conveyors joined by a handover, on belts with light barriers, and what must be true of them always."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from plain_line import PERIOD_NS, PlainLine, lead_to_execute

from cellrt.assembly import Assembly
from cellrt.handover import GIVING_BITS, Handover, Link
from cellrt.packml import State
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
        held = self.spanning() and self.covered(EXIT_MM) and not self.blocked_mm
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
