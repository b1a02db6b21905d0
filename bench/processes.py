"""A line's processes as the watcher starts them, without the watcher: started, halted, looked at, ended.

All of them die with this process, as they do with a watcher; and whatever happens they are ended by `end`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.places import ROOT
from cellrt.line.load import load_line
from cellrt.runtime.child import Order
from cellrt.runtime.region import Status, sections
from cellrt.runtime.scan import code_hash
from cellrt.scan.histogram import BINS
from cellrt.scan.plan import Plan
from cellrt.scan.recorder import longest
from cellrt.shared.memory import Region, Role, create
from cellrt.shared.ringfile import create as create_ring
from cellrt.wire import Ints

STARTS_WITHIN_S, ENDS_WITHIN_S = 120.0, 3.0
LOOK_EVERY_S = 0.02


class Line:
    """One line's shared memory and the processes on it."""

    def __init__(self, path: Path, folder: Path, *, spin: bool = True, opcua_port: int = 0) -> None:
        self.plan = Plan(load_line(path))
        self.region: Region = create(sections(self.plan), self.plan.hash)
        self.status: Ints = self.region.section("status").words
        self.status[Status.SPEED_PPM] = 1_000_000
        run_dir = folder / "run"
        run_dir.mkdir(parents=True)
        create_ring(folder / "ring", self.plan.hash, longest(self.plan))
        self.control_path = folder / "control.sock"
        self._log = (folder / "log").open("w")
        self._order = Order(
            line=str(path),
            fd=self.region.fd,
            plan_hash=self.plan.hash,
            code_hash=code_hash(self.plan.assembly.types()),
            watcher_pid=os.getpid(),
            run_dir=str(run_dir),
            ring=str(folder / "ring"),
            seed=1,
            addresses={},
            opcua_port=opcua_port,
            spin=spin,
        )
        self._processes: dict[Role, subprocess.Popen[bytes]] = {}

    def start(self, role: Role) -> None:
        """Start a process and wait for its first heartbeat."""
        path = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
        module = f"cellrt.runtime.{role.name.lower()}"
        process = subprocess.Popen(
            [sys.executable, "-m", module, self._order.argument()],
            pass_fds=[self.region.fd],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._processes[role] = process

        def beats() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"{module} ended: {Path(self._log.name).read_text()[-2000:]}")
            return self.region.heartbeat(role) > 0

        wait_for(beats, STARTS_WITHIN_S)

    def scans(self, count: int, period_ns: int) -> None:
        """Let the scan process run for so many scans' time, and halt it again."""
        process = self._processes[Role.SCAN]
        process.send_signal(signal.SIGCONT)
        try:
            time.sleep(count * period_ns * 1e-9)
        finally:
            process.send_signal(signal.SIGSTOP)

    def bins(self, name: str) -> Ints:
        """The histogram `lateness` or `execution`, as it is now."""
        return np.array(self.region.section(name).words[:BINS])

    def end(self) -> None:
        """End every process, the scan first; kill what does not end."""
        self.status[Status.STOP] = 1
        for role, process in self._processes.items():
            process.send_signal(signal.SIGCONT)
            if role is not Role.SCAN:
                process.terminate()
        until_s = time.monotonic() + ENDS_WITHIN_S
        for process in self._processes.values():
            try:
                process.wait(max(0.1, until_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._log.close()


@contextmanager
def line(path: Path, folder: Path, *, spin: bool = True, opcua_port: int = 0) -> Iterator[Line]:
    """A line without processes; those that are started end behind."""
    made = Line(path, folder, spin=spin, opcua_port=opcua_port)
    try:
        yield made
    finally:
        made.end()


@contextmanager
def beside(*command: str) -> Iterator[subprocess.Popen[str]]:
    """Another process of this Python, with a pipe to hear it; it is killed behind."""
    path = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool], within_s: float) -> None:
    """Look until it holds. Raises TimeoutError."""
    until_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until_s:
            raise TimeoutError(f"waited {within_s:g} s in vain")
        time.sleep(LOOK_EVERY_S)
