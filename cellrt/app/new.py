"""`cellrt new cell NAME`: a start that works, small enough to read at once."""

from __future__ import annotations

import keyword
from pathlib import Path

CELL = '''"""{Class}: waits for a part, works on it, counts it."""

from cellrt import MS, Cause, Cell, Input, Interlock, Output, Parameter, Sequence, Step, Var, always, to
from cellrt.blocks import TON


class {Class}(Cell):
    estop_released: bool = Input()
    part_here: bool = Input(doc="a part lies in the fixture")
    work: bool = Output(safe=always(to(False)), doc="tool on")
    work_ms: int = Parameter(500, unit="ms", low=50, high=5000)
    done: int = Var(retain=True, doc="parts finished")
    dwell: TON

    interlocks = (Interlock("estop_released", Cause.ESTOP),)
    sequence = Sequence(
        Step("waiting", {{"part_here": "working"}}),
        Step("working", {{"worked": "leaving"}}, within_s=10.0),
        Step("leaving", {{"part_gone": "waiting"}}),
    )

    def worked(self) -> bool:
        return self.dwell.update(self.work, self.work_ms * MS, self.now_ns)

    def part_gone(self) -> bool:
        return not self.part_here

    def execute(self) -> None:
        self.work = False

    def working(self) -> None:
        self.work = True

    def leaving(self) -> None:
        if self.unit.step_entered:
            self.done += 1
'''

MAP = """protocol = "modbus"
heartbeat = {{ holding = 0, type = "u16" }}
counter = {{ input = 0, type = "u16" }}

[inputs]
estop_released = {{ discrete = 0 }}
part_here = {{ discrete = 1 }}

[outputs]
work = {{ coil = 0 }}
"""

LINE = """[line]
name = "{name}"
period_ms = 10

[devices.plc]
map = "{name}.toml"
address = "127.0.0.1:502"

[cells.{name}]
type = "{name}:{Class}"
device = "plc"
"""

TEST = """def test_works_on_each_part_once(line):
    station = line("{name}_line.toml")
    station.force("{name}.estop_released", True)
    station.start()
    station.force("{name}.part_here", True)
    station.step(until="{name}.work", timeout_s=1.0)
    station.step(until=lambda: station["{name}.done"] == 1, timeout_s=1.0)
    assert not station["{name}.work"]
"""


class NewError(Exception):
    """A start cannot be written; says why."""


def write_cell(what: str, name: str, folder: Path) -> list[Path]:
    """Write NAME/ with a cell, its device map, a line file and a passing test. Raises NewError."""
    if what != "cell":
        raise NewError(f"cannot write a new {what!r}; `cellrt new cell NAME`")
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
        raise NewError(
            f"{name!r} is no name for a Python module; use lower-case letters, digits and _"
        )
    target = folder / name
    if target.exists():
        raise NewError(f"{target} is there already")
    names = {"name": name, "Class": "".join(part.capitalize() for part in name.split("_"))}
    files = {
        f"{name}.py": CELL,
        f"{name}.toml": MAP,
        f"{name}_line.toml": LINE,
        f"test_{name}.py": TEST,
    }
    target.mkdir()
    for file, text in files.items():
        (target / file).write_text(text.format(**names))
    return [target / file for file in files]
