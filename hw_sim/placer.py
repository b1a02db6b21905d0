"""Pick-and-place machine: belt, jaws, vision, a head with eight nozzles, twenty feeder lanes."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from cellrt.blocks import LIMIT
from cellrt.tags import Array, Var, array
from cellrt.wire import DeviceMap
from hw_sim.belt import Belt
from hw_sim.device import Contactor, SimDevice
from hw_sim.feeders import LANES, Feeders, Lane, lane_inputs, lane_outputs
from hw_sim.head import (
    GANG_S,
    NOZZLES,
    RETRIES,
    RETRY_S,
    Aim,
    Jaws,
    Nozzle,
    Vacuum,
    failed_picks,
    nozzle_inputs,
)
from hw_sim.points import WATCHDOG_NODES, bit, f64, opcua_map, u16, u32
from hw_sim.vision import Vision

BELT_MM = 400.0
BELT_MM_S = 200.0
ENTRY_MM = 30.0
STOP_MM = 350.0

SIGMA_UM = 12.0


class Draw(IntEnum):
    """Purposes of this device's draws; one of each for every part of a board, or look at it."""

    LOOK = 0
    PICK = 1
    CLOG = 2
    DROP = 3
    X = 4
    Y = 5


LOOK, PICK, CLOG, DROP, X, Y = (int(d) for d in Draw)
PURPOSES = 8


