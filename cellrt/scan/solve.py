"""One scan of an assembly, compiled: hear the members, move the links, tell the members, scan these."""

from __future__ import annotations

from cellrt.assembly import Schedule
from cellrt.compiled import compiled, inlined
from cellrt.compiler.native import call_entry, copy_bytes
from cellrt.wire import Ints, Views


@inlined
def solve(
    schedule: Schedule,
    entries: Ints,
    base_address: int,
    image: Views,
    now_ns: int,
    scan: int,
    dt_s: float,
) -> None:
    """Scan number `scan`, at logical time `now_ns`, of an image at `base_address`.

    `entries` are the addresses of the types' C entries; `dt_s` is the base period.
    """
    copy(schedule.to_links, base_address)
    scan_records(schedule.links, entries, base_address, image, now_ns, scan, dt_s)
    copy(schedule.to_members, base_address)
    scan_records(schedule.members, entries, base_address, image, now_ns, scan, dt_s)


@inlined
def copy(table: Ints, base_address: int) -> None:
    """Copy parts of the image at `base_address` onto others: rows of (from, to, bytes)."""
    for n in range(table.shape[0]):
        copy_bytes(base_address + table[n, 1], base_address + table[n, 0], table[n, 2])


@compiled
def passed_over(last_ns: int, now_ns: int, every: int, dt_s: float) -> bool:
    """An overrun fell on the scan that was due: a slow record has not been scanned in this its period."""
    span_ns = every * int(dt_s * 1e9 + 0.5)
    return last_ns // span_ns != now_ns // span_ns


@inlined
def scan_records(
    rows: Ints, entries: Ints, base_address: int, image: Views, now_ns: int, scan: int, dt_s: float
) -> None:
    """Stamp and scan each record that is due, or that an overrun passed over when it was."""
    for n in range(rows.shape[0]):
        every = rows[n, 2]
        if (
            every == 1
            or scan % every == 0
            or passed_over(image.words[rows[n, 3]], now_ns, every, dt_s)
        ):
            image.words[rows[n, 3]] = now_ns
            image.reals[rows[n, 4]] = dt_s * every
            call_entry(entries[rows[n, 0]], base_address + rows[n, 1])
