"""`cellrt io`: every point of a line's devices, for checking out the wiring.

On a terminal a table that scrolls, since a line has more points than a screen has rows; else printed once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from rich.console import Console
from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Static

from cellrt.app.copies import MANY_DEVICES, Patient, some
from cellrt.runtime.control import ControlError

LOOK_EVERY_S = 0.2
WIDTH_PIPED = 1000
"""Printed, a point is one line however many tags it has: for grep."""

COLUMNS = ("point", "", "raw", "value", "unit", "forced", "address", "tags", "wire")
"""What is looked at first stands first: on a narrow terminal the rest is a key away."""

NUMBERS = ("raw", "value")
BAD, FORCED = "bold red", "bold black on yellow"

Row = dict[str, Any]
Look = Callable[[], list[Row]]
"""The points as they are now. Raises ControlError."""


def show(look: Look) -> None:
    """Live on a terminal, until q or Ctrl-C; else once. Raises ControlError."""
    console, points = Console(), look()
    if console.is_terminal:
        Points(look).run()
    else:
        Console(width=WIDTH_PIPED).print(table(points))


class Points(App[None]):
    """The screen: how each device is, and below that its points."""

    TITLE = "cellrt io"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "forced", "forced ones only"),
        Binding("q", "quit", "quit"),
    ]
    CSS = """
    #devices { height: auto; text-style: bold; }
    DataTable { height: 1fr; }
    """

    def __init__(self, look: Look) -> None:
        super().__init__()
        self._look = look
        self._forced_only = False

    def compose(self) -> ComposeResult:
        yield Static(id="devices")
        yield DataTable(cursor_type="row", fixed_columns=1)
        yield Footer()

    def on_mount(self) -> None:
        """Build the table once; look now and then every LOOK_EVERY_S."""
        for name in COLUMNS:
            self.query_one(DataTable).add_column(name, key=name)
        patient = Patient(self.look)
        patient.look()
        self.set_interval(LOOK_EVERY_S, patient.look)

    def look(self) -> None:
        """Ask the line, and write each point's row in its place, so that the cursor stays."""
        devices = self.query_one("#devices", Static)
        try:
            points = self._look()
        except ControlError as error:
            devices.update(Text(str(error), style=BAD))
            return
        devices.update(health(points))
        rows = {
            _name(p): cells(p) for p in points if p["forced"] is not None or not self._forced_only
        }
        shown = self.query_one(DataTable)
        if list(rows) != [key.value for key in shown.rows]:
            shown.clear()
            for key, row in rows.items():
                shown.add_row(*row, key=key)
            return
        for key, row in rows.items():
            for name, value in zip(COLUMNS, row, strict=True):
                before = shown.get_cell(key, name)
                if (before.plain, before.style) != (value.plain, value.style):
                    shown.update_cell(key, name, value, update_width=True)

    def action_forced(self) -> None:
        """Show forced points only, or all of them again."""
        self._forced_only = not self._forced_only
        self.look()


def health(points: list[Row]) -> Text:
    """Each device in a few words: whether its inputs count, and when it was last heard. Of many, those
    whose inputs do not."""
    told, devices = Text(), {p["device"]: (p["good"], p["age_s"]) for p in points}
    if len(devices) > MANY_DEVICES:
        bad = [name for name, (good, _) in devices.items() if not good]
        return Text(f"{len(devices)} devices, ").append(
            f"{len(bad)} BAD: {some(bad)}" if bad else "all good", style=BAD if bad else "green"
        )
    for device, (good, age_s) in devices.items():
        heard = "never heard" if age_s is None else f"{age_s:.1f} s ago"
        told.append(f"{device} ")
        told.append(f"{'good' if good else 'BAD'}, {heard}", style="green" if good else BAD)
        told.append("   ")
    return told


def table(points: list[Row]) -> Table:
    """The same to be printed."""
    shown = Table(caption=health(points), caption_justify="left")
    for name in COLUMNS:
        shown.add_column(name, justify="right" if name in NUMBERS else "left", no_wrap=True)
    for p in points:
        shown.add_row(*cells(p))
    return shown


def cells(p: Row) -> list[Text]:
    """A point's row. What is bad is told by its value's colour and in the devices' line, what is forced
    by its own column and by its name's colour.
    """
    forced = p["forced"] is not None
    style = "" if p["good"] else BAD
    return [
        Text(_name(p), style=FORCED if forced else style),
        Text({"input": "in", "output": "out"}[p["role"]]),
        Text(_shown(p["raw"]), style=style, justify="right"),
        Text(_shown(p["value"]), style=style, justify="right"),
        Text(p["unit"]),
        Text(_shown(p["forced"]) if forced else "", style=FORCED),
        Text(p["address"]),
        Text(", ".join(p["tags"]) or "-"),
        Text(p["wire"]),
    ]


def _name(p: Row) -> str:
    return f"{p['device']}.{p['point']}"


def _shown(value: bool | float | None) -> str:
    """A bool as a terminal's lamp shows it; a float by its point, with up to six digits.

    >>> _shown(True), _shown(22.0), _shown(0.1 * 73), _shown(22)
    ('1', '22.0', '7.3', '22')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(int(value))
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f"{text}.0" if isinstance(value, float) and text.lstrip("-").isdecimal() else text
