"""The recorder's side in the scan: the coding of records, and the ring that survives everybody."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recorded import Session, device, line
from stepping import MARK, crash_states, raise_signal

from cellrt import Cell, Var
from cellrt.compiled import compiled
from cellrt.compiler.cache import cached_njit
from cellrt.compiler.vectors import MANY
from cellrt.line.spec import CellSpec
from cellrt.recording.file import RecordingWriter
from cellrt.recording.header import describe
from cellrt.recording.reader import RecordingReader, next_record
from cellrt.scan.checksum import crc32c, fast_crc32c
from cellrt.scan.plan import OUTPUT_HEAD, Plan
from cellrt.scan.recorder import (
    begin,
    finish_recording,
    longest,
    record_scan,
    recorder,
    take_in,
)
from cellrt.scan.records import (
    BLOCK,
    BODY,
    FAR,
    HEAD_BYTES,
    longest_record,
    put,
    put_changes,
    seal,
)
from cellrt.scan.runner import Runner
from cellrt.scan.tape import add_changes, body, get
from cellrt.shared.memory import Section
from cellrt.shared.ringfile import (
    Octets,
    RingFile,
    RingFileError,
    RingFileReader,
    append,
    attach,
    create,
)
from cellrt.tags import WORD
from cellrt.wire import Ints

HASH = "5e" * 32
DEADLINE_S = 30.0
compiling = settings(deadline=None)
"""A first example may have to compile."""

WORDS = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), min_size=1, max_size=40)
"""Small words, and such as take all their bytes."""

SPARSE = st.integers(1, 700).flatmap(
    lambda size: st.tuples(
        st.just(size),
        st.dictionaries(st.integers(0, size - 1), st.integers(-(2**63), 2**63 - 1), max_size=12),
    )
)
"""So many words, and those few that changed: with stretches between them that are passed by the MANY."""


@cached_njit
def code(out: Octets, words: Ints, before: Ints, base: int) -> tuple[int, int]:
    to, ours, was = out.ctypes.data, words.ctypes.data, before.ctypes.data
    end, behind = put_changes(to, ours, was, words.size, base, 0, False)
    return end - to, behind


@cached_njit
def decode(data: Octets, end: int, words: Ints) -> bool:
    return add_changes(data, 0, end, words)


@cached_njit
def crc_of(data: Octets) -> tuple[int, int]:
    return crc32c(data, 0, data.size), fast_crc32c(data, 0, data.size)


@compiling
@given(WORDS, st.randoms(use_true_random=False))
def test_changes_coded_and_decoded_are_the_same(values: list[int], chance: random.Random) -> None:
    words = np.array(values, np.int64)
    before = np.array([v if chance.random() < 0.5 else 5 for v in values], np.int64)
    out = np.zeros(longest_record(words.size), np.uint8)
    end, behind = code(out, words, before, 0)
    assert end <= longest_record(words.size)
    changed = np.flatnonzero(words != before)
    assert behind == (changed[-1] // BLOCK * BLOCK if changed.size else 0)
    told = before.copy()
    assert decode(out, end, told)
    assert told.tolist() == values


@compiling
@given(SPARSE, st.sets(st.integers(0, 21), max_size=3), st.just(0) | st.integers(FAR - 1, FAR + 1))
@example((1, {0: 1}), set(), FAR)
@example((700, {0: 1, FAR + 1: 2, 2 * (FAR + 1): -1}), {20}, 0)
def test_few_changes_far_apart_and_dense_stretches_are_coded_as_one_by_one(
    sparse: tuple[int, dict[int, int]], dense: set[int], base: int
) -> None:
    size, few = sparse
    words, before = np.arange(size), np.arange(size)
    for place, change in few.items():
        words[place] ^= change
    for n in dense:
        words[MANY * n : MANY * (n + 1)] += 1
    out, told = (
        np.zeros(longest_record(size), np.uint8),
        np.append(np.zeros(base, np.int64), before),
    )
    end, _ = code(out, words, before, base)
    blocks = {place // BLOCK for place in np.flatnonzero(words != before).tolist()}
    assert end <= len(blocks) * (BLOCK + 1) * WORD
    assert end >= len(blocks) * (HEAD_BYTES + 1)
    assert decode(out, end, told)
    assert told[base:].tolist() == words.tolist() and not told[:base].any()


@compiling
@given(st.binary(max_size=60), st.integers(1, 8))
def test_any_bytes_are_changes_or_refused_and_nothing_else_is_touched(
    data: bytes, size: int
) -> None:
    words = np.zeros(size + 2, np.int64)
    decode(np.frombuffer(data, np.uint8).copy(), len(data), words[1:-1])
    assert words[0] == words[-1] == 0


def test_the_crc_is_the_standards_one() -> None:
    """RFC 3720, B.4: the check value, and 32 octets of zeros and of ones."""
    known = {b"123456789": 0xE3069283, bytes(32): 0x8A9136AA, b"\xff" * 32: 0x62A8AB43}
    for data, crc in known.items():
        assert crc32c(data, 0, len(data)) == crc  # type: ignore[arg-type]


@compiling
@given(st.binary(max_size=40))
def test_the_processors_crc_is_the_tables(data: bytes) -> None:
    by_table, by_hardware = crc_of(np.frombuffer(data, np.uint8).copy())
    assert by_table == by_hardware == crc32c(data, 0, len(data))  # type: ignore[arg-type]


# The ring: records are numbers, sealed as the recorder seals them.


@compiled
def write_number(ring: Ints, out: Octets, number: int) -> None:
    """A record of 7 to 40 bytes that says its number over and over."""
    at = put(out, BODY, number)
    for _ in range(1 + number % 7):
        at = put(out, at, number)
    begin, end = seal(out, at)
    append(ring, out.ctypes.data + begin, end - begin)


@cached_njit
def write_one(ring: Ints, out: Octets, number: int) -> None:
    raise_signal(MARK)
    write_number(ring, out, number)
    raise_signal(MARK)


@cached_njit
def write_many(ring: Ints, out: Octets, first: int, last: int) -> None:
    for number in range(first, last):
        write_number(ring, out, number)


class Numbers:
    """A ring in shared memory and something that writes numbers into it."""

    LONGEST = 128

    def __init__(self, path: Path, capacity: int = 512) -> None:
        self.ring = create(path, HASH, self.LONGEST, capacity)
        self.out = np.zeros(self.LONGEST, np.uint8)

    def write(self, first: int, last: int) -> None:
        write_many(self.ring.words, self.out, first, last)


def read_numbers(data: Octets) -> list[int]:
    """The numbers of all records in `data`; fails unless it is whole records from end to end."""
    numbers, at, end = [], 0, data.size
    told = data.tobytes()
    while at < end:
        begin, stop = whole_body(data, at, end)
        assert begin >= 0
        numbers.append(get(told, begin, end)[0])  # type: ignore[arg-type]
        at = stop + 4
    return numbers


@cached_njit
def whole_body(data: Octets, at: int, end: int) -> tuple[int, int]:
    return body(data, at, end)


def test_records_come_out_as_they_went_in_round_after_round(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path / "ring")
    reader, read = RingFileReader(numbers.ring), []
    for first in range(0, 2000, 20):
        numbers.write(first, first + 20)
        piece = reader.drain()
        assert piece.position == reader.position - piece.data.size
        read += read_numbers(piece.data)
    assert read == [*range(2000)]
    assert reader.drain().data.size == 0


def test_a_late_reader_learns_where_it_goes_on(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path / "ring")
    reader = RingFileReader(numbers.ring)
    numbers.write(0, 500)
    piece = reader.drain()
    assert piece.position > 0
    assert numbers.ring.written - numbers.ring.capacity <= piece.position
    begin = int(next_record(piece.data, 0, piece.data.size))
    kept = read_numbers(piece.data[begin:])
    assert kept == [*range(kept[0], 500)] and len(kept) > 10


def test_a_ring_that_was_made_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path / "ring")
    numbers.write(0, 5)
    reader = RingFileReader(numbers.ring, position=10_000)
    assert read_numbers(reader.drain().data) == [*range(5)]


def test_a_ring_outlives_who_made_it_and_is_refused_to_others(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    Numbers(path).write(0, 5)
    assert read_numbers(RingFileReader(attach(path, HASH)).drain().data) == [*range(5)]
    with pytest.raises(RingFileError, match="another line"):
        attach(path, "00" * 32)
    os.truncate(path, 300)
    with pytest.raises(RingFileError, match="640 bytes, not 300"):
        attach(path, HASH)
    path.write_bytes(b"short")
    with pytest.raises(RingFileError, match="no ring"):
        attach(path, HASH)
    with pytest.raises(RingFileError, match="No such file"):
        attach(tmp_path / "none", HASH)


def test_a_ring_has_room_for_four_of_the_longest_records(tmp_path: Path) -> None:
    assert create(tmp_path / "ring", HASH, 1000, 2000).capacity == 4096
    assert create(tmp_path / "ring", HASH, 10, 2000).capacity == 2048


def test_at_every_instruction_a_kill_leaves_whole_records_only(tmp_path: Path) -> None:
    """Twice round the ring, so that records begin and end at every place of it."""
    numbers = Numbers(tmp_path / "ring")
    numbers.write(0, 70)
    section = Section(numbers.ring.words, numbers.ring.words.ctypes.data)
    args = numbers.ring.words, numbers.out, 70
    write_one.compile("void(int64[::1], uint8[::1], int64)")
    states = crash_states(section, lambda: write_one(*args))
    assert len(states) > 3
    before, after = states[0].words[8], states[-1].words[8]
    assert before < after
    for state in states:
        assert state.words[8] in (before, after), "the record is there or it is not"
        ring = RingFile.__new__(RingFile)
        ring.words = state.words
        piece = RingFileReader(ring).drain()
        begin = int(next_record(piece.data, 0, piece.data.size))
        kept = read_numbers(piece.data[begin:])
        assert kept == [*range(kept[0], 70 + (state.words[8] == after))]


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[tuple[Numbers, Callable[[int], Any]]]:
    """A ring, and a function that starts a process writing numbers from one on at full speed."""
    numbers, started = Numbers(tmp_path / "ring", 1 << 14), []
    numbers.write(0, 1)

    def start(first: int) -> int:
        pid = os.fork()
        if pid == 0:
            with suppress(BaseException):
                write_many(numbers.ring.words, numbers.out, first, 1 << 40)
            os._exit(1)
        started.append(pid)
        return pid

    yield numbers, start
    for pid in started:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_killed_writer_leaves_whole_records_and_its_successor_goes_on(writing: Any) -> None:
    numbers, start = writing
    chance, following = random.Random(3), 1
    for _ in range(20):
        mark = numbers.ring.written + chance.randrange(1, 300_000)
        pid = start(following)
        wait_for(lambda mark=mark: numbers.ring.written >= mark)
        kill(pid)
        piece = RingFileReader(numbers.ring).drain()
        begin = int(next_record(piece.data, 0, piece.data.size))
        kept = read_numbers(piece.data[begin:])
        assert piece.position + piece.data.size == numbers.ring.written
        assert kept == [*range(kept[0], kept[-1] + 1)] and len(kept) > 100 and kept[-1] >= following
        following = kept[-1] + 1


def test_a_reader_beside_a_writer_at_full_speed_sees_nothing_torn(writing: Any) -> None:
    numbers, start = writing
    start(1)
    wait_for(lambda: numbers.ring.written > 1000)
    reader, last, overtaken = RingFileReader(numbers.ring), -1, 0
    deadline = time.monotonic() + DEADLINE_S
    while overtaken < 20:
        expected, piece = reader.position, reader.drain()
        late = piece.position != expected
        begin = int(next_record(piece.data, 0, piece.data.size)) if late else 0
        kept = read_numbers(piece.data[begin:])
        overtaken += late
        if kept:
            assert kept == [*range(kept[0], kept[-1] + 1)]
            assert kept[0] > last if late else kept[0] == last + 1
            last = kept[-1]
        assert time.monotonic() < deadline


def written(session: Session) -> int:
    """Bytes that the next scan leaves in the ring."""
    before = session.ring.written
    session.scan()
    return session.ring.written - before


def settle(session: Session) -> None:
    """Good samples of both devices, and scans until nothing moves any more."""
    session.sample(0)
    session.sample(1)
    for _ in range(3):
        session.scan()


def test_a_quiet_scan_leaves_no_record_and_the_next_one_counts_it(tmp_path: Path) -> None:
    with Session(tmp_path / "x.rec") as session:
        settle(session)
        assert [written(session) for _ in range(50)] == [0] * 50
        session.sample(0)
        assert written(session) == 8
    assert [r.scan for r in RecordingReader(tmp_path / "x.rec")] == [*range(54)]


def test_a_fresh_sample_that_says_nothing_new_takes_one_bit(tmp_path: Path) -> None:
    with Session(tmp_path / "x.rec") as session:
        settle(session)
        session.sample(0)
        one = written(session)
        session.sample(0)
        session.sample(1)
        assert written(session) == one
        session.sample(1, pressure=3)
        assert written(session) == one + 5


@pytest.mark.parametrize("devices", [0, 1, 8, 9, 65])
def test_whichever_of_so_many_devices_have_a_fresh_sample_it_is_read_back(
    tmp_path: Path, devices: int
) -> None:
    """One that is as expected takes a bit, wherever its device stands; one that is not takes a block."""
    many = {f"d{n}": device(f"d{n}") for n in range(devices)}
    plan = Plan(replace(line(), devices=many, cells={}, handovers=(), text='[line]\nname = "pair"'))
    runner, chance = Runner(plan), random.Random(devices)
    ring = create(tmp_path / "ring", plan.hash, longest(plan), 1 << 20)
    r, inputs, lived = recorder(plan, ring), runner.inputs, []
    samples = np.zeros(plan.commands_base, np.int64)
    begin(r, runner.work, inputs, -1, 1)
    writer, reader = RecordingWriter(tmp_path / "x.rec", describe(plan)), RingFileReader(ring)
    bits = -(-devices // 8)
    for scan in range(100):
        fresh, at = [n for n in range(devices) if chance.random() < 0.1], ring.written
        noisy = [n for n in fresh if chance.random() < 0.1]
        for n in fresh:
            samples[plan.samples[n].base] += 1
            samples[plan.samples[n].first_raw] += 1
            samples[plan.samples[n].first_raw + 1] ^= n in noisy
        take_in(r, inputs, samples, scan)
        record_scan(r, runner.work, inputs, scan)
        assert inputs[: plan.commands_base].tolist() == samples.tolist()
        lived.append(samples.tolist())
        if fresh and not noisy:
            assert ring.written - at <= 1 + 2 + bits + 1 + 4, "length, numbers, bits, CRC"
    finish_recording(r, runner.work, inputs)
    writer.write(reader.drain())
    writer.close()
    told = [t.inputs[: plan.commands_base].tolist() for t in RecordingReader(tmp_path / "x.rec")]
    assert told == lived


class Counting(Cell):
    """A cell whose told tag changes in every scan, and nothing else."""

    scans: int = Var(told=True)

    def always(self) -> None:
        self.scans += 1


def test_a_told_tag_that_alone_changes_is_recorded(tmp_path: Path) -> None:
    cells = {"counting": CellSpec("counting", Counting, {}, {}, {})}
    spec = replace(line(), devices={}, cells=cells, handovers=(), text='[line]\nname = "pair"')
    with Session(tmp_path / "x.rec", spec=spec) as session:
        for _ in range(20):
            session.scan()
    told = [int(told.results[-1]) for told in RecordingReader(tmp_path / "x.rec")]
    assert told == [*range(1, 21)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_read_of_every_scan_is_what_it_took_in_and_what_came_of_it(
    tmp_path: Path, seed: int
) -> None:
    """Numbers and counters may jump; raw values that change without a fresh sample are not taken in."""
    lived: list[tuple[int, list[int], list[int]]] = []
    with Session(tmp_path / "x.rec", seed, hands=True) as session:
        inputs, work, chance = session.runner.inputs, session.runner.work, session.chance
        samples, taken = session.samples, inputs[: session.plan.commands_base]
        for _ in range(700):
            if chance.random() < 0.1:
                samples[chance.randrange(samples.size)] ^= 1 << chance.randrange(63)
            session.at_random(1)
            lived.append((session.runner.scan - 1, taken.tolist(), work.results.tolist()))
    reader = RecordingReader(tmp_path / "x.rec")
    for told, (scan, inputs_then, results_then) in zip(reader, lived, strict=True):
        assert told.scan == scan
        assert told.inputs[: samples.size].tolist() == inputs_then
        assert told.results[OUTPUT_HEAD:].tolist() == results_then[OUTPUT_HEAD:]
    assert not reader.findings
