"""What the flight recorder costs: time in the scan, bytes on the disk; and how fast a recording is replayed.

The load is the SMT line at work, each device polled as its line file says, and beside it a device with 60
noisy 16-bit values, sampled at 50 Hz. A scan is all that the executive does.
`python -m bench.recorder` replays 100,000 of them and counts differing bytes.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.places import SMT_LINE
from bench.registry import Bench, Pair, Round, subject
from cellrt.app.simulate import VirtualLine
from cellrt.compiled import inlined
from cellrt.compiler.cache import cached_njit
from cellrt.compiler.native import copy_bytes
from cellrt.line.load import load_line
from cellrt.line.spec import DeviceSpec, LineSpec, SimSpec
from cellrt.recording.file import RecordingWriter
from cellrt.recording.header import describe
from cellrt.replay import Player, replay
from cellrt.runtime.child import Order, Station
from cellrt.runtime.region import Status, sections
from cellrt.runtime.scan import make_desk
from cellrt.scan.clock import look
from cellrt.scan.executive import (
    Desk,
    newest_samples,
    note_recording,
    publish_all,
    take_commands,
)
from cellrt.scan.latch import ADVANCED, ALIVE_SINCE, GOOD
from cellrt.scan.plan import Plan
from cellrt.scan.recorder import (
    Recorder,
    begin,
    finish_recording,
    longest,
    record,
    record_scan,
    recorder,
    state,
    take_in,
    take_samples,
)
from cellrt.scan.runner import Runner
from cellrt.scan.step import step
from cellrt.scan.tables import Tables, Work
from cellrt.shared.memory import create as create_region
from cellrt.shared.ringfile import RingFileReader, create
from cellrt.shared.triple import publish
from cellrt.supervisor import Goal
from cellrt.tags import WORD
from cellrt.wire import DeviceMap, Floats, Ints, Point, Wire

MEMORY = "/dev/shm"
SCANS, QUICK_SCANS, REPLAYED = 6_000, 200, 100_000
WORKING_S, QUICK_S = 2_400.0, 1.0
"""Logical time after which the oven is warm and boards flow everywhere."""
ANALOGS, NOISE, POLL_MS = 60, 30, 20.0
"""Inputs of 16 bits, their noise in counts, how often they are sampled."""


@inlined
def copy_samples(r: Recorder, inputs: Ints, samples: Ints) -> None:
    """What `take_samples` does without recording: fresh samples become the inputs."""
    for n in range(r.samples.shape[0]):
        first = r.samples[n, 0]
        if samples[first] != inputs[first] or samples[first + 1] != inputs[first + 1]:
            count = r.samples[n, 1] - first
            new, old = samples.ctypes.data + WORD * first, inputs.ctypes.data + WORD * first
            copy_bytes(old, new, WORD * count)


@cached_njit
def scan_rows(
    t: Tables,
    w: Work,
    desk: Desk,
    entries: Ints,
    base: int,
    inputs: Ints,
    reals: Floats,
    rows: Ints,
    period_ns: int,
    first: int,
    recording: bool,
) -> int:
    """A scan for each row of samples, which come as io publishes them; how long all of them took, in ns.

    A scan is what the executive does between waking and sleeping; only the samples' age is told by logical time.
    """
    took_ns = 0
    for n in range(rows.shape[0]):
        scan = first + n
        now_ns = scan * period_ns
        publish(desk.inputs_at, rows.shape[1], rows[n].ctypes.data)
        woke_ns = look(desk.clock)
        newest_samples(desk, now_ns)
        if recording:
            take_samples(desk.recorder, inputs, desk.samples, scan)
        else:
            copy_samples(desk.recorder, inputs, desk.samples)
        take_commands(t, desk, inputs, 1)
        step(t, w, entries, base, inputs, reals, now_ns, scan, 1, desk.meter)
        note_recording(w, desk.status, now_ns)
        publish_all(w, desk, inputs, scan, now_ns, 1, woke_ns)
        if recording:
            record(desk.recorder, w, inputs, scan)
        took_ns += look(desk.clock) - woke_ns
    return took_ns


def noisy_analogs(count: int = ANALOGS) -> DeviceSpec:
    """A device of 16-bit values that no cell reads."""
    points = tuple(Point(f"a{n}", f"input:{n + 1}", Wire.U16) for n in range(count))
    device_map = DeviceMap("memory", points, (), counter=Point("counter", "input:0", Wire.U16))
    return DeviceSpec("analogs", device_map, "", POLL_MS, 200.0, 500.0, None)


def noise(scans: int) -> Ints:
    """Inputs of the analogs alone, a row for each scan: a fresh sample at every poll, around slow values."""
    every = round(POLL_MS * 1e6 / 1e7)
    polls = np.arange(scans) // every
    chance = np.random.default_rng(1)
    values = 32_768 + chance.integers(-NOISE, NOISE + 1, (scans, ANALOGS))
    head = np.stack([polls + 1, np.ones(scans, np.int64), polls & 0xFFFF], axis=1)
    return np.hstack([head, values[polls * every]])


def polled(device: DeviceSpec, period_ns: int, scans: int) -> Ints:
    """For each of so many scans the one before which the device was asked last."""
    every = max(1, round(device.poll_ms * 1e6 / period_ns))
    return np.arange(scans) // every * every


class Load:
    """The SMT line at work, ready to be scanned with recorded samples; its ring and its memory are real."""

    def __init__(self, folder: Path, scans: int, working_s: float) -> None:
        self.folder, line = folder, load_line(SMT_LINE)
        virtual = VirtualLine(line)
        virtual.pursue(Goal.RUN)
        for _ in virtual.run(round(working_s * 1e9)):
            pass
        self.first, started = virtual.twin.runner.scan, state(virtual.twin.runner.work)
        started = tuple(words.copy() for words in started)
        samples = self._samples(virtual, scans)
        devices = {**line.devices, "analogs": noisy_analogs()}
        self.plan = Plan(replace(line, devices=devices, text=""))  # no file has such a line
        self.rows = np.hstack([samples, noise(scans)])
        self._date()
        region = create_region(sections(self.plan), self.plan.hash)
        region.section("status").words[Status.SPEED_PPM] = 1_000_000
        ring = create(folder / "bench.ring", self.plan.hash, longest(self.plan))
        self.ring = ring
        order = Order(str(SMT_LINE), region.fd, "", "", 0, str(folder), str(ring.path), 1, {})
        self.runner = Runner(self.plan)
        self.desk = make_desk(Station(order, self.plan, region), self.runner)
        self._take_up(started)
        self._state = tuple(words.copy() for words in state(self.runner.work))

    def _samples(self, virtual: VirtualLine, scans: int) -> Ints:
        """Samples of so many scans, each device's as fresh as its polls would have them."""
        plan, inputs = virtual.plan, virtual.twin.runner.inputs
        rows = np.zeros((scans, plan.commands_base), np.int64)
        for n in range(scans):
            for _ in virtual.run(plan.line.period_ns):
                pass
            rows[n] = inputs[: plan.commands_base]
        for s in plan.samples:
            part = slice(s.base, s.first_raw + s.raw)
            rows[:, part] = rows[polled(s.device, plan.line.period_ns, scans), part]
        return rows

    def _date(self) -> None:
        """When each sample arrived, where io says it."""
        period_ns, scans = self.plan.line.period_ns, len(self.rows)
        for s in self.plan.samples:
            self.rows[:, s.base] = (self.first + polled(s.device, period_ns, scans)) * period_ns

    def _take_up(self, started: tuple[Ints, ...]) -> None:
        """The twin's state; what the device that is added has of it is nothing."""
        ours = state(self.runner.work)
        for mine, theirs in zip(ours[:2], started[:2], strict=True):
            mine[: theirs.size] = theirs
        ours[-1][: started[-1].size] = started[-1]

    def scan_ns(self, recording: bool) -> float:
        """ns a scan, of all scans once more from where they began."""
        r = self.runner
        for mine, was in zip(state(r.work), self._state, strict=True):
            mine[:] = was
        r.inputs[:] = 0
        health = self.desk.latch.health
        health[:] = 0
        health[:, [GOOD, ALIVE_SINCE]] = 1
        health[:, ADVANCED] = self.first * self.plan.line.period_ns
        begin(self.desk.recorder, r.work, r.inputs, self.first - 1, 1)
        memory = r.tables, r.work, self.desk, r.entries, r.image.address, r.inputs, r.input_reals
        took_ns = scan_rows(*memory, self.rows, self.plan.line.period_ns, self.first, recording)
        return took_ns / len(self.rows)

    def save(self, path: Path, scans: int) -> None:
        """A recording of at least so many scans; they begin anew when the samples are at an end."""
        reader = RingFileReader(self.ring, self.ring.written)
        writer = RecordingWriter(path, replace(describe(self.plan), start=reader.position))
        for _ in range(-(-scans // len(self.rows))):
            self.scan_ns(True)
            finish_recording(self.desk.recorder, self.runner.work, self.runner.inputs)
            writer.write(reader.drain())
        writer.close()


@subject(
    Bench("recorder_cost", "ns/scan", "the same scan"), Bench("replay_speed", "x", "real time")
)
def at_work(quick: bool) -> Iterator[Round]:
    """The load, with and without its recorder."""
    scans, working_s = (QUICK_SCANS, QUICK_S) if quick else (SCANS, WORKING_S)
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        load, path = Load(Path(name), scans, working_s), Path(name) / "bench.cellrt"
        load.scan_ns(False)
        load.save(path, scans)
        Player(path, load.plan.line).run()

        def one_round() -> Mapping[str, Pair]:
            bare, both = load.scan_ns(False), load.scan_ns(True)
            player = Player(path, load.plan.line)
            began_s = time.perf_counter()
            player.run()
            took_s = time.perf_counter() - began_s
            lived_s = int(player.tally[0]) * load.plan.line.period_ns * 1e-9
            return {
                "recorder_cost": Pair(both - bare, bare),
                "replay_speed": Pair(lived_s / took_s, 1.0),
            }

        yield one_round


@subject(Bench("recorder_mb_per_hour", "MB/h", "raw 16-bit samples"), rounds=1)
def analogs(quick: bool) -> Iterator[Round]:
    """Slow values with noise, scanned every 10 ms; no cell reads them."""
    devices, scans = {"analogs": noisy_analogs()}, QUICK_SCANS if quick else SCANS
    line = LineSpec("analogs", Path(), 10_000_000, 1, devices, {}, (), SimSpec(), False, (), "")
    plan = Plan(line)
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        runner = Runner(plan)
        ring = create(Path(name) / "bench.ring", plan.hash, longest(plan))
        r = recorder(plan, ring)

        def one_round() -> Mapping[str, Pair]:
            begin(r, runner.work, runner.inputs, -1, 1)
            before = ring.written
            for scan, row in enumerate(noise(scans)):
                take_in(r, runner.inputs, row, scan)
                record_scan(r, runner.work, runner.inputs, scan)
            per_s = (ring.written - before) / scans * 1e9 / line.period_ns
            raw_per_s = ANALOGS * 2 * 1e3 / POLL_MS
            return {"recorder_mb_per_hour": Pair(per_s * 3600e-6, raw_per_s * 3600e-6)}

        yield one_round


def main() -> None:
    """Print what 100,000 replayed scans differ in, as JSON."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        load, path = Load(Path(name), SCANS, WORKING_S), Path(name) / "bench.cellrt"
        load.save(path, REPLAYED)
        told = replay(path, load.plan.line)
    shown = {"scans": told.scans, "differing_scans": told.differing}
    print(json.dumps(shown | {"differing_bytes": told.differing_bytes}))


if __name__ == "__main__":
    main()
