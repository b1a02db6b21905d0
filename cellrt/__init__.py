"""cellrt: a soft-PLC whose scan never enters the interpreter, and a cell-orchestration runtime on it.

What a cell's author needs is here; the rest of the package is what runs it.
"""

from cellrt.cell import Cell
from cellrt.compiled import compiled
from cellrt.handover import Board, Infeed, Link, Outfeed, Result, Route, Transfer
from cellrt.interlock import Cause, Interlock, always, hold, keep, run_out, safe, stay, to
from cellrt.packml import Command, Mode, State, Trigger
from cellrt.recipe import Recipe
from cellrt.sequence import Sequence, Step
from cellrt.tags import Array, DeclarationError, Input, Output, Parameter, Record, Var, array

MS = 1_000_000
"""Nanoseconds in a millisecond."""
S = 1_000_000_000
"""Nanoseconds in a second."""

__all__ = [
    "MS",
    "Array",
    "Board",
    "Cause",
    "Cell",
    "Command",
    "DeclarationError",
    "Infeed",
    "Input",
    "Interlock",
    "Link",
    "Mode",
    "Outfeed",
    "Output",
    "Parameter",
    "Recipe",
    "Record",
    "Result",
    "Route",
    "S",
    "Sequence",
    "State",
    "Step",
    "Transfer",
    "Trigger",
    "Var",
    "always",
    "array",
    "compiled",
    "hold",
    "keep",
    "run_out",
    "safe",
    "stay",
    "to",
]
