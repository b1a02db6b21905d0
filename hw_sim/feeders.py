"""Feeders of a placer: reels of parts, how picks from them fail, and the people who look after them."""

from __future__ import annotations

from cellrt.blocks import LIMIT
from cellrt.chance import uniform
from cellrt.compiled import compiled
from cellrt.tags import Array, Record, Var, array
from hw_sim.points import Points, bit, u16, u32
from hw_sim.stock import Supply

LANES = 20

FIRST_PART, FIRST_REEL = 101, 5001
PARTS = 10
"""Different part numbers at the machine: lanes n and n + 10 hold the same one, on reels of their own."""
REEL = 5000
BEST_PPM, WORST_PPM = 300.0, 500.0
"""Picks that go wrong, of feeders that are well; a bad feeder has 3,000 ppm."""

MOST_PARTS = 1000
"""Of a program, for one board."""

DRAW_FEEDER = 1


def lane_inputs(n: int) -> Points:
    """What the line reads of lane n."""
    return (
        u16(f"feeders.lanes.{n}.part", f"Lane{n}.Part"),
        u32(f"feeders.lanes.{n}.reel", f"Lane{n}.Reel"),
        u32(f"feeders.lanes.{n}.left", f"Lane{n}.Left"),
        u32(f"feeders.lanes.{n}.picks", f"Lane{n}.Picks"),
        u32(f"feeders.lanes.{n}.errors", f"Lane{n}.Errors"),
        bit(f"feeders.lanes.{n}.supply.supplied", f"Lane{n}.Supplied"),
    )


def lane_outputs(n: int) -> Points:
    """What the program says of lane n, and the reel that is asked for."""
    return (
        u16(f"feeders.lanes.{n}.part_set", f"Program.Part{n}"),
        u16(f"feeders.lanes.{n}.parts_set", f"Program.Parts{n}"),
        u32(f"feeders.lanes.{n}.supply.asked", f"Lane{n}.Asked"),
    )


class Lane(Record):
    """One feeder with its reel, and what the program takes from it.

    * A reel comes on request. One with the same id is spliced to the end of the one that is there;
      another takes its place.
    * A feeder that the line does not use any more, or that jammed, is taken out by a person, mended
      and put back; its counters then begin at 0.
    """

    supply: Supply

    part: int = Var(doc="part number on the reel")
    reel: int = Var(doc="id of the reel")
    left: int = Var(doc="parts left")
    picks: int = Var(doc="parts picked since the feeder was put in")
    errors: int = Var(doc="of these, parts that a first pick did not bring")
    part_set: int = Var(doc="part number that the program takes here; 0 the lane is not used")
    parts_set: int = Var(doc="parts of it for one board; 0 the lane stands in for others")

    part_active: int = Var(doc="part number that the running program takes here")
    parts_active: int = Var(doc="parts of it for one board in the running program")
    done: int = Var(doc="of these, parts on the board in the machine")
    error_ppm: float = Var(unit="ppm", doc="picks that go wrong")
    well_ppm: float = Var(unit="ppm", doc="picks that go wrong when the feeder is well")
    jammed: bool = Var(doc="not even retries and another nozzle brought a part")
    calls_s: float = Var(unit="s", doc="for how long it has called for a person")

    def stock(self, number: int, seed: int) -> None:
        """A new feeder with a full reel."""
        self.take(FIRST_REEL + number)
        spread_ppm = (WORST_PPM - BEST_PPM) * uniform(seed, 0, number, DRAW_FEEDER)
        self.well_ppm = BEST_PPM + spread_ppm
        self.mend()

    def mend(self) -> None:
        """The feeder is put in, and well."""
        self.error_ppm = self.well_ppm
        self.jammed = False
        self.picks = 0
        self.errors = 0

    def take(self, reel: int) -> None:
        """A full reel goes in, to the end of one like it or in the place of another."""
        self.left = REEL + (self.left if reel == self.reel else 0)
        self.reel = reel
        self.part = part_on(reel)

    def attend(self, barred: bool, person_s: float, dt_s: float) -> None:
        """A person comes `person_s` after the feeder began to call; `barred`: the line shuns it."""
        self.calls_s = self.calls_s + dt_s if self.jammed or barred else 0.0
        if self.calls_s >= person_s:
            self.calls_s = 0.0
            self.mend()

    def pick(self, again: int) -> None:
        """A part was taken, after `again` that were thrown away."""
        self.picks += 1
        self.errors += again > 0
        self.left = max(0, self.left - 1 - again)


