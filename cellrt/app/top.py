"""`cellrt top`: a running line on the whole screen, and the few keys that an operator needs.

Textual, because a person's keys, a question before each command and a table that stays where it was
looked at are a program of their own with rich alone. Of a factory it shows the lines, and the cells of one.
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar, Protocol

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Label, Static

from cellrt.app.copies import COLOURS, Patient, devices, states
from cellrt.narrate import sentence, upper
from cellrt.packml import State
from cellrt.report import tasks_line
from cellrt.runtime.control import ControlError

LOOK_EVERY_S = 0.5
RATE_OVER_S = 600.0
"""Logical time over which boards an hour are counted."""

COLUMNS = ("cell", "commander", "mode", "state", "step", "board", "out", "boards/h", "first out")
EVENTS = 12


class Ask(Protocol):
    """Asks the line's control socket. Raises ControlError."""

    def __call__(self, **request: Any) -> dict[str, Any]: ...


class Sure(ModalScreen[bool]):
    """Asks before anything moves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "yes"),
        Binding("n,escape", "dismiss(False)", "no"),
    ]
    CSS = """
    Sure { align: center middle; }
    Sure Label { border: heavy $warning; background: $surface; padding: 1 4; }
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def compose(self) -> ComposeResult:
        yield Label(f"{self._what}?   y / n")


class Rates:
    """Boards an hour of each cell, in logical time."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[str, int]]] = deque()

    def of(self, now_s: float, out: dict[str, int]) -> dict[str, float]:
        """Take a look and say the rates over the last RATE_OVER_S; a line that began anew is new."""
        if self._seen and now_s < self._seen[-1][0]:
            self._seen.clear()
        self._seen.append((now_s, out))
        while now_s - self._seen[0][0] > RATE_OVER_S:
            self._seen.popleft()
        began_s, before = self._seen[0]
        span_s = now_s - began_s
        return {c: (n - before[c]) * 3600.0 / span_s if span_s else 0.0 for c, n in out.items()}


class Top(App[None]):
    """The screen. `ask` is how the line is asked."""

    TITLE = "cellrt top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "all lines"),
        Binding("t", "take", "take/release cell"),
        Binding("r", "command('Reset')", "reset cell"),
        Binding("s", "command('Start')", "start cell"),
        Binding("x", "command('Stop')", "stop cell"),
        Binding("R", "pursue('run')", "run line"),
        Binding("X", "pursue('stop')", "stop line"),
        Binding("q", "quit", "quit"),
    ]
    CSS = """
    #head { text-style: bold; }
    #forces { color: $error; text-style: bold; }
    DataTable { height: auto; max-height: 60%; }
    #events { height: 1fr; border-top: solid $primary; }
    #said { color: $warning; height: auto; }
    """

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self._ask = ask
        self._rates = Rates()
        self._line: dict[str, Any] = {}
        self._copy = ""

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        with Vertical():
            yield DataTable(cursor_type="row")
            for name in ("timing", "tasks", "devices", "forces", "events", "said"):
                yield Static(id=name)
        yield Footer()

    def on_mount(self) -> None:
        """Build the table once; look now and then every LOOK_EVERY_S."""
        table = self.query_one(DataTable)
        for name in COLUMNS:
            table.add_column(name, key=name)
        patient = Patient(self.look)
        patient.look()
        self.set_interval(LOOK_EVERY_S, patient.look)

    def look(self) -> None:
        """Ask the line, and show what it says."""
        try:
            self._line = self._ask(do="overview")
        except ControlError as error:
            self._show("head", str(error))
            return
        line = self._line
        boards = ", ".join(f"{name} {n}" for name, n in line["boards"].items())
        self._show(
            "head",
            f"{line['line']}  {line['now_s']:.1f} s  x{line['speed']:g}  goal {line['goal']}  boards: {boards}",
        )
        self._show_cells(line)
        timing, age = line["timing"], line["input_age_ms"]
        wake, execution = timing["wake_us"], timing["exec_us"]
        self._show(
            "timing",
            f"scan {line['scan']}  late p50 {wake['p50']:.1f} p99 {wake['p99']:.1f} us  execution "
            f"p50 {execution['p50']:.1f} p99 {execution['p99']:.1f} us  overruns {timing['overruns']}  "
            f"input age p99 {age['p99']:.1f} ms",
        )
        self._show("tasks", tasks_line(timing["tasks"]))
        self._show("devices", devices(line["devices"]))
        forces = ", ".join(f"{e['tag']} = {e['value']}" for e in line["forces"])
        forced = [f"FORCED {len(line['forces'])}: {forces}"] if forces else []
        self._show("forces", "\n".join([*line["alarms"], *forced]))
        self._show("events", "\n".join(sentence(e) for e in line["recent"][-EVENTS:]))

    def _show_cells(self, line: dict[str, Any]) -> None:
        """Each row is written in its place, so that the cursor stays."""
        table = self.query_one(DataTable)
        rates = self._rates.of(line["now_s"], {c["cell"]: c["boards_out"] for c in line["cells"]})
        shown = {
            key: _cell(cells[0], rates) if key == cells[0]["cell"] else _sum(key, cells, rates)
            for key, cells in self._rows().items()
        }
        others = list(shown) != [key.value for key in table.rows]
        if others:
            table.clear()
            for key, row in shown.items():
                table.add_row(*row, key=key)
        for key, row in shown.items():
            for name, value in zip(COLUMNS, row, strict=True):
                if others or table.get_cell(key, name) != value:  # columns get their width so
                    table.update_cell(key, name, value, update_width=True)

    def _rows(self) -> dict[str, list[dict[str, Any]]]:
        """What the rows are of: each a cell, or all cells of a line of a factory."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for c in self._line.get("cells", []):
            if c["copy"] == self._copy:
                rows[c["cell"]] = [c]
            elif not self._copy:
                rows.setdefault(c["copy"], []).append(c)
        return rows

    def on_data_table_row_selected(self, chosen: DataTable.RowSelected) -> None:
        """Enter on a factory's line shows its cells."""
        if chosen.row_key.value in {c["copy"] for c in self._line.get("cells", [])}:
            self._go_to(str(chosen.row_key.value))

    def action_leave(self) -> None:
        """All lines of a factory again, the cursor on the one that was shown."""
        left, rows = self._copy, list(self._line.get("cells", []))
        if left:
            self._go_to("")
            lines = list(dict.fromkeys(c["copy"] for c in rows))
            if left in lines:  # a factory may come back with fewer
                self.query_one(DataTable).move_cursor(row=lines.index(left))

    def _go_to(self, copy: str) -> None:
        self._copy = copy
        self._show_cells(self._line)

    def _show(self, name: str, text: str) -> None:
        self.query_one(f"#{name}", Static).update(Text(text))

    def _chosen(self) -> dict[str, Any] | None:
        """The cell under the cursor."""
        rows = list(self._rows().items())
        at = self.query_one(DataTable).cursor_row
        if at >= len(rows):
            return None
        key, cells = rows[at]
        if key == cells[0]["cell"]:
            return cells[0]
        self._show("said", f"{key} has {len(cells)} cells: open it with Enter, then choose one")
        return None

    def action_take(self) -> None:
        """Take the cell under the cursor, or give it back."""
        if cell := self._chosen():
            control = "remote" if cell["commander"] == "Local" else "local"
            what = f"{'release' if control == 'remote' else 'take'} {cell['cell']}"
            self._confirm(what, do="commander", cell=cell["cell"], control=control)

    def action_command(self, command: str) -> None:
        """Command the cell under the cursor."""
        if cell := self._chosen():
            what = f"{command.lower()} {cell['cell']}"
            self._confirm(what, do="command", cell=cell["cell"], command=command)

    def action_pursue(self, goal: str) -> None:
        """Give the whole line a goal."""
        self._confirm(f"{goal} the whole line", do="pursue", goal=goal)

    def _confirm(self, what: str, **request: Any) -> None:
        def answered(sure: bool | None) -> None:
            if not sure:
                return
            try:
                self._ask(**request)
                self._show("said", f"{what}: accepted")
            except ControlError as error:
                self._show("said", str(error))
            self.look()

        self.push_screen(Sure(what), answered)


