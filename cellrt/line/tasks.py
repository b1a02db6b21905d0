"""`[tasks.NAME]`: what the cells of one period may take, and what follows when they take more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cellrt.cell import Cell
from cellrt.line.model import TaskTable
from cellrt.line.source import Source
from cellrt.line.spec import INTERLOCKS, Policy, TaskSpec


def tasks(
    tables: Mapping[str, TaskTable | None],
    kinds: Iterable[type[Cell] | None],
    period_ns: int,
    source: Source,
) -> dict[str, TaskSpec]:
    """The declared tasks by name; what is wrong with them is noted. `period_ns` is the base period."""
    known = list(kinds)
    cells = {round(kind.period_ms * 1e6) or period_ns for kind in known if kind is not None}
    specs: dict[str, TaskSpec] = {}
    for name, table in tables.items():
        if table is None:
            continue
        if name == INTERLOCKS:
            _check_interlocks(table, source)
        own_ns = period_ns if table.period_ms is None else round(table.period_ms * 1e6)
        if None not in known and own_ns not in cells:
            what = f"task {name}: no cell is scanned every {own_ns / 1e6:g} ms"
            each = ", ".join(f"{ns / 1e6:g}" for ns in sorted(cells))
            mend = f"cells are scanned every {each} ms, as `period_ms` in their classes says"
            source.fault(("tasks", name, "period_ms"), what, mend)
        twin = next((t.name for t in specs.values() if t.period_ns == own_ns), None)
        if twin and INTERLOCKS not in (twin, name):
            what = f"tasks {twin} and {name} are both the cells scanned every {own_ns / 1e6:g} ms"
            source.fault(("tasks", name), what, "keep one of the two")
        if table.budget_us is not None and table.budget_us * 1e3 > own_ns:
            what = f"task {name}: budget_us = {table.budget_us:g} is more than its period"
            mend = f"let it be {own_ns / 1e3:g} or less"
            source.fault(("tasks", name, "budget_us"), what, mend)
        policy = table.policy or ("safe_stop" if name == INTERLOCKS else "skip")
        specs[name] = TaskSpec(name, own_ns, Policy[policy.upper()], table.budget_us, table.after)
    return specs


def _check_interlocks(table: TaskTable, source: Source) -> None:
    """Interlocks are looked at in every scan that is made; a scan that is none too often stops the line."""
    if table.policy not in (None, "safe_stop"):
        what = f"interlocks are never left out, so their policy cannot be {table.policy!r}"
        mend = 'take it out, or write `policy = "safe_stop"`'
        source.fault(("tasks", INTERLOCKS, "policy"), what, mend)
    if table.period_ms is not None:
        what = "interlocks are looked at in every scan"
        source.fault(("tasks", INTERLOCKS, "period_ms"), what, "take out `period_ms`")
