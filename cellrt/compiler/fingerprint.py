"""What a compiled function was compiled from, as one hash.

numba's own cache looks at the time stamp of one file. It does not notice an edit of a callee in another
file, of a table or of a constant, and then silently runs the old logic (numba #1833), which on a machine
is a hazard. So the hash here is of what the compiler reads: the bytecode in memory of the function and of
everything that it can reach, the values of the globals that it names, and the layouts of its records. No
file is looked at, so neither a data file, nor a dynamic import, nor a stale .pyc can slip past. (numba's
@overload hides a body from such a walk; cellrt's own are in `cellrt.compiled` and `cellrt.compiler`,
whose sources `environment` takes in whole.)
"""

from __future__ import annotations

import dis
import enum
import functools
import hashlib
import os
import sys
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np

from cellrt.compiled import STRICT
from cellrt.compiler.methods import methods
from cellrt.tags import Record

OPAQUE_PACKAGES = ("numba", "numpy", "llvmlite", "math", "builtins", "cellrt.compiler")
"""Covered by `environment()` as a whole, not walked into."""


class Unhashable(TypeError):
    """A function names a global whose value cannot be told apart from another."""


def fingerprint(*roots: object) -> str:
    """sha256 over functions, record classes and plain values, and all that they reach."""
    walk = _Walk()
    walk.text(environment())
    for root in roots:
        walk.value(root)
    return walk.digest.hexdigest()


@functools.cache
def environment() -> str:
    """What else decides about machine code: versions, processor, options and cellrt's own compiler."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for source in (*sorted(here.glob("*.py")), here.parent / "compiled.py"):
        digest.update(source.read_bytes())
    parts = (
        sys.version,
        numba.__version__,
        np.__version__,
        llvmlite.__version__,
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
        sorted(STRICT.items()),
        sorted((k, v) for k, v in os.environ.items() if k.startswith("NUMBA_")),
        digest.hexdigest(),
    )
    return repr(parts)


class _Walk:
    """Depth first, each object once; a second visit leaves its number, so cycles end."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.seen: dict[int, int] = {}
        self.kept: list[object] = []

    def text(self, *parts: object) -> None:
        self.digest.update(("\x1f".join(map(str, parts)) + "\x1e").encode())

    def value(self, value: Any) -> None:
        if value is None or isinstance(
            value, bool | int | float | str | bytes | complex | np.generic
        ):
            self.text(type(value).__name__, repr(value))
        elif isinstance(value, np.ndarray):
            self.text("array", value.dtype.descr, value.shape)
            self.digest.update(value.tobytes())
        elif isinstance(value, np.dtype):
            self.text("dtype", value.descr, value.itemsize)
        elif isinstance(value, tuple | list | frozenset):
            self.text(type(value).__name__, len(value))
            for each in sorted(value, key=repr) if isinstance(value, frozenset) else value:
                self.value(each)
        elif self._first_visit(value):
            self._object(value)

    def _first_visit(self, value: object) -> bool:
        if id(value) in self.seen:
            self.text("again", self.seen[id(value)])
            return False
        self.seen[id(value)] = len(self.seen)
        self.kept.append(value)
        return True

    def _object(self, value: Any) -> None:
        if _package_of(value).startswith(OPAQUE_PACKAGES) or isinstance(value, BuiltinFunctionType):
            self.text(
                "opaque",
                _package_of(value),
                getattr(value, "__qualname__", type(value).__qualname__),
            )
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, type) and issubclass(value, enum.Enum):
            self.text("enum", value.__qualname__, [(m.name, m.value) for m in value])
        elif isinstance(value, enum.Enum):
            self.text("member", type(value).__qualname__, value.name, value.value)
        elif isinstance(value, type) and issubclass(value, Record):
            self._record(value)
        elif hasattr(value, "py_func"):  # a numba dispatcher
            self.text("dispatcher", repr(sorted(value.targetoptions.items(), key=str)))
            self.value(value.py_func)
        elif isinstance(value, type):  # a NamedTuple of arrays, a marker class
            self.text("class", value.__module__, value.__qualname__, getattr(value, "_fields", ""))
        else:
            raise Unhashable(f"{value!r} of type {type(value).__name__}")

    def _function(self, function: FunctionType) -> None:
        self.text("function", function.__qualname__)
        self.value(function.__defaults__)
        for cell in function.__closure__ or ():
            self.value(cell.cell_contents)
        self._code(function.__code__, function.__globals__)

    def _code(self, code: CodeType, names: dict[str, Any]) -> None:
        self.digest.update(code.co_code)
        self.text(code.co_names, code.co_varnames, code.co_argcount, code.co_flags)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._code(constant, names)
            else:
                self.value(constant)
        for name in sorted(_globals_of(code) & names.keys()):
            self._global(names[name], code)

    def _global(self, value: Any, code: CodeType) -> None:
        if isinstance(value, ModuleType):
            self.text("module", value.__name__)
            if not value.__name__.startswith(OPAQUE_PACKAGES):
                for name in code.co_names:
                    if hasattr(value, name):
                        self.value(getattr(value, name))
        else:
            self.value(value)

    def _record(self, record: type[Record]) -> None:
        self.text("record", record.type_name(), record.dtype.descr, record.dtype.itemsize)
        for declared in record.fields.values():
            if declared.is_record:
                self.value(declared.kind)
        for name, method in methods(record).items():
            self.text(name)
            self.value(method)


@functools.cache
def _globals_of(code: CodeType) -> set[str]:
    """Names that the code looks up as globals; an attribute of such a name is something else."""
    return {str(i.argval) for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}


def _package_of(value: Any) -> str:
    return str(getattr(value, "__module__", None) or type(value).__module__)
