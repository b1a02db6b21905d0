"""`cellrt run`: a line from its start to its drained stop, and the report of it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cellrt import report, retained
from cellrt.app.options import Options, RunError, check_speed, free_port, free_range
from cellrt.app.simulate import simulated_devices
from cellrt.line.load import load_line
from cellrt.line.spec import LineSpec
from cellrt.recording.file import RECORDING, ring_path, salvage
from cellrt.recording.header import RecordingError
from cellrt.report import Report
from cellrt.runtime.child import Order
from cellrt.runtime.control import ControlError, ask
from cellrt.runtime.region import Status, sections
from cellrt.runtime.scan import code_hash
from cellrt.runtime.watcher import LineFailed, Watcher, state_dir
from cellrt.scan.plan import Plan
from cellrt.scan.recorder import longest
from cellrt.scan.snapshot import Snapshot, snapshot_words
from cellrt.shared.memory import Role, create
from cellrt.shared.ringfile import RingFileError
from cellrt.shared.ringfile import create as create_ring
from cellrt.shared.triple import TripleReader, TripleWriter
from cellrt.tags import Leaf, Scalar
from cellrt.wire import Ints

STARTS_STOPPING_S = 30.0
"""Logical time that a stop may take beside what the slowest cell needs to end its work."""
DEVICES_ANSWER_S = 5.0
BRAIN_BACK_S = 10.0
SCAN_ENDS_S, REST_ENDS_S = 2.0, 3.0
TICK_S = 0.05


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
        self.began_ns = report.process_began_ns()
        self.steal = report.steal_ticks()

    def execute(self) -> int:
        """Run to the end; the exit code. Raises RunError before anything moves."""
        for sign in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sign, self._on_signal)
        with self._locked_state_dir() as run_dir:
            self.region = create(sections(self.plan), self.plan.hash)
            self._prepare(run_dir)
            with (run_dir / "log.jsonl").open("a") as log:
                self.watcher = Watcher(self.region, self.order, self._roles(), log)
                try:
                    self.watcher.start()
                    code = self._live()
                    self._drain()
                except LineFailed as failure:
                    self.told.append(str(failure))
                    self.stops, code = 2, 2  # there is nothing to wait for
                finally:
                    self._end()
        return code

    def _on_signal(self, *_: object) -> None:
        self.stops += 1

    @contextmanager
    def _locked_state_dir(self) -> Iterator[Path]:
        """A folder for this run; one run of a line at a time."""
        base = state_dir(self.line.name)
        run_dir = base / time.strftime("%Y%m%d-%H%M%S")
        try:
            base.mkdir(parents=True, exist_ok=True)
            lock = (base / "lock").open("w")
        except OSError as error:
            raise RunError(f"{base}: {error.strerror}; set CELLRT_STATE_DIR") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(
                    f"line {self.line.name!r} runs already; stop it, or set another CELLRT_STATE_DIR"
                ) from None
            run_dir.mkdir(exist_ok=True)
            yield run_dir

    def _prepare(self, run_dir: Path) -> None:
        """Ports, addresses, retained values, and what every process is told."""
        options = self.options
        free_port(options.opcua_port, "the OPC UA server (--opcua-port)")
        modbus_port = self._modbus_port()
        addresses, base_port = {}, options.base_port
        if options.sim:
            devices = list(simulated_devices(self.line))
            base_port = base_port or free_range(len(devices))
            for number, name in enumerate(devices):
                free_port(base_port + number, f"simulated device {name} (--base-port)")
                scheme = "opc.tcp://" if self.line.devices[name].map.protocol == "opcua" else ""
                addresses[name] = f"{scheme}127.0.0.1:{base_port + number}"
        self.region.section("status").words[Status.SPEED_PPM] = round(options.speed * 1e6)
        if not options.sim:
            self._retain(run_dir.parent / "retained.json")
        self.order = Order(
            line=str(options.line.resolve()),
            fd=self.region.fd,
            plan_hash=self.plan.hash,
            code_hash=code_hash(self.plan.assembly.types()),
            watcher_pid=os.getpid(),
            run_dir=str(run_dir),
            ring=str(self._ring(run_dir)),
            seed=self.line.seed,
            addresses=addresses,
            opcua_port=options.opcua_port,
            modbus_port=modbus_port,
            plain=options.plain,
            base_port=base_port,
            speed=options.speed,
            spin=options.spin,
        )

    def _modbus_port(self) -> int:
        """Where the line is served over Modbus; 0 where it is not."""
        spec, asked = self.line.modbus, self.options.modbus_port
        if spec is None and asked is not None:
            raise RunError(
                f"--modbus-port {asked}: {self.line.path} has no Modbus server; add `[modbus]`"
            )
        if spec is None:
            return 0
        option = f"[modbus] of {self.line.path}" if asked is None else "--modbus-port"
        who, port = f"the Modbus server ({option})", spec.port if asked is None else asked
        if port == self.options.opcua_port:
            raise RunError(f"port {port} for {who} is the OPC UA server's; choose another")
        free_port(port, who, spec.host)
        return port

    def _ring(self, run_dir: Path) -> Path:
        """The flight recorder's ring, in memory but by name: it outlives every process of the line."""
        path = ring_path(self.line.name, run_dir)
        prefix = path.stem.removesuffix(run_dir.name)
        for left in path.parent.glob(f"{prefix}*.ring"):
            self._salvage(left, run_dir.parent / left.stem.removeprefix(prefix))
        create_ring(path, self.plan.hash, longest(self.plan))
        return path

    def _salvage(self, ring: Path, run_dir: Path) -> None:
        """A ring that a killed watcher left: what it still held goes into that run's recording."""
        if not run_dir.is_dir():
            return  # of a line of this name that keeps its state elsewhere, and may be running
        with suppress(RecordingError, RingFileError):
            nbytes = salvage(run_dir / RECORDING, ring)
            self.told.append(f"{nbytes} bytes of a run that was killed put into {run_dir.name}")
        ring.unlink(missing_ok=True)

    def _retain(self, path: Path) -> None:
        """Retained values of the last run, where the scan will find them. A simulated plant has none."""
        values, unknown = retained.load(path, self.plan)
        self.told += [f"retained value {name}: no tag can have it any more" for name in unknown]
        frame = np.zeros(max(len(self.plan.retained), 1), np.int64)
        for n, leaf in enumerate(self.plan.retained):
            value = values.get(leaf.path, leaf.field.default or 0)
            frame[n] = np.float64(value).view(np.int64) if leaf.field.kind is float else int(value)
        if values:
            TripleWriter(self.region.section("retained")).publish(frame)

    def _roles(self) -> list[Role]:
        roles = [Role.SCAN, Role.IO, Role.BRAIN, Role.SCADA]
        return [*roles, Role.DEVICES] if self.options.sim else roles

    def _live(self) -> int:
        """Until the duration is over, a signal comes, or --strict is not met.

        Not before brain has come: a run without it would have no journal.
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
            if wanted_s and self.ran_s() >= wanted_s and self.brain:
                break
            time.sleep(TICK_S)
        return 0

    def _drain(self) -> None:
        """Work in the machines ends, then the cells go to Stopped; a second signal cuts that short."""
        asked, until_s = False, time.monotonic() + self.drain_s / self.options.speed + 5.0
        while self.stops < 2 and time.monotonic() < until_s and self.snapshot:
            self._look()
            asked = asked or self._ask(do="pursue", goal="stop")
            if asked and self.brain.get("goal") == "stop" and self.brain.get("reached"):
                return
            time.sleep(TICK_S)

    @property
    def drain_s(self) -> float:
        """Logical time that a stop may take before it is made short."""
        return STARTS_STOPPING_S + max(c.type.finish_s for c in self.line.cells.values())

    def _look(self) -> None:
        """Look after the processes, and at what the line does."""
        self.told += self.watcher.watch()
        if TripleReader(self.region.section("snapshot-watch")).take(self._frame):
            self.snapshot = Snapshot.of(self.plan, self._frame)
        self._ask(do="status")
        self.show(self)

    def _ask(self, **request: Any) -> bool:
        try:
            answer = ask(self.control_path, request, timeout_s=1.0)
        except ControlError:
            return False  # brain is not there yet, or starts again
        if request["do"] == "status":
            self.brain = answer
        return True

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
        scanned = self.status[Status.SCANS] > 0
        if (
            heard or not scanned
        ):  # then brain has put all of the ring to disk, or there is nothing in it
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
            time.sleep(TICK_S)
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
