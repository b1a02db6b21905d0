"""The compiled code of yesterday never runs for the source of today, and is reused where it may be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PARTS = '''
from cellrt import Record, Var

GAIN = 3

class Counter(Record):
    """A block in a file of its own."""
    count: int = Var()

    def update(self, by: int) -> int:
        self.count += by
        return self.count

class Lone(Record):
    """Compiled beside the machine."""
    out: int = Var()

    def scan(self) -> None:
        self.out += 1

class Base(Record):
    """What a machine inherits."""
    extra: int = Var()

    def extended(self, by: int) -> int:
        return by + 0
'''
HELP = """
from cellrt import compiled

@compiled
def doubled(x: int) -> int:
    return 2 * x
"""
MACHINE = '''
import numpy as np
import parts
from helping import doubled
from cellrt import Record, Var

TABLE = np.array([10, 20, 30], np.int64)

class Machine(parts.Base):
    """Uses a block, a callee in another file, a base's method, a constant and a table."""
    out: int = Var()
    counter: parts.Counter

    def scan(self) -> None:
        self.out = self.extended(doubled(self.counter.update(1))) + 100 * parts.GAIN + 1000 * TABLE[1]
'''
ASK = """
import json
from cellrt.compiler.entry import entry
from cellrt.line.resolve import resolve
Machine = resolve("machine:Machine")
made = entry(Machine)
record = Machine.zeros()
made.ctypes(record.ctypes.data)
print(json.dumps({"out": int(record["out"][0]), "hits": made._cache.hits}))
"""
TOGETHER = """
import json
from cellrt.compiler.entry import addresses, entry
from machine import Machine
from parts import Lone
addresses([Machine, Lone])
print(json.dumps({kind.__name__: entry(kind)._cache.hits for kind in (Machine, Lone)}))
"""
EDITS = {
    "a callee in another file": ("helping.py", "2 * x", "5 * x", 20305),
    "a block": ("parts.py", "self.count += by", "self.count += by + 3", 20308),
    "a base's method": ("parts.py", "by + 0", "by + 7", 20309),
    "a constant": ("parts.py", "GAIN = 3", "GAIN = 4", 20402),
    "a table": ("machine.py", "[10, 20, 30]", "[10, 21, 30]", 21302),
}


class Folder:
    """Sources and a cache of their own; every question is a fresh process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name, text in (("parts", PARTS), ("helping", HELP), ("machine", MACHINE)):
            (path / f"{name}.py").write_text(text)

    def ask(self, question: str = ASK, cache: str = "cache") -> dict[str, int]:
        env = {
            **os.environ,
            "CELLRT_CACHE_DIR": str(self.path / cache),
            "PYTHONPATH": str(self.path),
        }
        done = subprocess.run(
            [sys.executable, "-c", question],
            env=env,
            cwd=self.path,
            capture_output=True,
            text=True,
            check=True,
        )
        told: dict[str, int] = json.loads(done.stdout)
        return told

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text within the same second: where the size stays too, a .pyc would hide the edit."""
        path = self.path / file
        before, text = path.stat(), path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    made = Folder(tmp_path_factory.mktemp("cache"))
    assert made.ask() == {"out": 20302, "hits": 0}
    return made


def test_unedited_source_is_taken_from_the_cache(folder: Folder) -> None:
    assert folder.ask() == {"out": 20302, "hits": 1}


@pytest.mark.parametrize("what", EDITS)
def test_edit_takes_effect(folder: Folder, what: str) -> None:
    file, old, new, out = EDITS[what]
    folder.edit(file, old, new)
    assert folder.ask() == {"out": out, "hits": 0}
    folder.edit(file, new, old)
    assert folder.ask() == {"out": 20302, "hits": 1}, "the old code is kept under its own hash"


def test_what_is_compiled_in_parallel_is_not_compiled_again(folder: Folder) -> None:
    assert folder.ask(TOGETHER, "fresh") == {"Machine": 1, "Lone": 1}


def test_comment_recompiles_nothing(folder: Folder) -> None:
    (folder.path / "machine.py").write_text(MACHINE + "\n# said more clearly\n")
    assert folder.ask()["hits"] == 1


@pytest.mark.parametrize("damage", ["cut short", "a flipped bit"])
def test_damaged_file_in_the_cache_is_compiled_anew(folder: Folder, damage: str) -> None:
    for path in (folder.path / "cache").rglob("*.numba"):
        data = bytearray(path.read_bytes())
        if damage == "cut short":
            data = data[: len(data) // 2]
        else:
            data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert folder.ask() == {"out": 20302, "hits": 0}
    assert folder.ask() == {"out": 20302, "hits": 1}


def test_tag_with_the_name_of_a_global_is_compiled(folder: Folder) -> None:
    machine = folder.path / "machine.py"
    machine.write_text("import pathlib\n\nout = pathlib.Path()\n" + MACHINE)
    assert folder.ask()["out"] == 20302
