"""`cellrt io` over a line that answers from memory: in a wide and a narrow terminal, and printed."""

from __future__ import annotations

from typing import Any

import pytest
from textual.widgets import DataTable, Static

from cellrt.app.points import BAD, Points, Row, show
from cellrt.runtime.control import ControlError


def point(name: str, **more: Any) -> Row:
    told: Row = {"device": "printer", "point": name, "role": "input", "address": "input:10"}
    told |= {"wire": "u16", "raw": 803, "value": 80.3, "unit": "N", "good": True, "age_s": 0.0}
    return told | {"tags": [f"printer.{name}"], "forced": None} | more


class Line:
    def __init__(self) -> None:
        self.down: str | None = None
        coupler: Row = {"device": "coupler", "good": False, "age_s": 3.21, "raw": 0, "unit": ""}
        self.points = [
            point("pressure_N"),
            point("clamp", role="output", raw=1, value=True, unit="", forced=True, wire="bool"),
            point("at_entry", **coupler, value=False),
            *(point(f"spare_{n}", tags=[], raw=None, value=None) for n in range(60)),
        ]

    def look(self) -> list[Row]:
        if self.down:
            raise ControlError(self.down)
        return self.points


@pytest.fixture
def line() -> Line:
    return Line()


def row(app: Points, name: str) -> list[str]:
    return [str(value) for value in app.query_one(DataTable).get_row(name)]


def head(app: Points) -> str:
    return str(app.query_one("#devices", Static).render())


async def test_every_point_has_a_row_and_every_device_its_health(line: Line) -> None:
    app = Points(line.look)
    async with app.run_test(size=(160, 20)):
        assert app.query_one(DataTable).row_count == len(line.points)
        assert row(app, "printer.pressure_N") == [
            *("printer.pressure_N", "in", "803", "80.3", "N", "", "input:10"),
            *("printer.pressure_N", "u16"),
        ]
        assert row(app, "printer.clamp")[1:6] == ["out", "1", "1", "", "1"]
        assert row(app, "printer.spare_7")[2:4] == ["-", "-"]
        assert "printer good, 0.0 s ago" in head(app) and "coupler BAD, 3.2 s ago" in head(app)


async def test_narrow_and_low_terminal_name_stays_and_the_rest_scrolls(line: Line) -> None:
    app = Points(line.look)
    async with app.run_test(size=(50, 12)) as pilot:
        table = app.query_one(DataTable)
        await pilot.press("ctrl+end", "right")
        await pilot.pause()
        assert table.cursor_row == len(line.points) - 1 and table.max_scroll_y > 0
        assert table.max_scroll_x > 0 and table.fixed_columns == 1


async def test_value_changes_cursor_stays_on_its_point(line: Line) -> None:
    app = Points(line.look)
    async with app.run_test() as pilot:
        await pilot.press("down")
        line.points[0] |= {"raw": 905, "value": 90.5}
        app.look()
        assert row(app, "printer.pressure_N")[2:4] == ["905", "90.5"]
        assert app.query_one(DataTable).cursor_row == 1


async def test_device_lost_its_points_turn_red_though_their_values_stand(line: Line) -> None:
    app = Points(line.look)
    async with app.run_test():
        line.points[0] |= {"good": False, "age_s": 12.0}
        app.look()
        value = app.query_one(DataTable).get_cell("printer.pressure_N", "value")
        assert (value.plain, value.style) == ("80.3", BAD)


async def test_forced_only_shows_what_is_forced_until_it_is_let_go(line: Line) -> None:
    app = Points(line.look)
    async with app.run_test() as pilot:
        await pilot.press("f")
        assert [key.value for key in app.query_one(DataTable).rows] == ["printer.clamp"]
        line.points[1]["forced"] = None
        app.look()
        assert app.query_one(DataTable).row_count == 0
        await pilot.press("f")
        assert app.query_one(DataTable).row_count == len(line.points)


async def test_line_goes_away_screen_says_so_and_comes_back_with_it(line: Line) -> None:
    app = Points(line.look)
    async with app.run_test():
        line.down = "the line does not answer"
        app.look()
        assert head(app) == line.down
        line.down = None
        app.look()
        assert "printer good" in head(app)


async def test_of_many_devices_those_that_are_bad_are_told(line: Line) -> None:
    line.points = [point("ready", device=f"io_{n:02}", good=n != 5) for n in range(40)]
    app = Points(line.look)
    async with app.run_test():
        assert head(app) == "40 devices, 1 BAD: io_05"


def test_printed_each_point_is_one_line(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    show(line.look)
    printed = capsys.readouterr().out.splitlines()
    (clamp,) = [text for text in printed if "printer.clamp " in text]
    assert [part.strip() for part in clamp.split("│")[1:7]] == [
        *("printer.clamp", "out", "1", "1", "", "1")
    ]
    assert any("coupler BAD, 3.2 s ago" in text for text in printed)
