"""What the flight recorder costs: time in the scan, bytes on the disk; and how fast a recording is replayed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from bench.places import STATION
from bench.registry import Bench, Pair, Round, subject
from cellrt.compiler.cache import cached_njit
from cellrt.line.load import load_line
from cellrt.line.spec import DeviceSpec, LineSpec, SimSpec
from cellrt.recording.file import RecordingWriter
from cellrt.recording.header import describe
from cellrt.replay import Player
from cellrt.scan.plan import Plan
from cellrt.scan.recorder import Recorder, begin, longest, record, recorder
from cellrt.scan.runner import Runner, compiled_step
from cellrt.scan.tables import Tables, Work
from cellrt.shared.ringfile import RingFile, RingFileReader, create
from cellrt.wire import DeviceMap, Floats, Ints, Point, Wire

SCANS, QUICK_SCANS = 20_000, 200
MEMORY = "/dev/shm"
ANALOGS, SAMPLES_PER_S, NOISE = 60, 50, 30
"""Inputs of 16 bits, how often they are sampled, and their noise in counts."""


@cached_njit
def scan_many(
    t: Tables,
    w: Work,
    r: Recorder,
    entries: Ints,
    base: int,
    inputs: Ints,
    reals: Floats,
    period_ns: int,
    first: int,
    scans: int,
    recording: bool,
) -> None:
    """Scans with a fresh, otherwise unchanged sample of every device in each."""
    for scan in range(first, first + scans):
        for n in range(r.samples.shape[0]):
            inputs[r.samples[n, 0]] += 1
            inputs[r.samples[n, 0] + 2] += 1
        compiled_step(t, w, entries, base, inputs, reals, scan * period_ns, scan, 1)
        if recording:
            record(r, w, inputs, scan)


@cached_njit
def record_noise(r: Recorder, w: Work, inputs: Ints, noise: Ints) -> None:
    """One scan a row of `noise`; every second one has a fresh sample with these raw values."""
    for scan in range(noise.shape[0]):
        if scan % 2 == 0:
            inputs[0] += 1
            inputs[2] += 1
            for k in range(noise.shape[1]):
                inputs[3 + k] = noise[scan, k]
        record(r, w, inputs, scan)


class Recorded:
    """A line's scan, with or without its recorder, on a ring in memory."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.runner, self.scan = plan, Runner(plan), 0
        self.ring: RingFile = create(folder / "bench.ring", plan.hash, longest(plan))
        self.recorder: Recorder = recorder(plan, self.ring)
        self.begin()

    def begin(self) -> None:
        """The recorder takes up where the scan stands."""
        begin(self.recorder, self.runner.work, self.runner.inputs, self.scan - 1, 1)

    def scan_ns(self, scans: int, recording: bool) -> float:
        """ns a scan."""
        r, period_ns = self.runner, self.plan.line.period_ns
        began_ns = time.perf_counter_ns()
        state = r.tables, r.work, self.recorder, r.entries, r.image.address
        scan_many(*state, r.inputs, r.input_reals, period_ns, self.scan, scans, recording)
        self.scan += scans
        return (time.perf_counter_ns() - began_ns) / scans

    def save(self, path: Path, scans: int) -> None:
        """A recording of so many scans."""
        start = self.ring.written
        self.begin()
        self.scan_ns(scans, True)
        with_head = RecordingWriter(path, describe(self.plan))
        with_head.write(RingFileReader(self.ring, start).drain())
        with_head.close()


@subject(
    Bench("recorder_cost", "ns/scan", "the same scan"), Bench("replay_speed", "x", "real time")
)
def station(quick: bool) -> Iterator[Round]:
    """The print station with a fresh sample of every device in each scan."""
    scans = QUICK_SCANS if quick else SCANS
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        recorded = Recorded(Plan(load_line(STATION)), Path(name))
        path = Path(name) / "bench.rec"
        recorded.scan_ns(scans, False)
        recorded.save(path, scans)
        Player(path).run()

        def one_round() -> Mapping[str, Pair]:
            bare, both = recorded.scan_ns(scans, False), recorded.scan_ns(scans, True)
            player = Player(path)
            began_s = time.perf_counter()
            player.run()
            took_s = time.perf_counter() - began_s
            lived_s = scans * recorded.plan.line.period_ns * 1e-9
            return {
                "recorder_cost": Pair(both - bare, bare),
                "replay_speed": Pair(lived_s / took_s, 1.0),
            }

        yield one_round


@subject(Bench("recorder_mb_per_hour", "MB/h", "raw 16-bit samples"), rounds=1)
def analogs(quick: bool) -> Iterator[Round]:
    """Slow values with noise, scanned every 10 ms."""
    points = tuple(Point(f"a{n}", f"input:{n}", Wire.U16) for n in range(ANALOGS))
    device = DeviceSpec("analogs", DeviceMap("memory", points, ()), "", 20, 200, 500, None)
    devices = {"analogs": device}
    line = LineSpec("analogs", Path(), 10_000_000, 1, devices, {}, (), SimSpec(), False, (), "")
    scans = QUICK_SCANS if quick else SCANS
    chance = np.random.default_rng(1)
    noise = 32_768 + chance.integers(-NOISE, NOISE + 1, (scans, ANALOGS))
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        recorded = Recorded(Plan(line), Path(name))

        def one_round() -> Mapping[str, Pair]:
            r = recorded.runner
            record_noise(recorded.recorder, r.work, r.inputs, noise)
            before = recorded.ring.written
            record_noise(recorded.recorder, r.work, r.inputs, noise)
            per_s = (recorded.ring.written - before) / scans * 1e9 / line.period_ns
            raw_per_s = ANALOGS * 2 * SAMPLES_PER_S
            return {"recorder_mb_per_hour": Pair(per_s * 3600e-6, raw_per_s * 3600e-6)}

        yield one_round
