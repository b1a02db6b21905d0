"""Board handover between neighbouring cells, after IPC-HERMES-9852.

Two cells touch only here. Each says what it has to say in its own port; a `Handover`, one for each
pair of neighbours, hears both and alone keeps the state, so the two can never disagree on it.

A board belongs to the upstream cell until the downstream one says that it holds it. Port, board and
state are retained: a transport that a crash or a stop cut short goes on when both cells run again.
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


class Transfer(IntEnum):
    """Hermes TransferState."""

    NONE = 0
    NOT_STARTED = 1
    INCOMPLETE = 2
    COMPLETE = 3


class Board(Record):
    """What travels with a board. `id` 0 means that there is none."""

    id: int = Var(retain=True)
    product: int = Var(retain=True)
    result: int = Var(retain=True, doc="handover.Result")
    route: int = Var(retain=True, doc="Hermes Route; 999 manual removal")
    work_done: int = Var(retain=True, doc="bits of the work that this board has had")
    entered_ns: int = Var(retain=True, unit="ns", doc="logical time at which it came onto the line")

    def become(self, other: Board) -> None:
        """Copy all of `other`."""
        self.id = other.id
        self.product = other.product
        self.result = other.result
        self.route = other.route
        self.work_done = other.work_done
        self.entered_ns = other.entered_ns


class Offer(Record):
    """What the upstream machine says."""

    board: Board
    transfer: int = Var(retain=True, doc="handover.Transfer")
    board_available: bool = Var(retain=True)
    transport_finished: bool = Var(retain=True)


class Demand(Record):
    """What the downstream machine says."""

    holds: int = Var(retain=True, doc="id of the board it took over last")
    transfer: int = Var(retain=True, doc="handover.Transfer")
    machine_ready: bool = Var(retain=True)
    start_transport: bool = Var(retain=True)
    stop_transport: bool = Var(retain=True)


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

MOVING_BITS = sum(1 << s for s in (L.TRANSPORTING, L.TRANSPORT_STOPPED, L.TRANSPORT_FINISHED))

_ALLOW, _NEXT = HERMES.allow(), HERMES.next()


@compiled
def hermes_next(state: int, signals: int) -> int:
    """Hermes' next state for a mask of `Signal` bits, or STAY."""
    return fire(_ALLOW, _NEXT, state, signals)


class Outfeed(Record):
    """The upstream end of a handover, in the cell that gives."""

    state: int = Var(retain=True, doc="handover.Link, as of the last scan")
    taken: int = Var(retain=True, doc="id of the board the downstream machine took over last")
    says: Offer

    def give(self, board: Board, ready: bool, gone: bool) -> bool:
        """Offer `board` while `ready`; `gone` when it has left this cell. True while it must move.

        Clears `board` once the downstream machine holds it: from then on it is not ours.
        """
        if board.id != 0 and self.taken == board.id:
            board.id = 0
        moving = self.moving()
        if not moving:
            self.says.board.become(board)
        self.says.board_available = ready and board.id != 0 and not moving
        self.says.transport_finished = moving and gone
        self.says.transfer = int(Transfer.COMPLETE) if gone else int(Transfer.INCOMPLETE)
        return self.state == Link.TRANSPORTING or self.state == Link.TRANSPORT_STOPPED

    def moving(self) -> bool:
        """A transport is under way here."""
        return MOVING_BITS >> self.state & 1 == 1

    def withdraw(self) -> None:
        """Offer nothing more (a transport under way stays under way)."""
        self.says.board_available = False


class Infeed(Record):
    """The downstream end of a handover, in the cell that takes."""

    state: int = Var(retain=True, doc="handover.Link, as of the last scan")
    offered: Board
    says: Demand

    def take(self, board: Board, ready: bool, arrived: bool) -> bool:
        """Ask for a board while `ready`; when it has `arrived` it becomes `board`. True while it must move."""
        moving = self.state == Link.TRANSPORTING or self.state == Link.TRANSPORT_FINISHED
        self.says.machine_ready = ready and not moving
        self.says.start_transport = ready and self.state == Link.AVAILABLE_AND_READY
        self.says.stop_transport = moving and arrived
        self.says.transfer = int(Transfer.COMPLETE) if arrived else int(Transfer.INCOMPLETE)
        if moving and arrived and self.says.holds != self.offered.id:
            self.says.holds = self.offered.id
            board.become(self.offered)
        return moving and not arrived

    def moving(self) -> bool:
        """A transport is under way here."""
        return MOVING_BITS >> self.state & 1 == 1

    def decline(self) -> None:
        """Ask for nothing (a transport under way stays under way)."""
        self.says.machine_ready = False
        self.says.start_transport = False


class Handover(Record):
    """One pair of neighbours. The scan copies both ports in before and the state out after."""

    state: int = Var(int(Link.NOT_AVAILABLE_NOT_READY), retain=True, doc="handover.Link")
    state_since_ns: int = Var(unit="ns")
    now_ns: int = Var(unit="ns")
    dt_s: float = Var(unit="s")
    up: Offer
    down: Demand

    def scan(self) -> None:
        """Hear both machines, then move by Hermes' table."""
        up, down = self.up, self.down
        signals = (
            down.stop_transport << Signal.STOP_TRANSPORT
            | up.transport_finished << Signal.TRANSPORT_FINISHED
            | down.start_transport << Signal.START_TRANSPORT
            | (not up.board_available) << Signal.REVOKE_BOARD_AVAILABLE
            | (not down.machine_ready) << Signal.REVOKE_MACHINE_READY
            | up.board_available << Signal.BOARD_AVAILABLE
            | down.machine_ready << Signal.MACHINE_READY
        )
        following = hermes_next(self.state, signals)
        if following != STAY:
            self.state = following
            self.state_since_ns = self.now_ns
