"""How late a scan wakes that is due every millisecond, in the process that runs lines.

Beside a C loop that asks the system for the same: SCHED_FIFO, locked memory, a processor that does not
sleep deeply; it sleeps once for each cycle. The two take turns; ours is halted while the other runs.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from bench.load import loaded
from bench.native import built
from bench.places import BUSY
from bench.processes import Line, line
from bench.registry import Bench, NotHere, Pair, Round, Spread, subject
from cellrt.app.options import free_range
from cellrt.scan.histogram import BINS, value_of
from cellrt.shared.memory import Role
from cellrt.wire import Floats, Ints

PERIOD_NS = 1_000_000
SCANS, QUICK_SCANS = 5_000, 200
SETTLE_SCANS = 2_000
"""In which a spin is learned."""
MOST_S = 60
US = 1e3

VALUES: Floats = np.array([value_of(place) for place in range(BINS - 2)]) / US

Reference = Callable[[int], Spread]


def since(before: Ints, after: Ints) -> Spread:
    """What a histogram of the scan counted between two looks, in us."""
    counts = (after - before)[: BINS - 2].astype(np.float64)
    return Spread(VALUES[counts > 0], counts[counts > 0])


def percentile(spread: Spread, share: float) -> float:
    """The value that `share` (0..1) of all lie at or under."""
    below = spread.counts.cumsum()
    return float(spread.values[np.searchsorted(below, share * below[-1])])


def spread_of(values: Floats) -> Spread:
    """Single values, counted."""
    found, counts = np.unique(values, return_counts=True)
    return Spread(found, counts.astype(np.float64))


def c_loop(program: Path, cycles: int, words: int = 0) -> Ints:
    """Lateness and execution of each cycle in ns, int64[cycles, 2]."""
    told = program.with_suffix(".ns")
    command = [str(program), str(PERIOD_NS), str(cycles), str(told), str(words)]
    subprocess.run(command, check=True, timeout=MOST_S)
    return np.fromfile(told, np.int64).reshape(-1, 2)


def in_c(folder: Path) -> Reference:
    """The C loop: how late it wakes, in us."""
    program = built("wake.c", folder)
    return lambda cycles: spread_of(c_loop(program, cycles)[:, 0] / US)


def cyclictest(folder: Path) -> Reference:
    """The kernel developers' own measure. Raises NotHere."""
    if shutil.which("cyclictest") is None:
        raise NotHere("no cyclictest (Debian: rt-tests)")
    told = folder / "cyclictest"  # its histogram, in us; into a pipe it would wait for ever

    def run(cycles: int) -> Spread:
        options = f"-q -m -p 80 -i {PERIOD_NS // 1000} -l {cycles} -h 10000 --histfile={told}"
        subprocess.run(["cyclictest", *options.split()], check=True, timeout=MOST_S)
        rows = [r.split() for r in told.read_text().splitlines() if r and r[0].isdigit()]
        found = np.array(rows, np.float64)
        found = found[found[:, 1] > 0]
        return Spread(found[:, 0], found[:, 1])

    return run


def wake(
    stem: str, quick: bool, open_reference: Callable[[Path], Reference], *, spin: bool, load: bool
) -> Iterator[Round]:
    """The median and the 99th percentile, beside the reference's."""
    scans, end = QUICK_SCANS if quick else SCANS, "_loaded" if load else ""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        reference, port = open_reference(folder), free_range(1)
        ours: Line = stack.enter_context(line(BUSY, folder / "line", spin=spin, opcua_port=port))
        ours.start(Role.SCAN)
        if load:
            stack.enter_context(loaded(ours, BUSY, port))
        ours.scans(QUICK_SCANS if quick else SETTLE_SCANS, PERIOD_NS)

        def one_round() -> Mapping[str, Pair]:
            before = ours.bins("lateness")
            ours.scans(scans, PERIOD_NS)
            mine, theirs = since(before, ours.bins("lateness")), reference(scans)
            return {
                f"{stem}_p50{end}": Pair(
                    percentile(mine, 0.5), percentile(theirs, 0.5), mine, theirs
                ),
                f"{stem}_p99{end}": Pair(percentile(mine, 0.99), percentile(theirs, 0.99)),
            }

        yield one_round


def register(
    stem: str, name: str, reference: Callable[[Path], Reference], *, spin: bool, load: bool
) -> None:
    """A subject for one way to wake."""
    end = "_loaded" if load else ""

    @subject(Bench(f"{stem}_p50{end}", "us", name), Bench(f"{stem}_p99{end}", "us", name))
    def each(quick: bool) -> Iterator[Round]:
        yield from wake(stem, quick, reference, spin=spin, load=load)


for _load in (False, True):
    register("wake_spin", "C loop", in_c, spin=True, load=_load)
    register("wake_nospin", "C loop", in_c, spin=False, load=_load)
register("wake_cyclictest", "cyclictest", cyclictest, spin=True, load=False)
