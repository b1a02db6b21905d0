"""What a scan asks of the operating system, and what it got."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
from contextlib import suppress
from dataclasses import dataclass

SCAN_PRIORITY = 80
WATCHER_PRIORITY = 21
"""Of a watcher that was starved, so that it comes before what it has to end."""
IO_PRIORITY = 20
DEVICES_PRIORITY = 10
"""Simulated devices stand for hardware, which no load on this machine can delay."""
MCL_CURRENT, MCL_FUTURE = 1, 2


@dataclass(frozen=True)
class Rights:
    """What was granted. Without them a line runs all the same, and its report says so."""

    fifo: bool
    locked: bool
    dma_latency: bool


def become_prompt(priority: int) -> bool:
    """Ask to be served before ordinary processes; False, and as before, where that is not granted.

    Processes that this one starts are ordinary ones.
    The garbage collector need not look again at what a start has made: hundreds of thousands of objects.
    """
    gc.collect()
    gc.freeze()
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(priority))
        return True
    return False


def open_many() -> None:
    """Let this process have as many descriptors open as it may ask for.

    A process begins with 1024, for the sake of select(), which knows no higher ones. A factory has 200
    devices, a socket each, and while some are lost one more for each attempt to reach them.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def keep_awake() -> int:
    """Idle processors do not sleep until the descriptor that this returns is closed. Raises OSError.

    As cyclictest has it: /dev/cpu_dma_latency is held open at 0.
    """
    held = os.open("/dev/cpu_dma_latency", os.O_WRONLY)
    os.write(held, (0).to_bytes(4, "little"))
    return held


def become_realtime() -> Rights:
    """Ask for SCHED_FIFO, locked memory and processors that do not sleep, while this process lives.

    The garbage collector is off: nothing here makes garbage while the line runs.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    fifo = locked = dma_latency = False
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(SCAN_PRIORITY))
        fifo = True
    locked = ctypes.CDLL(None).mlockall(MCL_CURRENT | MCL_FUTURE) == 0
    with suppress(OSError):
        keep_awake()  # the descriptor stays open on purpose
        dma_latency = True
    return Rights(fifo, locked, dma_latency)
