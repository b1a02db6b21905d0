"""What the events of a line come to, counted as they are told."""

from __future__ import annotations

from collections import Counter

from cellrt.figures import Figures, Times
from cellrt.handover import Route
from cellrt.narrate import Entry
from cellrt.scan.events import Event
from cellrt.scan.plan import Plan

UNCOUNTED = (int(Event.STEP), int(Event.HANDOVER), int(Event.TRIPPED), int(Event.BOARD_IN))
"""Kinds of events that change no count; most events are of these."""

_WAYS = {int(Route.REWORK): "rework", int(Route.REMOVAL): "scrapped"}


class Tally:
    """`boards` counts what the first cells handed on, entered, and what left the line: completed, rejected
    (failed), rework (to be repaired) and scrapped (to be taken out by hand). `departed` counts boards by
    the cell that gave them on. `forces` are what is forced by the last event, by tag. `figures` are the
    units' times and speeds."""

    def __init__(self, plan: Plan, before: Times | None = None) -> None:
        """`before`: the units' times of earlier runs."""
        self.boards: Counter[str] = Counter()
        self.departed: Counter[str] = Counter()
        self.forces: dict[str, Entry] = {}
        self.figures = Figures(plan.cells, before)
        self._first = plan.line.first_cells

    def count(self, entry: Entry) -> None:
        """One more event."""
        self.figures.hear(entry)
        if entry["event"] == "BoardOut":
            self.departed[entry["cell"]] += 1
            if entry["cell"] in self._first:
                self.boards["entered"] += 1
        elif entry["event"] == "BoardLeft":
            way = _WAYS.get(entry["route"])
            self.boards[way or ("rejected" if entry["result"] == "Failed" else "completed")] += 1
        elif entry["event"] == "Forced":
            self.forces[entry["tag"]] = entry
        elif entry["event"] == "Unforced":
            self.forces.pop(entry["tag"], None)
        elif entry["event"] == "Started":  # a scan that begins anew has none
            self.forces.clear()
