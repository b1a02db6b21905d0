"""Cells' modules and device maps that a line file names: found by rule, or refused."""

from __future__ import annotations

import itertools
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

import pytest

from cellrt.line.load import LineError, load_line, sim_classes
from cellrt.line.resolve import ResolveError, resolve

NUMBERS = itertools.count()

LINE = """[line]
name = "small"
period_ms = 10

[devices.box]
map = "box.toml"
address = "127.0.0.1:502"

[cells.one]
type = "{module}:One"
device = "box"
"""

MAP = """protocol = "modbus"
heartbeat = { holding = 0, type = "u16" }
counter = { input = 0, type = "u16" }
[outputs]
go = { coil = 0 }
"""

ONE = """from cellrt import *

class One(Cell):
    go: bool = Output(safe=always(to(False)))
"""


@pytest.fixture
def module() -> str:
    """A name that no other test has imported."""
    return f"line_test_module_{next(NUMBERS)}"


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)


def write(module: str, code: str = ONE, line: str = LINE, device_map: str = MAP) -> Path:
    """A line of one cell, in the working folder."""
    Path(f"{module}.py").write_text(code)
    Path("box.toml").write_text(device_map)
    Path("line.toml").write_text(line.format(module=module))
    return Path("line.toml")


def said(path: Path) -> list[str]:
    with pytest.raises(LineError) as caught:
        load_line(path)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            f'{ONE}    interlocks = (Interlock("cover_shut", Cause.GUARD),)\n',
            "{module}:One: condition 'cover_shut' is neither a bool tag nor a method; declare "
            "`cover_shut: bool = Input()` or `def cover_shut(self) -> bool`; mend {file}:3",
        ),
        (
            f'{ONE}    sequence = Sequence(Step("a", {{"go": "b"}}))\n',
            "step 'a' goes to 'b', which is no step; steps are a; mend {file}:5",
        ),
        (
            f"{ONE}    count: str = Var()\n",
            "{module}:One.count: a tag is `name: bool | int | float = Var(...)`, Input(), Output() "
            "or Parameter(), a record without a value, or an Array; mend {file}:3",
        ),
        (
            f"{ONE}    def execute(self)\n",
            "module '{module}' cannot be imported: SyntaxError: "
            "expected ':' ({module}.py, line 5); mend {file}:5",
        ),
        (
            f"{ONE}\n1 / 0\n",
            "module '{module}' cannot be imported: ZeroDivisionError: "
            "division by zero; mend {file}:6",
        ),
        (
            f"{ONE}\nimport no_such_library\n",
            "module '{module}' cannot be imported: ModuleNotFoundError: No module named "
            "'no_such_library'; mend {file}:6",
        ),
        (
            f"{ONE}\nraise SystemExit('bye')\n",
            "module '{module}' cannot be imported: SystemExit: bye; mend {file}:6",
        ),
        ("One = 3\n", "{module}:One is no cell; derive the class from `cellrt.Cell`"),
        (
            "from cellrt import Cell as One\n",
            "{module}:One is no cell; derive the class from `cellrt.Cell`",
        ),
        (
            ONE.replace("to(False)", "to(1.5)"),
            "{module}:One.go cannot react to STOP with 1.5; "
            "give it `to(...)` true or false, in the class",
        ),
        (
            ONE.replace("to(False)", "hold(float('nan'), False)"),
            "{module}:One.go cannot react to STOP after nan s; give it 0 to 86400 s, in the class",
        ),
        (
            f"{ONE}    period_ms = 'slow'\n",
            "{module}:One is scanned every slow ms, no multiple of the base period of "
            "10 ms; change its `period_ms`, or that of [line] to one that divides it",
        ),
    ],
)
def test_bad_module_is_one_message_at_the_type(module: str, code: str, message: str) -> None:
    path = write(module, code)
    expected = message.format(module=module, file=Path(f"{module}.py").resolve())
    assert expected in [m.removeprefix("line.toml:10: ") for m in said(path)]


@pytest.mark.parametrize(
    ("reactions", "missing"),
    [
        ("{Cause.STOP: to(False)}", " to process, comms, guard, estop"),
        ("to(False)", ""),
        ("{'stop': to(False)}", ""),
        ("None", ""),
    ],
)
def test_reaction_missing_inside_a_record_is_refused(
    module: str, reactions: str, missing: str
) -> None:
    code = ONE.replace("class One(Cell):", "class Valve(Record):")
    code = code.replace("always(to(False))", reactions)
    path = write(module, f"{code}\nclass One(Cell):\n    valve: Valve\n")
    path.write_text(path.read_text() + 'io = { "valve.go" = "box.go" }\n')
    assert said(path) == [
        f"line.toml:9: output one.valve.go has no safe reaction{missing}; "
        'declare `Output(safe=...)` or add `safe."valve.go" = false` to [cells.one]'
    ]