@compiled
def part_on(reel: int) -> int:
    """Part number on a reel of the stock; 0 for one that it does not know."""
    known = FIRST_REEL <= reel < FIRST_REEL + LANES
    return FIRST_PART + (reel - FIRST_REEL) % PARTS if known else 0


class Feeders(Record):
    """All lanes, and the program that says what a board gets from each."""

    lanes: Array[Lane] = array(LANES)
    stocked: bool = Var(doc="the feeders are in")
    allowed: int = Var(doc="bits of the lanes that may be picked from")
    jammed: int = Var(doc="bits of the lanes that bring no part")
    refused: bool = Var(doc="the program is not usable; the old one goes on")
    parts_active: int = Var(doc="parts of the running program")
    settings_sum: int = Var(
        doc="of the running program: sum over lanes, counted from 1, of lane x (1000 parts + part)"
    )

    def stock(self, seed: int) -> None:
        """Feeders in every lane, once."""
        if not self.stocked:
            for n in range(LANES):
                self.lanes[n].stock(n, seed)
            self.stocked = True

    def take_program(self) -> bool:
        """What the line has set becomes the running program, or is refused."""
        parts, settings_sum, usable = 0, 0, True
        for n in range(LANES):
            lane = self.lanes[n]
            parts += lane.parts_set
            settings_sum += (n + 1) * (1000 * lane.parts_set + lane.part_set)
            usable = usable and (lane.parts_set == 0 or lane.part_set != 0)
        self.refused = not (usable and 0 < parts <= MOST_PARTS)
        if self.refused:
            return False
        for n in range(LANES):
            self.lanes[n].part_active = self.lanes[n].part_set
            self.lanes[n].parts_active = self.lanes[n].parts_set
        self.parts_active = parts
        self.settings_sum = settings_sum
        return True

    def begin(self) -> None:
        """A new board: none of its parts are placed."""
        for n in range(LANES):
            self.lanes[n].done = 0

    def turn(self) -> int:
        """The lane whose turn it is by the program; -1 when none is left."""
        for n in range(LANES):
            if self.lanes[n].done < self.lanes[n].parts_active:
                return n
        return -1

    def source(self) -> int:
        """The lane to pick the next part from: its own, or another with the same; -1 none."""
        turn = self.turn()
        own = LIMIT(0, turn, LANES - 1)
        for k in range(LANES):
            n = LIMIT(0, (own + k) % LANES, LANES - 1)
            lane = self.lanes[n]
            same = turn >= 0 and lane.part_active == self.lanes[own].part_active
            allowed = self.allowed >> n & 1 == 1
            if same and allowed and lane.left > 0 and not lane.jammed:
                return n
        return -1

    def attend(self, line_works: bool, seed: int, person_s: float, dt_s: float) -> None:
        """People at the lanes. A lane that the line shuns, while it uses others, calls for one."""
        self.jammed = 0
        for n in range(LANES):
            reel = self.lanes[n].supply.bring(seed, n, True, dt_s)
            if reel != 0:
                self.lanes[n].take(reel)
            used = line_works and self.allowed != 0 and self.lanes[n].part_active != 0
            self.lanes[n].attend(used and self.allowed >> n & 1 == 0, person_s, dt_s)
            self.jammed |= self.lanes[n].jammed << n