def _cell(c: dict[str, Any], rates: dict[str, float]) -> list[str | Text]:
    """A cell's row."""
    return [
        c["cell"],
        Text(c["commander"], style="bold yellow" if c["commander"] == "Local" else ""),
        c["mode"],
        Text(c["state"], style=COLOURS.get(State[upper(c["state"])], "")),
        c["step"],
        str(c["board"] or ""),
        str(c["boards_out"]),
        f"{rates[c['cell']]:.0f}",
        Text(c["first_out"], style="red"),
    ]


def _sum(name: str, cells: list[dict[str, Any]], rates: dict[str, float]) -> list[str | Text]:
    """The row of a factory's line: what is unusual of its cells; its boards are those that leave it."""
    local = sum(c["commander"] == "Local" for c in cells)
    modes = {c["mode"] for c in cells}
    last = [c for c in cells if c["last"]]
    stopped = [
        f"{c['cell'].removeprefix(name + '_')}: {c['first_out']}" for c in cells if c["first_out"]
    ]
    return [
        name,
        Text(f"{local} Local" if local else "Remote", style="bold yellow" if local else ""),
        modes.pop() if len(modes) == 1 else "various",
        states(State[upper(c["state"])] for c in cells),
        "",
        "",
        str(sum(c["boards_out"] for c in last)),
        f"{sum(rates[c['cell']] for c in last):.0f}",
        Text(
            stopped[0] + (f", {len(stopped) - 1} more" if stopped[1:] else "") if stopped else "",
            style="red",
        ),
    ]
