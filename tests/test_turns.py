"""When io speaks with a device: just before scans, and at once when a scan has changed an output."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import free_port

from cellrt.line.load import load_line
from cellrt.modbus.frames import Server
from cellrt.modbus.requests import Request, confirmation, parse, reading
from cellrt.runtime import io
from cellrt.runtime.child import Order, Station
from cellrt.runtime.region import Status, sections
from cellrt.runtime.turns import Lead, Scans
from cellrt.scan.plan import Plan
from cellrt.shared.memory import create
from cellrt.shared.triple import TripleWriter

STATION = Path(__file__).parents[1] / "cells" / "print_station.toml"
LIMIT_S = 30.0
NEVER_MS = 60_000.0
"""A poll period after which no test looks any more."""


ALWAYS_MS = 1e-3
"""A poll period within which no device answers."""


def polled_every(poll_ms: float) -> Plan:
    """The print station, its printer polled so often."""
    spec = load_line(STATION)
    printer = replace(spec.devices["printer"], poll_ms=poll_ms)
    return Plan(replace(spec, devices={**spec.devices, "printer": printer}))


@pytest.fixture(scope="module")
def plan() -> Plan:
    """The print station, its printer polled once."""
    return polled_every(NEVER_MS)


def station(plan: Plan, port: int = 0, start_ns: int = 0, speed: float = 1.0) -> Station:
    region = create(sections(plan), plan.hash)
    status = region.section("status").words
    status[Status.START_NS], status[Status.SPEED_PPM] = start_ns, round(speed * 1e6)
    addresses = {"printer": f"127.0.0.1:{port}"}
    return Station(Order("", region.fd, plan.hash, "", 0, "", "", 1, addresses), plan, region)


@given(st.integers(1, 10**15), st.floats(0.1, 50), st.floats(0, 1e5))
def test_moment_is_moved_to_the_scan_nearest_to_it(
    plan: Plan, start_ns: int, speed: float, after_s: float
) -> None:
    scans = Scans(station(plan, start_ns=start_ns, speed=speed))
    moment_s = start_ns * 1e-9 + after_s
    moved_s = scans.nearest_s(moment_s, apart_s=1.0)
    scan = (moved_s - start_ns * 1e-9) / scans.period_s
    assert scan == pytest.approx(round(scan), abs=1e-3)
    assert abs(moved_s - moment_s) <= scans.period_s / 2 * 1.001


@given(st.floats(0, 1e5))
def test_first_scan_after_a_moment_is_the_very_next(plan: Plan, moment_s: float) -> None:
    scans = Scans(station(plan, start_ns=5_000_000_000))
    scan = scans.first_after(moment_s)
    assert scans.due_s(scan) > moment_s - 1e-9
    assert scans.due_s(scan - 1) <= moment_s + 1e-9


@pytest.mark.parametrize(("speed", "further"), [(0.1, 0), (1.0, 0), (2.0, 0), (4.0, 1), (15.0, 7)])
def test_of_scans_that_follow_soon_one_in_five_milliseconds_is_heard(
    plan: Plan, speed: float, further: int
) -> None:
    scans = Scans(station(plan, start_ns=5_000_000_000, speed=speed))
    assert scans.heard_after(1234.5) == scans.first_after(1234.5) + further


def test_before_any_scan_no_moment_is_moved(plan: Plan) -> None:
    scans = Scans(station(plan))
    assert not scans.is_known()
    assert scans.nearest_s(1.2345, apart_s=0.01) == 1.2345


def test_polls_that_come_faster_than_scans_are_not_moved(plan: Plan) -> None:
    scans = Scans(station(plan, start_ns=1))
    assert scans.nearest_s(1.2345, apart_s=0.009) == 1.2345


@pytest.mark.parametrize(
    ("speed", "polled_ms"), [(2.0, 10.0), (1.0, 10.0), (0.2, 50.0), (0.1, 100.0), (0.05, 10.0)]
)
def test_scans_are_rare_a_device_is_asked_once_for_each_while_one_sample_may_be_lost(
    plan: Plan, speed: float, polled_ms: float
) -> None:
    scans = Scans(station(plan, start_ns=1, speed=speed))
    assert scans.poll_s(0.010, stale_s=0.2) == pytest.approx(polled_ms / 1e3)


def test_lead_comes_to_be_outlasted_by_one_answer_in_a_thousand() -> None:
    draw, lead, longer = random.Random(1), Lead(), 0
    for n in range(200_000):
        took_s = draw.uniform(0.001, 0.003)
        longer += n >= 100_000 and took_s > lead.s
        lead.learn(took_s, most_s=0.01)
    assert 0.0005 < longer / 100_000 < 0.002


def test_a_slow_answer_moves_the_lead_by_no_more_than_a_quarter() -> None:
    lead = Lead()
    lead.learn(0.009, most_s=0.01)
    assert 0.001 < lead.s <= 0.00125


def test_stalls_that_no_lead_covers_do_not_move_it() -> None:
    lead, calm = Lead(), Lead()
    for n in range(1_000):
        lead.learn(5.0 if n % 10 == 0 else 0.0008, most_s=0.01)
        if n % 10:
            calm.learn(0.0008, most_s=0.01)
    assert lead.s == calm.s <= 0.001


def test_lead_is_never_longer_than_a_poll() -> None:
    lead = Lead()
    for _ in range(100):
        lead.learn(0.005, most_s=0.005)
    assert lead.s == 0.005
    lead.learn(0.005, most_s=0.002)
    assert lead.s == 0.002


class Printer:
    """A Modbus printer, and a scan that says something new whenever it has answered a read."""

    def __init__(self, plan: Plan) -> None:
        self.port = free_port()
        self.station = station(plan, self.port, start_ns=time.monotonic_ns())
        self.sample = plan.samples[plan.devices.index("printer")]
        self.coils: list[int] = []
        self.samples = 0
        """How often the last of the inputs was read."""
        self.scans = 0
        self._outputs = np.zeros(plan.output_words, np.int64)
        self._to_io = TripleWriter(self.station.region.section("outputs"))
        self._server = Server(self._answer, range(256))

    def _answer(self, pdu: bytes, _: object) -> bytes:
        request = parse(pdu)
        if request.is_write:
            self._note(request)
            return confirmation(pdu)
        self.samples += request.table == "input"
        return reading(request, np.zeros(request.count, np.uint16))

    def _note(self, request: Request) -> None:
        if request.table == "coil":
            self.coils.append(request.values[0])

    def scan(self) -> None:
        """Turn the first output over, in a scan that is done sooner than any that io may wait for."""
        self.scans += 1
        self._outputs[0] = 1 << 40
        self._outputs[self.sample.output_base] ^= 1
        self._to_io.publish(self._outputs)

    @contextlib.asynccontextmanager
    async def served(self, exchange: io.Exchange) -> AsyncIterator[io.DeviceTask]:
        """The printer is there for io within."""
        await self._server.start("127.0.0.1", self.port)
        try:
            async with asyncio.timeout(LIMIT_S):
                yield io.DeviceTask(self.station, exchange, self.sample)
        finally:
            await self._server.stop()

    @contextlib.asynccontextmanager
    async def polled(self, exchange: io.Exchange) -> AsyncIterator[io.DeviceTask]:
        """io polls the printer within."""
        async with self.served(exchange) as task:
            polling = asyncio.create_task(task.run())
            try:
                yield task
            finally:
                polling.cancel()
                await asyncio.wait({polling})


async def test_output_that_a_scan_changed_does_not_wait_for_the_poll(plan: Plan) -> None:
    printer = Printer(plan)
    exchange = io.Exchange(printer.station)
    async with printer.polled(exchange):
        while not printer.coils:  # at rest, as after every connect
            await asyncio.sleep(0)
        printer.scan()
        while len(printer.coils) < 2:
            await asyncio.sleep(0)
    assert printer.coils == [0, 1]


async def test_output_that_a_scan_changed_without_a_sample_does_not_wait_either(plan: Plan) -> None:
    """As by a timer, many scans after the last sample of any device."""
    printer, heard = Printer(plan), asyncio.Semaphore(0)
    exchange = io.Exchange(printer.station)
    exchange.hearers.append(heard.release)
    async with printer.polled(exchange):
        for _ in range(4):
            await heard.acquire()
        assert printer.coils == [0] and printer.samples == 2, "one poll, long ago"
        printer.scan()
        while len(printer.coils) < 2:
            await asyncio.sleep(0)
    assert printer.coils == [0, 1] and printer.samples == 2


async def test_last_words_are_written_and_nothing_is_read(plan: Plan) -> None:
    printer = Printer(plan)
    printer.scan()
    async with printer.served(io.Exchange(printer.station)) as task:
        await task.say_last_words()
    assert printer.coils == [1]
    assert printer.samples == 1, "as it was connected"


async def test_answers_slower_than_the_declared_poll_move_the_lead_where_scans_are_rarer() -> None:
    printer = Printer(polled_every(ALWAYS_MS))
    async with printer.polled(io.Exchange(printer.station)) as task:
        at_first_s = task.lead.s
        while task.lead.s == at_first_s:
            await asyncio.sleep(0)
        assert task.lead.s > ALWAYS_MS / 1e3


async def test_outputs_that_change_again_wait_for_the_poll_and_nothing_is_read_before(
    plan: Plan,
) -> None:
    printer, heard = Printer(plan), asyncio.Semaphore(0)
    exchange = io.Exchange(printer.station)
    async with printer.polled(exchange):
        exchange.hearers.insert(0, printer.scan)
        exchange.hearers.insert(1, exchange.take_outputs)
        exchange.hearers.append(heard.release)
        await heard.acquire()  # behind the scan that took in the poll
        while len(printer.coils) < 2:
            await asyncio.sleep(0)
        for _ in range(3):
            await heard.acquire()
    assert printer.scans >= 4 and printer.coils == [0, 1]
    assert printer.samples == 2, "as it was connected, and as it was polled"
