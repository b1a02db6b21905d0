"""Board handover between neighbouring cells, after IPC-HERMES-9852.

Two cells touch only here. Each says what it has to say in its own port; a `Handover`, one for each
pair of neighbours, hears both and alone keeps the state, so the two can never disagree on it.

A board belongs to the upstream cell until the downstream one says that it holds it, and from then
on to the downstream one, whatever state either is in. While a transport is under way:

* Either belt runs only while the other takes part: a board across the gap is held by both.
* The downstream machine takes a board over only after it has seen it come.
* A machine that leaves production ends a transport that has not begun: the board never reached
  the downstream entry and still stands at the upstream exit. Any other transport stays open, and
  goes on when both run again; port, board and state are retained.
* A board that neither sensor sees comes late. The cells' step limits name it.
"""

from __future__ import annotations

from enum import IntEnum

from cellrt.compiled import compiled
from cellrt.statemachine import STAY, StateMachine, fire
from cellrt.tags import Record, Var


class Result(IntEnum):
    """Hermes FailedBoard."""

    UNKNOWN = 0
    GOOD = 1
    FAILED = 2


class Route(IntEnum):
    """Hermes Route: where a board goes that does not go on with the line."""

    LINE = 0
    REWORK = 900
    REMOVAL = 999


class Transfer(IntEnum):
    """Hermes TransferState: how far a transport came, as each machine knows it."""

    NONE = 0
    NOT_STARTED = 1
    INCOMPLETE = 2
    COMPLETE = 3


class Board(Record):
    """What travels with a board. `id` 0 means that there is none."""

    id: int = Var(retain=True)
    product: int = Var(retain=True)
    result: int = Var(retain=True, doc="handover.Result")
    route: int = Var(retain=True, doc="handover.Route")
    work_done: int = Var(retain=True, doc="bits of the work that this board has had")
    entered_ns: int = Var(retain=True, unit="ns", doc="logical time at which it came onto the line")
    printed_ns: int = Var(retain=True, unit="ns", doc="logical time of its print; 0 none")
    lot: int = Var(retain=True, doc="number of the lot that it belongs to")


class Offer(Record):
    """What the upstream machine says."""

    board: Board
    transfer: int = Var(retain=True, doc="handover.Transfer; COMPLETE: its exit is clear")
    board_available: bool = Var(retain=True)
    transport_finished: bool = Var(retain=True)
    pushes: bool = Var(doc="its side of the transport runs")


class Demand(Record):
    """What the downstream machine says."""

    holds: int = Var(retain=True, doc="id of the board it took over in this transport or the last")
    room: int = Var(doc="boards that it can take in without giving one on, as far as it tells")
    transfer: int = Var(retain=True, doc="handover.Transfer; INCOMPLETE: it has seen the board")
    machine_ready: bool = Var(retain=True)
    start_transport: bool = Var(retain=True)
    stop_transport: bool = Var(retain=True)
    pulls: bool = Var(doc="its side of the transport runs")


class Link(IntEnum):
    """Hermes states of one handover."""

    NOT_CONNECTED = 0
    SERVICE_DESCRIPTION_DOWNSTREAM = 1
    NOT_AVAILABLE_NOT_READY = 2
    BOARD_AVAILABLE = 3
    MACHINE_READY = 4
    AVAILABLE_AND_READY = 5
    TRANSPORTING = 6
    TRANSPORT_STOPPED = 7
    TRANSPORT_FINISHED = 8


class Signal(IntEnum):
    """What either machine may send, in the order in which simultaneous ones are heard."""

    DISCONNECT = 0
    DOWNSTREAM_SERVICE_DESCRIPTION = 1
    UPSTREAM_SERVICE_DESCRIPTION = 2
    STOP_TRANSPORT = 3
    TRANSPORT_FINISHED = 4
    START_TRANSPORT = 5
    REVOKE_BOARD_AVAILABLE = 6
    REVOKE_MACHINE_READY = 7
    BOARD_AVAILABLE = 8
    MACHINE_READY = 9


L, G = Link, Signal

