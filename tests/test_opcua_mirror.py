"""What clients see of a snapshot, row by row, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary
from hypothesis import given
from hypothesis import strategies as st
from scada_line import PERIOD_NS, WALL_START_NS, FakeScan, press_line

from cellrt.opcua.mirror import OWN_WORDS, SHED_CHANGES, Mirror, Row
from cellrt.scan.snapshot import SNAPSHOT_HEAD, Snapshot, image_base, snapshot_words
from cellrt.tags import WORD

NODE = ua.NodeId("a tag", 1)
Double, Int64, Boolean = ua.VariantType.Double, ua.VariantType.Int64, ua.VariantType.Boolean


class Bench:
    """A mirror of three tags of the press, and of the server's own counter."""

    def __init__(self) -> None:
        self.plan = press_line()
        self.scan = FakeScan(self.plan)
        gauge = SNAPSHOT_HEAD + self.plan.samples[1].base + 1
        words = snapshot_words(self.plan)
        rows = [
            Row(NODE, self.place("press.pressure_N"), float, Double, good=gauge),
            Row(NODE, self.place("press.attempts"), int, Int64),
            Row(NODE, self.place("press.armed"), bool, Boolean),
            Row(NODE, (words + SHED_CHANGES) * WORD, int, Int64),
        ]
        self.mirror = Mirror(rows, words, WALL_START_NS)

    def place(self, tag: str) -> int:
        return image_base(self.plan) * WORD + self.plan.layout.find(tag).offset

    def take(self) -> list[int]:
        """The next snapshot; the rows that changed."""
        self.mirror.pending[:] = False
        self.mirror.take(self.scan.snapshot())
        return np.flatnonzero(self.mirror.pending).tolist()

    def status(self, row: int) -> str:
        code = self.mirror.reading(row).StatusCode
        return "" if code is None else code.name


def test_no_snapshot_yet_line_waits_for_initial_data() -> None:
    bench = Bench()
    assert [bench.status(n) for n in range(4)] == ["BadWaitingForInitialData"] * 3 + ["Good"]
    assert bench.mirror.reading(0).Value is None


def test_first_snapshot_shows_every_value() -> None:
    bench = Bench()
    bench.scan.set("press.pressure_N", 12.5)
    assert bench.take() == [0, 1, 2]
    values = [bench.mirror.reading(n).Value for n in range(3)]
    assert values == [ua.Variant(12.5, Double), ua.Variant(3, Int64), ua.Variant(True, Boolean)]


def test_same_values_again_nothing_changed() -> None:
    bench = Bench()
    bench.take()
    assert bench.take() == []


def test_neighbouring_bools_are_told_apart() -> None:
    bench = Bench()
    bench.take()
    bench.scan.set("press.lamp", True)
    assert bench.take() == []
    bench.scan.set("press.armed", False)
    assert bench.take() == [2]


def test_nan_stays_nan_nothing_changed() -> None:
    bench = Bench()
    bench.scan.set("press.pressure_N", float("nan"))
    bench.take()
    assert bench.take() == []


def test_device_bad_its_rows_are_null_and_changes_behind_it_are_none() -> None:
    bench = Bench()
    bench.take()
    bench.scan.set_good("gauge", False)
    assert bench.take() == [0]
    assert [bench.status(n) for n in range(3)] == ["BadNoCommunication", "Good", "Good"]
    assert bench.mirror.reading(0).Value is None
    bench.scan.set("press.pressure_N", 99.0)
    assert bench.take() == []
    bench.scan.set_good("gauge", True)
    assert bench.take() == [0]
    assert bench.mirror.reading(0).Value == ua.Variant(99.0, Double)


def test_scan_lost_all_of_the_line_is_out_of_service_until_it_is_back() -> None:
    bench = Bench()
    bench.take()
    bench.mirror.lose()
    assert [bench.status(n) for n in range(4)] == ["BadOutOfService"] * 3 + ["Good"]
    assert bench.take() == [0, 1, 2]
    assert bench.status(1) == "Good"


def test_source_time_is_that_of_the_last_change_server_time_that_of_the_scan() -> None:
    bench = Bench()
    bench.take()
    bench.scan.set("press.attempts", 4)
    bench.take()
    bench.take()
    start = datetime.fromtimestamp(WALL_START_NS // 10**9, UTC)
    period = timedelta(microseconds=PERIOD_NS // 1000)
    reading, other = bench.mirror.reading(1), bench.mirror.reading(2)
    assert (reading.SourceTimestamp, reading.ServerTimestamp) == (
        start + 2 * period,
        start + 3 * period,
    )
    assert other.SourceTimestamp == start + period


def test_own_counter_counts_on() -> None:
    bench = Bench()
    bench.take()
    bench.mirror.count(SHED_CHANGES, 5)
    bench.mirror.count(SHED_CHANGES, 2)
    assert bench.mirror.reading(3).Value == ua.Variant(7, Int64)
    assert bench.take() == [3]


@given(
    pressure_N=st.floats(width=64),
    attempts=st.integers(-(2**63), 2**63 - 1),
    armed=st.booleans(),
    good=st.booleans(),
    lost=st.booleans(),
)
def test_change_is_what_asyncua_makes_of_the_reading(
    pressure_N: float, attempts: int, armed: bool, good: bool, lost: bool
) -> None:
    bench = Bench()
    bench.scan.set("press.pressure_N", pressure_N)
    bench.scan.set("press.attempts", attempts)
    bench.scan.set("press.armed", armed)
    bench.scan.set_good("gauge", good)
    bench.take()
    if lost:
        bench.mirror.lose()
    for row in range(4):
        reading = bench.mirror.reading(row)
        assert bench.mirror.change(row).encoded == struct_to_binary(reading)


def test_snapshot_shows_head_samples_and_tags_and_is_read_only() -> None:
    plan = press_line()
    scan = FakeScan(plan)
    scan.set("press.target_N", 77.5)
    snapshot = scan.snapshot()
    assert (snapshot.scan, snapshot.now_ns, snapshot.epoch) == (1, PERIOD_NS, 4)
    assert snapshot.samples[plan.samples[1].base + 1] == 1
    tags = ("press.target_N", "press.attempts", "press.armed")
    values = [snapshot.value(plan.layout.find(tag)) for tag in tags]
    assert values == [77.5, 3, True]
    assert [type(v) for v in values] == [float, int, bool]
    with pytest.raises(ValueError, match="read-only"):
        snapshot.words[0] = 1


def test_snapshot_of_another_plan_is_refused() -> None:
    plan = press_line()
    with pytest.raises(ValueError, match="this plan's have"):
        Snapshot.of(plan, np.zeros(snapshot_words(plan) + OWN_WORDS, np.int64))
