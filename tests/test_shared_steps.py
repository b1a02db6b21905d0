"""Hand-over interrupted at every single machine instruction: by a kill, and by the other side."""

from __future__ import annotations

import numpy as np
import pytest
from stepping import MARK, copy_of, crash_states, raise_signal, stopped_at_each_instruction

from cellrt.compiler.cache import cached_njit
from cellrt.compiler.native import store_release
from cellrt.shared import queue, ring, triple
from cellrt.shared.memory import Region, Section, create
from cellrt.wire import Ints

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
"""Newer Pythons warn of a fork beside threads; the child here runs nothing but compiled code."""

WORDS = 12
CAPACITY = 3


@cached_njit
def publish(base: int, source: int) -> None:
    raise_signal(MARK)
    triple.publish(base, WORDS, source)
    raise_signal(MARK)


@cached_njit
def take(base: int, target: int) -> None:
    raise_signal(MARK)
    triple.take(base, WORDS, target)
    raise_signal(MARK)


@cached_njit
def push(base: int, command: int) -> None:
    raise_signal(MARK)
    queue.push(base, CAPACITY, command)
    raise_signal(MARK)


@cached_njit
def pop(base: int, target: int) -> None:
    raise_signal(MARK)
    queue.pop(base, CAPACITY, target)
    raise_signal(MARK)


@cached_njit
def append(base: int, record: int) -> None:
    raise_signal(MARK)
    ring.append(base, CAPACITY, record)
    raise_signal(MARK)


@cached_njit
def read_after(base: int, target: int) -> None:
    raise_signal(MARK)
    count = ring.read_after(base, CAPACITY, 0, target, CAPACITY)
    store_release(target + CAPACITY * 64, count)
    raise_signal(MARK)


@pytest.fixture
def region() -> Region:
    sections = {"triple": triple.triple_bytes(WORDS), "queue": queue.queue_bytes(CAPACITY)}
    sections |= {"ring": ring.ring_bytes(CAPACITY), "target": 64 * CAPACITY + 8}
    return create(sections, "00" * 32)


def numbered(number: int, words: int = 8) -> Ints:
    """A frame, command or event all of whose words follow from its number."""
    return number + np.arange(words) * 1000


def is_whole(record: Ints) -> bool:
    return np.array_equal(record, numbered(int(record[0]), record.size))


def publish_up_to(section: Section, last: int) -> None:
    for number in range((int(section.words[0]) >> 8) + 1, last + 1):
        triple.TripleWriter(section).publish(numbered(number, WORDS))


def newest(section: Section) -> int:
    """Number of the frame that a reader which has just started begins with; it must be whole."""
    frame = np.zeros(WORDS, np.int64)
    assert triple.TripleReader(section).recall(frame)
    assert is_whole(frame)
    return int(frame[0])


def test_writer_killed_at_any_instruction_frames_go_on(region: Region) -> None:
    section, frame = region.section("triple"), numbered(4, WORDS)
    for taken_before in (False, True):
        section.words[:] = 0
        publish_up_to(section, 3)
        if taken_before:
            assert newest(section) == 3
        states = crash_states(section, lambda: publish(section.address, frame.ctypes.data))
        assert len(states) > 3, "the frame is seen to come bit by bit"
        seen = []
        for state in states:
            assert sorted(triple.owners(int(state.words[0]))) == [0, 1, 2]
            seen.append(newest(copy_of(state)))
            publish_up_to(state, 6)  # started again while a reader may hold what it holds
            assert newest(state) == 6
        assert seen == sorted(seen) and set(seen) == {3, 4}


def test_reader_killed_at_any_instruction_frames_go_on(region: Region) -> None:
    section, target = region.section("triple"), region.section("target")
    publish_up_to(section, 1)
    assert newest(section) == 1
    publish_up_to(section, 3)
    states = crash_states(section, lambda: take(section.address, target.address))
    assert len(states) == 2, "taking is one store"
    for state in states:
        assert newest(copy_of(state)) == 3
        publish_up_to(state, 6)
        assert newest(state) == 6


def test_writer_interrupted_anywhere_by_the_reader_both_go_on(region: Region) -> None:
    section, frame = region.section("triple"), numbered(4, WORDS)

    def prepare() -> None:
        section.words[:] = 0
        publish_up_to(section, 3)

    seen = set()
    for finish in stopped_at_each_instruction(
        prepare, lambda: publish(section.address, frame.ctypes.data)
    ):
        first = newest(section)
        held = triple.readers_slot(int(section.words[0]))
        finish()
        assert triple.readers_slot(int(section.words[0])) == held
        assert (first, newest(section)) in {(3, 4), (4, 4)}
        assert sorted(triple.owners(int(section.words[0]))) == [0, 1, 2]
        seen.add(first)
    assert seen == {3, 4}


