"""The process io's count of what went wrong: a device that is not there yet is no error, a lost one is."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import select
import selectors
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from running import free_port

from cellrt import report
from cellrt.line.load import load_line
from cellrt.modbus.frames import Server
from cellrt.modbus.requests import confirmation, parse, reading
from cellrt.runtime import io
from cellrt.runtime.child import Order, Station
from cellrt.runtime.realtime import open_many
from cellrt.runtime.region import sections
from cellrt.scan.histogram import BINS, count
from cellrt.scan.plan import Plan
from cellrt.shared.memory import create

STATION = Path(__file__).parents[1] / "cells" / "print_station.toml"
LIMIT_S = 30.0


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(load_line(STATION))


class Field:
    """The line's memory, and a Modbus printer that can be switched on and off."""

    def __init__(self, plan: Plan) -> None:
        self.port = free_port()
        region = create(sections(plan), plan.hash)
        addresses = {"printer": f"127.0.0.1:{self.port}"}
        self.station = Station(
            Order("", region.fd, plan.hash, "", 0, "", "", 1, addresses), plan, region
        )
        self.printer = Server(self.answer, range(256))

    @staticmethod
    def answer(pdu: bytes, _: object) -> bytes:
        """Takes every write; every register and bit is 0."""
        request = parse(pdu)
        return (
            confirmation(pdu)
            if request.is_write
            else reading(request, np.zeros(request.count, np.uint16))
        )

    async def switch_on(self) -> None:
        await self.printer.start("127.0.0.1", self.port)

    @contextlib.asynccontextmanager
    async def polled(self) -> AsyncIterator[None]:
        """io polls the printer within."""
        plan = self.station.plan
        sample = plan.samples[plan.devices.index("printer")]
        task = io.DeviceTask(self.station, io.Exchange(self.station), sample)
        polling = asyncio.create_task(task.run())
        yield
        polling.cancel()
        await asyncio.wait({polling})
        assert polling.cancelled()
        await task.say_last_words()

    @property
    def told(self) -> report.Report:
        """What a report would say of the printer."""
        row: report.Report = report.io(self.station.plan, self.station.region)["printer"]
        return row

    async def until(self, holds: Callable[[report.Report], bool]) -> report.Report:
        async with asyncio.timeout(LIMIT_S):
            while not holds(self.told):
                await asyncio.sleep(0)
        return self.told


@pytest.fixture
def field(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> Field:
    monkeypatch.setattr(io, "BACKOFF_S", (0.0,))
    return Field(plan)


async def test_device_switched_on_after_the_line_was_absent_and_has_no_errors(field: Field) -> None:
    async with field.polled():
        await field.until(lambda told: told["absent"] >= 3)
        await field.switch_on()
        told = await field.until(lambda told: told["ok"])
    assert told["errors"] == 0
    await field.printer.stop()


async def test_device_gone_after_it_answered_has_errors(field: Field) -> None:
    await field.switch_on()
    async with field.polled():
        await field.until(lambda told: told["ok"])
        await field.printer.stop()
        told = await field.until(lambda told: told["errors"] >= 3)
    assert told["absent"] == 0 and not told["ok"]


async def test_io_started_again_knows_that_the_device_was_there(field: Field) -> None:
    await field.switch_on()
    async with field.polled():
        await field.until(lambda told: told["ok"])
    await field.printer.stop()
    async with field.polled():
        told = await field.until(lambda told: told["errors"] >= 3)
    assert told["absent"] == 0


async def test_device_that_never_comes_has_errors_in_the_end(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with field.polled():
        await field.until(lambda told: told["absent"] >= 3)
        monkeypatch.setattr(io, "STARTING_S", 0.0)
        await field.until(lambda told: told["errors"] >= 3)


async def test_device_that_talks_nonsense_has_errors_from_the_first(field: Field) -> None:
    field.printer = Server(lambda pdu, _: b"\x83\2", range(256))
    await field.switch_on()
    async with field.polled():
        told = await field.until(lambda told: told["errors"] >= 1)
    assert told["absent"] == 0
    await field.printer.stop()


def test_wait_for_devices_ends_with_the_first_word_of_one() -> None:
    here, there = socket.socketpair()
    with here, there, io.Microseconds() as devices:
        key = devices.register(here, selectors.EVENT_READ)
        assert devices.select(1e-6) == devices.select(0) == []
        there.send(b"!")
        assert devices.select(LIMIT_S) == devices.select() == [(key, selectors.EVENT_READ)]


def test_no_wait_is_left_to_epoll_which_rounds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float | None] = []
    polls: list[float | None] = []

    def wait(*watched: object) -> None:
        assert watched[:3] == ((devices.fileno(),), (), ())
        waits.append(watched[3])  # type: ignore[arg-type]

    def poll(_: object, timeout: float | None) -> list[object]:
        polls.append(timeout)
        return []

    monkeypatch.setattr(select, "select", wait)
    monkeypatch.setattr(selectors.EpollSelector, "select", poll)
    with io.Microseconds() as devices:
        for timeout in (1.2345e-3, 1e-6, 0.0, -1.0, None):
            devices.select(timeout)
    assert waits == [1.2345e-3, 1e-6]
    assert polls == [0, 0, 0.0, -1.0, None]


def test_io_may_open_as_many_descriptors_as_it_could_ask_for() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft // 2, hard))
    try:
        open_many()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ages_are_reported_by_device_by_protocol_and_together(plan: Plan) -> None:
    region = create(sections(plan), plan.hash)
    ages = region.section("ages").words.reshape(-1, BINS)
    for name, age_ms in {"coupler": 10, "printer": 20, "safety": 50}.items():
        count(ages[plan.devices.index(name)], age_ms * 1_000_000)
    told = {name: row["age_ms"]["max"] for name, row in report.io(plan, region).items()}
    assert told == {"coupler": 10, "printer": 20, "safety": 50}
    together = report.input_age_ms(plan, region)
    assert together["max"] == 50
    assert {p: t["max"] for p, t in together["by_protocol"].items()} == {"modbus": 20, "opcua": 50}
