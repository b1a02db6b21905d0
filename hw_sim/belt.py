"""Belts, and the joints at which boards go from one to the next.

A board is owned by exactly one belt: the one that carries its centre. A joint hears both belts as
they were after the last scan and tells both in the same scan that the board changes hands, so there
is no moment at which it has two owners or none.
"""

from __future__ import annotations

from cellrt.tags import Record, Var

BOARD_MM = 160.0
"""Length of every board in the direction of travel (160 x 100 mm)."""
ACCELERATION_MM_S2 = 1000.0
FASTEST_MM_S = 500.0
STOPPER_S = 2.0


class Board(Record):
    """A board as it truly is, whatever anyone believes of it. `id` 0: none."""

    id: int = Var(doc="counts up from 1 in the order of entering")
    mass_pct: float = Var(unit="%", doc="heat capacity; 100: 160 x 100 mm with 300 parts")
    prints: int = Var(doc="times that paste was put on it")
    printed_ns: int = Var(unit="ns", doc="logical time of its last print")
    offset_x_um: float = Var(unit="um", doc="of the paste against the pads")
    offset_y_um: float = Var(unit="um")
    theta_mdeg: float = Var(unit="mdeg", doc="the paste's turn against the pads")
    volume_pct: float = Var(unit="%", doc="paste on the pads, 100 nominal")
    placed: int = Var(doc="parts on it")
    missing: int = Var(doc="parts that were to be placed and are not there")
    shifted: int = Var(doc="parts beyond their tolerance")
    peak_degC: float = Var(unit="degC", doc="highest temperature that it had")
    liquid_s: float = Var(unit="s", doc="time above liquidus")
    defects: int = Var(doc="true defects of its solder joints and parts")
    defective: bool = Var(doc="printed twice, or its print was interrupted")


class Exit(Record):
    """What a belt is told of the one ahead."""

    taken: int = Var(doc="id of the board that changes hands in this scan")
    speed_mm_s: float = Var(unit="mm/s", doc="at which it would take a board; 0 when it would not")
    tail_mm: float = Var(unit="mm", doc="how much of the board ahead still lies on this belt")


class Entry(Record):
    """What a belt is told of the one behind."""

    board: Board
    position_mm: float = Var(unit="mm", doc="leading edge of `board`, which changes hands now")
    overhang_mm: float = Var(unit="mm", doc="how far the board behind reaches onto this belt")


