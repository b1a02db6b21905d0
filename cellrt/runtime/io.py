"""The process `io`: field devices to the scan and back. It copies; it never makes a value up.

One task a device, each at its own pace or that of the scan; a device that does not answer delays no other.
A device is asked just before a scan. What a scan changed is written right behind it, whether a sample came
for that scan or not, at most once between two polls; behind scans that follow each other sooner than
`turns.HEARD_S` up to so much later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import select
import selectors
import signal
import sys
import time
from collections.abc import Callable

import numpy as np
import structlog

from cellrt.drivers.base import DeviceError, Driver, NotThere
from cellrt.drivers.open import open_driver
from cellrt.runtime.child import Station, take_station, to_stderr
from cellrt.runtime.realtime import IO_PRIORITY, become_prompt, open_many
from cellrt.runtime.region import HEALTH_WORDS, Health
from cellrt.runtime.turns import Lead, Scans
from cellrt.scan.histogram import BINS, count
from cellrt.scan.plan import Sample
from cellrt.shared.memory import Role
from cellrt.shared.triple import TripleReader, TripleWriter
from cellrt.wire import Ints

BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Waits between attempts to reach a device that is gone; the last one stays."""

STARTING_S = 60.0
"""A device that has not answered yet may still be starting, for so long after io began to ask for it."""

SCANNED_S = 1e-4
"""When io first looks for what a scan said, behind the moment at which that was due."""

LAST_WORDS_S = 1.0
"""How long a stopping line tries to tell its devices the outputs at rest."""


class Exchange:
    """The frames to and from the scan, shared by all devices' tasks of this process.

    `frame` has the layout of a scan's inputs, with the time of a sample's arrival (monotonic ns, 0: there was none)
    in the place of its number, and nothing where the scan says whether the device is good.

    Everyone in `hearers` is called behind each scan that takes a frame in, and behind others, since a
    timer or an input that became stale changes outputs too: all where scans are HEARD_S apart.
    """

    def __init__(self, station: Station) -> None:
        section = station.region.section
        self._to_scan = TripleWriter(section("inputs"))
        self._from_scan = TripleReader(section("outputs"))
        self.frame: Ints = np.zeros(station.plan.commands_base, np.int64)
        self.outputs: Ints = np.zeros(station.plan.output_words, np.int64)
        self._from_scan.recall(self.outputs)
        self.scans = Scans(station)
        self.hearers: list[Callable[[], None]] = []
        self._heard = 0
        """The scan that is listened for, while there is an alarm."""
        self._alarm: asyncio.TimerHandle | None = None

    def take_outputs(self) -> None:
        """What the scan said last, into `outputs`."""
        self._from_scan.take(self.outputs)

    def publish(self) -> None:
        """The frame as it stands, to the scan."""
        self._to_scan.publish(self.frame)
        if self.scans.is_known():
            self._listen(self.scans.first_after(asyncio.get_running_loop().time()))

    def _listen(self, scan: int) -> None:
        """Be woken behind that scan, unless an earlier one is listened for."""
        if self._alarm is not None:
            if self._heard <= scan:
                return
            self._alarm.cancel()
        self._heard = scan
        due_s = self.scans.due_s(scan) + SCANNED_S
        self._alarm = asyncio.get_running_loop().call_at(due_s, self._look, SCANNED_S)

    def _look(self, after_s: float) -> None:
        """Whether the scan is done, else ever more rarely; not into the next one's time."""
        loop = asyncio.get_running_loop()
        self.take_outputs()
        if self.outputs[0] < self._heard and 2 * after_s < self.scans.period_s:
            self._alarm = loop.call_later(after_s, self._look, 2 * after_s)
            return
        self._alarm = None
        for hear in self.hearers:
            hear()
        self._listen(self.scans.heard_after(loop.time()))