HERMES = StateMachine(
    "Hermes",
    Link,
    Signal,
    (
        (tuple(s for s in L if s is not L.NOT_CONNECTED), G.DISCONNECT, L.NOT_CONNECTED),
        (
            (L.NOT_CONNECTED,),
            G.DOWNSTREAM_SERVICE_DESCRIPTION,
            L.SERVICE_DESCRIPTION_DOWNSTREAM,
        ),
        (
            (L.SERVICE_DESCRIPTION_DOWNSTREAM,),
            G.UPSTREAM_SERVICE_DESCRIPTION,
            L.NOT_AVAILABLE_NOT_READY,
        ),
        ((L.NOT_AVAILABLE_NOT_READY,), G.BOARD_AVAILABLE, L.BOARD_AVAILABLE),
        ((L.NOT_AVAILABLE_NOT_READY,), G.MACHINE_READY, L.MACHINE_READY),
        ((L.BOARD_AVAILABLE,), G.REVOKE_BOARD_AVAILABLE, L.NOT_AVAILABLE_NOT_READY),
        ((L.BOARD_AVAILABLE,), G.MACHINE_READY, L.AVAILABLE_AND_READY),
        ((L.MACHINE_READY,), G.BOARD_AVAILABLE, L.AVAILABLE_AND_READY),
        ((L.MACHINE_READY,), G.REVOKE_MACHINE_READY, L.NOT_AVAILABLE_NOT_READY),
        ((L.MACHINE_READY, L.AVAILABLE_AND_READY), G.START_TRANSPORT, L.TRANSPORTING),
        ((L.AVAILABLE_AND_READY,), G.REVOKE_BOARD_AVAILABLE, L.MACHINE_READY),
        ((L.AVAILABLE_AND_READY,), G.REVOKE_MACHINE_READY, L.BOARD_AVAILABLE),
        ((L.TRANSPORTING,), G.TRANSPORT_FINISHED, L.TRANSPORT_FINISHED),
        ((L.TRANSPORTING,), G.STOP_TRANSPORT, L.TRANSPORT_STOPPED),
        ((L.TRANSPORT_STOPPED,), G.TRANSPORT_FINISHED, L.NOT_AVAILABLE_NOT_READY),
        ((L.TRANSPORT_FINISHED,), G.STOP_TRANSPORT, L.NOT_AVAILABLE_NOT_READY),
    ),
)

GIVING_BITS = sum(1 << s for s in (L.TRANSPORTING, L.TRANSPORT_STOPPED, L.TRANSPORT_FINISHED))
"""States in which the upstream machine has to do with a transport."""

TAKING_BITS = sum(1 << s for s in (L.TRANSPORTING, L.TRANSPORT_FINISHED))
"""States in which the downstream machine has to do with a transport."""

_ALLOW, _NEXT = HERMES.allow(), HERMES.next()


@compiled
def hermes_next(state: int, signals: int) -> int:
    """Hermes' next state for a mask of `Signal` bits, or STAY."""
    return fire(_ALLOW, _NEXT, state, signals)


class Outfeed(Record):
    """The upstream end of a handover, in the cell that gives."""

    state: int = Var(retain=True, doc="handover.Link, as of the last scan")
    begun: bool = Var(retain=True, doc="as of the last scan a transport was under way here")
    says: Offer
    hears: Demand

    def give(self, board: Board, ready: bool, gone: bool) -> bool:
        """Offer `board` while `ready`; `gone`: our exit is clear. True while it must move."""
        self.settle(board)
        says, moving = self.says, self.moving()
        if not moving:
            says.board.become(board)
            says.transfer = int(Transfer.NOT_STARTED)
        elif gone:
            says.transfer = int(Transfer.COMPLETE)
        elif self.hears.transfer != Transfer.NOT_STARTED:
            says.transfer = int(Transfer.INCOMPLETE)
        stopped = self.state == Link.TRANSPORT_STOPPED
        never_came = stopped and self.hears.transfer == Transfer.NOT_STARTED
        says.board_available = ready and board.id != 0 and not moving
        says.transport_finished = moving and (gone or never_came)
        says.pushes = moving and not says.transport_finished
        return says.pushes and (self.hears.pulls or stopped)

    def moving(self) -> bool:
        """A transport is under way here; what it carries is still to be given away or kept."""
        return GIVING_BITS >> self.state & 1 == 1

    def settle(self, board: Board) -> None:
        """Forget `board` once the downstream machine holds it: from then on it is not ours."""
        if (self.begun or self.moving()) and self.hears.holds == board.id:
            board.id = 0

    def hear(self, board: Board) -> None:
        """First in every scan, in whatever state: `board` may be ours no more."""
        self.settle(board)
        self.begun = self.moving()
        self.says.transport_finished = self.says.transport_finished and self.moving()
        self.says.pushes = False

    def withdraw(self) -> None:
        """Offer nothing more (a transport under way stays under way)."""
        self.says.board_available = False

    def leave(self) -> None:
        """Take no part: offer nothing, and end a transport that has not begun."""
        self.withdraw()
        begun = self.says.transfer != Transfer.NOT_STARTED
        if self.moving() and not begun and self.hears.transfer == Transfer.NOT_STARTED:
            self.says.transport_finished = True


