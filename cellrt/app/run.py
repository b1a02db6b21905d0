"""`cellrt run`: a line from its start to its drained stop, and the report of it."""

from __future__ import annotations

import hashlib
import json
import math
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cellrt import report
from cellrt.app.options import Options, check_speed
from cellrt.app.start import Start, locked_state_dir
from cellrt.line.load import load_line
from cellrt.line.spec import LineSpec
from cellrt.report import Report
from cellrt.runtime.control import ControlError, ask
from cellrt.runtime.region import Status, sections
from cellrt.runtime.watcher import LineFailed, Watcher
from cellrt.scan.plan import Plan
from cellrt.scan.snapshot import Snapshot, snapshot_words
from cellrt.shared.memory import Role, create
from cellrt.shared.triple import TripleReader
from cellrt.tags import Leaf, Scalar
from cellrt.wire import Ints

STARTS_STOPPING_S = 30.0
"""Logical time that a stop may take beside what the slowest cell needs to end its work."""
DEVICES_ANSWER_S = 5.0
BRAIN_BACK_S = 10.0
BRAIN_GONE_S = 30.0
"""How long a run that is to end waits for a brain that does not answer: a line can be so much for a machine
that ordinary processes get nothing of it."""
SCAN_ENDS_S, REST_ENDS_S = 2.0, 3.0


