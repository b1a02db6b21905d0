"""What `cellrt run` shows: one live table of the line, or a line an event where there is no terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cellrt import report
from cellrt.app.copies import COLOURS, devices, states
from cellrt.narrate import Narrator, brief, words
from cellrt.packml import Control, Mode, State
from cellrt.runtime.region import Status

if TYPE_CHECKING:
    from cellrt.app.run import Run

LIVE_EVERY_S, TELL_EVERY_S = 0.2, 5.0
EVENT_WIDTH = 56


class View:
    """Shows a run until it ends. On a terminal a table, else sentences."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._live: Live | None = None
        self._run: Run | None = None
        self._told = 0
        self._told_s = 0.0

    def __enter__(self) -> View:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=5, transient=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            if self._run:
                self._live.update(render(self._run))
            self._live.stop()

    def show(self, run: Run) -> None:
        """The line as it is now; not more often than it can be looked at."""
        for line in run.told[self._told :]:
            self._console.print(f"[yellow]{line}[/]")
        self._told = len(run.told)
        self._run = run
        if self._live and time.monotonic() - self._told_s >= LIVE_EVERY_S:
            self._told_s = time.monotonic()
            self._live.update(render(run))
        elif not self._live and time.monotonic() - self._told_s >= TELL_EVERY_S:
            self._told_s = time.monotonic()
            print(plain_line(run), file=sys.stdout, flush=True)


def render(run: Run) -> Group:
    """The table of cells and what the scan and the devices do."""
    if run.snapshot is None:
        return Group(Text(starting(run)))
    table = lines_table(run) if run.line.copied else cells_table(run)
    tasks = report.tasks_line(report.tasks(run.plan, run.region))
    lines = [Text(scan_line(run)), Text(tasks, style="dim"), Text(device_line(run), style="dim")]
    if run.snapshot.forces:
        lines.append(Text(forces_line(run), style="bold red"))
    lines += [Text(alarm, style="bold red") for alarm in run.brain.get("alarms", [])]
    return Group(table, *lines)


def cells_table(run: Run) -> Table:
    """A row for each cell."""
    narrator = Narrator(run.plan)
    latest = {e.get("cell"): e for e in run.brain.get("recent", [])}
    table = _table(run, "cell", "state", "step", "boards", "last event")
    for cell in run.plan.cells:
        state = state_of(run, cell)
        event = latest.get(cell)
        table.add_row(
            cell,
            Text(words(state) + aside(run, narrator, cell), style=COLOURS.get(state, "")),
            narrator.step_name(cell, int(run.read(f"{cell}.unit.step")))
            if state is State.EXECUTE
            else "",
            str(run.read(f"{cell}.unit.boards_out")),
            f"{event['event']} {brief(event)}"[:EVENT_WIDTH] if event else "",
        )
    return table


def lines_table(run: Run) -> Table:
    """A row for each line of a factory; `cellrt top` has the cells of each."""
    table = _table(run, "line", "cells", "boards")
    for name, cells in copies(run).items():
        last = run.line.last_cells.intersection(cells)
        out = sum(int(run.read(f"{cell}.unit.boards_out")) for cell in last)
        table.add_row(name, states(state_of(run, c) for c in cells), str(out))
    return table


def copies(run: Run) -> dict[str, list[str]]:
    """A factory's cells by line."""
    found: dict[str, list[str]] = {}
    for cell in run.plan.cells:
        found.setdefault(run.line.copy_of(cell), []).append(cell)
    return found


def state_of(run: Run, cell: str) -> State:
    """A cell's PackML state."""
    return State(int(run.read(f"{cell}.unit.state")))


def _table(run: Run, *columns: str) -> Table:
    table = Table(expand=False, title=title(run), title_justify="left", title_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name == "boards" else "left", no_wrap=True)
    return table


def aside(run: Run, narrator: Narrator, cell: str) -> str:
    """What is unusual about a cell: why it stands, its mode, that a person has it in hand."""
    mode = Mode(int(run.read(f"{cell}.unit.mode")))
    said = [
        narrator.first_out(cell, int(run.read(f"{cell}.unit.first_out"))),
        "" if mode is Mode.PRODUCTION else words(mode),
        "local" if run.read(f"{cell}.unit.commander") == Control.LOCAL else "",
    ]
    return f" ({', '.join(filter(None, said))})" if any(said) else ""


def starting(run: Run) -> str:
    """How far a start has come."""
    done, of = int(run.status[Status.COMPILED]), int(run.status[Status.TO_COMPILE])
    compiling = f", compiling: {done} of {of} types done" if of > done else ""
    return f"{run.line.name}: starting{compiling}"


def title(run: Run) -> str:
    """Name, time, speed, goal and boards."""
    boards = run.brain.get("boards", {})
    usual = ("entered", "completed")
    unusual = (n for n in ("rejected", "rework", "scrapped") if boards.get(n))
    counts = ", ".join(f"{n} {boards.get(n, 0)}" for n in (*usual, *unusual))
    goal = run.brain.get("goal", "-")
    return f"{run.line.name}  {run.ran_s():.1f} s  x{run.options.speed:g}  goal {goal}  boards: {counts}"


def scan_line(run: Run) -> str:
    """How the scan keeps its time."""
    scan = report.scan(run.plan, run.region)
    wake, execution = scan["wake_us"], scan["exec_us"]
    return (
        f"scan {scan['count']}  period {scan['period_us'] / run.options.speed:g} us wall  "
        f"late p50 {wake['p50']:.1f} p99 {wake['p99']:.1f} us  "
        f"execution p50 {execution['p50']:.1f} p99 {execution['p99']:.1f} us  "
        f"overruns {scan['overruns']}  {scan['scheduler']}"
    )


def device_line(run: Run) -> str:
    """Each device's health, and how old inputs are when a scan takes them."""
    age = report.input_age_ms(run.plan, run.region)
    return f"input age p50 {age['p50']:.1f} p99 {age['p99']:.1f} ms  {devices(report.io(run.plan, run.region))}"


def forces_line(run: Run) -> str:
    """What is not as field and logic have it."""
    forces = [f"{e['tag']} = {e['value']}" for e in run.brain.get("forces", [])]
    count = run.snapshot.forces if run.snapshot else 0
    return f"FORCED {count}: {', '.join(forces)}"


def plain_line(run: Run) -> str:
    """The whole line in one line, for logs."""
    if run.snapshot is None:
        return starting(run)
    if run.line.copied:
        rows = {c: states(state_of(run, n) for n in cells) for c, cells in copies(run).items()}
    else:
        rows = {cell: Text(words(state_of(run, cell))) for cell in run.plan.cells}
    shown = "  ".join(f"{name}={told}" for name, told in rows.items())
    forced = f"  {forces_line(run)}" if run.snapshot.forces else ""
    return f"{title(run)}  {shown}{forced}"
