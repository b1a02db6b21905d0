"""The watcher between two looks: an ordinary process, until it is starved."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from cellrt.runtime import watcher
from cellrt.runtime.child import Order
from cellrt.runtime.realtime import IO_PRIORITY, WATCHER_PRIORITY
from cellrt.runtime.watcher import STARVED_S, TICK_S, Watcher
from cellrt.shared.memory import create

PROMPT = """
import os, subprocess, sys
from cellrt.runtime.realtime import become_prompt
granted = become_prompt(1)
child = "import os; print(os.sched_getscheduler(0))"
print(granted, os.sched_getscheduler(0) & os.SCHED_RR, flush=True)
subprocess.run([sys.executable, "-c", child])
"""


class Machine:
    """Gives a watcher its turn `late_s` after it was time for it. `asked`: priorities asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s, self.late_s = 1000.0, 0.0
        self.asked: list[int] = []
        monkeypatch.setattr(watcher.time, "monotonic", lambda: self.now_s)
        monkeypatch.setattr(watcher.time, "sleep", self._sleep)
        monkeypatch.setattr(watcher, "become_prompt", self.asked.append)

    def _sleep(self, time_s: float) -> None:
        self.now_s += time_s + self.late_s


def test_starved_watcher_goes_before_io_once(monkeypatch: pytest.MonkeyPatch) -> None:
    region = create({}, "00" * 32)
    watching = Watcher(region, Order("", region.fd, "", "", 0, "", "", 1, {}), (), io.StringIO())
    machine = Machine(monkeypatch)
    for machine.late_s in (0.0, 0.1, STARVED_S - 2 * TICK_S):
        watching.rest()
    assert machine.asked == []
    machine.late_s = STARVED_S
    for _ in range(2):
        watching.rest()
    assert machine.asked == [WATCHER_PRIORITY]
    assert WATCHER_PRIORITY > IO_PRIORITY


def test_process_before_others_starts_ordinary_ones() -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROMPT], capture_output=True, text=True, check=True
    ).stdout.split()
    if told[0] == "False":
        pytest.skip("no right to real-time priorities here")
    assert told == ["True", str(os.SCHED_RR), str(os.SCHED_OTHER)]
