"""Workloads of a PLC against the same by hand in C with gcc -O2; what both compute is compared bit for bit."""

from __future__ import annotations

import ctypes
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from bench import programs
from bench.native import built
from bench.registry import Bench, Pair, Round, subject
from cellrt.assembly import Assembly, Pace, Schedule
from cellrt.compiler.cache import cached_njit
from cellrt.compiler.entry import addresses
from cellrt.image import Image
from cellrt.scan.solve import solve
from cellrt.tags import Record
from cellrt.wire import Ints, Views, views

C = "C, gcc -O2"
PERIOD_NS = 1_000_000
SCANS, QUICK_SCANS, ROUNDS = 20_000, 500, 25
INPUTS = np.bitwise_xor.accumulate(1 << np.random.default_rng(1).integers(0, 63, 4096))
"""Bits of which one changes from scan to scan, as inputs do."""
HEAD_WORDS = 5
"""Words of `struct head`: type, now_ns, dt_s, word, x."""

LOOP = ("pid.out", "pid.integral", "degC")
WORKLOADS: Mapping[str, tuple[type[Record], str, Mapping[str, tuple[str, ...]]]] = {
    "logic_bool1k": (programs.Bool1k, "bool1k", {"rungs": ("run", "fault", "lamp")}),
    "logic_real1k": (programs.Real1k, "real1k", {"channels": ("value", "trend", "ahead")}),
    "logic_fb200": (
        programs.Blocks200,
        "blocks200",
        {"timers": ("q", "et_ns"), "counters": ("q", "cv")},
    ),
    "logic_pid20": (programs.Pid20, "pid20", {"loops": LOOP}),
    "logic_fsm50": (programs.Machines50, "machines50", {"machines": ("phase", "batches")}),
}
"""Our program, the C function, and what of both is compared: tags of each record of an array."""


@cached_njit
def many_scans(
    schedule: Schedule,
    pace: Pace,
    entries: Ints,
    base: int,
    image: Views,
    bits_at: int,
    real_at: int,
    bits: Ints,
    first: int,
    scans: int,
) -> None:
    """Scans from number `first`; in each the word at `bits_at` is new, and a real one at `real_at`."""
    for scan in range(first, first + scans):
        word = bits[scan % bits.size]
        image.words[bits_at] = word
        if real_at > 0:
            image.reals[real_at] = (word & 1023) * 0.0625
        now_ns, dt_s = scan * PERIOD_NS, PERIOD_NS * 1e-9
        solve(schedule, pace, entries, base, image, now_ns, scan, dt_s, None)


class Scanned:
    """A program in its memory, scanned through the table of entries as a line's cells are."""

    def __init__(
        self, schedule: Schedule, entries: Ints, image: Views, bits_at: int, real_at: int
    ) -> None:
        pace = Pace(np.ones(1, np.int64), np.zeros(1, np.int64))
        self._state = schedule, pace, entries, image.words.ctypes.data, image, bits_at, real_at
        self._bits = INPUTS
        self._scan = 0

    def scan_ns(self, scans: int) -> float:
        """So many scans; ns a scan."""
        began_ns = time.thread_time_ns()
        many_scans(*self._state, self._bits, self._scan, scans)
        took_ns = time.thread_time_ns() - began_ns
        self._scan += scans
        return took_ns / scans


class Ours(Scanned):
    """A cellrt program."""

    def __init__(self, program: type[Record], compared: Mapping[str, tuple[str, ...]]) -> None:
        assembly = Assembly({"program": program})
        place = assembly.layout.place
        self.image = Image(assembly.layout)
        real_at = place("program.x")[0] // 8 if "x" in program.fields else 0
        entries = addresses([program])
        super().__init__(
            assembly.schedule(), entries, self.image.views, place("program.word")[0] // 8, real_at
        )
        self._tags = [
            assembly.layout.find(f"program.{name}.{n}.{tag}")
            for name, tags in compared.items()
            for n in range(program.fields[name].count)
            for tag in tags
        ]

    def told(self) -> Ints:
        """The compared tags, raw."""
        values = [self.image.read(tag) for tag in self._tags]
        raw = [np.float64(v).view(np.int64) if isinstance(v, float) else int(v) for v in values]
        return np.array(raw, np.int64)


class Theirs(Scanned):
    """Its twin in C. Its memory is C's own; a head carries stamps and input."""

    def __init__(self, library: ctypes.CDLL, name: str, compared: int, real: bool) -> None:
        head = views(np.zeros(HEAD_WORDS, np.int64))
        row, task = np.array([[0, 0, 1, 2, 0]], np.int64), np.array([[1, 0, 1]], np.int64)
        schedule = Schedule(row[:0], row, task, task[:0], task[:0])
        address = ctypes.cast(library[name], ctypes.c_void_p).value
        library[f"{name}_begin"]()
        super().__init__(schedule, np.array([address], np.int64), head, 3, 4 if real else 0)
        self._library, self._tell = library, library[f"{name}_told"]
        self._told = np.zeros(compared, np.int64)

    def told(self) -> Ints:
        """What C has for the compared tags."""
        self._tell(ctypes.c_void_p(self._told.ctypes.data))
        return self._told


def compared_with_c(name: str, scans: int) -> Iterator[Round]:
    """One workload, both ways."""
    program, function, compared = WORKLOADS[name]
    with tempfile.TemporaryDirectory() as folder:
        library = ctypes.CDLL(str(built("programs.c", Path(folder), "-shared", "-fPIC")))
        ours = Ours(program, compared)
        theirs = Theirs(library, function, ours.told().size, "x" in program.fields)

        def one_round() -> Mapping[str, Pair]:
            pair = Pair(ours.scan_ns(scans), theirs.scan_ns(scans))
            if not np.array_equal(ours.told(), theirs.told()):
                raise ArithmeticError(f"{name}: cellrt and C have computed different things")
            return {name: pair}

        one_round()
        yield one_round


def register(name: str) -> None:
    """A subject for each workload."""

    @subject(Bench(name, "ns/scan", C), rounds=ROUNDS)
    def workload(quick: bool) -> Iterator[Round]:
        yield from compared_with_c(name, QUICK_SCANS if quick else SCANS)


for _name in WORKLOADS:
    register(_name)
