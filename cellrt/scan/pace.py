"""The pace of tasks: what the scan does when its executive tells it that a task overruns.

* A task may be scanned some times slower than declared, and again as declared.
* The cells of a task, or all of them, lose their interlock `in_time` for one scan. It is latched as any
  other is: the cells abort, their outputs go safe, and a person or the supervisor clears them.
"""

from __future__ import annotations

from cellrt.compiled import compiled
from cellrt.scan.events import emit
from cellrt.scan.tables import Tables, Work

TASK, SCAN_ITSELF = 21, 3
"""Event.TASK, Origin.SCAN."""


@compiled
def set_pace(
    tables: Tables, work: Work, target: int, multiple: int, origin: int, now_ns: int
) -> int:
    """Task number `target` from now on so many times slower than declared; 0: stop its cells safely, for
    -1 all cells. A `Refusal`."""
    tasks = work.pace.multiple.size
    if origin != SCAN_ITSELF:
        return 10
    if target < -1 or target >= tasks or (target < 0 and multiple > 0):
        return 3
    if multiple < 0:
        return 5
    subject = target if target >= 0 else tasks
    before = work.pace.multiple[target] if target >= 0 else 1
    emit(work, now_ns, TASK, subject, before, multiple, 0, 0)
    if multiple > 0:
        work.pace.multiple[target] = multiple
        return 0
    for n in range(tables.units.shape[0]):
        if target < 0 or tables.units[n, 6] == target:
            work.image.bytes[tables.units[n, 5]] = 1
    return 0
