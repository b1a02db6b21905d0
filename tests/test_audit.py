"""The audit log: everything accepted is kept, refusals are bounded, a full disk loses nothing at once."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from cellrt.audit import MAX_REFUSALS, TEXT, AuditLog, Deed, deeds

WRITE = Deed("Write", True, "127.0.0.1:5000", "emma", "engineer", "press.attempts", "5", "Good")
GUESS = Deed("Login", False, "127.0.0.1:5001", "eve", reason="a wrong password")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.sqlite"


def test_deeds_are_there_after_a_flush_with_the_time_of_the_scan(path: Path) -> None:
    log = AuditLog(path)
    log.note(WRITE)
    assert deeds(path, 10) == []
    log.flush(70)
    log.note(GUESS)
    log.flush(80)
    found = deeds(path, 10)
    assert [(d["t_ns"], d["event"], d["user"], d["accepted"]) for d in found] == [
        (70, "Write", "emma", 1),
        (80, "Login", "eve", 0),
    ]
    assert [d["event"] for d in deeds(path, 1)] == ["Login"]


def test_flood_of_refusals_is_counted_what_was_accepted_is_all_there(path: Path) -> None:
    log = AuditLog(path)
    for _ in range(MAX_REFUSALS + 900):
        log.note(GUESS)
        log.note(WRITE)
    log.flush(1)
    found = deeds(path, 10**6)
    assert sum(d["event"] == "Write" for d in found) == MAX_REFUSALS + 900
    assert sum(d["event"] == "Login" for d in found) == MAX_REFUSALS
    assert found[-1]["reason"] == "900 more deeds in this tenth of a second"
    log.note(GUESS)
    log.flush(2)
    assert deeds(path, 1)[0]["event"] == "Login"


def test_what_a_client_sent_is_cut_short(path: Path) -> None:
    log = AuditLog(path)
    log.note(Deed("Login", False, "", "x" * 10**6))
    log.flush(0)
    assert len(deeds(path, 1)[0]["user"]) == TEXT


def test_disk_takes_nothing_deeds_wait_and_are_written_once(path: Path) -> None:
    log = AuditLog(path)
    log._db.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    log.note(WRITE)
    with pytest.raises(sqlite3.Error):
        log.flush(1)
    other.execute("ROLLBACK")
    log.flush(2)
    log.flush(3)
    assert [d["t_ns"] for d in deeds(path, 10)] == [2]


def test_no_server_ever_ran_there_are_no_deeds(path: Path) -> None:
    assert deeds(path, 10) == []
