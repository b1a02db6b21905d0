"""Units' times and speeds, made of events: against a count in small steps, and across restarts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellrt.figures import Figures, FiguresFile
from cellrt.journal import Journal
from cellrt.line.load import load_line
from cellrt.narrate import Entry, words
from cellrt.packml import Mode, State
from cellrt.retained import RetainedError
from cellrt.scan.commands import Operation, Refusal
from cellrt.scan.events import Event
from cellrt.scan.plan import Plan

STATION = Path(__file__).parents[1] / "cells" / "print_station.toml"
S = 10**9
PRINTER = 3


def state(t_s: int, to: State, cell: str = "a") -> Entry:
    return {"t_ns": t_s * S, "event": "State", "cell": cell, "from": "", "to": words(to)}


def mode(t_s: int, to: Mode) -> Entry:
    return {"t_ns": t_s * S, "event": "Mode", "cell": "a", "from": "", "to": words(to)}


def out(t_s: int) -> Entry:
    return {"t_ns": t_s * S, "event": "BoardOut", "cell": "a", "board": 1}


def reset(t_s: int, refusal: Refusal = Refusal.ACCEPTED) -> Entry:
    entry = {"t_ns": t_s * S, "event": "Command", "operation": words(Operation.RESET_COUNTERS)}
    return entry | {"target": "a", "answer": words(refusal)}


def started(t_s: int) -> Entry:
    return {"t_ns": t_s * S, "event": "Started", "epoch": 2}


moments = st.integers(0, 50)
events = st.lists(
    st.one_of(
        st.builds(state, moments, st.sampled_from(State)),
        st.builds(mode, moments, st.sampled_from(Mode)),
        st.builds(reset, moments, st.sampled_from([Refusal.ACCEPTED, Refusal.NOT_IN_COMMAND])),
        st.builds(started, moments),
        st.builds(out, moments),
    ),
    max_size=30,
).map(lambda found: sorted(found, key=lambda e: e["t_ns"]))


def by_the_second(entries: list[Entry], end_s: int) -> Counter[tuple[int, int]]:
    """Seconds by mode and state, each second counted where the unit was in it."""
    spent: Counter[tuple[int, int]] = Counter()
    at = [int(Mode.PRODUCTION), int(State.STOPPED)]
    for second in range(end_s):
        for e in entries:
            if e["t_ns"] != second * S:
                continue
            if e["event"] == "Started":
                at = [int(Mode.PRODUCTION), int(State.STOPPED)]
            elif e["event"] == "Mode":
                at[0] = int(Mode[e["to"].upper()])
            elif e["event"] == "State":
                at[1] = int(State[e["to"].upper()])
            elif e["event"] == "Command" and e["answer"] == "Accepted":
                spent.clear()
        spent[at[0], at[1]] += 1
    return spent


@given(events)
def test_any_events_times_are_those_counted_second_by_second(entries: list[Entry]) -> None:
    figures = Figures(["a"])
    for entry in entries:
        figures.hear(entry)
    (told,) = figures.at(51 * S)
    expected = by_the_second(entries, 51)
    for place, seconds in np.ndenumerate(told["state_s"]):
        assert seconds == expected[place]
    assert told["mode_s"].tolist() == told["state_s"].sum(axis=1).tolist()
    assert told["since_reset_s"] == told["mode_s"].sum()


def test_state_entered_its_time_begins_and_the_modes_goes_on() -> None:
    figures = Figures(["a", "b"])
    for entry in (mode(2, Mode.MANUAL), state(5, State.RESETTING), state(9, State.IDLE)):
        figures.hear(entry)
    told, other = figures.at(12 * S)
    assert told["mode_now_s"].tolist() == [0, 0, 0, 10]
    assert told["state_now_s"].sum() == told["state_now_s"][Mode.MANUAL, State.IDLE] == 3
    assert other["state_now_s"][Mode.PRODUCTION, State.STOPPED] == 12


def test_boards_follow_each_other_speed_is_a_mean_and_falls_when_none_comes() -> None:
    figures = Figures(["a"])
    speed = lambda t_s: float(figures.at(t_s * S)["boards_per_min"][0])  # noqa: E731
    figures.hear(state(0, State.EXECUTE))
    assert speed(30) == 0.0
    for t_s in range(100, 500, 20):
        figures.hear(out(t_s))
    assert speed(480) == speed(500) == pytest.approx(3.0)
    assert speed(500) > speed(560) > speed(3600) > 0.0
    figures.hear(state(4000, State.SUSPENDING))
    assert speed(4000) == 0.0


def test_refused_reset_changes_nothing() -> None:
    figures = Figures(["a"])
    figures.hear(reset(5, Refusal.NOT_IN_COMMAND))
    assert figures.at(9 * S)["since_reset_s"].tolist() == [9]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(load_line(STATION))


def test_brain_killed_and_line_restarted_no_time_is_lost_or_counted_twice(
    plan: Plan, tmp_path: Path
) -> None:
    def begin(run: str) -> tuple[Journal, FiguresFile]:
        kept = FiguresFile(tmp_path / "times.json", run)
        return Journal(plan, tmp_path / f"{run}.sqlite", before=kept.before), kept

    def write(journal: Journal, number: int, t_s: int, to: State) -> None:
        row = (number, t_s * S, Event.STATE, PRINTER, int(State.STOPPED), int(to), 0, 0)
        journal.append(np.array([row], np.int64))

    def counted(journal: Journal, t_s: int) -> dict[str, int]:
        spent = journal.figures.times(t_s * S)["printer"]["Production"]
        return {name: ns // S for name, ns in spent.items()}

    journal, kept = begin("first")
    write(journal, 1, 10, State.RESETTING)
    kept.save(journal.figures.times(15 * S))
    write(journal, 2, 20, State.EXECUTE)  # and killed before it saved that
    journal, kept = begin("first")
    assert counted(journal, 50) == {"Stopped": 10, "Resetting": 10, "Execute": 30}
    kept.save(journal.figures.times(50 * S))
    journal, kept = begin("second")
    assert counted(journal, 5) == {"Stopped": 15, "Resetting": 10, "Execute": 30}
    kept.save(journal.figures.times(5 * S))
    assert counted(begin("second")[0], 6)["Stopped"] == 16


def test_damaged_file_of_times_is_named(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    FiguresFile(path, "run").save({"printer": {"Production": {"Execute": 5}}})
    path.write_text(path.read_text().replace("5", "6"))
    with pytest.raises(RetainedError, match=r"times\.json"):
        FiguresFile(path, "run")
