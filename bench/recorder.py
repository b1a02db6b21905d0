"""What the flight recorder costs on this machine: `python -m bench.recorder`. Medians over rounds.

`record_ns` and `step_ns`: the print station's scan with a fresh sample of every device, and recording it.
`analog_mb_per_hour`: a device with 60 noisy 16-bit values, sampled at 50 Hz, scanned every 10 ms.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.kernel import STATION, median
from cellrt.compiler.cache import cached_njit
from cellrt.line.load import load_line
from cellrt.line.spec import DeviceSpec, LineSpec, SimSpec
from cellrt.recording.file import RecordingWriter
from cellrt.recording.header import describe
from cellrt.replay import Player
from cellrt.scan.plan import Plan
from cellrt.scan.recorder import Recorder, begin, longest, record, recorder
from cellrt.scan.runner import Runner
from cellrt.scan.step import step
from cellrt.scan.tables import Tables, Work
from cellrt.shared.ringfile import RingFile, RingFileReader, create
from cellrt.wire import DeviceMap, Floats, Ints, Point, Wire

SCANS = 20_000


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
        step(t, w, entries, base, inputs, reals, scan * period_ns, scan, 1)
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


def ring_for(plan: Plan, folder: Path) -> tuple[RingFile, Recorder]:
    """A ring in memory, and a recorder that writes into it."""
    ring = create(folder / "bench.ring", plan.hash, longest(plan))
    return ring, recorder(plan, ring)


def station_figures(folder: Path) -> dict[str, float]:
    """Time for a scan without and with recording, bytes a scan, and the speed of a replay."""
    plan = Plan(load_line(STATION))
    runner = Runner(plan)
    ring, r = ring_for(plan, folder)
    period_ns, scan = plan.line.period_ns, 0
    begin(r, runner.work, runner.inputs, -1, 1)

    def one_ns(recording: bool) -> float:
        nonlocal scan
        began_s = time.perf_counter()
        state = runner.tables, runner.work, r, runner.entries, runner.image.address
        inputs = runner.inputs, runner.input_reals
        scan_many(*state, *inputs, period_ns, scan, SCANS, recording)
        scan += SCANS
        return (time.perf_counter() - began_s) / SCANS * 1e9

    one_ns(False)
    step_ns, both_ns = median(lambda: one_ns(False)), median(lambda: one_ns(True))
    path = folder / "bench.rec"
    writer, reader = RecordingWriter(path, describe(plan)), RingFileReader(ring, ring.written)
    begin(r, runner.work, runner.inputs, scan - 1, 1)
    start = ring.written
    one_ns(True)
    written = ring.written - start
    writer.write(reader.drain())
    writer.close()
    player = Player(path)
    player.run()

    def replay_s() -> float:
        again = Player(path)
        began_s = time.perf_counter()
        again.run()
        return time.perf_counter() - began_s

    return {
        "step_ns": step_ns,
        "record_ns": both_ns - step_ns,
        "bytes_a_scan": written / SCANS,
        "replay_speed": SCANS * period_ns / 1e9 / median(replay_s),
        "replay_differing": int(player.tally[1]),
    }


def analog_figures(folder: Path, amplitude: int) -> dict[str, float]:
    """Bytes for noise of +-`amplitude` counts around slow values."""
    points = tuple(Point(f"a{n}", f"input:{n}", Wire.U16) for n in range(60))
    device = DeviceSpec("analogs", DeviceMap("memory", points, ()), "", 20, 200, 500, None)
    line = LineSpec(
        "analogs", Path(), 10_000_000, 1, {"analogs": device}, {}, (), SimSpec(), False, (), ""
    )
    plan = Plan(line)
    runner = Runner(plan)
    ring, r = ring_for(plan, folder)
    chance = np.random.default_rng(1)
    noise = 32768 + chance.integers(-amplitude, amplitude + 1, (SCANS, 60))
    begin(r, runner.work, runner.inputs, -1, 1)
    record_noise(r, runner.work, runner.inputs, noise)
    before = ring.written
    began_s = time.perf_counter()
    record_noise(r, runner.work, runner.inputs, noise)
    took_s = time.perf_counter() - began_s
    seconds = SCANS / 100
    return {
        f"analog_mb_per_hour_{amplitude}": (ring.written - before) / seconds * 3600 / 1e6,
        f"analog_record_ns_{amplitude}": took_s / SCANS * 1e9,
    }


def main() -> None:
    """Print the figures as JSON."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        told = station_figures(folder)
        for amplitude in (30, 1000, 32767):
            told |= analog_figures(folder, amplitude)
    print(json.dumps({key: round(value, 1) for key, value in told.items()}, indent=2))


if __name__ == "__main__":
    main()
