"""What must not be lost: the journal and retained values, across crashes, damage and full disks."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellrt import retained
from cellrt.handover import Route
from cellrt.journal import Journal, JournalError
from cellrt.line.load import load_line
from cellrt.narrate import Narrator, canonical, sentence, upper, words
from cellrt.scan.commands import Operation, Refusal
from cellrt.scan.events import Event
from cellrt.scan.plan import Plan
from cellrt.wire import Ints

STATION = Path(__file__).parents[1] / "cells" / "print_station.toml"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(load_line(STATION))


def rows(*events: tuple[int, ...]) -> Ints:
    return np.array(events, np.int64).reshape(-1, 8)


def board_left(number: int, board: int, result: int = 1, route: int = 0) -> tuple[int, ...]:
    return (number, 1000 * number, Event.BOARD_LEFT, 5, board, result, 1, route)


def test_events_of_one_cell_are_found_in_order(plan: Plan) -> None:
    journal = Journal(plan)
    journal.append(rows((1, 10, Event.STATE, 3, 2, 15, 0, 0), board_left(2, 7)))
    journal.append(rows((3, 30, Event.STATE, 3, 15, 4, 0, 0)))
    assert [e["to"] for e in journal.entries(subject="printer")] == ["Resetting", "Idle"]
    assert journal.entries(last=1)[0]["t_ns"] == 30


def test_boards_that_left_are_counted_by_what_became_of_them(plan: Plan) -> None:
    journal = Journal(plan)
    journal.append(rows(board_left(1, 1), board_left(2, 2, 2), board_left(3, 3, 2, Route.REMOVAL)))
    journal.append(rows(board_left(4, 4, 2, Route.REWORK)))
    assert journal.boards == {"completed": 1, "rejected": 1, "scrapped": 1, "rework": 1}


def test_events_read_twice_after_a_crash_are_written_once(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    first = Journal(plan, path)
    first.append(rows(board_left(1, 1), board_left(2, 2)))
    kept = first.hash()
    again = Journal(plan, path)  # the one before never closed it
    assert again.hash() == kept and again.boards["completed"] == 2
    again.append(rows(board_left(2, 2), board_left(3, 3)))
    assert again.boards["completed"] == 3
    assert [e["board"] for e in again.entries()] == [1, 2, 3]


def test_lost_events_are_an_entry_of_their_own(plan: Plan) -> None:
    journal = Journal(plan)
    journal.append(rows(board_left(1, 1)))
    journal.append_loss(8, 10, 500)
    journal.append(rows(board_left(10, 10)))
    assert [e["event"] for e in journal.entries()] == ["BoardLeft", "Lost", "BoardLeft"]


def test_file_that_is_no_journal_is_named(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_text("this is no database, not even a small one" * 100)
    with pytest.raises(JournalError, match=r"journal\.sqlite"):
        Journal(plan, path)


def test_write_that_fails_leaves_nothing_half_written(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(plan, path)
    journal.append(rows(board_left(1, 1)))
    kept = journal.hash()
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    journal._db.execute("PRAGMA busy_timeout = 1")
    with pytest.raises(JournalError, match="locked"):
        journal.append(rows(board_left(2, 2)))
    blocker.execute("ROLLBACK")
    assert journal.hash() == kept


@pytest.fixture(scope="module")
def narrator() -> Narrator:
    return Narrator(Plan(load_line(STATION)))


@given(st.lists(st.tuples(*[st.integers(-(2**62), 2**62)] * 4), max_size=5))
def test_no_number_in_an_event_stops_its_telling(
    narrator: Narrator, values: list[tuple[int, int, int, int]]
) -> None:
    for a, b, c, d in values:
        for kind in (
            *(Event.STATE, Event.STEP, Event.HANDOVER, Event.COMMAND, Event.BOARD_OUT),
            Event.CHANGED,
        ):
            entry = narrator.tell((1, 2, kind, 0, a, b, c, d))
            assert canonical(entry) and sentence(entry)


@pytest.mark.parametrize("member", [*Refusal, *Operation, *Event])
def test_names_go_to_words_and_back(member: Refusal) -> None:
    assert upper(words(member)) == member.name


def test_retained_values_come_back_by_name(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "retained.json"
    retained.save(path, {"loader.serial": 12, "printer.pressure_N_wanted": 75.5, "gone.tag": 1})
    values, unknown = retained.load(path, plan)
    assert values == {"loader.serial": 12, "printer.pressure_N_wanted": 75.5}
    assert unknown == ["gone.tag"]


def test_missing_file_of_retained_values_is_an_empty_one(plan: Plan, tmp_path: Path) -> None:
    assert retained.load(tmp_path / "none.json", plan) == ({}, [])


def test_no_damage_to_retained_values_goes_unseen(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "retained.json"
    retained.save(path, {"loader.serial": 12, "magazine.good": 11})
    text = path.read_text()
    for length in range(0, len(text), 7):
        path.write_text(text[:length])
        with pytest.raises(retained.RetainedError, match=r"retained\.json"):
            retained.load(path, plan)
    path.write_text(text.replace("12", "13"))
    with pytest.raises(retained.RetainedError, match="checksum"):
        retained.load(path, plan)
    path.write_text(text.replace('"version": 1', '"version": 9'))
    with pytest.raises(retained.RetainedError, match="version 9"):
        retained.load(path, plan)


FILL = """
import resource, signal, sys
from pathlib import Path
from cellrt import retained
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
retained.save(path, {"loader.serial": 12})
resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
try:
    retained.save(path, {"loader.serial": 13})
except OSError as error:
    print("refused", error.errno)
"""


def test_full_disk_keeps_the_values_of_before(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "retained.json"
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("refused"), done.stderr
    assert json.loads(path.read_text())["values"] == {"loader.serial": 12}
