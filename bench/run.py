"""Choose benches, run them one after the other, write down what they said."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.table import Table

from bench import (
    cycle,
    logic,
    mixed_cells,
    modbus,
    naive,
    opcua_changes,
    reaction,
    recorder,
    starts,
    twin,
    wake,
)
from bench.registry import SUBJECTS, NotHere, Result, Subject, measure
from cellrt import report

MODULES = (
    wake,
    logic,
    cycle,
    mixed_cells,
    reaction,
    modbus,
    twin,
    recorder,
    starts,
    naive,
    opcua_changes,
)
"""Each registers its subjects when it is imported."""


class NoSuchBench(Exception):
    """No bench's name begins so; says which there are."""


def chosen(only: Sequence[str]) -> list[Subject]:
    """Subjects with the benches whose names begin with one of `only`; all where it is empty.

    Raises NoSuchBench.
    """
    names = [bench.name for each in SUBJECTS for bench in each.benches]
    for start in only:
        if not any(name.startswith(start) for name in names):
            raise NoSuchBench(f"no bench is called {start!r}; there are {', '.join(names)}")
    wanted = tuple(only) or ("",)
    kept = [
        replace(each, benches=tuple(b for b in each.benches if b.name.startswith(wanted)))
        for each in SUBJECTS
    ]
    return [each for each in kept if each.benches]


@dataclass
class Outcome:
    """What was measured, and the benches of subjects that failed."""

    results: list[Result] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def run(
    only: Sequence[str], quick: bool, tell: Callable[[str], None], path: Path | None = None
) -> Outcome:
    """Measure; `tell` hears what is measured now, what this machine has not got and what failed.

    A subject that fails costs no other: what there is, is in the file `path` after each of them.
    """
    outcome = Outcome()
    for each in chosen(only):
        names = ", ".join(bench.name for bench in each.benches)
        tell(f"{names} ...")
        try:
            outcome.results += measure(each, quick)
        except NotHere as reason:
            tell(f"{names}: left out: {reason}")
        except Exception:
            tell(f"{names}: failed: {traceback.format_exc()}")
            outcome.failed += [bench.name for bench in each.benches]
        if path:
            report.write(path, [result.row() for result in outcome.results])
    return outcome


def number(value: float | None) -> str:
    """A figure in three digits or so; nothing for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


HEAD = ("bench", "unit", "ours", "reference", "", "ratio", "rounds", "steal ticks")


def row_of(each: Result) -> tuple[str, ...]:
    """A result as a row under HEAD."""
    figures = (number(each.ours), number(each.reference))
    rest = (each.bench.reference, number(each.ratio), str(len(each.pairs)), str(each.steal_ticks))
    return (each.bench.name, each.bench.unit, *figures, *rest)


def table(results: Sequence[Result]) -> Table:
    """For a terminal."""
    shown = Table(*HEAD)
    for each in results:
        shown.add_row(*row_of(each))
    return shown


def markdown(results: Sequence[Result]) -> str:
    """For a page."""
    rows = [HEAD, ("---",) * len(HEAD), *map(row_of, results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
