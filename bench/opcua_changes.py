"""What the OPC UA server does on this machine: `python -m bench.opcua_changes`. Steal time beside it.

The server stands in a process of its own, as in a running line; the line is of presses, 5,000 tags, and
its scan is an image that this bench writes. The client is asyncua's, whose own work is in every figure.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.ua.object_ids import ObjectIds

from cellrt import Cell, Input, Parameter
from cellrt.line.spec import CellSpec, LineSpec, SimSpec
from cellrt.opcua.access import Access
from cellrt.opcua.server import LineServer
from cellrt.report import steal_ticks
from cellrt.scan.commands import Operation, Refusal
from cellrt.scan.plan import Plan
from cellrt.scan.snapshot import Snapshot
from cellrt.scan.tables import initial_image

TAGS = 5_000
PUBLISH_S = 0.1
PERIOD_NS = 10_000_000
TIMEOUT_S = 120.0


class Press(Cell):
    """Some tags of each type."""

    ready: bool = Input()
    pressure_N: float = Input(unit="N", low=0.0, high=200.0)
    target_N: float = Parameter(120.0, unit="N", low=10.0, high=180.0)
    attempts: int = Parameter(3, low=1, high=9)


def line_of(tags: int) -> Plan:
    """A line of presses with at least so many tags."""

    def plan(count: int) -> Plan:
        cells = {f"press_{n}": CellSpec(f"press_{n}", Press, {}, {}, {}) for n in range(count)}
        path = Path("bench.toml")
        return Plan(LineSpec("bench", path, PERIOD_NS, 1, {}, cells, (), SimSpec(), False, (), ""))

    each = len(list(plan(1).layout.tags()))
    return plan(-(-tags // each))


async def serve(pipe: Connection, tags: int) -> None:
    """Publish ten times a second; so many tags change each time as the pipe last said, until None.

    Every changing tag becomes the wall time in ms of its publication: the client sees how old it is.
    """
    plan = line_of(tags)
    image = initial_image(plan)
    changing = [leaf for leaf in plan.layout.tags() if leaf.path.endswith(".unit.boards_in")]
    changing += [leaf for leaf in plan.layout.tags() if leaf.field.kind is int]
    leaves = list(dict.fromkeys(changing))

    async def send(operation: Operation, target: int, argument: int) -> Refusal:
        return Refusal.ACCEPTED

    with tempfile.TemporaryDirectory() as folder:
        began_s = time.perf_counter()
        server = LineServer(plan, send, Access(Path(folder)), 0, wall_start_ns=time.time_ns())
        await server.start()
        gc.collect()
        gc.freeze()  # as the process scada does
        pipe.send((server.port, time.perf_counter() - began_s, [leaf.path for leaf in leaves]))
        changes, scan, inputs = 0, 0, np.zeros(plan.input_words, np.int64)
        next_s = time.perf_counter()
        spent_s: list[float] = []
        while changes is not None:
            if pipe.poll():
                changes = pipe.recv()
                continue
            stamp = time.time_ns() // 1_000_000
            for leaf in leaves[:changes]:
                image.write(leaf, stamp)
            scan += 1
            began_s = time.perf_counter()
            await server.publish(Snapshot.take(plan, image, inputs, scan, scan * PERIOD_NS))
            spent_s.append(time.perf_counter() - began_s)
            next_s = max(next_s + PUBLISH_S, time.perf_counter())
            await asyncio.sleep(max(0.0, next_s - time.perf_counter()))
        await server.stop()


def serve_process(pipe: Connection, tags: int) -> None:
    """The server's process."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    asyncio.run(serve(pipe, tags))


class Watch:
    """What a subscriber is told: how many changes, and how old each one is."""

    def __init__(self) -> None:
        self.ages_ms: list[float] = []

    def datachange_notification(self, node: Node, value: Any, data: Any) -> None:
        self.ages_ms.append(time.time_ns() / 1e6 - float(value))


