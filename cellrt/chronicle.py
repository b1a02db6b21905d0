"""The events of a line in virtual time: counted and hashed as they come, put into words when asked for."""

from __future__ import annotations

import hashlib
from collections import deque

import numpy as np

from cellrt.narrate import Entry, Narrator, subject_of
from cellrt.scan.plan import Plan
from cellrt.tally import UNCOUNTED, Tally
from cellrt.wire import Ints

KEPT = 2_000_000
"""So many of the last events are kept, 128 MB; the counts and the hash are of all."""


class Chronicle(Tally):
    """A journal in memory. Its counts and its hash are what a `Journal` of the same events has."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._narrator = Narrator(plan)
        self._digest = hashlib.sha256()
        self._kept: deque[Ints] = deque()
        self._room = KEPT
        self.last_number = 0

    def append(self, rows: Ints) -> None:
        """Take in events, rows of EVENT_WORDS."""
        events = rows.tolist()
        lines = "".join([f"{self._narrator.line(row)}\n" for row in events])
        self._digest.update(lines.encode())
        for place in np.flatnonzero(~np.isin(rows[:, 2], UNCOUNTED)):
            self.count(self._narrator.tell(events[place]))
        self.last_number += len(events)
        self._kept.append(rows)
        self._room -= len(events)
        while self._room < 0:
            self._room += len(self._kept.popleft())

    def entries(self, last: int = 50, subject: str | None = None) -> list[Entry]:
        """The last events, oldest first; of one cell, handover or device when `subject` says so."""
        found: list[Entry] = []
        for rows in reversed(self._kept):
            for row in reversed(rows.tolist()):
                entry = self._narrator.tell(row)
                if subject is None or subject_of(entry) == subject:
                    found.append(entry)
                if len(found) == last:
                    return found[::-1]
        return found[::-1]

    def hash(self) -> str:
        """sha256 over the canonical lines, from the first event on."""
        return self._digest.hexdigest()
