"""Code that two processes compiled, each its own record type, is loaded by a third and not mistaken.

numba numbers record types by process, and names machine code by the number: loaded together, the code of
one type would run for the other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PLACES = """
from cellrt import Record, Var

class Base(Record):
    count: int = Var()
    on: bool = Var()

    def mix(self, by: int) -> int:
        for n in range(by):
            if (self.count ^ n) % 7 == 3:
                self.on = not self.on
            elif self.count % 5 == n % 5:
                self.count += 3 * n + by
            else:
                self.count = (self.count << 1 ^ n) & 0xFFFF
            for k in range(n):
                self.count += k ^ self.count % 3
        self.on = True
        return self.count

    def scan(self) -> None:
        total = self.mix(5)
        for n in range(4):
            total += self.mix(n + total % 3) - self.mix(total % 7)
        self.count = total

class First(Base):
    fence: int = Var(7)

class Second(Base):
    a: int = Var(1)
    b: float = Var(2.5)
    c: int = Var(3)
    fence: int = Var(7)
"""
COMPILE = "import sys, places; from cellrt.compiler.entry import entry; entry(getattr(places, sys.argv[1]))"
RUN = """
import json, places
from cellrt.compiler.entry import entry
from cellrt.compiler.plain import plain
from cellrt.image import Image, Layout
kinds = {"first": places.First, "second": places.Second}
compiled, expected = Image(Layout(kinds)), Image(Layout(kinds))
entries = [entry(kind) for kind in kinds.values()]
for made, (name, kind) in zip(entries, kinds.items()):
    made.ctypes(compiled.address + compiled.layout.offsets[name])
    plain(kind, expected.bytes, expected.layout.offsets[name]).scan()
same = compiled.hash() == expected.hash()
print(json.dumps([same, sum(made._cache.hits for made in entries)]))
"""


def test_types_compiled_in_two_processes_keep_to_their_own_code(tmp_path: Path) -> None:
    (tmp_path / "places.py").write_text(PLACES)
    root = str(Path(__file__).parents[1])
    path = os.pathsep.join((str(tmp_path), root))
    env = os.environ | {"CELLRT_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": path}

    def python(code: str, *arguments: str) -> str:
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        return done.stdout

    for kind in ("First", "Second"):
        python(COMPILE, kind)
    assert json.loads(python(RUN)) == [True, 2]