class DeviceTask:
    """Polls one device."""

    def __init__(self, station: Station, exchange: Exchange, sample: Sample) -> None:
        self._exchange, self._sample = exchange, sample
        self._arrival = exchange.frame[sample.base :][:1]
        self._raw = exchange.frame[sample.first_raw :][: sample.raw]
        self._inputs: Ints = np.zeros(sample.raw, np.int64)
        self._outputs: Ints = np.zeros(1 + len(sample.device.map.outputs), np.int64)
        self._wanted = exchange.outputs[sample.output_base :][: self._outputs.size - 1]
        self._rest: asyncio.Future[bool] | None = None
        exchange.hearers.append(self._hear)
        number = station.plan.samples.index(sample)
        self._rtt = station.region.section("rtt").words[number * BINS : (number + 1) * BINS]
        self._health = station.region.section("io").words[number * HEALTH_WORDS :][:HEALTH_WORDS]
        self._log = structlog.get_logger().bind(process="io", device=sample.device.name)
        heartbeat = sample.device.map.heartbeat
        self._wrap = heartbeat.wire.high if heartbeat else 0
        self._period_s = sample.device.poll_ms / 1e3
        self.lead = Lead()
        device = sample.device
        address = station.order.addresses.get(device.name, device.address)
        timeout_s = min(max(device.stale_ms / 2e3, 0.02), 1.0)
        self._driver: Driver = open_driver(device.name, address, device.map, timeout_s)

    async def run(self) -> None:
        """Connect, poll, and begin again when the device is lost, for ever.

        Nobody there before it has ever answered is not an error: a device may be switched on with
        the line, and takes its time. After STARTING_S it is one.
        """
        failures, began_s = 0, time.monotonic()
        while True:
            try:
                await self._driver.connect()
                failures = 0
                await self._poll()
            except DeviceError as error:
                is_starting = self._health[Health.EXCHANGES] == 0 and isinstance(error, NotThere)
                is_starting = is_starting and time.monotonic() - began_s < STARTING_S
                self._health[Health.ABSENT if is_starting else Health.ERRORS] += 1
                self._health[Health.OK] = 0
                if failures == 0:
                    self._log.warning("not there yet" if is_starting else "lost", reason=str(error))
                await self._driver.close()
                wait_s = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
                failures += 1
                await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))

    async def _poll(self) -> None:
        """Exchange so that samples come just before scans; between two of them write when a scan has
        changed an output."""
        due_s = asked_s = time.monotonic()
        scans = self._exchange.scans
        stale_s = self._sample.device.stale_ms / 1e3
        while True:
            await self.exchange_once()
            now_s = time.monotonic()
            period_s = scans.poll_s(self._period_s, stale_s)
            self.lead.learn(now_s - asked_s, period_s)
            due_s = max(due_s + period_s, now_s + self.lead.s)
            scan_s = scans.nearest_s(due_s, period_s)
            asked_s = max(scan_s - self.lead.s, now_s)
            if await self._changed(asked_s):
                await self.write_once()
                asked_s = max(asked_s, time.monotonic())
                await asyncio.sleep(asked_s - time.monotonic())

    async def _changed(self, until_s: float) -> bool:
        """Wait until then, or until an output is to be another than was sent last; whether one is."""
        if self._is_behind():
            return True
        loop = asyncio.get_running_loop()
        self._rest = loop.create_future()
        alarm = loop.call_at(until_s, self._wake, False)
        try:
            return await self._rest
        finally:
            alarm.cancel()

    def _hear(self) -> None:
        if self._rests() and self._is_behind():
            self._wake(True)

    def _wake(self, changed: bool) -> None:
        if self._rest is not None and self._rests():
            self._rest.set_result(changed)

    def _rests(self) -> bool:
        return self._rest is not None and not self._rest.done()

    def _is_behind(self) -> bool:
        return bool((self._outputs[1:] != self._wanted).any())

    async def exchange_once(self) -> None:
        """One exchange: the scan's newest outputs there, a whole sample back. Raises DeviceError."""
        self._take_outputs()
        sent_ns = time.monotonic_ns()
        await self._driver.exchange(self._outputs, self._inputs)
        arrived_ns = time.monotonic_ns()
        self._raw[:] = self._inputs
        self._arrival[0] = arrived_ns
        self._health[Health.OK] = 1
        self._health[Health.EXCHANGES] += 1
        count(self._rtt, arrived_ns - sent_ns)
        self._exchange.publish()

    async def write_once(self) -> None:
        """The scan's newest outputs there. Raises DeviceError."""
        self._take_outputs()
        await self._driver.write(self._outputs)

    def _take_outputs(self) -> None:
        """The scan's newest outputs, to be sent; its number is the heartbeat."""
        self._exchange.take_outputs()
        self._outputs[0] = self._exchange.outputs[0] & self._wrap
        self._outputs[1:] = self._wanted

    async def say_last_words(self) -> None:
        """Outputs at rest, once more, then let go of the device.

        On a connection of its own: the poll was cancelled, perhaps in the middle of an exchange.
        """
        await self._driver.close()
        with contextlib.suppress(DeviceError, TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._driver.connect()
                await self.write_once()
        await self._driver.close()


async def serve(station: Station) -> None:
    """Poll every device until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    become_prompt(IO_PRIORITY)
    exchange = Exchange(station)
    devices = [DeviceTask(station, exchange, sample) for sample in station.plan.samples]
    work = (*(device.run() for device in devices), _beat(station), stop.wait())
    tasks: list[asyncio.Task[object]] = [asyncio.create_task(w) for w in work]
    ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    told = await asyncio.gather(*tasks, return_exceptions=True)
    if not stop.is_set():  # a device is polled for ever, or a new process does it
        reasons = [repr(t) for t, task in zip(told, tasks, strict=True) if task in ended]
        sys.exit(f"io: ended by itself: {', '.join(reasons)}")
    await asyncio.gather(*(device.say_last_words() for device in devices))


async def _beat(station: Station) -> None:
    while True:
        station.region.beat(Role.IO)
        await asyncio.sleep(0.05)


def main() -> None:
    """Serve the devices of the line."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # a DeviceError says it
    to_stderr()
    open_many()
    with asyncio.Runner(loop_factory=to_the_microsecond) as runner:
        runner.run(serve(take_station(Role.IO)))


class Microseconds(selectors.EpollSelector):
    """Waits to the microsecond, where epoll() alone waits for whole milliseconds.

    epoll() watches all devices, at a cost that does not grow with their number; select() watches nothing
    but the descriptor of epoll(), which is readable as soon as a device is, and is so exact. That
    descriptor is one of a process's first, so below the 1024 that select() knows.
    """

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            select.select((self.fileno(),), (), (), timeout)
            timeout = 0
        return super().select(timeout)


def to_the_microsecond() -> asyncio.AbstractEventLoop:
    """A loop whose timers are."""
    return asyncio.SelectorEventLoop(Microseconds())


if __name__ == "__main__":
    main()
