"""Arithmetic in the scan is IEEE 754 as written: not reassociated, contracted or assumed to be finite.

Otherwise a compiled scan would differ from a plain one, and from its own replay on another processor.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from cellrt import compiled
from cellrt.compiled import INNER, STRICT
from cellrt.compiler import entry as entries
from cellrt.compiler.plain import plain
from cellrt.scan.executive import run_scans
from cellrt.scan.runner import compiled_step
from cellrt.tags import Parameter, Record, Var
from cellrt.twin import run

TERMS = np.array([1e16, 1.0, -1e16, 1.0, 3.0, 1e-8, -1.0, 1e8] * 4)
"""Added up in any other order they give another sum."""


@compiled
def summed() -> float:
    total = 0.0
    for n in range(TERMS.size):
        total += TERMS[n]
    return total


class Arithmetic(Record):
    """One tag for each liberty that a compiler may take."""

    third: float = Parameter(1.0 / 3.0)
    three: float = Parameter(3.0)
    big: float = Parameter(1e16)
    nothing: float = Parameter(-0.0)
    odd: float = Var(doc="no number")
    huge: float = Parameter(1.7e308)
    summed: float = Var(doc="reassoc: terms of a loop in another order")
    grouped: float = Var(doc="reassoc: (a + b) - a is b")
    contracted: float = Var(doc="contract: a product is not rounded before it is added to")
    divided: float = Var(doc="arcp: times the reciprocal")
    signed: float = Var(doc="nsz: x + 0.0 is x")
    is_odd: bool = Var(doc="nnan: x == x")
    overflows: bool = Var(doc="ninf: nothing is infinite")

    def scan(self) -> None:
        self.summed = summed()
        self.grouped = (self.big + self.three) - self.big
        self.contracted = self.third * self.three - 1.0
        self.divided = self.big / self.three
        self.signed = self.nothing + 0.0
        self.is_odd = self.odd != self.odd
        self.overflows = self.huge * self.three > self.huge


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> object:
    """The record's entry, compiled now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLRT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        return entries.entry(Arithmetic)


def test_compiled_arithmetic_is_python_s_to_the_bit(made: object) -> None:
    ours, pythons = Arithmetic.zeros(), Arithmetic.zeros()
    ours["odd"] = pythons["odd"] = math.nan
    made.ctypes(ours.ctypes.data)  # type: ignore[attr-defined]
    plain(Arithmetic, pythons).scan()
    assert ours.tobytes() == pythons.tobytes()
    told = pythons[0]
    assert told["summed"] != math.fsum(TERMS) and told["grouped"] != 3.0, "the order matters"
    assert told["contracted"] == 0.0, "a fused product and sum leaves what rounding took"
    assert math.copysign(1.0, told["signed"]) == 1.0
    assert told["is_odd"] and told["overflows"]


def test_no_instruction_has_leave_to_be_inexact(made: object) -> None:
    code = made._library.get_llvm_str()  # type: ignore[attr-defined]
    assert re.search(r"= f(add|sub|mul|div) double", code), "there is arithmetic to look at"
    assert not re.search(r"= f\w+ (fast|reassoc|contract|arcp|nsz|nnan|ninf|afn)\b", code)
    assert "@llvm.fma" not in code and "@llvm.fmuladd" not in code
    assert "vfmadd" not in made._library.get_asm_str()  # type: ignore[attr-defined]


def test_nothing_in_the_scan_is_compiled_with_fastmath() -> None:
    assert not STRICT.get("fastmath") and not INNER.get("fastmath")
    for dispatcher in (run_scans, compiled_step, run):
        assert not dispatcher.targetoptions.get("fastmath")  # type: ignore[attr-defined]


def test_no_source_asks_for_fastmath() -> None:
    package = Path(entries.__file__).parents[1]
    for folder in (package, package.parent / "cells", package.parent / "hw_sim"):
        for path in folder.rglob("*.py"):
            assert not re.search(r"fastmath\s*=", path.read_text()), path
