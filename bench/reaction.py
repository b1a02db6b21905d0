"""From an edge of an input on the wire to that of its output on the wire, over Modbus TCP.

Ours is a line as `cellrt run` runs it: a cell that shows what it sees, scanned every 10 ms, its device
polled every 10 ms. Beside it stands a loop in C with nothing around it: read, compute, write, sleep to the
next 10 ms. Both are masters of one device, which makes the edges at random moments and notes when each
master's coil has followed; so both meet the very same edges, and what the machine does meanwhile.

What it may take at most, P being the poll period, S the scan's, T a round trip:

* The bound: P + T + 2 S + P + T. An edge that was just missed is read a poll later; a sample that was just
  missed is taken in a scan later, and that scan may last its whole period; what it says is written a poll
  later. Here 40 ms and two round trips.
* OpenPLC's order (runtime 3, `modbus_master.cpp`): a thread of its own reads all inputs, writes all outputs
  and sleeps P; scans come when they come. What a turn has read cannot be in what the same turn writes, a
  moment later: it is written in the next one, or the one after where its scan was not done by then. That is
  2 (P + 2 T) at best and 3 (P + 2 T) within the bound's terms, and P more than half a P in the median.
* Ours asks just before a scan, by a lead L that covers 999 answers of 1,000, and writes what the scan changed
  right behind it: P + L + T, half a P + L + T in the median, and S more for the thousandth.
* The loop in C waits for no scan: P + 2 T.

An edge during which the host of a virtual machine took a processor away measures the host, and is left out; how
often that happened stands beside every bench, in ticks.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from bench.native import built
from bench.places import REACTION, ROOT
from bench.registry import Bench, NotHere, Pair, Round, subject
from bench.wake import percentile, spread_of
from cellrt.wire import Floats

PERIOD_NS = 10_000_000
EDGES, QUICK_EDGES = 300, 20
STARTS_WITHIN = 300
"""Edges of a second each, in which the line comes to follow them: nothing of it may be compiled yet."""
ENDS_WITHIN_S = 30
MS = 1e6


class Device:
    """The device of both masters."""

    def __init__(self, program: Path) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([str(program)], stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to: IO[str] = self._process.stdin
        self._from: IO[str] = self._process.stdout
        self.port = int(self._from.readline())
        self._seed = 0

    def edges(self, count: int, coils: int) -> Floats:
        """How long after each of `count` edges the first `coils` coils followed, in ms.

        float64[edges, coils], without edges in which the host took time; negative where a coil did not
        follow in a second.
        """
        self._seed += 1
        self._to.write(f"{count} {self._seed} {PERIOD_NS} {coils}\n")
        self._to.flush()
        rows = [self._from.readline().split() for _ in range(count)]
        told = np.array(rows, np.int64)
        return told[told[:, -1] == 0, :-1] / MS

    def end(self) -> None:
        """It ends when it is not spoken to any more."""
        self._to.close()
        self._process.wait()
        self._from.close()


@contextmanager
def device(program: Path) -> Iterator[Device]:
    """The device, until the block ends."""
    made = Device(program)
    try:
        yield made
    finally:
        made.end()


@contextmanager
def line(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The line, with its device on `port`."""
    path = folder / REACTION.name
    path.write_text(REACTION.read_text().replace("127.0.0.1:502", f"127.0.0.1:{port}"))
    device_map = REACTION.with_name("reaction_io.toml")
    (folder / device_map.name).write_text(device_map.read_text())
    command = [sys.executable, "-c", "from cellrt.app.cli import main; main()", "run", str(path)]
    env = {**os.environ, "CELLRT_STATE_DIR": str(folder / "state"), "PYTHONPATH": str(ROOT)}
    with (folder / "told").open("w") as told:
        process = subprocess.Popen(
            [*command, "--opcua-port", "0"], env=env, stdout=told, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def loop_in_c(program: Path, port: int) -> Iterator[None]:
    """The loop, writing the second coil."""
    process = subprocess.Popen([str(program), str(port), str(PERIOD_NS), "1"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


@subject(Bench("reaction_p50", "ms", "C loop"), Bench("reaction_p999", "ms", "C loop"))
def reaction(quick: bool) -> Iterator[Round]:
    """The median, and what one edge in a thousand takes longer than: the worst of a round."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        served = stack.enter_context(device(built("reaction_device.c", folder)))
        started = stack.enter_context(line(folder, served.port))
        if not follows(started, served):
            raise RuntimeError(f"the line does not follow: {(folder / 'told').read_text()}")
        stack.enter_context(loop_in_c(built("reaction_loop.c", folder), served.port))
        served.edges(QUICK_EDGES, coils=2)

        def one_round() -> Mapping[str, Pair]:
            took_ms = served.edges(QUICK_EDGES if quick else EDGES, coils=2)
            if len(took_ms) == 0:
                raise NotHere("no moment in which the host leaves this machine alone")
            if (took_ms < 0).any():
                raise RuntimeError(f"an output did not follow: {(folder / 'told').read_text()}")
            ours, theirs = (spread_of(each) for each in took_ms.T)
            return {
                "reaction_p50": Pair(percentile(ours, 0.5), percentile(theirs, 0.5), ours, theirs),
                "reaction_p999": Pair(percentile(ours, 0.999), percentile(theirs, 0.999)),
            }

        yield one_round


def follows(started: subprocess.Popen[bytes], served: Device) -> bool:
    """Wait until a line shows what it sees; False if it ends, or never does."""
    for _ in range(STARTS_WITHIN):
        if (served.edges(1, coils=1) >= 0).any():
            return True
        if started.poll() is not None:
            return False
    return False
