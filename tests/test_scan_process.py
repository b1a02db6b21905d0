"""The scan's loop in a thread of the test: free of the interpreter, on its grid, and what it takes up."""

from __future__ import annotations

import ctypes
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellrt.commander import Commander
from cellrt.compiler.cache import prepare
from cellrt.compiler.native import sleep_until_ns
from cellrt.line.load import load_line
from cellrt.packml import Command, State
from cellrt.recording.file import RecordingWriter
from cellrt.recording.header import describe
from cellrt.recording.reader import RecordingReader
from cellrt.replay import replay
from cellrt.runtime.child import Order, Station
from cellrt.runtime.plainloop import run_plain
from cellrt.runtime.region import Status, sections
from cellrt.runtime.scan import loop_arguments, make_ready, power_up, shared_places
from cellrt.scan.commands import Operation, Origin
from cellrt.scan.events import Event
from cellrt.scan.executive import behind, run_scans
from cellrt.scan.plan import Plan
from cellrt.scan.recorder import longest
from cellrt.scan.warm import CELL_BYTES, LOOP_BYTES
from cellrt.shared import ringfile
from cellrt.shared.memory import Region, create
from cellrt.shared.queue import QueueWriter
from cellrt.shared.ring import RingReader
from cellrt.shared.triple import TripleWriter
from cellrt.tags import Scalar
from cellrt.wire import Ints

pytestmark = pytest.mark.real_time

STATION = Path(__file__).parents[1] / "cells" / "print_station.toml"
MS = 1_000_000
PERIOD_NS = 10 * MS
LIMIT_S = 60.0


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(load_line(STATION))


class Scan:
    """A scan process without its process: the same start, the same loop, in a thread."""

    def __init__(self, plan: Plan, region: Region, ring: Path, *, plain: bool = False) -> None:
        if not ring.exists():
            ringfile.create(ring, plan.hash, longest(plan), 1 << 20)
        order = Order("", region.fd, plan.hash, "", 0, "", str(ring), 1, {}, plain=plain)
        self.station = Station(order, plan, region)
        self.status = self.station.status
        self.status[Status.SPEED_PPM] = 1_000_000
        self.status[Status.STOP] = 0
        self.runner, desk = make_ready(self.station)
        self.desk = desk
        power_up(self.station, self.runner, desk)
        self.start_ns = int(self.status[Status.START_NS])
        arguments: tuple[Any, ...] = loop_arguments(self.station, self.runner, desk)
        if plain:
            arguments = self.runner, desk, self.start_ns, PERIOD_NS
        loop = run_plain if plain else run_scans
        self._thread = threading.Thread(target=loop, args=arguments, daemon=True)

    @contextmanager
    def running(self) -> Iterator[Scan]:
        """The loop runs within, and has ended behind."""
        self._thread.start()
        try:
            yield self
        finally:
            self.status[Status.STOP] = 1
            self._thread.join(LIMIT_S)
            assert not self._thread.is_alive()

    def scans(self, count: int) -> None:
        """Wait until so many more scans were done."""
        target = self.status[Status.SCANS] + count
        wait_for(lambda: bool(self.status[Status.SCANS] >= target))

    def read(self, tag: str) -> Scalar:
        return self.runner.image.read(self.station.plan.layout.find(tag))

    def write(self, tag: str, value: Scalar) -> None:
        self.runner.image.write(self.station.plan.layout.find(tag), value)


def wait_for(condition: Callable[[], bool]) -> None:
    """Look until it holds; a test that waits for nothing fails."""
    until_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < until_s


class Start:
    """Starts scans on one region, one after the other."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.ring = plan, folder / "ring"
        self.region = create(sections(plan), plan.hash)

    def __call__(self, *, plain: bool = False) -> Scan:
        return Scan(self.plan, self.region, self.ring, plain=plain)

    def events(self) -> Ints:
        return RingReader(self.region.section("events")).read()[0]


@pytest.fixture
def start(plan: Plan, tmp_path: Path) -> Start:
    return Start(plan, tmp_path)


@numba.njit
def mark_hold_mark(word: Ints, beats: Ints, for_ns: int, scratch: Ints, now_ns: int) -> Any:
    """Two looks at both words, `for_ns` apart. Compiled without `nogil`: it keeps the interpreter's lock."""
    first_scan, first_beat = word[0], beats[0]
    sleep_until_ns(now_ns + for_ns, scratch)
    return word[0] - first_scan, beats[0] - first_beat


