"""The process `brain`: memory and decisions. Events into the journal, goals into commands."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from cellrt import retained
from cellrt.commander import EXPIRES_AFTER_NS, Commander
from cellrt.figures import FiguresFile
from cellrt.journal import Journal, JournalError
from cellrt.narrate import Entry, upper, words
from cellrt.recording.file import RECORDING
from cellrt.recording.header import describe
from cellrt.recording.keeper import Keeper
from cellrt.retained import RetainedError
from cellrt.runtime.child import Station, take_station, to_stderr
from cellrt.runtime.control import ControlServer
from cellrt.runtime.region import Status
from cellrt.runtime.sender import Sender
from cellrt.scan.commands import Operation, Origin, Refusal
from cellrt.scan.plan import Sample
from cellrt.scan.snapshot import Snapshot, snapshot_words
from cellrt.shared.memory import Role
from cellrt.shared.ring import RingReader
from cellrt.shared.ringfile import attach
from cellrt.shared.triple import TripleReader, TripleWriter
from cellrt.supervisor import Goal, Supervisor
from cellrt.tags import Leaf, Scalar

TICK_S = 0.05
RETAIN_EVERY_S = 1.0
GOALS = tuple(Goal)


class Brain:
    """One line's memory and decisions."""

    def __init__(self, station: Station) -> None:
        self.station, self.plan = station, station.plan
        section = station.region.section
        self.run_dir = run_dir = Path(station.order.run_dir)
        self._ring = RingReader(section("events"))
        self._snapshots = TripleReader(section("snapshot-brain"))
        self._frame = np.zeros(snapshot_words(self.plan), np.int64)
        self._leaves: dict[str, Leaf] = {leaf.path: leaf for leaf in self.plan.layout.tags()}
        self._log = structlog.get_logger().bind(process="brain")
        self._times = self._kept_times()
        self.journal = Journal(self.plan, run_dir / "journal.sqlite", before=self._times.before)
        self._figures = TripleWriter(section("figures"))
        self.recent: deque[Entry] = deque(maxlen=200)
        self.snapshot: Snapshot | None = None
        self._heard: dict[str, tuple[int, int]] = {}
        epoch, first = station.region.epoch, time.monotonic_ns() // 1000
        self.supervisor = Supervisor(self.plan, Commander(epoch, Origin.SUPERVISOR, first))
        kept = (
            station.status[word] for word in (Status.GOAL, Status.RESTARTS, Status.RESTARTED_NS)
        )
        goal, restarts, restarted_ns = map(int, kept)
        self.supervisor.resume(GOALS[goal], restarts, restarted_ns)
        self._pushed_ns = time.monotonic_ns()
        self._unsent: deque[list[int]] = deque()
        operator = Commander(epoch, Origin.OPERATOR, first)
        self._operator = Sender(section("commands-brain"), operator, self.plan, self.read)
        self._retained_at = run_dir.parent / "retained.json"
        ring = attach(Path(station.order.ring), self.plan.hash)
        header = describe(self.plan, station.order.seed)
        self._recording = Keeper(run_dir / RECORDING, header, ring)
        self._journal_stuck = False
        if self._snapshots.recall(self._frame):
            self.snapshot = Snapshot.of(self.plan, self._frame)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; then put away what is still to be put away."""
        saved_s = time.monotonic()
        while not stop.is_set():
            self.tick()
            if time.monotonic() - saved_s >= RETAIN_EVERY_S:
                self.save_retained()
                self.tell_figures()
                saved_s = time.monotonic()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TICK_S)
        self.tick()
        self.save_retained()
        self.tell_figures()
        self._recording.close()
        self.journal.close()

    def tick(self) -> None:
        """Drain events, look at the line, send what the goal asks for."""
        self.station.region.beat(Role.BRAIN)
        self.drain()
        self.save_recording()
        if self._snapshots.take(self._frame):
            self.snapshot = Snapshot.of(self.plan, self._frame)
            self._note_samples(self.snapshot)
        if self.snapshot is None:
            return
        goal = self.supervisor.goal
        commands = self.supervisor.decide(self.snapshot.now_ns, self.read)
        if goal is not self.supervisor.goal:
            self._log.warning("goal", was=goal.value, now=self.supervisor.goal.value)
            self._unsent.clear()
        self._unsent.extend(commands)
        self._send_on()
        self._keep()

    def _send_on(self) -> None:
        """The supervisor's commands, in order. It gives each of them once, so one that finds no room
        waits for it here."""
        while self._unsent and self._operator.push(self._unsent[0]):
            self._unsent.popleft()
            self._pushed_ns = time.monotonic_ns()

    def _note_samples(self, snapshot: Snapshot) -> None:
        """Which devices have sent something since the snapshot before."""
        for sample in self.plan.samples:
            number, name = int(snapshot.samples[sample.base]), sample.device.name
            if number and number != self._heard.get(name, (0, 0))[0]:
                self._heard[name] = number, snapshot.monotonic_ns

    def age_s(self, sample: Sample) -> float | None:
        """Wall time since a device's last sample, to a tick; None if none ever came."""
        if self.snapshot is None or sample.device.name not in self._heard:
            return None
        return (self.snapshot.monotonic_ns - self._heard[sample.device.name][1]) / 1e9

    def pursue(self, goal: Goal) -> None:
        """What an operator wants of the line; what was yet to be sent for the last goal is not."""
        self.supervisor.pursue(goal)
        self._unsent.clear()
        self._keep()
        self._pushed_ns = time.monotonic_ns()

    def _keep(self) -> None:
        """What the supervisor is at, for a brain that takes over."""
        status, supervisor = self.station.status, self.supervisor
        status[Status.GOAL] = GOALS.index(supervisor.goal)
        status[Status.RESTARTS] = supervisor.restarts
        status[Status.RESTARTED_NS] = supervisor.restarted_ns

    def reached(self) -> bool:
        """The goal is reached, as a snapshot shows that is younger than the last command."""
        snapshot = self.snapshot
        if snapshot is None or self._unsent or snapshot.monotonic_ns <= self._pushed_ns:
            return False
        return self.supervisor.reached(self.read)

    def drain(self) -> None:
        """Events from the ring into the journal, then confirm: a crash between doubles nothing.

        A full disk costs nothing as long as the ring holds what the journal could not take.
        """
        try:
            while self._drain_some():
                pass
            self._journal_stuck = False
        except JournalError as error:
            self._ring = RingReader(self.station.region.section("events"))
            if not self._journal_stuck:
                self._log.error("journal not written", reason=str(error))
            self._journal_stuck = True

    def _drain_some(self) -> bool:
        self.station.region.beat(Role.BRAIN)  # a full ring takes longer than brain may stand still
        rows, lost = self._ring.read()
        if not len(rows):
            return False
        if lost:
            self._note(self.journal.append_loss(lost, int(rows[0, 0]), int(rows[0, 1])))
            self._log.error("events lost", lost=lost)
        self._note(self.journal.append(rows))
        self._ring.confirm()
        return True

    def save_recording(self) -> None:
        """What the scan recorded, to disk; what cannot be put there is an alarm, what was lost an event."""
        status, was = self.station.status, self._recording.stuck
        self._recording.save()
        stuck = self._recording.stuck
        if stuck and not was:
            self._log.error("recording not saved", reason=stuck)
        status[Status.UNSAVED] = bool(stuck)
        for gap in self._recording.take_gaps():
            self._log.error("recording lost", **gap._asdict())
            status[Status.LOST_FIRST], status[Status.LOST_LAST] = gap.first, gap.last
            status[Status.LOST_BYTES] += gap.nbytes

    def _note(self, entries: list[Entry]) -> None:
        self.recent.extend(entries)
        for entry in entries:
            if entry["event"] == "Started":
                self._new_epoch(entry["epoch"], entry["t_ns"])
            elif entry["event"] == "Command" and entry["origin"] == words(Origin.OPERATOR):
                self._operator.hear(entry["command"], Refusal[upper(entry["answer"])])
        self.supervisor.commander.last_event = self.journal.last_number

    def _new_epoch(self, epoch: int, t_ns: int) -> None:
        """A scan began anew: what it was told before holds no longer, and nothing starts by itself."""
        self.supervisor.commander.epoch = epoch
        self._unsent.clear()
        self._operator.new_epoch(epoch)
        if epoch > 1:
            self.supervisor.fall(t_ns)

    def read(self, tag: str) -> Scalar:
        """A tag of the latest snapshot. Raises KeyError."""
        if self.snapshot is None:
            return 0
        return self.snapshot.value(self._leaves[tag])

    def save_retained(self) -> None:
        """What must survive a power cut, to disk. A full disk is logged and costs no scan."""
        if self.snapshot is None:
            return
        values = {leaf.path: self.snapshot.value(leaf) for leaf in self.plan.retained}
        try:
            retained.save(self._retained_at, values)
        except OSError as error:
            self._log.error("retained values not saved", reason=str(error))

    def _kept_times(self) -> FiguresFile:
        """Units' times of earlier runs. A damaged file is moved away: a line runs as well without."""
        path, run = self.run_dir.parent / "times.json", self.run_dir.name
        try:
            return FiguresFile(path, run)
        except RetainedError as error:
            self._log.error("units' times begin anew", reason=str(error))
            path.replace(path.with_suffix(".damaged"))
            return FiguresFile(path, run)

    def tell_figures(self) -> None:
        """The units' times and speeds as of now, to scada and to disk."""
        if self.snapshot is None:
            return
        now_ns = self.snapshot.now_ns
        self._figures.publish(self.journal.figures.at(now_ns).view(np.int64))
        try:
            self._times.save(self.journal.figures.times(now_ns))
        except OSError as error:
            self._log.error("units' times not saved", reason=str(error))

    async def send(
        self,
        operation: Operation,
        target: int,
        argument: int,
        for_ns: int = EXPIRES_AFTER_NS,
        *,
        fits: bool = False,
    ) -> Refusal:
        """An operator's command, which holds for `for_ns` from now on; the scan's answer."""
        now_ns = self.station.logical_ns(time.monotonic_ns()) if self.snapshot else 0
        return await self._operator.send(operation, target, argument, now_ns, for_ns, fits=fits)

    def alarms(self) -> list[str]:
        """What a person should see to, beside the cells."""
        stuck = self._recording.stuck
        return [f"the recording is not saved: {stuck}"] if stuck else []

    def status(self) -> dict[str, Any]:
        """What `cellrt run` and others show of the line, up to the last event."""
        self.drain()
        words = self.station.status
        return {
            "line": self.plan.line.name,
            "epoch": int(words[Status.EPOCH]),
            "scan": self.snapshot.scan if self.snapshot else 0,
            "goal": self.supervisor.goal.value,
            "reached": self.reached(),
            "boards": dict(self.journal.boards),
            "departed": dict(self.journal.departed),
            "journal": self.journal.hash(),
            "forces": list(self.journal.forces.values()),
            "alarms": self.alarms(),
            "recent": list(self.recent)[-40:],
        }


async def serve(station: Station) -> None:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    brain = Brain(station)
    server = ControlServer(brain, Path(station.order.run_dir).parent / "control.sock")
    await server.start()
    await brain.run(stop)
    await server.stop()


def main() -> None:
    """Remember and decide."""
    to_stderr()
    asyncio.run(serve(take_station(Role.BRAIN)))


if __name__ == "__main__":
    main()
