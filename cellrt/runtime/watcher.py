"""The watcher: starts a line's processes, and starts again what dies or stands still.

It does no control and holds no state that a child would need: memory is in the region, decisions are in
brain. When it ends, however it ends, the kernel kills its children and the devices go safe by themselves.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from cellrt.runtime.child import EXIT_REFUSED, Order
from cellrt.runtime.realtime import WATCHER_PRIORITY, become_prompt
from cellrt.shared.memory import Region, Role

STARTING_S = 120.0
"""How long a process may take to its first heartbeat (a cold compile included)."""

STILL_S = {Role.SCAN: 1.0, Role.IO: 2.0, Role.BRAIN: 3.0, Role.SCADA: 15.0}
"""A process whose heartbeat stands still for so long is killed and started again. Simulated devices share
no memory with the line and so have none."""

PAUSES_S = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Waits before a process that keeps dying is started again; the last one stays."""

FIRST = (Role.SCAN, Role.DEVICES)
FOLLOW_AFTER_S = 60.0
"""How long the other processes wait for the first scan. Devices are there before any line."""

TICK_S = 0.05
"""From one look after the processes to the next."""

STARVED_S = 1.0
"""A watcher that waits for so long gets too little of the machine to end what takes all of it."""

CALM_S = 10.0
"""A process that lived for so long has not been dying."""


class LineFailed(Exception):
    """A process refused to serve the line; restarting it would not help. Says why."""


@dataclass
class Child:
    """One process under the watcher."""

    role: Role
    module: str
    process: subprocess.Popen[str] | None = None
    started_s: float = 0.0
    deaths: int = 0
    starts: int = 0
    beat: int = 0
    beat_s: float = 0.0
    beating: bool = False
    next_start_s: float = 0.0

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None


@dataclass
class Watcher:
    """Keeps `roles` of a line alive. `log` takes what the children write."""

    region: Region
    order: Order
    roles: Sequence[Role]
    log: IO[str]
    children: list[Child] = field(default_factory=list)
    _began_s: float = 0.0
    _was_starved: bool = False

    def start(self) -> None:
        """Start what comes first; the others follow when the scan is there, so that they do not delay it."""
        modules = {role: f"cellrt.runtime.{role.name.lower()}" for role in Role}
        modules[Role.DEVICES] = "cellrt.app.devices"
        self.children = [Child(role, modules[role]) for role in self.roles]
        self._began_s = time.monotonic()
        for child in self.children:
            if child.role in FIRST:
                self._start(child)

    def _may_start(self, child: Child) -> bool:
        now_s = time.monotonic()
        late = now_s - self._began_s > FOLLOW_AFTER_S
        follows = child.role in FIRST or late or self.region.heartbeat(Role.SCAN) > 0
        return follows and now_s >= child.next_start_s

    def watch(self) -> list[str]:
        """Look after every child once; what happened, in words. Raises LineFailed."""
        told = []
        for child in self.children:
            if not child.running:
                told += self._bury(child)
                if self._may_start(child):
                    self._start(child)
            elif self._stands_still(child) and child.process:
                told.append(f"{child.role.name.lower()} stood still and was killed")
                child.process.kill()
                child.process.wait()
        return told

    def rest(self) -> None:
        """Wait until it is time to look again.

        A line that is too much for its machine runs on real-time priorities and leaves next to nothing to
        an ordinary process. A watcher that finds itself starved goes before io from then on, and not
        sooner, since it also draws the screen.
        """
        began_s = time.monotonic()
        time.sleep(TICK_S)
        if not self._was_starved and time.monotonic() - began_s > STARVED_S:
            self._was_starved = True
            become_prompt(WATCHER_PRIORITY)

    def stop(self, roles: Collection[Role], within_s: float) -> None:
        """End processes: ask them, then kill those that have not ended in time."""
        until_s = time.monotonic() + within_s
        processes = [c.process for c in self.children if c.role in roles and c.process]
        if Role.SCAN not in roles:  # it looks at its status word
            for process in processes:
                process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(max(0.0, until_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.children = [c for c in self.children if c.role not in roles]

    def _start(self, child: Child) -> None:
        at_terminal = self.order.plain and child.role is Role.SCAN  # a debugger's prompt
        child.process = subprocess.Popen(
            [sys.executable, "-m", child.module, self.order.argument()],
            pass_fds=[self.order.fd],
            stdin=None if at_terminal else subprocess.DEVNULL,
            stdout=None if at_terminal else self.log,
            stderr=self.log,
            text=True,
            process_group=None if at_terminal else 0,  # Ctrl-C is the watcher's
        )
        child.starts += 1
        child.started_s = child.beat_s = time.monotonic()
        child.beat, child.beating = self.region.heartbeat(child.role), False

    def _bury(self, child: Child) -> list[str]:
        """Take note of a death, once; decide when to start anew."""
        if child.process is None:
            return []
        code = child.process.returncode
        name = child.role.name.lower()
        if code == EXIT_REFUSED:
            why = refusal(Path(self.log.name)) or f"see {self.log.name}"
            raise LineFailed(f"{name} cannot serve this line: {why}")
        now_s = time.monotonic()
        child.deaths = 0 if now_s - child.started_s > CALM_S else child.deaths + 1
        child.next_start_s = now_s + PAUSES_S[min(child.deaths, len(PAUSES_S) - 1)]
        child.process = None
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return [f"{name} ended with {how} and is started again"]

    def _stands_still(self, child: Child) -> bool:
        beat, now_s = self.region.heartbeat(child.role), time.monotonic()
        if beat != child.beat:
            child.beat, child.beat_s, child.beating = beat, now_s, True
        if child.role is Role.DEVICES or (self.order.plain and child.role is Role.SCAN):
            return False  # no heartbeat; a person may be in a debugger
        limit_s = STILL_S[child.role] if child.beating else STARTING_S
        return now_s - child.beat_s > limit_s


def refusal(log: Path) -> str | None:
    """What the process that refused last wrote into the log."""
    for text in reversed(log.read_text(errors="replace").splitlines()):
        with suppress(ValueError):
            told = json.loads(text)
            if isinstance(told, dict) and told.get("event") == "refused":
                return str(told.get("reason"))
    return None


def state_dir(line: str) -> Path:
    """Where a line keeps what outlives it: journals, retained values, recordings, its control socket."""
    base = os.environ.get("CELLRT_STATE_DIR")
    root = Path(base) if base else Path.home() / ".local" / "state" / "cellrt"
    return root / line
