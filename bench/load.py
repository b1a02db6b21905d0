"""What runs beside a scan that is measured under load: `python -m bench.load PARENT churn|subscribe ...`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.processes import Line, beside, wait_for
from cellrt.lifeline import die_with_parent
from cellrt.line.load import load_line
from cellrt.runtime.control import NotRunning, ask
from cellrt.scan.plan import Plan
from cellrt.shared.memory import Role

SUBSCRIBED = 1_000
REACHED_WITHIN_S = 30.0


@contextmanager
def loaded(line: Line, path: Path, port: int) -> Iterator[None]:
    """Its journal is written, a client watches a thousand of its tags, garbage is collected beside it.

    The line's scan runs already; its OPC UA server listens on `port`.
    """
    with ExitStack() as stack:
        line.start(Role.BRAIN)
        line.start(Role.SCADA)
        wait_for(lambda: asked(line, do="pursue", goal="run"), REACHED_WITHIN_S)
        parent = str(os.getpid())
        for what in (["churn"], ["subscribe", str(path), str(port)]):
            process = stack.enter_context(beside("-m", "bench.load", parent, *what))
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise RuntimeError(f"bench.load {what[0]} did not begin")
        yield


def asked(line: Line, **request: object) -> bool:
    """The line's brain was asked, and has answered."""
    try:
        ask(line.control_path, request)
    except NotRunning:
        return False
    return True


def churn() -> None:
    """Make cycles and collect them, for ever."""
    print("ready", flush=True)
    while True:
        kept: list[object] = []
        for _ in range(10_000):
            ring: list[object] = []
            ring.append(ring)
            kept.append(ring)


async def subscribe(path: Path, port: int) -> None:
    """Watch the first tags of a line, for ever."""
    from asyncua import ua
    from asyncua.client.client import Client

    class Heard:
        def datachange_notification(self, *_: object) -> None: ...

    names = [leaf.path for leaf in Plan(load_line(path)).layout.tags()][:SUBSCRIBED]
    async with Client(f"opc.tcp://127.0.0.1:{port}") as client:
        made = await client.create_subscription(100, Heard())
        nodes = [client.get_node(ua.NodeId(ua.String(name), ua.Int16(1))) for name in names]
        await made.subscribe_data_change(nodes)
        print("ready", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Die with the bench that started this."""
    die_with_parent(int(sys.argv[1]))
    if sys.argv[2] == "churn":
        churn()
    asyncio.run(subscribe(Path(sys.argv[3]), int(sys.argv[4])))


if __name__ == "__main__":
    main()