class Infeed(Record):
    """The downstream end of a handover, in the cell that takes."""

    state: int = Var(retain=True, doc="handover.Link, as of the last scan")
    says: Demand
    hears: Offer

    def take(self, board: Board, ready: bool, arrived: bool, at_entry: bool = False) -> bool:
        """Ask for a board while `ready`. True while it must move.

        What was seen `at_entry`, or to leave the upstream machine, and `arrived` becomes `board`.
        """
        says, moving = self.says, self.moving()
        says.machine_ready = ready and not moving
        says.start_transport = ready and self.state == Link.AVAILABLE_AND_READY
        if says.start_transport:
            says.holds = 0
            says.transfer = int(Transfer.NOT_STARTED)
        if moving and says.holds == 0:
            self.follow(board, arrived, at_entry)
        says.stop_transport = moving and (says.holds != 0 or self.never_came())
        says.pulls = moving and not says.stop_transport
        return says.pulls and (self.hears.pushes or self.hears.transfer == Transfer.COMPLETE)

    def follow(self, board: Board, arrived: bool, at_entry: bool) -> None:
        """How far the transport came; at its end the board is ours."""
        says, hears = self.says, self.hears
        if at_entry or hears.transfer == Transfer.COMPLETE:
            says.transfer = int(Transfer.INCOMPLETE)
        if arrived and says.transfer == Transfer.INCOMPLETE:
            says.transfer = int(Transfer.COMPLETE)
            says.holds = hears.board.id
            board.become(hears.board)

    def never_came(self) -> bool:
        """The upstream machine ended the transport before its board left it."""
        given_up = self.state == Link.TRANSPORT_FINISHED
        begun = self.says.transfer != Transfer.NOT_STARTED
        return given_up and not begun and self.hears.transfer == Transfer.NOT_STARTED

    def moving(self) -> bool:
        """A transport is under way here."""
        return TAKING_BITS >> self.state & 1 == 1

    def hear(self) -> None:
        """First in every scan, in whatever state."""
        self.says.pulls = False

    def decline(self) -> None:
        """Ask for nothing and promise no room (a transport under way stays under way)."""
        self.says.room = 0
        self.says.machine_ready = False
        self.says.start_transport = False

    def leave(self) -> None:
        """Take no part: ask for nothing, and end a transport that has not begun."""
        self.decline()
        begun = self.says.transfer != Transfer.NOT_STARTED
        if self.moving() and not begun and self.hears.transfer != Transfer.COMPLETE:
            self.says.stop_transport = True


class Handover(Record):
    """One pair of neighbours: what one says the other hears.

    Before its scan both ports' `says` are copied in, after it `state`, `up` and `down` out.
    """

    state: int = Var(int(Link.NOT_AVAILABLE_NOT_READY), retain=True, doc="handover.Link")
    state_since_ns: int = Var(unit="ns")
    now_ns: int = Var(unit="ns")
    dt_s: float = Var(unit="s")
    up: Offer
    down: Demand

    def scan(self) -> None:
        """Hear both machines, then move by Hermes' table.

        An offer withdrawn in the scan that would have started its transport stays withdrawn.
        """
        up, down = self.up, self.down
        signals = (
            down.stop_transport << Signal.STOP_TRANSPORT
            | up.transport_finished << Signal.TRANSPORT_FINISHED
            | (down.start_transport and up.board_available) << Signal.START_TRANSPORT
            | (not up.board_available) << Signal.REVOKE_BOARD_AVAILABLE
            | (not down.machine_ready) << Signal.REVOKE_MACHINE_READY
            | up.board_available << Signal.BOARD_AVAILABLE
            | down.machine_ready << Signal.MACHINE_READY
        )
        following = hermes_next(self.state, signals)
        if following != STAY:
            self.state = following
            self.state_since_ns = self.now_ns
