"""The mark `@compiled`: a plain Python function that the compiler may also take into the scan.

The function stays what it is: callable, steppable, breakable in a debugger. Methods of a `Record`
need no mark; they are found by the record's type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba.extending import register_jitable

P = ParamSpec("P")
R = TypeVar("R")

STRICT = {"error_model": "numpy", "nogil": True}
"""Compiler options of everything in the scan. Strict IEEE arithmetic: fastmath or contraction would
make a compiled scan differ from a plain one and from its own replay."""


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Let compiled code call `function`; plain Python calls go on unchanged."""
    marked: Callable[P, R] = register_jitable(**STRICT)(function)
    return marked