def test_reader_interrupted_anywhere_by_the_writer_copies_a_whole_frame(region: Region) -> None:
    section, target = region.section("triple"), region.section("target")

    def prepare() -> None:
        section.words[:] = 0
        publish_up_to(section, 3)

    seen = set()
    for finish in stopped_at_each_instruction(
        prepare, lambda: take(section.address, target.address)
    ):
        publish_up_to(section, 6)
        finish()
        frame = target.words[:WORDS]
        assert is_whole(frame)
        seen.add(int(frame[0]))
        assert newest(section) == 6
    assert seen == {3, 6}


def test_both_killed_at_any_instruction_frames_go_on(region: Region) -> None:
    section, frame, target = region.section("triple"), numbered(4, WORDS), region.section("target")
    sides = [
        lambda: publish(section.address, frame.ctypes.data),
        lambda: take(section.address, target.address),
    ]
    for first, second in (sides, sides[::-1]):
        section.words[:] = 0
        publish_up_to(section, 3)
        for halfway in crash_states(section, first):
            section.words[:] = halfway.words
            for state in crash_states(section, second):
                assert sorted(triple.owners(int(state.words[0]))) == [0, 1, 2]
                assert newest(copy_of(state)) in (3, 4)
                publish_up_to(state, 6)
                assert newest(state) == 6


def all_commands(section: Section) -> list[int]:
    command, numbers = np.zeros(8, np.int64), []
    while queue.QueueReader(section).pop(command):
        assert is_whole(command)
        numbers.append(int(command[0]))
    return numbers


def test_sender_killed_at_any_instruction_no_half_command(region: Region) -> None:
    section, command = region.section("queue"), numbered(5)
    for number in (1, 2, 3, 4):
        assert queue.QueueWriter(section).push(numbered(number))
        if number < 3:
            assert queue.QueueReader(section).pop(np.zeros(8, np.int64))
    states = crash_states(section, lambda: push(section.address, command.ctypes.data))
    assert len(states) > 2
    for state in states[:-1]:
        assert all_commands(copy_of(state)) == [3, 4]
        assert queue.QueueWriter(state).push(numbered(6)), "started again"
        assert all_commands(state) == [3, 4, 6]
    assert all_commands(states[-1]) == [3, 4, 5]


def test_receiver_killed_at_any_instruction_no_command_twice(region: Region) -> None:
    section, target = region.section("queue"), region.section("target")
    for number in (1, 2, 3):
        queue.QueueWriter(section).push(numbered(number))
    states = crash_states(section, lambda: pop(section.address, target.address))
    assert [all_commands(state) for state in states] == [[1, 2, 3], [2, 3]]


def test_receiver_interrupted_anywhere_by_the_sender_takes_a_whole_command(
    region: Region,
) -> None:
    section, target = region.section("queue"), region.section("target")
    sender = queue.QueueWriter(section)

    def prepare() -> None:
        section.words[:] = 0
        for number in (1, 2, 3):
            assert sender.push(numbered(number))

    sent = set()
    for finish in stopped_at_each_instruction(
        prepare, lambda: pop(section.address, target.address)
    ):
        sent.add(sender.push(numbered(4)))
        finish()
        assert np.array_equal(target.words[:8], numbered(1))
    assert sent == {False, True}


def all_events(section: Section) -> tuple[list[int], int]:
    records, lost = ring.RingReader(section).read()
    assert all(is_whole(record) for record in records)
    return [int(number) for number in records[:, 0]], lost


def test_scan_killed_at_any_instruction_no_half_event(region: Region) -> None:
    section, event = region.section("ring"), numbered(5)
    for number in (1, 2, 3, 4):
        ring.RingWriter(section).append(numbered(number))
    assert all_events(section) == ([2, 3, 4], 1)
    states = crash_states(section, lambda: append(section.address, event.ctypes.data))
    found = [all_events(copy_of(state)) for state in states]
    assert len(states) > 4
    assert found == sorted(found) and [k for i, k in enumerate(found) if k not in found[:i]] == [
        ([2, 3, 4], 1),
        ([3, 4], 2),
        ([3, 4, 5], 2),
    ]
    for state in states[:-1]:
        assert ring.RingWriter(state).append(numbered(5)) == 5, "started again"
        assert all_events(state) == ([3, 4, 5], 2)


@pytest.mark.parametrize("later", [1, 2, 7])
def test_event_reader_interrupted_anywhere_by_the_scan_reads_whole_events(
    region: Region, later: int
) -> None:
    section, target = region.section("ring"), region.section("target")
    writer, seen = ring.RingWriter(section), set()

    def prepare() -> None:
        section.words[:] = 0
        for number in (1, 2, 3):
            writer.append(numbered(number))

    for finish in stopped_at_each_instruction(
        prepare, lambda: read_after(section.address, target.address)
    ):
        for number in range(4, 4 + later):
            writer.append(numbered(number))
        finish()
        count = target.words[-1]
        records = target.words[:-1].reshape(CAPACITY, 8)[:count]
        assert all(is_whole(record) for record in records)
        numbers = records[:, 0].tolist()
        assert numbers == list(range(numbers[0], numbers[0] + count)) if count else True
        seen.add(tuple(numbers))
    assert {(1, 2, 3), tuple(range(4 + later - CAPACITY, 4 + later))} <= seen
