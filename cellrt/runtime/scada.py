"""The process `scada`: strangers' clients. What they do to it costs neither control nor history."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import math
import resource
import signal
import sqlite3
import sys
import time
from pathlib import Path

import numpy as np
import structlog

from cellrt import report
from cellrt.audit import AUDIT, AuditLog
from cellrt.commander import Commander
from cellrt.modbus.server import LineModbus
from cellrt.opcua.access import FOLDER, Access
from cellrt.opcua.gate import ListenError
from cellrt.opcua.server import LineServer
from cellrt.opcua.users import RANKS
from cellrt.runtime.child import Station, refuse, take_station, to_stderr
from cellrt.runtime.region import Status, figure_words
from cellrt.runtime.sender import Sender
from cellrt.scan.commands import Operation, Origin, Refusal
from cellrt.scan.events import Event
from cellrt.scan.snapshot import Snapshot, snapshot_words
from cellrt.shared.memory import Role
from cellrt.shared.ring import RingReader
from cellrt.shared.triple import TripleReader
from cellrt.tags import Scalar
from cellrt.timing import timing
from cellrt.wire import Ints

MEMORY_BYTES = 4 << 30
PUBLISH_S = 0.1
TIME_EVERY_S = 1.0
"""From one look at how the line keeps its time to the next."""
ANSWERS_S = 0.02
LOST_S = 1.0
"""Snapshots that stay away for so long make every tag bad."""


class Scada:
    """A line's servers between the snapshots and the command queue."""

    def __init__(self, station: Station) -> None:
        self.station = station
        section = station.region.section
        self._snapshots = TripleReader(section("snapshot-scada"))
        self._frame = np.zeros(snapshot_words(station.plan), np.int64)
        self._figures = TripleReader(section("figures"))
        self._told = np.zeros(figure_words(station.plan), np.int64)
        self._events = RingReader(section("events"))
        commander = Commander(
            station.region.epoch, Origin.SCADA, number=time.monotonic_ns() // 1000
        )
        self._sender = Sender(section("commands-scada"), commander, station.plan, self.read)
        self._leaves = {leaf.path: leaf for leaf in station.plan.layout.tags()}
        self._snapshot: Snapshot | None = None
        self._now_ns = 0
        self._seen_s, self._timed_s = 0.0, -math.inf
        order, start_ns = station.order, int(station.status[Status.START_NS])
        # Wall time at which logical time was 0, the clock of every source time stamp.
        wall_start_ns = time.time_ns() - (time.monotonic_ns() - start_ns if start_ns else 0)
        run_dir, said = Path(order.run_dir), station.plan.line.opcua
        self._log = structlog.get_logger().bind(process="scada")
        self._audit = AuditLog(run_dir / AUDIT)
        self._audit_stuck = False
        access = Access(
            run_dir.parent / FOLDER, RANKS.get(said.anonymous), said.listen, self._audit.note
        )
        # A simulated plant's time is not the world's: its history is of this run.
        history_at = (run_dir if order.addresses else run_dir.parent) / "history.sqlite"
        self.server = LineServer(
            station.plan,
            self.send,
            access,
            order.opcua_port,
            wall_start_ns=wall_start_ns,
            speed=station.speed,
            history_at=history_at,
        )
        self.modbus: LineModbus | None = None
        if station.plan.line.modbus is not None and order.modbus_port:
            self.modbus = LineModbus(
                station.plan, self.send, wall_start_ns=wall_start_ns, note=self._audit.note
            )

    async def start(self) -> None:
        """Listen and serve. Raises ListenError, or OSError from the Modbus server."""
        await self.server.start()
        spec = self.station.plan.line.modbus
        if self.modbus is not None and spec is not None:
            await self.modbus.start(spec.host, self.station.order.modbus_port)

    async def stop(self) -> None:
        """Hang up on every client."""
        if self.modbus is not None:
            await self.modbus.stop()
        await self.server.stop()

    async def send(self, operation: Operation, target: int, argument: int) -> Refusal:
        """A client's command; the scan's answer."""
        return await self._sender.send(operation, target, argument, self._now_ns)

    def read(self, tag: str) -> Scalar:
        """A tag of the latest snapshot. Raises KeyError."""
        leaf = self._leaves[tag]
        return self._snapshot.value(leaf) if self._snapshot else leaf.field.default or 0

    async def publish(self) -> None:
        """The newest snapshot to whoever watches, ten times a second."""
        while True:
            self.station.region.beat(Role.SCADA)
            await self.look(time.monotonic())
            self.put_down()
            await asyncio.sleep(PUBLISH_S)

    async def look(self, now_s: float) -> None:
        """Show the snapshot that has come, if one has; long after the last one, that there is none."""
        if self._snapshots.take(self._frame):
            snapshot = Snapshot.of(self.station.plan, self._frame.copy())
            self._now_ns, self._seen_s = snapshot.now_ns, now_s
            self._snapshot = snapshot
            if self.modbus is not None:
                self.modbus.publish(snapshot)
            if self._figures.take(self._told):
                self.server.count(self._told)
            if now_s - self._timed_s >= TIME_EVERY_S:
                self._timed_s = now_s
                self.server.time(self._timing())
            await self.server.publish(snapshot)
        elif now_s - self._seen_s > LOST_S:
            if self.modbus is not None:
                self.modbus.lose()
            await self.server.lose()

    def _timing(self) -> Ints:
        plan, region = self.station.plan, self.station.region
        ages = report.input_age_ms(plan, region)
        return timing(plan, report.scan(plan, region), ages, self.station.speed)

    def put_down(self) -> None:
        """What clients did since the last time, to disk. A full disk is logged; the deeds wait."""
        try:
            self._audit.flush(self._now_ns)
            self._audit_stuck = False
        except sqlite3.Error as error:
            if not self._audit_stuck:
                self._log.error("audit log not written", reason=str(error))
            self._audit_stuck = True

    async def answers(self) -> None:
        """The scan's answers to whoever waits for one."""
        while True:
            rows, _ = self._events.read()
            for _, _, kind, origin, number, _, _, refusal in rows.tolist():
                if kind == Event.STARTED:
                    self._sender.new_epoch(number)
                elif kind == Event.COMMAND and origin == Origin.SCADA:
                    self._sender.hear(number, refusal)
            await asyncio.sleep(0 if len(rows) else ANSWERS_S)


async def serve(station: Station) -> None:
    """Serve until SIGTERM. Exits as refused when the port is taken."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    while not station.status[Status.START_NS]:  # time stamps need the beginning of logical time
        await asyncio.sleep(ANSWERS_S)
    try:
        scada = Scada(station)
        await scada.start()
    except ListenError as error:
        refuse("scada", str(error))
    except (OSError, sqlite3.Error) as error:  # a full disk: tried again, and the line runs on
        structlog.get_logger().error("cannot serve", process="scada", reason=str(error))
        sys.exit(1)
    gc.collect()
    gc.freeze()  # the address space lives as long as this process
    tasks = [asyncio.create_task(work) for work in (scada.publish(), scada.answers())]
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done() and (failure := task.exception()):
            structlog.get_logger().error("failed", process="scada", reason=repr(failure))
            raise failure
        task.cancel()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(scada.stop(), 2.0)
    scada.put_down()


def main() -> None:
    """Serve SCADA, in bounded memory: a client that exhausts it ends this process and no other."""
    logging.getLogger("asyncua").setLevel(logging.ERROR)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    to_stderr()
    asyncio.run(serve(take_station(Role.SCADA)))


if __name__ == "__main__":
    main()
