"""`cellrt new cell NAME`: a start that works, small enough to read at once."""

from __future__ import annotations

import keyword
import os
import re
import tempfile
from importlib.util import find_spec
from pathlib import Path

import cellrt

NAME = re.compile("[a-z][a-z0-9_]{0,29}")

CELL = '''"""PressFit: waits for a part, works on it, counts it."""

from cellrt import Cause, Cell, Input, Interlock, Output, Parameter, Sequence, Step, Var, always, to


class PressFit(Cell):
    """Works on each part once. A part that lies there at the start is taken out first."""

    guard_closed: bool = Input()  # its register is in press_fit.toml
    part_here: bool = Input(doc="a part lies in the fixture")
    tool: bool = Output(safe=always(to(False)))  # or a reaction for each cause: safe(...)
    work_ms: int = Parameter(500, unit="ms", low=50, high=5000)
    done: int = Var(retain=True, doc="parts finished")

    # What must hold: its loss aborts the cell and takes the outputs to `safe`.
    interlocks = (Interlock("guard_closed", Cause.GUARD),)
    # The steps inside Execute; what leads to the next is a bool tag or a method.
    sequence = Sequence(
        Step("unloading", {"part_gone": "waiting"}),
        Step("waiting", {"part_here": "working"}),
        Step("working", {"worked": "unloading"}, within_s=10.0),
    )

    def part_gone(self) -> bool:
        return not self.part_here

    def worked(self) -> bool:  # cellrt.blocks has TON, CTU, PID, ... for more
        return self.step_ns() >= self.work_ms * 1_000_000

    def work_complete(self) -> bool:  # a Stop waits for this
        return not self.tool

    def always(self) -> None:  # in every scan, before the step's own method
        self.tool = False

    def working(self) -> None:  # in every scan of the step `working`
        self.tool = not self.worked()
        if self.worked():
            self.done += 1
'''

MAP = """# Written against the device's manual. Addresses count from 0.
protocol = "modbus"
watchdog_ms = 500
heartbeat = { holding = 0, type = "u16" } # we count: the device goes safe when it stands still
counter = { input = 0, type = "u16" }     # it counts: we distrust it when it stands still

[inputs]
guard_closed = { discrete = 0 }
part_here = { discrete = 1 }
# force_N = { input = 1, type = "u16", scale = 0.1 }

[outputs]
tool = { coil = 0 }
"""

LINE = """# cellrt check press_fit_line.toml --show
# cellrt run press_fit_line.toml
[line]
name = "press_fit"
period_ms = 10

[devices.io]
map = "press_fit.toml"
address = "192.168.1.20:502"
# sim = "press_fit_sim:PressFitSim" # a hw_sim.device.SimDevice: `run --sim`, `twin`

[cells.press_fit]
type = "press_fit:PressFit"
device = "io" # tags are its points of the same name
# params = { work_ms = 800 }
# to = "next" # hands boards on: `outfeed: Outfeed` here, `infeed: Infeed` there
"""

TEST = '''"""In virtual time. `pytest --plain` lets a breakpoint() in the cell open the debugger."""

from cellrt.testing import OpenLine, TestLine


def started(line: OpenLine) -> TestLine:
    station = line("press_fit_line.toml")
    station.force("press_fit.guard_closed", True)
    return station.start().step(until="press_fit.waiting")


def test_waiting_part_comes_is_worked_on_once(line: OpenLine) -> None:
    station = started(line)
    station.force("press_fit.part_here", True)
    station.step(until="press_fit.tool", timeout_s=0.1)
    station.step(until="press_fit.unloading", timeout_s=1.0)
    station.step(100)
    assert station["press_fit.done"] == 1
    assert not station["press_fit.tool"]


def test_working_guard_opens_tool_is_off_in_that_scan(line: OpenLine) -> None:
    station = started(line)
    station.force("press_fit.part_here", True)
    station.step(until="press_fit.tool", timeout_s=0.1)
    station.force("press_fit.guard_closed", False)
    station.step()
    assert not station["press_fit.tool"]
    station.step(until="press_fit.Aborted", timeout_s=0.1)
'''

FILES = {
    "press_fit.py": CELL,
    "press_fit.toml": MAP,
    "press_fit_line.toml": LINE,
    "test_press_fit.py": TEST,
}


class NewError(Exception):
    """A start cannot be written; says why."""


def write_cell(what: str, name: str, folder: Path) -> list[Path]:
    """Write NAME/ with a cell, its device map, a line file and a test, or nothing. Raises NewError."""
    if what != "cell":
        raise NewError(f"cannot write a new {what!r}; write `cellrt new cell NAME`")
    target, title = folder / name, "".join(part.capitalize() for part in name.split("_"))
    _check(name, title, target)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as scratch:
        whole = Path(scratch, name)
        whole.mkdir()
        for file, text in FILES.items():
            named = text.replace("press_fit", name).replace("PressFit", title)
            (whole / file.replace("press_fit", name)).write_text(named, encoding="utf-8")
        whole.rename(target)
    return [target / file.replace("press_fit", name) for file in FILES]


def _check(name: str, title: str, target: Path) -> None:
    """A name for a module, a class and a cell that nothing else has."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        what = "lower-case letters, digits and _, a letter first, at most 30"
        raise NewError(f"{name!r} is no name for a new cell; use {what}")
    if title in cellrt.__all__:
        raise NewError(f"{name!r} would call the class {title}, as cellrt has one; choose another")
    if os.path.lexists(target):
        raise NewError(f"{target} is there already; choose another name or remove it")
    if find_spec(name) is not None:
        raise NewError(f"{name!r} would hide the module of that name; choose another")
