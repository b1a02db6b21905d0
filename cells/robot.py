"""The unloading robot: from the nest at the line's end into magazine, rework stand or scrap box."""

from __future__ import annotations

from cellrt import (
    MS,
    Cause,
    Command,
    Infeed,
    Input,
    Interlock,
    Mode,
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
from cells.arm import HOME, NEST, SCRAP, STAND, Arm
from cells.machine import Guarded
from cells.rack import Store
from cells.work import condemn, identify

LOOK_NS = 300 * MS
"""What the slot sensor says has come through by then."""
SLOW_PCT = 20.0
"""Of the arm's speed while a person is at work on it: all axes together under 250 mm/s (ISO 10218-1)."""
HOLDING, HELD = int(State.HOLDING), int(State.HELD)
PRODUCTION = int(Mode.PRODUCTION)


class Robot(Guarded):
    """One board at a time, by its result: good into a magazine, failed onto the rework stand, what
    is to be removed or is not who it should be into the scrap box.

    * Boards come into the nest only while the arm is out of its zone, and the arm goes in only
      while no transport is under way.
    * It holds with the board in the nest while no magazine, or no stand, with room is there.
    * Hold stops the arm where it is, and Unhold goes on from there. Outside Production it is slow.
    * A board that the gripper loses holds the cell. A person takes it away and unholds; it counts
      as scrapped.
    * After a power cut the part sensor, and whether it was being let go, tell where the board is.
    """

    infeed: Infeed
    arm: Arm
    store: Store
    nest_entry: bool = Input(doc="light barrier at the nest's beginning")
    nest_seated: bool = Input(doc="a board lies in the nest at its stop")
    nest_busy: bool = Input(doc="the nest's belt moves, or a board lies across its beginning")
    barcode: int = Input(doc="board in the nest; 0 none")
    gripper_open: bool = Input()
    gripper_closed: bool = Input()
    part_present: bool = Input(doc="the gripper holds a board")
    slot_free: bool = Input(doc="the slot before the arm has room for a board")
    floor_clear: bool = Input(doc="no board lies on the floor")
    nest_run: bool = Output(safe=always(to(False)), jog=True, doc="nest belt motor")
    grip: bool = Output(
        safe=always(to(False)), jog=True, doc="close; the gripper stays as it is with neither"
    )
    release: bool = Output(safe=always(to(False)), jog=True, doc="open")
    speed_pct_wanted: float = Parameter(100.0, unit="%", low=5.0, high=100.0)
    letting_go: bool = Var(retain=True, doc="the board is being laid down there")
    asked: bool = Var(doc="a person was asked for after a board was lost")
    stored: int = Var(retain=True, doc="boards laid into magazines")
    reworked: int = Var(retain=True, doc="boards laid on the rework stand")
    scrapped: int = Var(retain=True, doc="boards laid into the scrap box, or lost")

    interlocks = (
        *Guarded.interlocks,
        Interlock("arm_well", Cause.PROCESS),
        Interlock("zone_unshared", Cause.PROCESS),
        Interlock("in_automatic", Cause.NONE, Command.HOLD, only_running=True),
        Interlock("magazine_here", Cause.NONE, Command.HOLD, only_running=True),
        Interlock("stand_has_room", Cause.NONE, Command.HOLD, only_running=True),
    )
    sequence = Sequence(
        Step(
            "waiting",
            {
                "transport": "filling",
                "holds_part": "choosing",
                "seated": "choosing",
                "board_missing": "board_lost",
            },
        ),
        Step("filling", {"none_moving": "waiting"}, within_s=20.0),
        Step(
            "choosing",
            {
                "chosen_in_hand": "carrying",
                "chosen_in_nest": "reaching",
                "taken_away": "board_lost",
            },
            within_s=60.0,
            late=Command.HOLD,
        ),
        Step("reaching", {"arrived": "gripping"}, within_s=15.0),
        Step("gripping", {"has_hold": "drawing"}, within_s=3.0),
        Step("drawing", {"arrived": "carrying", "part_gone": "board_lost"}, within_s=15.0),
        Step("carrying", {"arrived": "looking", "part_gone": "board_lost"}, within_s=40.0),
        Step(
            "looking",
            {"part_gone": "board_lost", "slot_free": "inserting", "slot_taken": "choosing"},
        ),
        Step("inserting", {"arrived": "releasing", "part_gone": "board_lost"}, within_s=15.0),
        Step("releasing", {"let_go": "leaving"}, within_s=3.0),
        Step("leaving", {"arrived": "waiting"}, within_s=15.0),
        Step("board_lost", {"cleared_away": "homing"}, within_s=0.1, late=Command.HOLD),
        Step("homing", {"arrived": "waiting"}, within_s=60.0),
    )

    def arm_well(self) -> bool:
        return not self.arm.fault

    def in_automatic(self) -> bool:
        return self.arm.automatic

    def zone_unshared(self) -> bool:
        return not (self.arm.nest_zone and self.infeed.moving())

    def magazine_here(self) -> bool:
        waits = self.unit.step == CHOOSING and self.board.result == Result.GOOD
        waits = waits and self.board.route == Route.LINE
        return not waits or self.store.magazine_has_room(0) or self.store.magazine_has_room(1)

    def stand_has_room(self) -> bool:
        waits = self.unit.step == CHOOSING and self.board.route == Route.REWORK
        return not waits or self.store.stand_has_room()

    def transport(self) -> bool:
        return self.infeed.moving()

    def none_moving(self) -> bool:
        return not self.infeed.moving()

    def holds_part(self) -> bool:
        return self.part_present

    def part_gone(self) -> bool:
        return not self.part_present

    def seated(self) -> bool:
        return self.nest_seated

    def board_missing(self) -> bool:
        return self.board.id != 0

    def chosen_in_hand(self) -> bool:
        return self.store.target != 0 and self.part_present

    def chosen_in_nest(self) -> bool:
        """The board lies still, and the arm stands before it with nothing in its gripper."""
        ready = self.gripper_open and not self.part_present and self.arrived()
        return self.store.target != 0 and ready and self.nest_seated and not self.nest_busy

    def taken_away(self) -> bool:
        """Neither nest nor gripper has it: somebody took it out."""
        return self.step_ns() > LOOK_NS and not (self.part_present or self.nest_seated)

    def arrived(self) -> bool:
        return self.arm.arrived()

    def has_hold(self) -> bool:
        return self.gripper_closed and self.part_present

    def slot_taken(self) -> bool:
        return self.step_ns() > LOOK_NS and not self.slot_free

    def let_go(self) -> bool:
        return not self.letting_go and self.gripper_open

    def cleared_away(self) -> bool:
        return self.asked and self.floor_clear

    def work_complete(self) -> bool:
        return self.unit.step <= CHOOSING and not self.part_present

    def always(self) -> None:
        """The arm may move only where the state says so. Magazines are watched at any time."""
        self.arm.run = False
        self.arm.speed_pct = self.speed_pct_wanted
        if self.unit.mode != PRODUCTION:
            self.arm.speed_pct = min(self.speed_pct_wanted, SLOW_PCT)
        if self.unit.io_good:
            self.store.watch()
        self.asked = self.unit.step == BOARD_LOST and (self.asked or self.unit.state == HELD)

    def resetting(self) -> bool:
        """Home: drawn in, up, along."""
        self.arm.run = True
        self.arm.go(HOME, 0, False)
        return self.arrived() and self.arm.homed

    def execute(self) -> None:
        self.arm.run = self.unit.state != HOLDING
        empty = not (self.nest_seated or self.part_present or self.arm.nest_zone)
        free = self.board.id == 0 and empty and self.unit.step in (WAITING, FILLING, LEAVING)
        filling = self.infeed.take(self.board, free, self.nest_seated, self.nest_entry)
        self.nest_run = filling and not self.arm.nest_zone
        self.grip = False
        self.release = False

    def waiting(self) -> None:
        """Before the nest, the gripper open. A board that a stop saw let go is where it was to go."""
        self.arm.go(NEST, 0, False)
        if self.letting_go:
            self.count()
        self.release = not self.part_present and not self.gripper_open

    def filling(self) -> None:
        self.arm.go(NEST, 0, False)

    def choosing(self) -> None:
        """Who is it, and where does it go?"""
        if not self.part_present:
            self.arm.go(NEST, 0, False)
            self.release = not self.gripper_open
            identify(self.board, self.barcode)
        if self.board.result != Result.GOOD and self.board.route == Route.LINE:
            condemn(self.board, int(Route.REWORK))
        self.store.choose(self.board)

    def reaching(self) -> None:
        self.arm.go(NEST, 0, True)

    def gripping(self) -> None:
        self.grip = True

    def drawing(self) -> None:
        self.arm.go(NEST, 0, False)

    def carrying(self) -> None:
        self.arm.go(self.store.target, self.store.slot, False)

    def looking(self) -> None:
        """A slot that has a board already is passed over."""
        if self.slot_taken():
            self.store.use_slot()

    def inserting(self) -> None:
        self.arm.go(self.store.target, self.store.slot, True)

    def releasing(self) -> None:
        """Once the gripper is empty the board has left the line."""
        if self.unit.step_entered and self.part_present:
            self.letting_go = True
        self.release = True
        if self.letting_go:
            self.count()

    def count(self) -> None:
        """The board that was being let go: still held it is not laid down, gone it is."""
        if self.part_present:
            self.letting_go = self.unit.step == RELEASING
            return
        self.letting_go = False
        if self.store.target == SCRAP:
            self.scrapped += 1
        elif self.store.target == STAND:
            self.reworked += 1
        else:
            self.stored += 1
        self.store.use_slot()
        self.board.id = 0

    def leaving(self) -> None:
        self.arm.go(self.store.target, self.store.slot, False)

    def board_lost(self) -> None:
        """The arm stands until a person has looked."""
        self.arm.run = False

    def homing(self) -> None:
        """A board that was lost is scrap."""
        self.arm.go(HOME, 0, False)
        if self.board.id != 0 and not self.part_present:
            condemn(self.board, int(Route.REMOVAL))
            self.scrapped += 1
            self.board.id = 0


_STEPS = Robot.sequence.names
WAITING, FILLING, CHOOSING = (_STEPS.index(s) for s in ("waiting", "filling", "choosing"))
RELEASING, LEAVING = _STEPS.index("releasing"), _STEPS.index("leaving")
BOARD_LOST = _STEPS.index("board_lost")
