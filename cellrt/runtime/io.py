"""The process `io`: field devices to the scan and back. It copies; it never makes a value up.

One task a device, each at its own pace; a device that does not answer delays no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import sys
import time

import numpy as np
import structlog

from cellrt.drivers.base import DeviceError, Driver, NotThere
from cellrt.drivers.open import open_driver
from cellrt.runtime.child import Station, take_station, to_stderr
from cellrt.runtime.realtime import IO_PRIORITY, become_prompt
from cellrt.runtime.region import HEALTH_WORDS, Health
from cellrt.scan.histogram import BINS, count
from cellrt.scan.latch import IO_HEAD, frame_words
from cellrt.scan.plan import Sample
from cellrt.shared.memory import Role
from cellrt.shared.triple import TripleReader, TripleWriter
from cellrt.wire import Ints

BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Waits between attempts to reach a device that is gone; the last one stays."""

STARTING_S = 60.0
"""A device that has not answered yet may still be starting, for so long after io began to ask for it."""

LAST_WORDS_S = 1.0
"""How long a stopping line tries to tell its devices the outputs at rest."""


class Exchange:
    """The frames to and from the scan, shared by all devices' tasks of this process."""

    def __init__(self, station: Station) -> None:
        section = station.region.section
        self._to_scan = TripleWriter(section("inputs"))
        self._from_scan = TripleReader(section("outputs"))
        self.frame: Ints = np.zeros(frame_words(station.plan), np.int64)
        self.outputs: Ints = np.zeros(station.plan.output_words, np.int64)
        self._from_scan.recall(self.outputs)

    def newest_outputs(self) -> Ints:
        """What the scan said last."""
        self._from_scan.take(self.outputs)
        return self.outputs

    def publish(self) -> None:
        """The frame as it stands, to the scan."""
        self._to_scan.publish(self.frame)


class DeviceTask:
    """Polls one device."""

    def __init__(self, station: Station, exchange: Exchange, sample: Sample, at: int) -> None:
        self._exchange, self._sample = exchange, sample
        self._head = exchange.frame[at : at + IO_HEAD]
        self._raw = exchange.frame[at + IO_HEAD : at + IO_HEAD + sample.raw]
        self._inputs: Ints = np.zeros(sample.raw, np.int64)
        self._outputs: Ints = np.zeros(1 + len(sample.device.map.outputs), np.int64)
        number = station.plan.samples.index(sample)
        self._rtt = station.region.section("rtt").words[number * BINS : (number + 1) * BINS]
        self._health = station.region.section("io").words[number * HEALTH_WORDS :][:HEALTH_WORDS]
        self._log = structlog.get_logger().bind(process="io", device=sample.device.name)
        heartbeat = sample.device.map.heartbeat
        self._wrap = heartbeat.wire.high if heartbeat else 0
        self._period_s = sample.device.poll_ms / 1e3
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
                self._head[1] = self._health[Health.OK] = 0
                self._head[2] = self._health[Health.ERRORS]
                self._exchange.publish()
                if failures == 0:
                    self._log.warning("not there yet" if is_starting else "lost", reason=str(error))
                await self._driver.close()
                wait_s = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
                failures += 1
                await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))

    async def _poll(self) -> None:
        due_s = time.monotonic()
        while True:
            await self.exchange_once()
            due_s = max(due_s + self._period_s, time.monotonic())
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    async def exchange_once(self) -> None:
        """One exchange: the scan's newest outputs there, a whole sample back. Raises DeviceError."""
        outputs, base = self._exchange.newest_outputs(), self._sample.output_base
        self._outputs[0] = outputs[0] & self._wrap
        self._outputs[1:] = outputs[base : base + self._outputs.size - 1]
        sent_ns = time.monotonic_ns()
        await self._driver.exchange(self._outputs, self._inputs)
        arrived_ns = time.monotonic_ns()
        self._raw[:] = self._inputs
        self._head[:] = arrived_ns, 1, self._head[2], arrived_ns - sent_ns
        self._health[Health.OK] = 1
        self._health[Health.EXCHANGES] += 1
        count(self._rtt, arrived_ns - sent_ns)
        self._exchange.publish()

    async def say_last_words(self) -> None:
        """Outputs at rest, once more, then let go of the device.

        On a connection of its own: the poll was cancelled, perhaps in the middle of an exchange.
        """
        await self._driver.close()
        with contextlib.suppress(DeviceError, TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._driver.connect()
                await self.exchange_once()
        await self._driver.close()


async def serve(station: Station) -> None:
    """Poll every device until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    become_prompt(IO_PRIORITY)
    exchange, devices, at = Exchange(station), [], 0
    for sample in station.plan.samples:
        devices.append(DeviceTask(station, exchange, sample, at))
        at += IO_HEAD + sample.raw
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
    asyncio.run(serve(take_station(Role.IO)))


if __name__ == "__main__":
    main()