def test_another_thread_holds_the_interpreter_for_a_second_the_scan_goes_on(start: Start) -> None:
    beats, over, scratch = np.zeros(1, np.int64), threading.Event(), np.zeros(2, np.int64)

    def beat() -> None:
        while not over.is_set():
            beats[0] += 1

    mark_hold_mark(beats, beats, 0, scratch, 0)  # compiled before it counts
    with start().running() as scan:
        scan.scans(3)
        interpreter = threading.Thread(target=beat)
        interpreter.start()
        wait_for(lambda: bool(beats[0] > 0))
        scanned, interpreted = mark_hold_mark(
            scan.status[Status.SCANS :], beats, 1_000 * MS, scratch, time.monotonic_ns()
        )
        over.set()
        interpreter.join()
    assert interpreted == 0, "the lock was held throughout"
    assert scanned > 1


class Stall:
    """Stands in for a cell's machine code: keeps some scans busy for so many periods, and takes notes.

    `stalls`: how many scans came before; periods. `notes`: the scan's number, monotonic time of its end.
    """

    def __init__(self, scan: Scan, cell: str, stalls: dict[int, float]) -> None:
        plan = scan.station.plan
        self.notes: list[tuple[int, int]] = []

        def entry(record: int) -> None:
            number = int(scan.read(f"{cell}.now_ns")) // PERIOD_NS
            until = number + stalls.get(len(self.notes), 0.0)
            while time.monotonic_ns() < scan.start_ns + until * PERIOD_NS:
                pass
            self.notes.append((number, time.monotonic_ns()))

        self._entry = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(entry)
        kinds = plan.assembly.types()
        row = kinds.index(plan.assembly.members[cell])
        scan.runner.entries[row] = ctypes.cast(self._entry, ctypes.c_void_p).value


def test_scan_made_ready_knows_all_its_memory_and_all_machine_code(start: Start) -> None:
    scan = start()
    desk, work = scan.desk, scan.runner.work
    data, code = desk.warm.data.tolist(), desk.warm.code.tolist()
    arrays = (scan.runner.inputs, scan.runner.entries, work.image.words, work.outputs, desk.samples)
    places = [a.ctypes.data for a in (*arrays, desk.recorder.results, desk.status)]
    for at in [*places, *shared_places(desk)]:
        assert any(begin <= at < end for begin, end in data), (
            "head of an array or of what is shared"
        )
    loop = prepare(run_scans, *loop_arguments(scan.station, scan.runner, desk))
    for at, size in [
        (loop, LOOP_BYTES),
        *((at, CELL_BYTES) for at in scan.runner.entries.tolist()),
    ]:
        for place in (at, at + size - 1):
            assert any(begin <= place < end for begin, end in code)


def test_stalled_scan_is_followed_by_what_is_still_due_and_counted_once(start: Start) -> None:
    scan = start()
    stall = Stall(scan, "station", {3: 5.5, 7: 40.5, 8: 1.5})
    with scan.running():
        wait_for(lambda: len(stall.notes) >= 15)
    notes = stall.notes
    gaps = {b: b - a - 1 for (a, _), (b, _) in itertools.pairwise(notes)}
    assert gaps[notes[4][0]] >= 5 and gaps[notes[8][0]] >= 40, "the stalls were seen"
    for (_, ended_ns), (number, _) in itertools.pairwise(notes):
        assert scan.start_ns + number * PERIOD_NS >= ended_ns, "no scan is made up for"

    told = {
        t_ns // PERIOD_NS: skipped
        for _, t_ns, kind, _, skipped, *_ in start.events().tolist()
        if kind == Event.OVERRUN
    }
    assert told == {number: gap for number, gap in gaps.items() if gap}
    status = scan.status
    first, last = notes[0][0], int(status[Status.SCAN])
    assert status[Status.SCANS] == len(notes)
    assert status[Status.SCANS] + sum(told.values()) == last - first + 1
    assert 0 <= status[Status.OVERRUNS] - sum(told.values()) <= 1, "one may follow the last scan"


@given(late_ns=st.integers(-PERIOD_NS, 100 * PERIOD_NS), scan=st.integers(0, 10**9))
def test_behind_names_the_first_scan_that_is_still_due(late_ns: int, scan: int) -> None:
    """`late_ns`: by how much a scan ended after the next one was due."""
    start_ns = 7 * PERIOD_NS + 3
    ended_ns = start_ns + (scan + 1) * PERIOD_NS + late_ns
    skipped, told_ns = behind(start_ns, PERIOD_NS, scan, ended_ns)
    due_ns = start_ns + (scan + 1 + skipped) * PERIOD_NS
    assert due_ns >= ended_ns
    assert skipped == 0 or due_ns - PERIOD_NS < ended_ns, "none is passed over needlessly"
    assert told_ns == max(late_ns, 0)