class Belt(Record):
    """One zone, at most one board, running forward only.

    * A board goes past the end only while the next belt is free and runs too, at the slower speed.
    * Once its centre is across, the next belt carries it alone.
    * A stopped motor brakes; a board never slides.
    """

    entry: Entry
    exit: Exit
    board: Board
    position_mm: float = Var(unit="mm", doc="leading edge from the belt's beginning")
    overhang_mm: float = Var(unit="mm", doc="leading edge beyond the belt's end")
    speed_mm_s: float = Var(unit="mm/s", doc="actual")
    length_mm: float = Var(unit="mm")
    held: bool = Var(doc="a clamp holds the board; the belt slips under it")
    stopper_s: float = Var(
        unit="s", doc="so long a stopper at the end still stands up; 0: it is down"
    )
    shut: bool = Var(doc="no board can come in")

    def move(self, run: bool, wanted_mm_s: float, length_mm: float, dt_s: float) -> None:
        """One scan: change hands, drive, carry."""
        self.length_mm = length_mm
        if self.exit.taken != 0 and self.exit.taken == self.board.id:
            self.clear()
        if self.entry.board.id != 0:
            self.put(self.entry.board, self.entry.position_mm)
        self.drive(min(wanted_mm_s, FASTEST_MM_S) if run else 0.0, dt_s)
        if self.board.id != 0 and not self.held:
            self.carry(dt_s)

    def put(self, board: Board, position_mm: float) -> None:
        """`board` lies on this belt now."""
        self.board.become(board)
        self.position_mm = position_mm
        self.overhang_mm = 0.0

    def put_new(self, number: int, position_mm: float) -> None:
        """A bare board that was on no belt before."""
        self.clear()
        self.board.id = number
        self.board.mass_pct = 100.0
        self.position_mm = position_mm

    def clear(self) -> None:
        """No board lies on this belt any more."""
        self.board.erase()
        self.position_mm = 0.0
        self.overhang_mm = 0.0

    def stand_in_the_way(self, at_stop: bool, dt_s: float) -> None:
        """A stopper keeps a board that comes from running on, until it has lain at the stop a while."""
        if self.board.id == 0:
            self.stopper_s = STOPPER_S
        elif at_stop and self.stopper_s > 0.0:
            self.stopper_s = max(0.0, self.stopper_s - dt_s)

    def drive(self, wanted_mm_s: float, dt_s: float) -> None:
        """The motor goes to its speed along a ramp."""
        most = ACCELERATION_MM_S2 * dt_s
        self.speed_mm_s += min(max(wanted_mm_s - self.speed_mm_s, -most), most)

    def carry(self, dt_s: float) -> None:
        """The board moves with the belt, up to what lies ahead of it."""
        beyond_mm = self.position_mm + min(self.speed_mm_s, self.exit.speed_mm_s) * dt_s
        within_mm = min(self.position_mm + self.speed_mm_s * dt_s, self.length_mm)
        reached_mm = max(beyond_mm, within_mm)
        if self.stopper_s > 0.0:
            reached_mm = min(reached_mm, self.length_mm)
        if self.exit.tail_mm > 0.0:
            reached_mm = min(reached_mm, self.length_mm - self.exit.tail_mm)
        self.position_mm = max(self.position_mm, reached_mm)
        self.overhang_mm = max(0.0, self.position_mm - self.length_mm)

    def sees(self, at_mm: float) -> bool:
        """A light barrier across the belt: its own board or one reaching over covers it."""
        own = self.board.id != 0 and self.position_mm - BOARD_MM <= at_mm <= self.position_mm
        behind = self.entry.overhang_mm > 0.0 and at_mm <= self.entry.overhang_mm
        ahead = self.exit.tail_mm > 0.0 and at_mm >= self.length_mm - self.exit.tail_mm
        return own or behind or ahead

    def read(self, at_mm: float) -> int:
        """What a scanner reads there: the id of the board that this belt carries; 0 none."""
        return self.board.id if self.sees(at_mm) else 0

    def is_spanned(self) -> bool:
        """A board lies across this belt's beginning."""
        return self.entry.overhang_mm > 0.0 or (self.board.id != 0 and self.position_mm < BOARD_MM)


class Joint(Record):
    """Where one belt ends and the next begins; a link between the two.

    It hears of each no more than it needs: most of what a plant's scan moves is this.
    """

    now_ns: int = Var(unit="ns")
    dt_s: float = Var(unit="s")
    overhang_mm: float = Var(unit="mm", doc="of the belt behind")
    ahead_id: int = Var(doc="id of the board on the belt ahead")
    ahead_position_mm: float = Var(unit="mm", doc="its leading edge")
    ahead_speed_mm_s: float = Var(unit="mm/s", doc="of the belt ahead")
    ahead_shut: bool = Var(doc="no board can come onto the belt ahead")
    board: Board
    exit: Exit
    entry: Entry

    @staticmethod
    def hears(behind: str, ahead: str, joint: str) -> list[tuple[str, str]]:
        """What it hears of two belts, as pairs of paths: (from, to)."""
        return [
            (f"{behind}.board", f"{joint}.board"),
            (f"{behind}.overhang_mm", f"{joint}.overhang_mm"),
            (f"{ahead}.board.id", f"{joint}.ahead_id"),
            (f"{ahead}.position_mm", f"{joint}.ahead_position_mm"),
            (f"{ahead}.speed_mm_s", f"{joint}.ahead_speed_mm_s"),
            (f"{ahead}.shut", f"{joint}.ahead_shut"),
        ]

    def scan(self) -> None:
        """Decide whether the board changes hands, and tell each belt what it meets of the other."""
        free = self.ahead_id == 0 and not self.ahead_shut
        crosses = free and self.overhang_mm >= BOARD_MM / 2
        self.exit.taken = 0
        self.entry.board.erase()
        if crosses:
            self.exit.taken = self.board.id
            self.entry.board.become(self.board)
            self.entry.position_mm = self.overhang_mm
        self.entry.overhang_mm = 0.0 if crosses else self.overhang_mm
        self.exit.speed_mm_s = self.ahead_speed_mm_s if free else 0.0
        self.exit.tail_mm = 0.0
        if crosses:
            self.exit.tail_mm = BOARD_MM - self.overhang_mm
        elif self.ahead_id != 0:
            self.exit.tail_mm = max(0.0, BOARD_MM - self.ahead_position_mm)
