"""The journal: the one stream of events, in SQLite; everything that reports reads it.

One writer. A line of canonical JSON an event; `hash` is sha256 over these lines, and says nothing of the
wall clock, so two runs that did the same have the same hash.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from cellrt.figures import Times
from cellrt.narrate import Entry, Narrator, canonical, sentence, subject_of
from cellrt.scan.plan import Plan
from cellrt.tally import Tally
from cellrt.wire import Ints

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY, epoch INTEGER, t_ns INTEGER, event TEXT, subject TEXT, line TEXT);
CREATE INDEX IF NOT EXISTS by_subject ON events (subject, number);
"""


Numbered = tuple[int, int, Entry]
"""An event's number, its scan's epoch, and the event in words."""


class JournalError(Exception):
    """The journal cannot be opened or written; the message names the file and the reason."""


class Journal(Tally):
    """Appends events, to the file at `path`; None keeps them in memory. Counts go on from what is written."""

    def __init__(
        self, plan: Plan, path: Path | None = None, epoch: int = 1, before: Times | None = None
    ) -> None:
        """`before`: the units' times of earlier runs. Raises JournalError."""
        super().__init__(plan, before)
        self._narrator = Narrator(plan)
        self._path = path
        self.epoch = epoch
        self.last_number = 0
        self._digest = hashlib.sha256()
        try:
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise JournalError(f"journal {path}: {error}") from error
        self._resume()

    def append(self, rows: Ints) -> list[Entry]:
        """Write events (rows of EVENT_WORDS) in one transaction; the ones written, in words.

        An event that has its number from the ring and was written before is passed over, so a writer
        that died between writing and saying so doubles nothing. Raises JournalError; nothing is then
        written.
        """
        records: list[Numbered] = []
        last, epoch = self.last_number, self.epoch
        for row in rows.tolist():
            number = row[0] or last + 1
            if number > last:
                entry = self._narrator.tell(row)
                last, epoch = number, entry.get("epoch", epoch)
                records.append((number, epoch, entry))
        self._write(records)
        return [entry for *_, entry in records]

    def append_loss(self, lost: int, before: int, t_ns: int) -> list[Entry]:
        """Say, once, that `lost` events were overwritten before the one numbered `before`."""
        if before - 1 <= self.last_number:
            return []
        entry: Entry = {"t_ns": t_ns, "event": "Lost", "lost": lost}
        self._write([(before - 1, self.epoch, entry)])
        return [entry]

    def _write(self, records: list[Numbered]) -> None:
        """Numbers, epochs and entries, all of them or none."""
        rows = [
            (number, epoch, e["t_ns"], e["event"], subject_of(e), canonical(e))
            for number, epoch, e in records
        ]
        try:
            self._db.execute("BEGIN")
            self._db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise JournalError(f"journal {self._path}: {error}") from error
        for (self.last_number, self.epoch, entry), (*_, line) in zip(records, rows, strict=True):
            self._digest.update(line.encode() + b"\n")
            self.count(entry)

    def entries(self, last: int = 50, subject: str | None = None) -> list[Entry]:
        """The last events, oldest first; of one cell, handover, device or task when `subject` says so."""
        where, args = ("WHERE subject = ?", [subject]) if subject else ("", [])
        query = f"SELECT line FROM events {where} ORDER BY number DESC LIMIT ?"
        with closing(self._db.execute(query, [*args, last])) as rows:
            return [json.loads(line) for (line,) in rows][::-1]

    def hash(self) -> str:
        """sha256 over the canonical lines, from the first event on."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Write everything out and let go of the file."""
        self._db.close()

    def _resume(self) -> None:
        """After a crash the counts and the hash go on from what is written."""
        query = "SELECT number, epoch, line FROM events ORDER BY number"
        with closing(self._db.execute(query)) as rows:
            for self.last_number, self.epoch, line in rows:
                self._digest.update(line.encode() + b"\n")
                self.count(json.loads(line))


def last_with(path: Path, wanted: Sequence[str]) -> int | None:
    """Logical time in ns of the last event in a journal whose sentence has all these words; None if there is
    none. Raises JournalError."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            for t_ns, line in db.execute("SELECT t_ns, line FROM events ORDER BY number DESC"):
                told = sentence(json.loads(line)).lower()
                if all(word.lower() in told for word in wanted):
                    return int(t_ns)
    except sqlite3.Error as error:
        raise JournalError(f"journal {path}: {error}") from error
    return None
