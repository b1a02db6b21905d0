"""One scan of an assembly, compiled: hear the members, move the links, tell the members, scan these.

Members of one period are a task. In each of its periods a task is scanned once, in the first scan that is
made in it; in none where the first one comes when more than half of the period is over: its own next
period begins sooner.
"""

from __future__ import annotations

from cellrt.assembly import Pace, Schedule
from cellrt.compiled import compiled, inlined
from cellrt.compiler.native import call_entry, copy_bytes, load_64, store_64
from cellrt.scan.meter import Meter, begin, measure
from cellrt.tags import WORD
from cellrt.wire import Ints, Views


@inlined
def solve(
    schedule: Schedule,
    pace: Pace,
    entries: Ints,
    base_address: int,
    image: Views,
    now_ns: int,
    scan: int,
    dt_s: float,
    meter: Meter | None,
) -> None:
    """Scan number `scan`, at logical time `now_ns`, of an image at `base_address`.

    `entries` are the addresses of the types' C entries; `dt_s` is the base period. Links are scanned in
    every scan. `meter` is what watches the tasks' execution; nothing that comes of a scan depends on it.
    """
    began_ns = begin(meter)
    copy(schedule.to_links, base_address)
    links = schedule.links.shape[0]
    scan_records(schedule.links, 0, links, entries, base_address, image, now_ns, dt_s)
    copy(schedule.to_members, base_address)
    for k in range(schedule.tasks.shape[0]):
        task, last = schedule.tasks[k], pace.scanned[k]
        period, first, end = task[0] * pace.multiple[k], task[1], task[2]
        if is_due(scan, last, period):
            scan_records(
                schedule.members, first, end, entries, base_address, image, now_ns, dt_s * period
            )
            pace.scanned[k] = scan
            began_ns = measure(meter, k, missed(scan, last, period), pace.multiple[k], began_ns)
        else:
            look(schedule.members, first, end, entries, base_address, image, now_ns)


@compiled
def is_due(scan: int, last: int, period: int) -> bool:
    """Scan number `scan` is one of a task that is due in every `period` scans and had its last in `last`."""
    late = scan % period
    return late == 0 or (2 * late <= period and last // period != scan // period)


@compiled
def missed(scan: int, last: int, period: int) -> int:
    """How many of a task's periods between two of its scans went by without one."""
    return max(scan // period - last // period - 1, 0) if last > 0 else 0


@inlined
def copy(table: Ints, base_address: int) -> None:
    """Copy parts of the image at `base_address` onto others: rows of (from, to, bytes)."""
    for n in range(table.shape[0]):
        source, target, size = base_address + table[n, 0], base_address + table[n, 1], table[n, 2]
        if size == WORD:
            store_64(target, load_64(source))
        else:
            copy_bytes(target, source, size)


@inlined
def scan_records(
    rows: Ints,
    first: int,
    end: int,
    entries: Ints,
    base_address: int,
    image: Views,
    now_ns: int,
    dt_s: float,
) -> None:
    """Stamp and scan the records of some rows."""
    for n in range(first, end):
        image.words[rows[n, 2]] = now_ns
        image.reals[rows[n, 3]] = dt_s
        call_entry(entries[rows[n, 0]], base_address + rows[n, 1])


@inlined
def look(
    rows: Ints,
    first: int,
    end: int,
    entries: Ints,
    base_address: int,
    image: Views,
    now_ns: int,
) -> None:
    """Let those of some rows that look between their scans do so."""
    for n in range(first, end):
        if rows[n, 4] != 0:
            image.words[rows[n, 2]] = now_ns
            image.reals[rows[n, 3]] = 0.0
            call_entry(entries[rows[n, 0]], base_address + rows[n, 1])
