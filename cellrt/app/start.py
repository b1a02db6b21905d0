"""What a run of a line needs before it begins: a folder of its own, ports, retained values, a ring."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cellrt import retained
from cellrt.app.options import Options, RunError, free_port, free_range
from cellrt.app.simulate import simulated_devices
from cellrt.recording.file import RECORDING, ring_path, salvage
from cellrt.recording.header import RecordingError
from cellrt.runtime.child import Order
from cellrt.runtime.region import Status
from cellrt.runtime.scan import code_hash
from cellrt.runtime.watcher import state_dir
from cellrt.scan.plan import Plan
from cellrt.scan.recorder import longest
from cellrt.shared.memory import Region
from cellrt.shared.ringfile import RingFileError
from cellrt.shared.ringfile import create as create_ring
from cellrt.shared.triple import TripleWriter


@contextmanager
def locked_state_dir(name: str) -> Iterator[Path]:
    """A folder for this run; one run of a line at a time."""
    base = state_dir(name)
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
                f"line {name!r} runs already; stop it, or set another CELLRT_STATE_DIR"
            ) from None
        run_dir.mkdir(exist_ok=True)
        yield run_dir


@dataclass
class Start:
    """The start of a run in the folder `run_dir`. `told`: what a person should know of it."""

    options: Options
    plan: Plan
    region: Region
    run_dir: Path
    told: list[str] = field(default_factory=list)

    def order(self) -> Order:
        """Make all of it ready; what every process is told. Raises RunError."""
        options, run_dir = self.options, self.run_dir
        free_port(options.opcua_port, "the OPC UA server (--opcua-port)")
        modbus_port = self._modbus_port()
        base_port, addresses = self._simulated() if options.sim else (options.base_port, {})
        self.region.section("status").words[Status.SPEED_PPM] = round(options.speed * 1e6)
        if not options.sim:
            self._retain(run_dir.parent / "retained.json")
        return Order(
            line=str(options.line.resolve()),
            fd=self.region.fd,
            plan_hash=self.plan.hash,
            code_hash=code_hash(self.plan.assembly.types()),
            watcher_pid=os.getpid(),
            run_dir=str(run_dir),
            ring=str(self._ring()),
            seed=self.plan.line.seed,
            addresses=addresses,
            opcua_port=options.opcua_port,
            modbus_port=modbus_port,
            plain=options.plain,
            base_port=base_port,
            speed=options.speed,
            spin=options.spin,
        )

    def _simulated(self) -> tuple[int, dict[str, str]]:
        """First port of the simulated devices, and the address of each."""
        line, addresses = self.plan.line, {}
        devices = list(simulated_devices(line))
        base_port = self.options.base_port or free_range(len(devices))
        for number, name in enumerate(devices):
            free_port(base_port + number, f"simulated device {name} (--base-port)")
            scheme = "opc.tcp://" if line.devices[name].map.protocol == "opcua" else ""
            addresses[name] = f"{scheme}127.0.0.1:{base_port + number}"
        return base_port, addresses

    def _modbus_port(self) -> int:
        """Where the line is served over Modbus; 0 where it is not."""
        line, asked = self.plan.line, self.options.modbus_port
        spec = line.modbus
        if spec is None and asked is not None:
            raise RunError(
                f"--modbus-port {asked}: {line.path} has no Modbus server; add `[modbus]`"
            )
        if spec is None:
            return 0
        option = f"[modbus] of {line.path}" if asked is None else "--modbus-port"
        who, port = f"the Modbus server ({option})", spec.port if asked is None else asked
        if port == self.options.opcua_port:
            raise RunError(f"port {port} for {who} is the OPC UA server's; choose another")
        free_port(port, who, spec.host)
        return port

    def _ring(self) -> Path:
        """The flight recorder's ring, in memory but by name: it outlives every process of the line."""
        run_dir = self.run_dir
        path = ring_path(self.plan.line.name, run_dir)
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
