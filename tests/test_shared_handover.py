"""Triple buffer, queue and ring against plain models, with either side restarted at will."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellrt.shared.memory import Section, create
from cellrt.shared.queue import QueueReader, QueueWriter, queue_bytes
from cellrt.shared.ring import RingReader, RingWriter, ring_bytes
from cellrt.shared.triple import TripleReader, TripleWriter, sequence, triple_bytes
from cellrt.wire import Ints


def section(nbytes: int) -> Section:
    return create({"only": nbytes}, "00" * 32).section("only")


def record(number: int) -> Ints:
    return np.full(8, number)


def empty(words: int = 8) -> Ints:
    return np.zeros(words, np.int64)


def test_triple_never_published_has_nothing_to_take() -> None:
    reader, frame = TripleReader(section(triple_bytes(5))), empty(5)
    assert not reader.take(frame)
    assert not reader.recall(frame)


@settings(deadline=None)  # the first example compiles
@given(st.lists(st.sampled_from(["publish", "take", "restart writer", "restart reader"])))
def test_triple_gives_the_newest_frame_once(steps: list[str]) -> None:
    shared, frame = section(triple_bytes(5)), empty(5)
    writer, reader = TripleWriter(shared), TripleReader(shared)
    published = taken = 0
    for step in steps:
        if step == "publish":
            published += 1
            writer.publish(np.full(5, published))
        elif step == "take":
            assert reader.take(frame) == (published > taken)
            taken = published
        elif step == "restart writer":
            writer = TripleWriter(shared)
        else:
            reader, frame = TripleReader(shared), empty(5)
            assert reader.recall(frame) == (published > 0)
            taken = published
        assert set(frame) == {taken}
        assert sequence(shared.address, 5) == taken


def test_triple_for_other_frames_is_refused() -> None:
    shared = section(triple_bytes(5))
    with pytest.raises(ValueError, match="not for frames of 7 words"):
        TripleWriter(shared).publish(empty(7))
    with pytest.raises(ValueError, match="not for frames of 100 words"):
        TripleReader(shared).take(empty(100))


def test_frame_of_another_length_is_never_fresh() -> None:
    shared, frame = section(triple_bytes(5)), empty(5)
    TripleWriter(shared).publish(np.ones(6, np.int64))  # six words make as many cache lines
    assert not TripleReader(shared).take(frame)
    assert not frame.any()


@settings(deadline=None)  # the first example compiles
@given(st.lists(st.sampled_from(["push", "pop", "restart sender", "restart receiver"])))
def test_queue_keeps_order_and_refuses_when_full(steps: list[str]) -> None:
    shared, command = section(queue_bytes(3)), empty()
    sender, receiver = QueueWriter(shared), QueueReader(shared)
    model: deque[int] = deque()
    for number, step in enumerate(steps, 1):
        if step == "push":
            assert sender.push(record(number)) == (len(model) < 3)
            if len(model) < 3:
                model.append(number)
        elif step == "pop":
            assert receiver.pop(command) == bool(model)
            if model:
                assert set(command) == {model.popleft()}
        elif step == "restart sender":
            sender = QueueWriter(shared)
        else:
            receiver = QueueReader(shared)


def test_command_of_another_length_is_refused() -> None:
    shared = section(queue_bytes(3))
    with pytest.raises(ValueError, match="expected 8 int64"):
        QueueWriter(shared).push(empty(7))
    with pytest.raises(ValueError, match="expected 8 int64"):
        QueueReader(shared).pop(empty(9))


@settings(deadline=None)  # the first example compiles
@given(st.lists(st.integers(1, 12) | st.sampled_from(["read", "confirm", "restart"])))
def test_ring_loses_exactly_what_was_overwritten(steps: list[int | str]) -> None:
    shared, capacity, limit = section(ring_bytes(5)), 5, 3
    writer, reader = RingWriter(shared), RingReader(shared, limit)
    appended = read = confirmed = 0
    for step in steps:
        if isinstance(step, int):
            for _ in range(step):
                appended += 1
                assert writer.append(record(-1)) == appended
        elif step == "read":
            records, lost = reader.read()
            expected = range(max(read, appended - capacity) + 1, appended + 1)[:limit]
            assert records[:, 0].tolist() == list(expected)
            assert (records[:, 1:] == -1).all()
            assert lost == (expected[0] - read - 1 if expected else 0)
            read = expected[-1] if expected else read
        elif step == "confirm":
            reader.confirm()
            confirmed = read
        else:
            writer, reader = RingWriter(shared), RingReader(shared, limit)
            read = confirmed
        assert reader.cursor == confirmed
