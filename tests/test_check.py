"""The check of logic: everything that it refuses, each by one example that fails, and what it lets pass."""

from __future__ import annotations

import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import cells
from cellrt.cell import Cell
from cellrt.check import Finding, findings
from cellrt.tags import Record
from cells.conveyor import Conveyor

HEAD = """\
from __future__ import annotations
import math, os, random, time
from random import randint
from time import monotonic_ns
from cellrt import Board, Cell, Input, Link, Record, Var, compiled
from cellrt.blocks import DIV, LIMIT, SQRT, TON

GEAR = 4.0
NOTHING = 0
TABLE = (1, 2, 3)

class Gripper(Record):
    open: bool = Var()

class Under(Cell):
    pressed: bool = Input()
    count: int = Var()
    level_mm: float = Var()
    gripper: Gripper
    other: Gripper
    wait: TON
"""


Check = Callable[..., list[str]]


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Check]:
    """Findings of a cell whose method `execute` has these lines, as (line in execute, text)."""
    made: list[str] = []

    def check(
        *body: str, head: str = HEAD, method: str = "def execute(self) -> None:"
    ) -> list[str]:
        name = f"cell_under_check_{len(made)}"
        made.append(name)
        path = tmp_path / f"{name}.py"
        lines = [f"    {method}", *(f"        {line}" for line in body)]
        path.write_text(head + "\n".join(lines) + "\n")
        kind = imported(name, path).Under
        first = head.count("\n") + 2
        said = []
        for finding in findings(kind):
            assert finding.path == str(path)
            assert str(finding).startswith(f"{path}:{finding.line}: {finding.message}; ")
            said.append(f"{finding.line - first + 1}: {finding.message}; {finding.mend}")
        return said

    yield check
    for name in made:
        sys.modules.pop(name)


