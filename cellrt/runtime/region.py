"""What a line's processes share, by name: one table of all sections, and the words of the status one."""

from __future__ import annotations

from enum import IntEnum

from cellrt.figures import FIGURES
from cellrt.scan.histogram import BINS
from cellrt.scan.meter import COUNTS
from cellrt.scan.plan import Plan
from cellrt.scan.snapshot import snapshot_words
from cellrt.shared.queue import queue_bytes
from cellrt.shared.ring import ring_bytes
from cellrt.shared.triple import triple_bytes
from cellrt.tags import WORD

EVENTS_KEPT = 1 << 16
"""A minute of a busy line; the journal is behind for longer only when brain is dead."""

QUEUE = 256
WATCHERS = ("brain", "scada", "watch")
"""Who gets snapshots, each through a buffer of its own."""

SENDERS = ("brain", "scada")
"""Who may send commands, in the order in which a scan drains them."""


class Status(IntEnum):
    """Words of the section `status`. The watcher writes STOP and SPEED_PPM, brain GOAL and RESTARTS, the scan all others."""

    STOP = 0  # 1: stop after the present scan
    START_NS = 1  # monotonic time of logical time 0: when the first scan process was ready
    SPEED_PPM = 2  # logical time per wall time, in millionths
    SCANS = 8  # scans done
    OVERRUNS = 9  # scans whose time had passed before their turn came
    BACK_TO_BACK = 10  # scans that began less than half a period after the one before
    FIRST_SCAN_NS = 11  # monotonic time of the first scan ever
    SCAN = 12  # number of the last scan
    FIFO = 13  # 1 when the scan has real-time priority
    DMA_LATENCY = 14  # 1 when the processor is kept from sleeping deeply
    EPOCH = 15
    COMPILE_NS = 16
    READY_NS = 17  # monotonic time at which this scan process was ready
    COMPILED = 18  # record types compiled so far, of TO_COMPILE
    TO_COMPILE = 19
    FIRST_SCAN = 21  # number of the first scan ever
    GOAL = 20  # place of the supervisor's goal in `Goal`: a restarted brain pursues it further
    RESTARTS = (
        22  # how often in a row the line was restarted by itself: a restarted brain counts on
    )
    RESTARTED_NS = 23  # logical time of the last one
    EARLY_NS = (
        24  # how long before it is due a scan gets up; this and the next two are `scan.spin.Spin`
    )
    SPINS = 27  # 1 when it looks at the clock until then, 0 when it sleeps once more
    UNSAVED = (
        30  # 1 while what the scan records cannot be put to disk; this and the next are brain's
    )
    LOST_BYTES = (
        31  # of the recording, lost before they could be; LOST_FIRST and LOST_LAST: the scans
    )
    LOST_FIRST = 32
    LOST_LAST = 33
    TOLD_UNSAVED = 34  # what the last events said of UNSAVED and LOST_BYTES
    TOLD_LOST = 35


class Health(IntEnum):
    """Words of a device's row in the section `io`, written by the process io."""

    OK = 0  # the last exchange was confirmed
    ERRORS = 1
    EXCHANGES = 2
    ABSENT = 3  # attempts to reach it before it first answered, while it may still be starting


STATUS_WORDS = 64
HEALTH_WORDS = 8


def figure_words(plan: Plan) -> int:
    """Words of the figures of all units, which brain writes and scada shows."""
    return len(plan.cells) * FIGURES.itemsize // WORD


def sections(plan: Plan) -> dict[str, int]:
    """Every section of the shared region: name, bytes."""
    snapshot, devices = triple_bytes(snapshot_words(plan)), max(len(plan.devices), 1)
    return {
        "inputs": triple_bytes(plan.commands_base),
        "outputs": triple_bytes(plan.output_words),
        **{f"snapshot-{name}": snapshot for name in WATCHERS},
        **{f"commands-{name}": queue_bytes(QUEUE) for name in SENDERS},
        "events": ring_bytes(EVENTS_KEPT),
        "retained": triple_bytes(max(len(plan.retained), 1)),
        "figures": triple_bytes(figure_words(plan)),
        "status": STATUS_WORDS * 8,
        "lateness": BINS * 8,
        "execution": BINS * 8,
        "tasks": COUNTS * 8 * len(plan.tasks),
        "task-execution": BINS * 8 * len(plan.tasks),
        "ages": BINS * 8 * devices,
        "rtt": BINS * 8 * devices,
        "io": HEALTH_WORDS * 8 * devices,
    }
