"""Two OPC UA servers with the same tags, each in a process of its own: a line's, and asyncua's as shipped.

Both are told through a pipe how many tags are to change in each publication, ten times a second. Every
changing tag becomes the wall time in ms, so that a client sees how old it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from asyncua import ua
from asyncua.server.server import Server

from cellrt import Cell, Input, Parameter, Var
from cellrt.line.spec import CellSpec, LineSpec, SimSpec
from cellrt.opcua.access import Access
from cellrt.opcua.server import LineServer
from cellrt.scan.commands import Operation, Refusal
from cellrt.scan.plan import Plan
from cellrt.scan.snapshot import Snapshot
from cellrt.scan.tables import initial_image
from cellrt.tags import WORD

PUBLISH_S = 0.1
PERIOD_NS = 10_000_000
FOLDER_TAGS = 100
"""asyncua takes time by the square of a folder's children."""


class Press(Cell):
    """Some tags of each type, and ten that change."""

    ready: bool = Input()
    pressure_N: float = Input(unit="N", low=0.0, high=200.0)
    target_N: float = Parameter(120.0, unit="N", low=10.0, high=180.0)
    c0: int = Var()
    c1: int = Var()
    c2: int = Var()
    c3: int = Var()
    c4: int = Var()
    c5: int = Var()
    c6: int = Var()
    c7: int = Var()
    c8: int = Var()
    c9: int = Var()


def line_of(changing: int) -> tuple[Plan, list[str]]:
    """A line of presses with at least so many tags that change, and these tags' names."""
    names = [f"press_{n}" for n in range(-(-changing // 10))]
    cells = {name: CellSpec(name, Press, {}, {}, {}) for name in names}
    plan = Plan(
        LineSpec("bench", Path("bench.toml"), PERIOD_NS, 1, {}, cells, (), SimSpec(), False, (), "")
    )
    return plan, [f"{name}.c{n}" for name in names for n in range(10)][:changing]


async def serve_line(pipe: Connection, changing: int) -> None:
    """The line's server. Its scan is an image that is written here."""
    plan, names = line_of(changing)
    image, inputs, scan = initial_image(plan), np.zeros(plan.input_words, np.int64), 0
    words = np.array([plan.layout.find(name).offset // WORD for name in names], np.int64)

    async def send(operation: Operation, target: int, argument: int) -> Refusal:
        return Refusal.ACCEPTED

    async def publish(changes: int) -> None:
        nonlocal scan
        image.views.words[words[:changes]] = time.time_ns() // 1_000_000
        scan += 1
        await line.publish(Snapshot.take(plan, image, inputs, scan, scan * PERIOD_NS))

    with tempfile.TemporaryDirectory() as folder:
        line = LineServer(plan, send, Access(Path(folder)), 0, wall_start_ns=time.time_ns())
        await line.start()
        await publish(0)
        await answer(pipe, line.port, names, publish)
        await line.stop()


async def serve_asyncua(pipe: Connection, changing: int) -> None:
    """asyncua's server with as many variables, written one after the other."""
    shipped = Server()
    await shipped.init()
    shipped.set_endpoint("opc.tcp://127.0.0.1:0")
    shipped.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    nodes, names = [], [f"press_{n // 10}.c{n % 10}" for n in range(changing)]
    for n, name in enumerate(names):
        if n % FOLDER_TAGS == 0:
            folder = await shipped.nodes.objects.add_folder(1, f"presses_{n // FOLDER_TAGS}")
        node = ua.NodeId(ua.String(name), ua.Int16(1))
        nodes.append(await folder.add_variable(node, name, 0, ua.VariantType.Int64))

    async def publish(changes: int) -> None:
        stamp = ua.Variant(time.time_ns() // 1_000_000, ua.VariantType.Int64)
        for n, node in enumerate(nodes[:changes]):
            await node.write_value(stamp)
            if n % FOLDER_TAGS == 0:
                await asyncio.sleep(0)

    async with shipped:
        listening: Any = shipped.bserver
        port = listening._server.sockets[0].getsockname()[1]
        await answer(pipe, port, names, publish)


async def answer(
    pipe: Connection, port: int, names: list[str], publish: Callable[[int], Awaitable[None]]
) -> None:
    """Say where the tags are, then publish as many changes as the pipe last said, until it is shut."""
    gc.collect()
    gc.freeze()  # as the process scada does
    pipe.send((port, names))
    changes, next_s = 0, time.perf_counter()
    with contextlib.suppress(EOFError):
        while True:
            if pipe.poll():
                changes = pipe.recv()
            if changes:
                await publish(changes)
            next_s = max(next_s + PUBLISH_S, time.perf_counter())
            await asyncio.sleep(next_s - time.perf_counter())


def process(pipe: Connection, ours: bool, changing: int) -> None:
    """A server's process."""
    logging.disable(logging.CRITICAL)
    asyncio.run((serve_line if ours else serve_asyncua)(pipe, changing))


@contextlib.contextmanager
def server(ours: bool, changing: int) -> Iterator[tuple[int, list[str], Connection]]:
    """A server's port, its changing tags and its pipe."""
    here, there = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    child = spawn.Process(target=process, args=(there, ours, changing), daemon=True)
    child.start()
    there.close()
    try:
        port, names = here.recv()
        yield port, names, here
    finally:
        here.close()
        child.join(10.0)
        child.kill()