class Placer(SimDevice):
    """Pick-and-place machine, 70,000 parts an hour.

    * Placing needs a board in closed jaws at the stop whose fiducials were found, and a program;
      otherwise it is refused with `fault`.
    * A look at the fiducials is ordered by a number and answered by it, with found or lost.
    * It goes on while `place` is on and there is power, and stops between two gangs. What is done
      is known until the jaws open; a board let go before its end lacks the rest.
    * A pick that fails is retried three times, then with another nozzle. A lane that brings no part
      even so is jammed; another allowed lane with the same part takes over. Without one it waits:
      a part is never left out.
    * The program is taken over between two boards, unless `version` is 0 or it is refused.
    * Reels come on request. A person looks after feeders and nozzles, two minutes after they call.
    """

    belt: Belt
    motor: Contactor
    jaws: Jaws
    vision: Vision
    head: Contactor
    feeders: Feeders
    vacuum: Vacuum
    aim: Aim
    nozzles: Array[Nozzle] = array(NOZZLES)
    gang_left_s: float = Var(unit="s", doc="until the next gang")
    tries: int = Var(doc="parts tried for this board, whatever became of them")

    tolerance_um: float = Var(75.0, unit="um", doc="a part farther from its paste has shifted")
    lost_ppm: float = Var(500.0, unit="ppm", doc="looks at fiducials that find none")
    clog_ppm: float = Var(1e6 / 300_000, unit="ppm", doc="picks that clog the nozzle")
    drop_ppm: float = Var(5.0, unit="ppm", doc="parts lost on the way, unseen by the machine")
    person_s: float = Var(120.0, unit="s", doc="until a person comes who was called")
    hand_opens: bool = Var(doc="a person's hand: the jaws are forced open")

    belt_run: bool = Var(doc="belt motor")
    unclamp: bool = Var(doc="jaws open; off: springs close them")
    look: int = Var(doc="number of a look at the fiducials, 0.6 s; a new number is a new look")
    place: bool = Var(doc="placing begins on the rising edge, and goes on while it is on")
    correction_x_um: float = Var(unit="um", doc="added to where parts go, from a board's start on")
    correction_y_um: float = Var(unit="um", doc="added to where parts go, from a board's start on")
    recipe_number: int = Var(doc="number of the program")
    recipe_version: int = Var(doc="version of the program; 0: it is being changed")

    board_at_entry: bool = Var(doc="light barrier 30 mm from the belt's beginning")
    board_at_stop: bool = Var(doc="light barrier at the placing position")
    clamped: bool = Var(True, doc="jaws are closed")
    unclamped: bool = Var(doc="jaws are open")
    begun: bool = Var(doc="the board in the jaws has parts on it, or is about to; until they open")
    placing: bool = Var(doc="the head is at work")
    place_done: bool = Var(doc="every part of the board is placed; until the jaws open")
    waiting: bool = Var(doc="no allowed lane has the next part")
    fault: bool = Var(doc="a look or placing was refused; until both are off")
    barcode: int = Var(doc="id of the board at the stop; 0 none")
    placed: int = Var(doc="parts placed on the board in the jaws, as the machine counts")
    recipe_active: int = Var(doc="number of the running program")
    version_active: int = Var(doc="version of the running program")
    nozzles_clogged: int = Var(doc="bits of the nozzles that are not used")

    device_map: ClassVar[DeviceMap] = opcua_map(
        namespace="urn:hw-sim:placer",
        inputs=(
            bit("board_at_entry", "Belt.BoardAtEntry"),
            bit("board_at_stop", "Belt.BoardAtStop"),
            u32("barcode", "Belt.Barcode"),
            bit("clamped", "Jaws.Closed"),
            bit("unclamped", "Jaws.Opened"),
            u32("vision.taken", "Vision.Taken"),
            u32("vision.found", "Vision.Found"),
            u32("vision.lost", "Vision.Lost"),
            bit("begun", "Head.Begun"),
            bit("placing", "Head.Placing"),
            bit("place_done", "Head.Done"),
            bit("waiting", "Head.Waiting"),
            u32("placed", "Head.Placed"),
            f64("vacuum.kPa", "Head.Vacuum"),
            u16("nozzles_clogged", "Head.NozzlesClogged"),
            u32("feeders.jammed", "Head.LanesJammed"),
            bit("fault", "Machine.Fault"),
            bit("power_on", "Machine.PowerOn"),
            u32("recipe_active", "Machine.RecipeActive"),
            u32("version_active", "Machine.VersionActive"),
            u32("feeders.parts_active", "Machine.PartsActive"),
            u32("feeders.settings_sum", "Machine.SettingsSum"),
            bit("feeders.refused", "Machine.RecipeRefused"),
            *(p for n in range(LANES) for p in lane_inputs(n)),
            *(p for n in range(NOZZLES) for p in nozzle_inputs(n)),
            *WATCHDOG_NODES,
        ),
        outputs=(
            bit("belt_run", "Command.BeltRun"),
            bit("unclamp", "Command.Unclamp"),
            u32("look", "Command.Look"),
            bit("place", "Command.Place"),
            u32("feeders.allowed", "Command.LanesAllowed"),
            f64("correction_x_um", "Command.CorrectionX"),
            f64("correction_y_um", "Command.CorrectionY"),
            u32("recipe_number", "Program.Number"),
            u32("recipe_version", "Program.Version"),
            *(p for n in range(LANES) for p in lane_outputs(n)),
        ),
    )

    def work(self, live: bool) -> None:
        """Belt and jaws, vision, program, head, then the people."""
        self.feeders.stock(self.seed)
        self.jaws.update(self.unclamp, live, self.dt_s)
        if self.hand_opens:
            self.jaws.closed = 0.0
        self.belt.held = self.jaws.closed > 0.0
        self.belt.stand_in_the_way(self.board_at_stop, self.dt_s)
        self.belt.move(self.motor.obey(self.belt_run, live), BELT_MM_S, BELT_MM, self.dt_s)
        self.head.obey(self.place, live)
        self.sense(live)
        self.fault = self.fault and (self.place or self.look != 0)
        self.see(live)
        if not self.begun:
            self.take_program()
        if self.head.rose and not self.begun:
            self.begin()
        self.place_on()
        self.be_looked_after(live)

    def carried(self) -> int:
        """A board on the belt."""
        return int(self.belt.board.id != 0)

    def sense(self, live: bool) -> None:
        """Sensors; jaws that open end everything that was known of the board in them."""
        self.board_at_entry = self.belt.sees(ENTRY_MM)
        self.board_at_stop = self.belt.sees(STOP_MM)
        self.clamped = self.jaws.closed >= 1.0
        self.unclamped = self.jaws.closed == 0.0
        self.barcode = self.belt.read(STOP_MM)
        self.vacuum.update(live, self.dt_s)
        if not self.clamped:
            self.let_go()
        if self.barcode == 0:
            self.vision.looks = 0

    def let_go(self) -> None:
        """What is not placed by now never will be."""
        if self.begun:
            self.belt.board.missing += self.feeders.parts_active - self.placed
        self.begun = False
        self.place_done = False
        self.vision.forget()
        self.placed = 0

    def can_work(self) -> bool:
        """A board lies at the stop in closed jaws."""
        return self.clamped and self.barcode != 0 and self.belt.overhang_mm == 0.0

    def see(self, live: bool) -> None:
        """Take a new look, or refuse it; see what the one under way finds."""
        if self.vision.order(self.look, live):
            if self.can_work():
                self.vision.begin()
            else:
                self.fault = True
        if self.vision.go_on(live, self.dt_s):
            self.vision.tell(self.happens(self.lost_ppm, LOOK, self.vision.looks))

    def happens(self, chance_ppm: float, purpose: int, serial: int) -> bool:
        """Whether what has this chance happens to this board, at its `serial`th part or look."""
        return self.drawn(purpose, serial) < chance_ppm * 1e-6

    def drawn(self, purpose: int, serial: int) -> float:
        return self.draw_uniform(self.barcode, PURPOSES * serial + purpose)

    def take_program(self) -> None:
        """Between two boards: the running program is what the line has set, if that is usable."""
        if self.recipe_version != 0 and self.feeders.take_program():
            self.recipe_active = self.recipe_number
            self.version_active = self.recipe_version

    def begin(self) -> None:
        """A board's placing begins, or is refused."""
        if not (self.can_work() and self.vision.found != 0 and self.feeders.parts_active > 0):
            self.fault = True
            return
        self.begun = True
        self.belt.board.defective = self.belt.board.defective or self.belt.board.placed > 0
        self.feeders.begin()
        self.tries = 0
        self.gang_left_s = GANG_S
        self.aim.x_um = self.correction_x_um
        self.aim.y_um = self.correction_y_um

    def place_on(self) -> None:
        """One scan of the head: a gang when its time has come."""
        left = self.placed < self.feeders.parts_active
        self.placing = self.begun and self.head.on and self.vacuum.holds() and left
        self.waiting = self.placing and self.feeders.source() < 0
        if self.placing and not self.waiting:
            self.gang_left_s -= self.dt_s
            if self.gang_left_s <= 0.0:
                self.gang_left_s += GANG_S
                self.gang()
        self.place_done = self.begun and self.placed == self.feeders.parts_active
        self.aim.drift(self.placing, not self.begun, self.dt_s)

    def gang(self) -> None:
        """Every nozzle that works picks a part and places it."""
        for k in range(NOZZLES):
            source = self.feeders.source()
            if source >= 0 and not self.nozzles[k].clogged:
                self.tries += 1
                self.serve(self.nozzles[k], self.feeders.lanes[LIMIT(0, source, LANES - 1)])

    def serve(self, nozzle: Nozzle, lane: Lane) -> None:
        """One part, from the lane onto the board; one that cannot be had is tried anew, later."""
        if self.happens(self.clog_ppm, CLOG, self.tries):
            nozzle.clogged = True
            nozzle.errors += 1
            self.gang_left_s += RETRIES * RETRY_S
            return
        again = failed_picks(lane.error_ppm * 1e-6, self.drawn(PICK, self.tries))
        self.gang_left_s += again * RETRY_S
        lane.pick(again)
        lane.jammed = again > RETRIES + 1
        if not lane.jammed:
            nozzle.picks += 1
            self.put_down()

    def put_down(self) -> None:
        """The part goes where vision and head believe the paste to be."""
        own, board, aim = LIMIT(0, self.feeders.turn(), LANES - 1), self.belt.board, self.aim
        self.feeders.lanes[own].done += 1
        self.placed += 1
        serial = PURPOSES * self.tries
        error_x_um = SIGMA_UM * self.draw_normal(board.id, serial + X)
        error_y_um = SIGMA_UM * self.draw_normal(board.id, serial + Y)
        off_x_um = aim.x_um + aim.drift_um + error_x_um - board.offset_x_um
        off_y_um = aim.y_um + aim.drift_um + error_y_um - board.offset_y_um
        if self.happens(self.drop_ppm, DROP, self.tries):
            board.missing += 1
            return
        board.placed += 1
        far = off_x_um * off_x_um + off_y_um * off_y_um > self.tolerance_um * self.tolerance_um
        board.shifted += far

    def be_looked_after(self, live: bool) -> None:
        """People at lanes and nozzles."""
        self.feeders.attend(live, self.seed, self.person_s, self.dt_s)
        self.nozzles_clogged = 0
        for n in range(NOZZLES):
            self.nozzles[n].attend(self.person_s, self.dt_s)
            self.nozzles_clogged |= self.nozzles[n].clogged << n
