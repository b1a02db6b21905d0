"""The audit log: who came to the OPC UA server, what each one wrote and commanded, and what was written
over Modbus, in SQLite.

The process that serves the clients is its one writer. It stands beside the journal, which has the scan's
own account of every command: that one is the same for two runs that did the same, and this one never is.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

AUDIT = "audit.sqlite"
"""Its name in a run's folder."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY, wall_ns INTEGER, t_ns INTEGER, event TEXT, accepted INTEGER, user TEXT,
    rank TEXT, peer TEXT, subject TEXT, value TEXT, reason TEXT);
"""
_INSERT = """
INSERT INTO audit (wall_ns, t_ns, event, accepted, user, rank, peer, subject, value, reason)
VALUES (:wall_ns, :t_ns, :event, :accepted, :user, :rank, :peer, :subject, :value, :reason)
"""

MAX_REFUSALS = 100
"""Refusals written in one flush; of more only their number: a client that is refused a million times
must not fill the disk."""

MAX_WAITING = 10_000
"""Deeds kept while the disk takes none."""

TEXT = 200
"""Characters of what a client sent that are kept."""


@dataclass(frozen=True)
class Deed:
    """What a client did or was refused. `event`: Login, Logout, Write, Call, Limit.

    `reason` is why it was refused, or the answer in words.
    """

    event: str
    accepted: bool
    peer: str
    user: str = ""
    rank: str = ""
    subject: str = ""
    value: str = ""
    reason: str = ""


class AuditLog:
    """Keeps deeds. `flush` writes what came since the last one, in one transaction."""

    def __init__(self, path: Path) -> None:
        """Raises sqlite3.Error where there can be no such file."""
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        self._waiting: list[dict[str, Any]] = []
        self._refusals = 0
        self._more = 0

    def note(self, deed: Deed) -> None:
        """Take note of a deed. What was accepted is always written, refusals up to a number."""
        self._refusals += not deed.accepted
        full = len(self._waiting) >= MAX_WAITING
        if full or (not deed.accepted and self._refusals > MAX_REFUSALS):
            self._more += 1
            return
        told = {k: v[:TEXT] if isinstance(v, str) else v for k, v in asdict(deed).items()}
        self._waiting.append({**told, "wall_ns": time.time_ns()})

    def flush(self, t_ns: int) -> None:
        """Write what is waiting, as of logical time `t_ns`. Raises sqlite3.Error; it then waits on."""
        if not self._waiting and not self._more:
            return
        rows = self._waiting
        if self._more:
            more = Deed(
                "Limit", False, "", reason=f"{self._more} more deeds in this tenth of a second"
            )
            rows = [*rows, {**asdict(more), "wall_ns": time.time_ns()}]
        try:
            self._db.execute("BEGIN")
            self._db.executemany(_INSERT, [{**row, "t_ns": t_ns} for row in rows])
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._waiting, self._refusals, self._more = [], 0, 0

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def deeds(path: Path, last: int) -> list[dict[str, Any]]:
    """The last deeds, oldest first; none where nobody ever served. Raises sqlite3.Error."""
    if not path.exists():
        return []
    query = "SELECT * FROM audit ORDER BY number DESC LIMIT ?"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(query, [last])][::-1]


def told(deed: dict[str, Any]) -> str:
    """A deed as a line to read.

    >>> told({"wall_ns": 0, "event": "Write", "accepted": 0, "user": "eve", "rank": "viewer",
    ...       "peer": "127.0.0.1:5000", "subject": "press.target_N", "value": "5.0",
    ...       "reason": "needs the rank of an engineer"})
    '1970-01-01 00:00:00  Write refused  eve (viewer) 127.0.0.1:5000  press.target_N = 5.0: needs the rank of an engineer'
    """
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(deed["wall_ns"] / 1e9))
    who = f"{deed['user']} ({deed['rank']})" if deed["rank"] else deed["user"]
    what = f"{deed['subject']} = {deed['value']}" if deed["value"] else deed["subject"]
    head = f"{deed['event']} {'accepted' if deed['accepted'] else 'refused'}"
    tail = ": ".join(part for part in (what, deed["reason"]) if part)
    return "  ".join(part for part in (when, head, f"{who} {deed['peer']}".strip(), tail) if part)