@dataclass
class Run:
    """One run of a line. `show` is called a few times a second with this object."""

    options: Options
    show: Callable[[Run], None] = lambda run: None
    told: list[str] = field(default_factory=list)
    stops: int = 0

    def __post_init__(self) -> None:
        self.line: LineSpec = load_line(self.options.line)
        self.plan = Plan(self.line)
        report.check_place(self.options.report_at)
        check_speed(self.options.speed, self.line.period_ns)
        self._leaves: dict[str, Leaf] = {leaf.path: leaf for leaf in self.plan.layout.tags()}
        self._frame = np.zeros(snapshot_words(self.plan), np.int64)
        self.snapshot: Snapshot | None = None
        self.brain: dict[str, Any] = {}
        self._heard_s = 0.0
        self._brain_wanted_s = math.inf
        self.began_ns = report.process_began_ns()
        self.steal = report.steal_ticks()

    def execute(self) -> int:
        """Run to the end; the exit code. Raises RunError before anything moves."""
        for sign in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sign, self._on_signal)
        with locked_state_dir(self.line.name) as run_dir:
            self.region = create(sections(self.plan), self.plan.hash)
            self.order = Start(self.options, self.plan, self.region, run_dir, self.told).order()
            with (run_dir / "log.jsonl").open("a") as log:
                self.watcher = Watcher(self.region, self.order, self._roles(), log)
                try:
                    self.watcher.start()
                    code = max(self._live(), self._drain())
                except LineFailed as failure:
                    self.told.append(str(failure))
                    self.stops, code = 2, 2  # there is nothing to wait for
                finally:
                    self._end()
        return code

    def _on_signal(self, *_: object) -> None:
        self.stops += 1

    def _roles(self) -> list[Role]:
        roles = [Role.SCAN, Role.IO, Role.BRAIN, Role.SCADA]
        return [*roles, Role.DEVICES] if self.options.sim else roles

    def _live(self) -> int:
        """Until the duration is over, a signal comes, or --strict is not met; the exit code.

        A duration is over when brain has come, or has not come for BRAIN_GONE_S more: a run without it
        has no journal.
        """
        started, strict = not self.options.start, self.options.strict
        while self.stops == 0:
            self._look()
            if self.snapshot and not started and self._ask(do="pursue", goal="run"):
                started = True
            if strict and (unmet := self._unmet()) is not None:
                if unmet:
                    self.told.append(unmet)
                    return 2
                strict = False
            wanted_s = self.options.duration_s
            if wanted_s and self.ran_s() >= wanted_s and (self.brain or self._brain_gone()):
                break
            self.watcher.rest()
        return 0

    def _drain(self) -> int:
        """Work in the machines ends, then the cells go to Stopped; a second signal cuts that short.

        The exit code: 2 for a line whose brain does not answer, by which alone it is drained.
        """
        until_s = math.inf
        while self.stops < 2 and self._scanned:
            if self._brain_gone():
                self.told.append("brain does not answer: the line was stopped without a drain")
                return 2
            if self._look():
                drained = self.brain["goal"] == "stop" and self.brain["reached"]
                if drained or time.monotonic() > until_s:
                    break
                if until_s == math.inf and self._ask(do="pursue", goal="stop"):
                    until_s = time.monotonic() + self.drain_s / self.options.speed + 5.0
            self.watcher.rest()
        return 0

    @property
    def drain_s(self) -> float:
        """Logical time that a stop may take before it is made short."""
        return STARTS_STOPPING_S + max(c.type.finish_s for c in self.line.cells.values())

    def _look(self) -> bool:
        """Look after the processes, and at what the line does; whether brain has answered."""
        self.told += self.watcher.watch()
        if TripleReader(self.region.section("snapshot-watch")).take(self._frame):
            self.snapshot = Snapshot.of(self.plan, self._frame)
        answered = self._ask(do="status")
        self.show(self)
        return answered

    def _ask(self, **request: Any) -> bool:
        try:
            answer = ask(self.control_path, request, timeout_s=1.0)
        except ControlError:
            return False  # brain is not there yet, or starts again
        if request["do"] == "status":
            self.brain, self._heard_s = answer, time.monotonic()
        return True

    def _brain_gone(self) -> bool:
        """Brain has said nothing for BRAIN_GONE_S, which count from the first question on.

        It is asked as soon as the run is to end, and not before.
        """
        now_s = time.monotonic()
        self._brain_wanted_s = min(self._brain_wanted_s, now_s)
        return now_s - max(self._brain_wanted_s, self._heard_s) > BRAIN_GONE_S

    def _unmet(self) -> str | None:
        """What --strict asks for and the line does not have; None as long as there was no time for it."""
        status = self.status
        if status[Status.READY_NS] == 0:
            return None
        if not status[Status.FIFO]:
            return "no right to real-time scheduling (SCHED_FIFO); run as root or give CAP_SYS_NICE"
        silent = [n for n, d in report.io(self.plan, self.region).items() if not d["ok"]]
        waited_s = (time.monotonic_ns() - status[Status.READY_NS]) * 1e-9
        if silent and waited_s < DEVICES_ANSWER_S:
            return None
        return f"device {', '.join(silent)} does not answer" if silent else ""

    def _end(self) -> None:
        """Stop the scan, let io say the outputs at rest, end the rest, write the report."""
        self.status[Status.STOP] = 1
        self.watcher.stop((Role.SCAN,), SCAN_ENDS_S)
        self.watcher.stop((Role.IO,), REST_ENDS_S)
        heard = self._hear_brain_out()
        self.watcher.stop((Role.BRAIN, Role.SCADA, Role.DEVICES), REST_ENDS_S)
        if heard or not self._scanned:  # all of the ring is on disk, or there is nothing in it
            Path(self.order.ring).unlink(missing_ok=True)
        if TripleReader(self.region.section("snapshot-watch")).take(self._frame):
            self.snapshot = Snapshot.of(self.plan, self._frame)
        self.show(self)
        if self.options.report_at:
            report.write(self.options.report_at, self.report())

    def _hear_brain_out(self) -> bool:
        """The last of the journal, from a brain that may have to be started again for it."""
        until_s = time.monotonic() + (BRAIN_BACK_S if self.brain and self.stops < 2 else 0.0)
        while not (heard := self._ask(do="status")) and time.monotonic() < until_s:
            with suppress(LineFailed):
                self.told += self.watcher.watch()
            self.watcher.rest()
        return heard

    def report(self) -> Report:
        """The report as of now."""
        return {
            "line": self.line.name,
            "duration_s": round(self.ran_s(), 3),
            "speed": self.options.speed,
            "scan": report.scan(self.plan, self.region),
            "input_age_ms": report.input_age_ms(self.plan, self.region),
            "boards": report.boards(self.brain.get("boards", {}), self._census()),
            "cells": report.cells(self.plan, self.read, self.brain.get("departed", {})),
            "io": report.io(self.plan, self.region),
            "hashes": {
                "layout": self.plan.hash,
                "image": self._image_hash(),
                "journal": self.brain.get("journal", ""),
            },
            "host": self._host(),
        }

    def _host(self) -> Report:
        status = self.status
        first_ns = int(status[Status.FIRST_SCAN_NS])
        return {
            "wall_s": round((time.monotonic_ns() - self.began_ns) * 1e-9, 3),
            "steal_ticks": report.steal_ticks() - self.steal,
            "compile_s": round(int(status[Status.COMPILE_NS]) * 1e-9, 3),
            "first_scan_s": round((first_ns - self.began_ns) * 1e-9, 3) if first_ns else None,
            "epochs": int(status[Status.EPOCH]),
            "dma_latency_held": bool(status[Status.DMA_LATENCY]),
            "told": self.told,
            **report.host(),
        }

    def _image_hash(self) -> str:
        words = self.snapshot.image if self.snapshot else np.zeros(0, np.int64)
        return hashlib.sha256(words.tobytes()).hexdigest()

    def _census(self) -> dict[str, int] | None:
        """The simulated plant's own count; None where devices are real."""
        try:
            found: dict[str, int] = json.loads(Path(self.order.run_dir, "census.json").read_text())
        except (OSError, ValueError):
            return None
        return found

    @property
    def status(self) -> Ints:
        """Words of the section `status`."""
        return self.region.section("status").words

    @property
    def _scanned(self) -> bool:
        return bool(self.status[Status.SCANS] > 0)

    @property
    def control_path(self) -> Path:
        """The line's control socket."""
        return Path(self.order.run_dir).parent / "control.sock"

    def ran_s(self) -> float:
        """Logical time since the first scan."""
        status = self.status
        if status[Status.FIRST_SCAN_NS] == 0:
            return 0.0
        return int(status[Status.SCAN] - status[Status.FIRST_SCAN]) * self.line.period_ns * 1e-9

    def read(self, tag: str) -> Scalar:
        """A tag of the latest snapshot; 0 before there is one."""
        return self.snapshot.value(self._leaves[tag]) if self.snapshot else 0
