"""Changes a second that the OPC UA server tells one subscriber, beside asyncua's server as shipped.

The client is asyncua's up to its subscription; what it is told is counted without being decoded, since
decoding in Python takes longer than all the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.object_ids import ObjectIds

from bench.loop import scan_ns
from bench.opcua_servers import server
from bench.places import STATION
from bench.registry import Bench, Pair, Round, subject
from cellrt.line.load import load_line
from cellrt.scan.plan import Plan
from cellrt.scan.runner import Runner

TAGS, QUICK_TAGS = 5_000, 200
"""Tags that change in every publication, ten times a second."""

BUSY_TAGS = 3_000
"""As many as make the 30,000 changes a second beside which a scan is measured."""

FOR_S, QUICK_S = 2.0, 0.3
TIMEOUT_S = 120.0
ALIVE_EVERY_S = 10.0
"""The line's server ends a session that is silent for a minute; asyncua's takes longer to be set up."""
SCANS = 100
DATA_CHANGE = ua.FourByteNodeId(ua.Int32(ObjectIds.DataChangeNotification_Encoding_DefaultBinary))
NOTIFICATION = np.dtype(
    {"names": ["value"], "formats": ["<i8"], "offsets": [6], "itemsize": 4 + 30}
)
"""A handle and an Int64 with its status and times, as the line's server sends it."""


class Counter:
    """What a subscriber is told: how many changes, and how old those of the line's server are."""

    def __init__(self) -> None:
        self.told = 0
        self.ages_ms: list[float] = []

    def __call__(self, published: ua.PublishResult) -> None:
        now_ms = time.time_ns() / 1e6
        for each in published.NotificationMessage.NotificationData:
            if isinstance(each, ua.ExtensionObject) and each.TypeId == DATA_CHANGE:
                body = bytes(each.Body or b"")
                count = int.from_bytes(body[:4], "little")
                self.told += count
                if len(body) == 8 + count * NOTIFICATION.itemsize:
                    stamps = np.frombuffer(body, NOTIFICATION, count, 4)["value"]
                    self.ages_ms += (now_ms - stamps).tolist()


@contextlib.asynccontextmanager
async def subscribed(port: int, names: list[str]) -> AsyncIterator[Counter]:
    """A client that watches every name, published to every 50 ms."""
    url, counter = f"opc.tcp://127.0.0.1:{port}", Counter()
    unheard: Any = None
    async with Client(url, timeout=TIMEOUT_S, watchdog_intervall=ALIVE_EVERY_S) as client:
        made = await client.create_subscription(50, unheard)
        nodes = [client.get_node(ua.NodeId(ua.String(name), ua.Int16(1))) for name in names]
        for n in range(0, len(nodes), 1_000):
            await made.subscribe_data_change(nodes[n : n + 1_000])
        session: Any = client.uaclient.session
        session._subscription_callbacks[made.subscription_id] = counter
        # It hears nothing from now on, and would be taken for dead and made anew.
        made.last_publish_at = None
        yield counter


@contextlib.contextmanager
def undecoded() -> Iterator[None]:
    """Data changes stay bytes in this process."""
    kind = ua.extension_objects_by_typeid.pop(DATA_CHANGE)
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        ua.extension_objects_by_typeid[DATA_CHANGE] = kind
        logging.disable(logging.NOTSET)


class Watched:
    """A server with a client, one process of its own each but for the client's."""

    def __init__(self, loop: asyncio.Runner, stack: contextlib.ExitStack, ours: bool, tags: int):
        port, names, self.pipe = stack.enter_context(server(ours, tags))
        client = subscribed(port, names)
        self.counter = loop.run(client.__aenter__())
        stack.callback(lambda: loop.run(client.__aexit__(None, None, None)))
        self._loop = loop

    def told_per_s(self, changes: int, for_s: float) -> float:
        """Changes told a second, while so many tags change ten times a second."""
        return self._loop.run(self._told(changes, for_s))

    async def _told(self, changes: int, for_s: float) -> float:
        self.pipe.send(changes)
        await asyncio.sleep(for_s / 4)
        self.counter.ages_ms.clear()
        before, began_s = self.counter.told, time.perf_counter()
        await asyncio.sleep(for_s)
        told, took_s = self.counter.told - before, time.perf_counter() - began_s
        self.pipe.send(0)
        await asyncio.sleep(0.3)
        return told / took_s

    def scan_beside(self, runner: Runner, changes: int, for_s: float) -> float:
        """What a scan takes in ns, while so many tags change and are told: the median of many."""
        return self._loop.run(self._scan(runner, changes, for_s))

    async def _scan(self, runner: Runner, changes: int, for_s: float) -> float:
        self.pipe.send(changes)
        await asyncio.sleep(for_s / 4)
        took, ends_s = [], time.perf_counter() + for_s
        while time.perf_counter() < ends_s:
            took.append(scan_ns(runner, SCANS))
            await asyncio.sleep(0.005)
        self.pipe.send(0)
        await asyncio.sleep(0.3)
        return statistics.median(took)


@subject(
    Bench("opcua_changes", "1/s", "asyncua's server"),
    Bench("opcua_age_p99", "ms"),
    Bench("opcua_scan", "ns", "nobody watching"),
)
def changes(quick: bool) -> Iterator[Round]:
    """To one subscriber of each server; how old they are at 30,000/s; what they do to a scan."""
    tags, for_s = (QUICK_TAGS, QUICK_S) if quick else (TAGS, FOR_S)
    runner = Runner(Plan(load_line(STATION)))
    scan_ns(runner, SCANS)  # compiled before it is measured
    with contextlib.ExitStack() as stack:
        stack.enter_context(undecoded())
        loop = stack.enter_context(asyncio.Runner())
        line = Watched(loop, stack, True, tags)
        shipped = Watched(loop, stack, False, tags)

        def one_round() -> dict[str, Any]:
            ours, theirs = (each.told_per_s(tags, for_s) for each in (line, shipped))
            line.told_per_s(min(tags, BUSY_TAGS), for_s)
            ages_ms = float(np.percentile(line.counter.ages_ms, 99))
            busy, quiet = (line.scan_beside(runner, n, for_s) for n in (min(tags, BUSY_TAGS), 0))
            return {
                "opcua_changes": Pair(ours, theirs),
                "opcua_age_p99": Pair(ages_ms),
                "opcua_scan": Pair(busy, quiet),
            }

        yield one_round