def imported(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


REFUSED = [
    ("self.level_mm = 1.0 / self.level_mm", "divides by `self.level_mm`, which may be 0; use DIV"),
    ("self.count = 7 // self.count", "divides by `self.count`"),
    ("self.count = 7 % self.count", "divides by `self.count`"),
    ("self.count //= self.count", "divides by `self.count`"),
    ("self.level_mm /= 0", "divides by `0`"),
    ("self.level_mm = 1.0 / NOTHING", "divides by `NOTHING`"),
    ("self.level_mm = 1.0 / (GEAR - 4.0)", "divides by `GEAR - 4.0`"),
    ("self.count = ~self.pressed", "`~` of a bool is -1 or -2 in plain Python; write `not`"),
    ("self.count = ~(self.count > 3)", "`~` of a bool"),
    ("self.level_mm = round(self.level_mm, 2)", "`round` to digits differs"),
    ("self.count = round(self.level_mm)", "`self.level_mm` may be no number"),
    ("x = self.level_mm\n        self.count = int(x)", "`x` may be no number"),
    ("self.count = int(self.level_mm * 2)", "write int(LIMIT(low, self.level_mm * 2, high))"),
    ("self.count = self.level_mm", "stores a float in the int tag `self.count`"),
    ("self.count *= 0.5", "stores a float in the int tag `self.count`"),
    ("self.level_mm = self.level_mm ** 2", "`**` rounds or fails differently"),
    ("self.level_mm = self.level_mm ** 0.5", "SQRT"),
    ("self.count = self.count ** -1", "`**` rounds or fails differently"),
    ("self.count = self.count ** self.count", "`**` rounds or fails differently"),
    ("self.count = 2 ** self.count", "`**` rounds or fails differently"),
    ("self.level_mm = GEAR ** 3", "`**` rounds or fails differently"),
    ("self.pres: bool = True", "did you mean 'pressed'?"),
    ("self.count **= self.count", "`**` rounds or fails differently"),
    ("self.count = pow(self.count, 2)", "`pow` fails for some numbers"),
    ("self.level_mm = math.sqrt(self.level_mm)", "calls math.sqrt"),
    ("self.level_mm = math.exp(self.level_mm)", "calls math.exp"),
    (
        "try:\n            self.count = 1\n        finally:\n            pass",
        "`try`; test the condition first",
    ),
    ("with self.gripper:\n            pass", "`with`"),
    ("yield", "`yield`; a scan never waits"),
    ("f = lambda: 1", "a lambda"),
    ("def inner():\n            pass", "a function inside logic"),
    ("class Inner:\n            pass", "a class inside logic"),
    ("n = sum(k for k in range(3))", "a comprehension; write a loop"),
    ("n = len([k for k in range(3)])", "a comprehension"),
    ("global GEAR", "`global`; keep it in a tag"),
    ("import math", "an import inside logic"),
    ("from math import pi", "an import inside logic"),
    ("raise ValueError", "an exception would leave the scan half done"),
    ("assert self.pressed", "an exception would leave the scan half done"),
    ("del self.count", "`del`"),
    ("print(self.count)", "calls print; logic is a function of its tags"),
    ("self.count = time.monotonic_ns()", "calls time.monotonic_ns"),
    ("self.count = monotonic_ns()", "calls monotonic_ns"),
    ("self.count = randint(0, 3)", "calls randint"),
    ("self.level_mm = random.random()", "calls random.random"),
    ("self.pressed = os.path.exists(os.curdir)", "calls os.path.exists"),
    ("open(0)", "calls open"),
    ("super().execute()", "calls super"),
    ("self.pres = True", "Under has no tag 'pres'; did you mean 'pressed'?"),
    ("self.pres += 1", "did you mean 'pressed'?"),
    ("self.unheard_of = True", "declare `unheard_of: bool = Var()`"),
    ("self.gripper.opn = True", "Gripper has no tag 'opn'; did you mean 'open'?"),
    ("g = self.gripper\n        g.opn = True", "Gripper has no tag 'opn'"),
    ("a, g = self.count, self.gripper\n        g.opn = True", "Gripper has no tag 'opn'"),
    ("if self.is_pressed:\n            pass", "Under has no tag 'is_pressed'"),
    ("self.gripper = self.other", "`self.gripper` is a record; set its tags one by one"),
    ("name = 'left'", "a string in logic"),
    ("name = f'{self.count}'", "a string in logic"),
    ("all = [1, 2]", "a list in logic"),
    ("all = {1: 2}", "a dict in logic"),
    ("if self.count in {1, 2}:\n            pass", "a set in logic"),
    ("self.count = TABLE[self.count]", "`self.count` may be out of bounds"),
]


@pytest.mark.parametrize(
    ("logic", "complaint"), REFUSED, ids=[r[0].split("\n")[0] for r in REFUSED]
)
def test_logic_that_differs_or_is_impure_is_refused(
    found: Check, logic: str, complaint: str
) -> None:
    said = found(logic)
    assert any(complaint in s for s in said), said


ALLOWED = [
    "self.level_mm = self.level_mm / 2.0 + self.level_mm / GEAR - self.count % 7 // (2 * 3)",
    "self.level_mm = DIV(1.0, self.level_mm, 0.0) + SQRT(self.level_mm, 0.0)",
    "self.count = int(LIMIT(0.0, self.level_mm, 10.0)) + round(LIMIT(0.0, self.level_mm, 9.0))",
    "x = LIMIT(0.0, self.level_mm, 10.0)\n        self.count = int(x)",
    "self.count = int(Link.TRANSPORTING) + int(self.pressed) + (self.count > 3)",
    "self.count = ~self.count & 0xFF",
    "self.count = self.count ** 2 + 2 ** 8 + int(2.0 ** -1)",
    "self.level_mm = self.count",
    "self.level_mm = math.atan2(self.level_mm, 2.0) * math.pi",
    "self.pressed = not self.pressed and self.count not in (1, 2)",
    "up, g = self.count, self.gripper\n        g.open = up > 3",
    "for k in range(3):\n            self.count += TABLE[1] if k > 1 else TABLE[LIMIT(0, k, 2)]",
    "self.pressed = self.wait.update(self.pressed, 300, self.now_ns)",
    "self.board.become(self.board)",
    "breakpoint()",
    '"""A docstring is no string in logic."""',
]


@pytest.mark.parametrize("logic", ALLOWED)
def test_logic_that_answers_alike_passes(found: Check, logic: str) -> None:
    assert found(logic) == []


def test_finding_names_the_line_that_it_is_on(found: Check) -> None:
    assert [s.split(":")[0] for s in found("self.count = 1", "", "self.pres = True")] == ["3"]


def test_functions_that_logic_calls_are_read_too(found: Check) -> None:
    helper = "@compiled\ndef half(x: float) -> float:\n    return x / NOTHING\n\n"
    head = HEAD.replace("class Gripper", helper + "class Gripper")
    assert "divides by `NOTHING`" in found("self.level_mm = half(self.level_mm)", head=head)[0]
    assert found("self.count = 1", head=head) == [], "what nobody calls is nobody's logic"


def test_argument_is_known_by_its_annotation(found: Check) -> None:
    method = "def helper(self, g: Gripper, on: bool) -> int:"
    said = found("g.opn = ~on", "return 0", method=method)
    assert len(said) == 2 and "'opn'" in said[0] and "`~` of a bool" in said[1]


def test_record_in_a_record_and_inherited_methods_are_read_too(found: Check) -> None:
    method = "    open: bool = Var()\n\n    def go(self) -> None:\n        print(1)"
    head = HEAD.replace("    open: bool = Var()", method)
    assert "calls print" in found("self.gripper.go()", head=head)[0]


def test_inherited_logic_is_read_with_the_tags_of_the_heir(found: Check) -> None:
    base = HEAD.replace("class Under(Cell):", "class Base(Cell):")
    base += "\n    def always(self) -> None:\n        self.mor = True\n"
    heir = base + "\nclass Under(Base):\n    more: bool = Var()\n"
    assert "did you mean 'more'?" in found("self.count = 1", head=heir)[0]


def test_logic_without_a_source_is_said_to_have_none() -> None:
    namespace: dict[str, Any] = {}
    exec("def execute(self):\n    pass", namespace)
    made = type("Hidden", (Cell,), {"__module__": __name__, "execute": namespace["execute"]})
    namespace["execute"].__module__ = __name__
    assert [f.message for f in findings(made)] == ["the source of execute cannot be read"]


def test_conveyor_has_no_finding() -> None:
    assert findings(Conveyor) == []


def records(name: str) -> list[type[Record]]:
    module = importlib.import_module(f"cells.{name}")
    return [k for k in vars(module).values() if isinstance(k, type) and issubclass(k, Record)]


SHIPPED = {m.name: records(m.name) for m in pkgutil.iter_modules(cells.__path__)}
"""Modules without records hold functions only, which are checked with the cells that call them."""


@pytest.mark.parametrize("name", [name for name, kinds in SHIPPED.items() if kinds])
def test_shipped_cells_have_no_finding(name: str) -> None:
    kinds = SHIPPED[name]
    assert len(SHIPPED) > 12 and kinds
    assert [str(f) for kind in kinds for f in findings(kind)] == []


def test_findings_are_in_the_order_of_their_places() -> None:
    assert Finding("a", 2, "m", "x") < Finding("a", 10, "b", "x") < Finding("b", 1, "a", "x")
