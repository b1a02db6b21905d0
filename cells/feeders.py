"""A placer's feeder lanes as the line sees them: set up, verified, watched, and left out when they fail."""

from __future__ import annotations

from cellrt import Array, Input, Output, Parameter, Record, Var, always, array, to
from cells.supply import Supply

LANES = 20


class Lane(Record):
    """One lane. The line may use it while the right reel is in it and its error rate is well.

    The next reel is asked for before this one ends, and the right one where another is in it.
    """

    supply: Supply
    part: int = Input(doc="part number on the reel")
    reel: int = Input(doc="id of the reel")
    left: int = Input(unit="parts")
    picks: int = Input(doc="parts picked since the feeder was put in")
    errors: int = Input(doc="of these, parts that a first pick did not bring")
    part_set: int = Output(safe=always(to(0)), doc="part number to be picked here")
    parts_set: int = Output(safe=always(to(0)), doc="parts of it for one board")

    part_wanted: int = Parameter(
        0, low=0, high=9999, recipe=True, doc="part number; 0: the lane is not used"
    )
    parts_wanted: int = Parameter(
        0, low=0, high=500, recipe=True, doc="for one board; 0: the lane stands in for others"
    )
    reel_wanted: int = Parameter(0, low=0, high=2**32 - 1, doc="id that its reel must have")

    blocked: bool = Var(
        retain=True, doc="too many picks went wrong; until the feeder is put in anew"
    )
    seen_picks: int = Var(retain=True, doc="picks in the last scan")
    since_picks: int = Var(retain=True, doc="picks when the window of the error rate began")
    since_errors: int = Var(retain=True, doc="errors when it began")

    def is_right(self) -> bool:
        """The reel in the lane is the one that belongs there."""
        return self.part == self.part_wanted and self.reel == self.reel_wanted

    def may_be_used(self) -> bool:
        return self.part_wanted != 0 and self.is_right() and not self.blocked

    def ask(self, low_parts: int, at_work: bool) -> None:
        """For the reel that belongs here, when this one ends or is another."""
        ends = self.left < low_parts or not self.is_right()
        self.supply.ask(self.reel_wanted, at_work and self.part_wanted != 0 and ends)

    def watch(self, most_errors: float, window: int) -> bool:
        """Count errors in a window of picks; True when parts came from a reel that is not right."""
        if self.picks < self.seen_picks:
            self.since_picks = 0
            self.since_errors = 0
            self.blocked = False
        if self.picks - self.since_picks >= window:
            self.since_picks = self.picks
            self.since_errors = self.errors
        if self.errors - self.since_errors > most_errors:
            self.blocked = True
        strange = self.picks > self.seen_picks and self.part_wanted != 0 and not self.is_right()
        self.seen_picks = self.picks
        return strange


class Feeders(Record):
    """All lanes. A part that no lane can give is found before it is missed."""

    lanes: Array[Lane] = array(LANES)
    jammed: int = Input(doc="bits of the lanes that bring no part")
    parts_active: int = Input(doc="parts of the running program")
    settings_sum: int = Input(doc="of the running program, over its lanes")
    refused: bool = Input(doc="the machine cannot use the program")
    allowed: int = Output(safe=always(to(0)), doc="bits of the lanes that may be picked from")

    parts_wanted: int = Var(doc="parts of a board")
    sum_wanted: int = Var(doc="settings_sum as it should be")
    lane_in_need: int = Var(doc="first lane, from 1, whose part no lane can give; 0 none")
    wrong_reel: bool = Var(doc="that part has a lane with another reel than it should")
    strange_parts: bool = Var(doc="parts came from a reel that is not right")

    def watch(self, limit_ppm: float, window: int) -> None:
        """Look at every lane, allow those that are well, set the program."""
        self.parts_wanted = 0
        self.sum_wanted = 0
        self.strange_parts = False
        self.allowed = 0
        for n in range(LANES):
            lane = self.lanes[n]
            if lane.watch(limit_ppm * window * 1e-6, window):
                self.strange_parts = True
            self.allowed |= lane.may_be_used() << n
            self.parts_wanted += lane.parts_wanted
            self.sum_wanted += (n + 1) * (1000 * lane.parts_wanted + lane.part_wanted)
            lane.part_set = lane.part_wanted
            lane.parts_set = lane.parts_wanted
        self.find_need()

    def ask_for_reels(self, low_parts: int) -> None:
        """Once the machine works by the program that they are for; fewer parts left are low."""
        at_work = self.settings_taken()
        for n in range(LANES):
            self.lanes[n].ask(low_parts, at_work)

    def find_need(self) -> None:
        """The first lane of the program that neither gives its part nor is stood in for."""
        self.lane_in_need = 0
        self.wrong_reel = False
        for n in range(LANES):
            needed = self.lanes[n].parts_wanted > 0 and self.lane_in_need == 0
            if needed and not self.can_give(self.lanes[n].part_wanted):
                self.lane_in_need = n + 1

    def can_give(self, part: int) -> bool:
        """Some lane has the part; otherwise `wrong_reel` says whether a reel is to be changed."""
        wrong = False
        for n in range(LANES):
            if self.lanes[n].part_wanted == part:
                usable = (self.allowed & ~self.jammed) >> n & 1 == 1
                if usable and self.lanes[n].left > 0:
                    return True
                wrong = wrong or not self.lanes[n].is_right()
        self.wrong_reel = wrong
        return False

    def settings_taken(self) -> bool:
        """The machine works by the lanes and parts that it should."""
        return self.parts_active == self.parts_wanted and self.settings_sum == self.sum_wanted
