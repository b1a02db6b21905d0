"""`cellrt top` with keys pressed by the test, over a line that answers from memory."""

from __future__ import annotations

from typing import Any

import pytest
from rich.text import Text
from textual.widgets import DataTable, Static

from cellrt.app.copies import Patient
from cellrt.app.top import RATE_OVER_S, Rates, Sure, Top
from cellrt.runtime.control import ControlError


def cell(name: str, **more: Any) -> dict[str, Any]:
    told = {
        "cell": name,
        "copy": "",
        "last": False,
        "commander": "Remote",
        "mode": "Production",
        "state": "Execute",
    }
    told |= {"step": "full", "board": 12, "boards_out": 3, "first_out": ""}
    return told | more


class Line:
    """What the control socket would say; `asked` are the requests that are no looks."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.down: str | None = None
        times = {"p50": 1.0, "p99": 2.0}
        task = {"policy": "skip", "times_slower": 1, "missed": 2, "over_budget": 0} | {
            "exec_us": times
        }
        aborted = cell("printer", state="Aborted", first_out="guards_closed", commander="Local")
        self.told = {
            "line": "station",
            "scan": 500,
            "goal": "run",
            "now_s": 100.0,
            "speed": 10.0,
            "boards": {"entered": 4},
            "recent": [{"t_ns": 10**9, "event": "Step", "cell": "infeed", "from": "a", "to": "b"}],
            "alarms": [],
            "forces": [{"tag": "infeed.run", "value": True}],
            "cells": [cell("infeed"), aborted],
            "timing": {"wake_us": times, "exec_us": times, "overruns": 0, "tasks": {"10 ms": task}},
            "input_age_ms": times,
            "devices": {"coupler": {"ok": False, "rtt_us": times}},
        }

    def ask(self, **request: Any) -> dict[str, Any]:
        if self.down:
            raise ControlError(self.down)
        if request["do"] != "overview":
            self.asked.append(request)
        return self.told


@pytest.fixture
def line() -> Line:
    return Line()


def shown(app: Top, name: str) -> str:
    return str(app.query_one(f"#{name}", Static).render())


def row(app: Top, name: str) -> list[str]:
    return [str(value) for value in app.query_one(DataTable).get_row(name)]


async def test_line_at_work_is_shown_whole(line: Line) -> None:
    app = Top(line.ask)
    async with app.run_test(size=(160, 50)):
        assert row(app, "infeed") == [
            *("infeed", "Remote", "Production", "Execute", "full", "12", "3", "0", "")
        ]
        assert row(app, "printer")[-1] == "guards_closed"
        assert "station  100.0 s  x10  goal run  boards: entered 4" in shown(app, "head")
        assert "10 ms (skip) p50 1.0 p99 2.0 us, missed 2" in shown(app, "tasks")
        assert "coupler LOST" in shown(app, "devices")
        assert shown(app, "forces") == "FORCED 1: infeed.run = True"
        assert "a -> b" in shown(app, "events") and "overruns 0" in shown(app, "timing")
        assert isinstance(app.query_one(DataTable).get_row("printer")[3], Text)


@pytest.mark.parametrize(
    ("keys", "request_"),
    [
        ("t", {"do": "commander", "cell": "infeed", "control": "local"}),
        ("down t", {"do": "commander", "cell": "printer", "control": "remote"}),
        ("r", {"do": "command", "cell": "infeed", "command": "Reset"}),
        ("down s", {"do": "command", "cell": "printer", "command": "Start"}),
        ("x", {"do": "command", "cell": "infeed", "command": "Stop"}),
        ("R", {"do": "pursue", "goal": "run"}),
        ("X", {"do": "pursue", "goal": "stop"}),
    ],
)
async def test_key_asks_first_and_commands_only_after_a_yes(
    line: Line, keys: str, request_: dict[str, Any]
) -> None:
    app = Top(line.ask)
    async with app.run_test() as pilot:
        for no in ("n", "escape"):
            await pilot.press(*keys.split(), no)
            assert not line.asked
            app.query_one(DataTable).move_cursor(row=0)
        await pilot.press(*keys.split())
        assert isinstance(app.screen, Sure)
        app.look()  # the line goes on being shown behind the question
        await pilot.press("y")
        await pilot.pause()
        assert line.asked == [request_]
        assert "accepted" in shown(app, "said")


@pytest.fixture
def factory(line: Line) -> Line:
    """Three lines of fifteen cells, one of them in trouble."""
    line.told["cells"] = [
        cell(f"line_0{n}_cell_{k}", copy=f"line_0{n}", boards_out=n if k == 7 else 99, last=k == 7)
        for n in (1, 2, 3)
        for k in range(15)
    ]
    line.told["cells"][19] |= {"state": "Held", "first_out": "no_paste", "commander": "Local"}
    times = {"p50": 1000.0, "p99": 2.0}
    line.told["devices"] = {f"io_{n:02}": {"ok": n != 7, "rtt_us": times} for n in range(30)}
    return line


async def test_factory_is_shown_by_line_what_is_urgent_first(factory: Line) -> None:
    app = Top(factory.ask)
    async with app.run_test(size=(160, 40)):
        assert [key.value for key in app.query_one(DataTable).rows] == [
            "line_01",
            "line_02",
            "line_03",
        ]
        assert row(app, "line_01") == [
            *("line_01", "Remote", "Production", "15 Execute", "", "", "1", "0", "")
        ]
        told = ("1 Local", "Production", "1 Held, 14 Execute", "", "", "2", "0")
        assert row(app, "line_02") == ["line_02", *told, "cell_4: no_paste"]
        assert shown(app, "devices") == "30 devices, 1 LOST: io_07"


async def test_line_of_a_factory_opened_its_cells_are_commanded_and_it_is_left_again(
    factory: Line,
) -> None:
    app = Top(factory.ask)
    async with app.run_test(size=(160, 40)) as pilot:
        await pilot.press("down", "s")
        assert not isinstance(app.screen, Sure) and "open it with Enter" in shown(app, "said")
        await pilot.press("enter")
        table = app.query_one(DataTable)
        assert [key.value for key in table.rows] == [f"line_02_cell_{k}" for k in range(15)]
        await pilot.press("down", "down")
        app.look()
        await pilot.press("s", "y")
        await pilot.pause()
        assert factory.asked == [{"do": "command", "cell": "line_02_cell_2", "command": "Start"}]
        await pilot.press("escape")
        assert table.row_count == 3 and table.cursor_row == 1


async def test_line_that_is_shown_is_gone_with_its_factorys_next_start_it_is_left_again(
    factory: Line,
) -> None:
    app = Top(factory.ask)
    async with app.run_test(size=(160, 40)) as pilot:
        await pilot.press("down", "down", "enter")
        factory.told["cells"] = [c for c in factory.told["cells"] if c["copy"] != "line_03"]
        app.look()
        await pilot.press("escape")
        rows = [key.value for key in app.query_one(DataTable).rows]
        assert rows == ["line_01", "line_02"]


def test_look_that_took_long_is_not_soon_behind_followed_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s, looked = [100.0], []

    def look() -> None:
        looked.append(now_s[0])
        now_s[0] += 2.0

    monkeypatch.setattr("cellrt.app.copies.time.monotonic", lambda: now_s[0])
    patient = Patient(look)
    for now_s[0] in (100.0, 103.0, 109.5, 110.5):
        patient.look()
    assert looked == [100.0, 110.5], "8 s behind one of 2 s"


async def test_refusal_is_shown_and_the_screen_stays(line: Line) -> None:
    app = Top(line.ask)
    async with app.run_test() as pilot:
        await pilot.press("r")
        line.down = "infeed Reset: refused, NotInCommand"
        await pilot.press("y")
        await pilot.pause()
        assert shown(app, "said") == line.down == shown(app, "head")
        line.down = None
        app.look()
        assert "goal run" in shown(app, "head")


async def test_cursor_stays_on_its_cell_while_the_line_goes_on(line: Line) -> None:
    app = Top(line.ask)
    async with app.run_test() as pilot:
        await pilot.press("down")
        line.told |= {"now_s": 460.0, "cells": [cell("infeed", boards_out=9), cell("printer")]}
        app.look()
        assert row(app, "infeed")[6:8] == ["9", "60"]
        assert app.query_one(DataTable).cursor_row == 1


def test_rate_is_of_the_last_while_and_begins_anew_with_the_line() -> None:
    rates = Rates()
    assert rates.of(0.0, {"a": 5}) == {"a": 0.0}
    assert rates.of(360.0, {"a": 8}) == {"a": 30.0}
    assert rates.of(360.0 + RATE_OVER_S, {"a": 8}) == {"a": 0.0}
    assert rates.of(1.0, {"a": 0}) == {"a": 0.0}