def test_finding_in_a_class_is_a_problem_of_its_cell(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = ModuleType("cellrt.check")
    check.findings = lambda kind: [f"{kind.__name__}.execute divides"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cellrt.check", check)
    assert said(write(module)) == [
        f"line.toml:10: {module}:One: One.execute divides; mend it in the class"
    ]


def test_line_without_a_cell_is_refused(module: str) -> None:
    assert said(write(module, line=LINE.partition("[cells.one]")[0] + "[cells]\n")) == [
        "line.toml:9: [cells] has no cell; "
        'add one: `[cells.infeed]`, `type = "cells.conveyor:Conveyor"`'
    ]


def test_module_beside_the_line_file_comes_before_an_installed_one(module: str) -> None:
    other = Path("installed")
    other.mkdir()
    (other / f"{module}.py").write_text("raise RuntimeError('the installed one')")
    sys.path.append(str(other.resolve()))
    assert load_line(write(module)).cells["one"].type.__module__ == module


def test_map_is_found_beside_the_cells_module(module: str) -> None:
    package = Path("somewhere") / module
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "cell.py").write_text(ONE)
    (package / "box.toml").write_text(MAP)
    sys.path.append(str(package.parent.resolve()))
    Path("line.toml").write_text(LINE.format(module=f"{module}.cell"))
    line = load_line(Path("line.toml"))
    assert line.devices["box"].map.path == str((package / "box.toml").resolve())


def test_map_beside_the_line_file_comes_first(module: str) -> None:
    package = Path(module)
    package.mkdir()
    path = write(f"{module}.cell")
    (package / "cell.py").write_text(ONE)
    (package / "box.toml").write_text("nonsense")
    assert load_line(path).devices["box"].map.path == "box.toml"


def test_two_maps_to_choose_from_are_refused(module: str) -> None:
    for name in ("a", "b"):
        package = Path("somewhere") / f"{module}{name}"
        package.mkdir(parents=True)
        (package / "cell.py").write_text(ONE)
        (package / "box.toml").write_text(MAP)
    sys.path.append(str(Path("somewhere").resolve()))
    second = f'[cells.two]\ntype = "{module}b.cell:One"\ndevice = "box"\n'
    Path("line.toml").write_text(LINE.format(module=f"{module}a.cell") + second)
    (message,) = said(Path("line.toml"))
    assert message.startswith("line.toml:6: two device maps of this name: ")
    assert message.endswith("; put yours beside the line file")


def test_map_without_heartbeat_and_counter_is_a_warning(module: str) -> None:
    lines = MAP.splitlines(keepends=True)
    line = load_line(write(module, device_map="".join(lines[:1] + lines[3:])))
    assert [w.partition("; ")[0] for w in line.warnings] == [
        "box.toml:1: has outputs but no heartbeat: "
        "the device cannot go safe by itself when the scan stops",
        "box.toml:1: has no counter: a device that answers with frozen data is not noticed",
    ]


def test_simulation_is_resolved_only_when_asked_for(module: str) -> None:
    path = write(
        module, line=LINE.replace('"127.0.0.1:502"\n', '"127.0.0.1:502"\nsim = "{module}:Sim"\n')
    )
    line = load_line(path)
    with pytest.raises(LineError) as caught:
        sim_classes(line)
    assert str(caught.value) == f"line.toml:8: module '{module}' has no 'Sim'; choose among One"


def test_device_without_simulation_stays_out(module: str) -> None:
    assert sim_classes(load_line(write(module))) == {}


def test_simulation_is_given_by_device(module: str) -> None:
    sim = LINE.replace('"127.0.0.1:502"\n', '"127.0.0.1:502"\nsim = "pathlib:Path"\n')
    assert sim_classes(load_line(write(module, line=sim))) == {"box": Path}


def test_resolve_gives_class_or_names_the_nearest() -> None:
    assert resolve("pathlib:Path") is Path
    with pytest.raises(ResolveError, match="there is no module 'pathlip'; did you mean 'pathlib'"):
        resolve("pathlip:Path")


def test_module_beside_the_line_called_as_one_of_pythons_hides_it_from_nobody(module: str) -> None:
    Path("queue.py").write_text("")
    load_line(write(module))
    spec = PathFinder.find_spec("queue")
    assert spec is not None and spec.origin is not None
    assert Path(spec.origin).parent != Path().resolve()