def command(plan: Plan, commander: Commander, cell: str, what: Command) -> Ints:
    number = plan.cells.index(cell)
    words = commander.command(Operation.PACKML, number, int(what), 10**15)
    return np.array(words, np.int64)


def test_restarted_scan_takes_up_what_is_retained_and_nothing_else(start: Start) -> None:
    plan, region, first = start.plan, start.region, start()
    first.write("loader.serial", 41)
    first.write("infeed.board.id", 41)
    first.write("infeed.board.result", 2)
    first.write("infeed.unit.boards_out", 40)
    with first.running():
        queue = QueueWriter(region.section("commands-brain"))
        queue.push(command(plan, Commander(1, Origin.SUPERVISOR), "infeed", Command.ABORT))
        wait_for(lambda: first.read("infeed.unit.state") == State.ABORTED)
        first.write("printer.pressure_N_wanted", 77.0)
        first.scans(2)
    assert region.epoch == 1

    second = start()
    assert region.epoch == 2
    assert second.read("loader.serial") == 41
    assert second.read("infeed.board.id") == 41
    assert second.read("infeed.board.result") == 2
    assert second.read("infeed.unit.boards_out") == 40
    for cell in plan.cells:
        assert second.read(f"{cell}.unit.state") == State.STOPPED, "power-up is Stopped"
        assert second.read(f"{cell}.unit.tripped") == 0
    with second.running():
        second.scans(3)
    events = start.events()
    kinds = events[:, 2].tolist()
    assert kinds.count(Event.STARTED) == 2
    after = events[kinds.index(Event.STARTED, 1) :]
    assert Event.BOARD_IN not in after[:, 2], "boards that were there before are no news"
    assert events[:, 0].tolist() == list(range(1, len(events) + 1)), "numbers go on"


def test_restarted_scan_goes_on_in_the_same_logical_time(start: Start) -> None:
    with start().running() as first:
        first.scans(2)
    last = int(first.status[Status.SCAN])
    second = start()
    assert second.start_ns == first.start_ns
    with second.running():
        second.scans(2)
    assert second.status[Status.SCAN] > last
    assert second.status[Status.SCANS] < second.status[Status.SCAN] + 1, "what was missed is missed"


def test_command_for_an_earlier_epoch_is_refused(start: Start) -> None:
    with start().running() as first:
        first.scans(1)
    queue = QueueWriter(start.region.section("commands-brain"))
    queue.push(command(start.plan, Commander(1, Origin.SUPERVISOR), "infeed", Command.RESET))
    with start().running() as second:
        second.scans(2)
        assert second.read("infeed.unit.state") == State.STOPPED
    answers = [row[7] for row in start.events().tolist() if row[2] == Event.COMMAND]
    assert answers == [2]  # Refusal.OTHER_EPOCH


def test_scans_in_the_interpreter_are_recorded_with_their_commands_and_replay(
    start: Start, tmp_path: Path
) -> None:
    queue, path = QueueWriter(start.region.section("commands-brain")), tmp_path / "plain.cellrt"
    queue.push(command(start.plan, Commander(1, Origin.SUPERVISOR), "infeed", Command.RESET))
    with start(plain=True).running() as scan:
        scan.scans(5)
    writer = RecordingWriter(path, describe(start.plan))
    writer.write(ringfile.RingFileReader(ringfile.attach(start.ring, start.plan.hash)).drain())
    writer.close()
    base = start.plan.commands_base
    assert sum(int(told.inputs[base]) for told in RecordingReader(path)) == 1
    told = replay(path, start.plan.line)
    assert told.faithful and told.scans >= 5


def test_frame_published_by_io_is_what_the_scan_takes(start: Start) -> None:
    coupler, frame = start.plan.samples[0], np.zeros(start.plan.commands_base, np.int64)
    points = [p.name for p in coupler.device.map.inputs]
    frame[coupler.base] = time.monotonic_ns()
    frame[coupler.first_raw + 1 + points.index("pusher_home")] = 1
    with start().running() as scan:
        TripleWriter(start.region.section("inputs")).publish(frame)
        wait_for(lambda: bool(scan.read("loader.pusher_home")))
        assert not scan.read("loader.stack_present")
