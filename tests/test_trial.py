"""What a scan takes is measured before a line starts; one that cannot be held is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from running import cellrt

from cellrt.recording.file import SHARED_MEMORY
from cellrt.runtime.trial import SHARE, Cost

HEAVY = """
from cellrt import Cell, Var


class Heavy(Cell):
    level: float = Var()

    def always(self) -> None:
        for n in range(500_000):
            self.level = self.level * 0.999 + n
"""

LINE = """
[line]
name = "heavy"
period_ms = 0.5

[cells.heavy]
type = "heavy_cell:Heavy"
"""


@pytest.mark.parametrize(
    ("scan_us", "tasks_us", "held"),
    [
        (SHARE * 1000, {"1 ms": 100.0}, True),
        (SHARE * 1000 + 1, {"1 ms": 100.0}, False),
        (300.0, {"1 ms": 200.0, "10 ms": 401.0}, False),
    ],
)
def test_scan_in_which_every_task_is_due_must_fit(
    scan_us: float, tasks_us: dict[str, float], held: bool
) -> None:
    assert (Cost(scan_us, tasks_us).refusal("line", 1000.0, 1.0) is None) == held


def test_refusal_names_cost_period_and_mend() -> None:
    assert Cost(900.0, {"1 ms": 100.0, "10 ms": 700.0}).refusal("press-line", 500.0, 4.0) == (
        "press-line cannot be scanned in its period: a scan takes 900 us here (task 1 ms 100 us, "
        "task 10 ms 700 us) and may take 60% of 500 us; take a longer period_ms, a --speed of at "
        "most 1.3, or a longer period_ms for some cells of task 10 ms"
    )


def test_line_that_cannot_be_held_is_refused_before_it_starts(tmp_path: Path) -> None:
    (tmp_path / "heavy_cell.py").write_text(HEAVY)
    path = tmp_path / "heavy.toml"
    name = f"heavy-{os.getpid()}"
    path.write_text(LINE.replace('"heavy"', f'"{name}"'))
    told = cellrt(tmp_path / "state", "run", path)
    assert told.returncode == 2
    said = " ".join(told.stdout.split())  # as wide as a console is
    assert f"{name} cannot be scanned in its period: a scan takes" in said
    assert "task 0.5 ms" in said and "may take 60% of 500 us" in said
    assert not list(SHARED_MEMORY.glob(f"cellrt-*-{name}-*.ring")), "nothing is left behind"