async def browse(client: Client, line: Node) -> tuple[float, int]:
    """Time in s to find every node of the line, one level in a request, and how many there are."""
    began_s, level, found = time.perf_counter(), [line.nodeid], 0
    while level:
        wanted = [ua.BrowseDescription(node, ua.BrowseDirection.Forward) for node in level]
        for each in wanted:
            each.ReferenceTypeId = ua.NodeId(ua.Int32(ObjectIds.HierarchicalReferences))
            each.NodeClassMask = 3
            each.ResultMask = ua.BrowseResultMask.All
        results = []
        for n in range(0, len(wanted), 500):
            request = ua.BrowseParameters(NodesToBrowse=wanted[n : n + 500])
            results += await client.uaclient.session.browse(request)
        level = [reference.NodeId for result in results for reference in result.References]
        found += len(level)
    return time.perf_counter() - began_s, found


async def measure(port: int, names: list[str], pipe: Connection, for_s: float) -> dict[str, Any]:
    """Browse, subscribe to everything, then watch the line at several rates of change."""
    figures: dict[str, Any] = {}
    url = f"opc.tcp://127.0.0.1:{port}"
    async with Client(url, timeout=TIMEOUT_S, watchdog_intervall=TIMEOUT_S) as client:
        line = client.get_node(ua.NodeId(ua.String("/"), ua.Int16(1)))
        figures["browse_s"], figures["nodes"] = await browse(client, line)
        for changes in (100, 500, 1_000, 2_000, 3_000):
            told = Watch()
            async with subscription(client, told, names) as seconds:
                figures.setdefault("subscribe_s", seconds)
                await asyncio.sleep(1.0)
                pipe.send(changes)
                await asyncio.sleep(1.0)
                told.ages_ms.clear()
                shed = await client.get_node(
                    ua.NodeId(ua.String("/Diagnostics/ShedChanges"), ua.Int16(1))
                ).read_value()
                await asyncio.sleep(for_s)
                ages = sorted(told.ages_ms)
                shed = (
                    await client.get_node(
                        ua.NodeId(ua.String("/Diagnostics/ShedChanges"), ua.Int16(1))
                    ).read_value()
                    - shed
                )
                pipe.send(0)
                figures[f"{changes} changes at 10 Hz"] = {
                    "told_per_s": round(len(ages) / for_s),
                    "shed_per_s": round(shed / for_s),
                    "age_ms_median": round(statistics.median(ages), 1),
                    "age_ms_p99": round(ages[len(ages) * 99 // 100], 1),
                }
    return figures


@contextlib.asynccontextmanager
async def subscription(client: Client, told: Watch, names: list[str]) -> AsyncIterator[float]:
    """Every name watched, at a publishing interval of 50 ms; how long it took to ask for, in s."""
    made = await client.create_subscription(50, told)
    nodes = [client.get_node(ua.NodeId(ua.String(name), ua.Int16(1))) for name in names]
    began_s = time.perf_counter()
    await made.subscribe_data_change(nodes)
    yield time.perf_counter() - began_s
    await made.delete()


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--for", dest="for_s", type=float, default=5.0, help="s at each rate")
    for_s = parser.parse_args().for_s
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    steal = steal_ticks()
    here, there = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=serve_process, args=(there, TAGS), daemon=True)
    process.start()
    port, start_s, changing = here.recv()
    names = [leaf.path for leaf in line_of(TAGS).layout.tags()]
    names = [*changing, *(name for name in names if name not in set(changing))][:TAGS]
    figures = asyncio.run(measure(port, names, here, for_s))
    here.send(None)
    process.join()
    told = {k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}
    figures = {"tags": len(names), "start_s": round(start_s, 3), **told}
    print(json.dumps({**figures, "steal_ticks": steal_ticks() - steal}, indent=2))


if __name__ == "__main__":
    main()
