"""Latching in virtual time: when a sample counts, when a device is stale, and when it is good again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cellrt.line.load import load_line
from cellrt.scan.histogram import BINS
from cellrt.scan.latch import Latch, judge, latch
from cellrt.scan.plan import Plan
from cellrt.scan.recorder import longest, recorder, take_in
from cellrt.shared.ringfile import create
from cellrt.wire import Ints

STATION = Path(__file__).parents[1] / "cells" / "print_station.toml"
MS = 1_000_000


@pytest.fixture(scope="module")
def plan() -> Plan:
    line = load_line(STATION)
    devices = {name: replace(d, stale_ms=200.0) for name, d in line.devices.items()}
    return Plan(replace(line, devices=devices))


class Field:
    """Frames as the process io would publish them, and the latch that takes them, in virtual time."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.recorder = recorder(plan, create(folder / "ring", plan.hash, longest(plan), 1 << 20))
        self.latch: Latch = latch(plan, np.zeros(BINS * len(plan.devices), np.int64))
        self.frame: Ints = np.zeros(plan.commands_base, np.int64)
        self.samples: Ints = np.zeros(plan.commands_base, np.int64)
        self.inputs: Ints = np.zeros(plan.input_words, np.int64)
        self.published = False
        self.now_ns = 10_000_000 * MS
        self.counter = 0

    def poll(self, *values: int, alive: bool = True, device: int = 0) -> None:
        """A sample arrives now; the device's own counter moves while it is `alive`."""
        place = self.plan.samples[device]
        self.counter += alive
        self.frame[place.base] = self.now_ns
        self.frame[place.first_raw] = self.counter
        self.frame[place.first_raw + 1 :][: len(values)] = values
        self.published = True

    def scan(self, after_ms: int = 10) -> bool:
        """A scan; whether the first device counts as good."""
        self.now_ns += after_ms * MS
        if self.published:
            self.samples[:] = self.frame
        judge(self.latch, self.samples, self.published, self.now_ns)
        self.published = False
        take_in(self.recorder, self.inputs, self.samples, 1)
        return self.good()

    def fall_silent(self) -> None:
        """Scans without a sample, until the first device is stale."""
        assert not all(self.scan() for _ in range(100))

    def good(self, device: int = 0) -> bool:
        return bool(self.inputs[self.plan.samples[device].base + 1])

    def values(self, count: int, device: int = 0) -> list[int]:
        first = self.plan.samples[device].first_raw + 1
        return self.inputs[first : first + count].tolist()


@pytest.fixture
def field(plan: Plan, tmp_path: Path) -> Field:
    """A device that has been good for a while. It is stale after 200 ms and back after 500."""
    field = Field(plan, tmp_path)
    good = []
    for _ in range(60):
        field.poll()
        good.append(field.scan())
    assert good.index(True) == 49, "good after 500 ms of life"
    return field


def test_nothing_arrives_device_is_stale_after_its_time(field: Field) -> None:
    ages = [age for age in range(20, 400, 10) if field.scan()]
    assert ages[-1] == 200


def test_frozen_counter_device_is_stale_though_it_answers(field: Field) -> None:
    ages = []
    for age in range(20, 400, 10):
        field.poll(1, 1, alive=False)
        if field.scan():
            ages.append(age)
    assert ages[-1] == 200
    assert field.values(2) == [1, 1], "what it said is seen all the same"


def test_lost_polls_within_the_time_stop_nothing(field: Field) -> None:
    for lost in (1, 3, 10, 19):
        for _ in range(lost):
            assert field.scan()
        field.poll()
        assert field.scan()


def test_stale_device_counts_again_after_its_recovery_only(field: Field) -> None:
    field.fall_silent()
    for _ in range(49):
        field.poll()
        assert not field.scan()
    field.scan(300)  # lost once more: the time begins anew
    back = []
    for _ in range(60):
        field.poll()
        back.append(field.scan())
    assert back.index(True) == 49


def test_sample_that_io_brought_late_does_not_spare_the_recovery(field: Field) -> None:
    arrived_ns = field.now_ns + 185 * MS
    field.fall_silent()
    now_ns, field.now_ns = field.now_ns, arrived_ns
    field.poll()  # it came in time, but io was held up before it could publish it
    field.now_ns = now_ns
    assert not field.scan()


def test_frozen_counter_from_the_beginning_device_is_never_good(plan: Plan, tmp_path: Path) -> None:
    field = Field(plan, tmp_path)
    for _ in range(200):
        field.poll(alive=False)
        assert not field.scan()


def test_restarted_io_its_empty_frame_leaves_values_and_quality(field: Field) -> None:
    field.poll(1, 0, 1)
    field.scan()
    number = int(field.inputs[field.plan.samples[0].base])
    field.frame[:] = 0
    field.published = True
    assert field.scan()
    assert field.values(3) == [1, 0, 1]
    assert field.inputs[field.plan.samples[0].base] == number, "it is no new sample"
    field.fall_silent()
    assert field.values(3) == [1, 0, 1]
    assert field.inputs[field.plan.samples[0].base] == number
    for _ in range(60):
        field.poll(1, 0, 1)
        field.scan()
    field.poll(0, 1, 1)
    assert field.scan()
    assert field.values(3) == [0, 1, 1]


def test_sample_of_one_device_says_nothing_of_another(field: Field) -> None:
    for _ in range(100):
        field.poll(device=1)
        field.scan()
    assert field.good(1) and not field.good(0)
    assert field.inputs[field.plan.samples[2].base] == 0


def test_age_of_each_sample_at_latch_is_counted(field: Field) -> None:
    ages = field.latch.ages[0]
    before = ages.copy()
    field.poll()
    field.scan(7)
    field.scan(80)
    assert ages[BINS - 1] - before[BINS - 1] == 2
    assert ages[BINS - 2] == 87 * MS
