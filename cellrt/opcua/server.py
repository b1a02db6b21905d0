"""A line's OPC UA server: built from a plan, fed with snapshots, asking the scan through `send`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from asyncua import ua
from asyncua.server.address_space import AttributeValue
from asyncua.ua.attribute_ids import AttributeIds

from cellrt.figures import FIGURES
from cellrt.opcua.access import Access
from cellrt.opcua.history import History
from cellrt.opcua.host import Host, Listener
from cellrt.opcua.mirror import PUBLISHED_CHANGES, SHED_CHANGES, Mirror, Reading
from cellrt.opcua.nodes import Nodes, name_of
from cellrt.opcua.packml_types import PACKML, PACKML_URI, add_types
from cellrt.opcua.space import (
    OBJECTS,
    Space,
    add_diagnostics,
    add_handovers,
    first_line,
    line_words,
    timing_base,
)
from cellrt.opcua.unit import add_unit
from cellrt.scan.commands import Send
from cellrt.scan.plan import Plan
from cellrt.scan.snapshot import Snapshot, snapshot_words
from cellrt.wire import Ints

BUDGET = 5_000
"""Changes told in one publication: some 8 us each, so less than half of a 10 Hz period."""

BREATH = 100
"""Changes told before the event loop may serve somebody else."""

NAMESPACE = 1
"""The nodes' namespace is the server's own (Part 5, 6.3.1); its URI is `uri_of`."""

log = logging.getLogger(__name__)


def uri_of(plan: Plan) -> str:
    """URI of the server and of its nodes' namespace."""
    return f"urn:cellrt:{plan.line.name}"


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    """Without garbage collection: building makes much and drops nothing, and takes a third so."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class LineServer:
    """What SCADA connects to.

    Reads are served from the last snapshot. Only who watches is told of changes, `budget` of them
    in one publication; the rest is told in the next ones, in turn, with its newest value, and
    counted as shed. A client's write or call waits for the scan's answer; others are served meanwhile.
    """

    def __init__(
        self,
        plan: Plan,
        send: Send,
        access: Access,
        port: int,
        *,
        wall_start_ns: int,
        speed: float = 1.0,
        history_at: Path | None = None,
        budget: int = BUDGET,
    ) -> None:
        """Listens on `port`, 0 for any, of the host that `access` is for. `wall_start_ns` is the wall
        time (ns since 1970) of logical time 0, `speed` the logical time per wall time; `history_at` the
        file of history, None for memory.
        """
        host = f"[{access.host}]" if ":" in access.host else access.host
        endpoint = f"opc.tcp://{host}:{port}"
        self._plan = plan
        self._send = send
        self._wall_start_ns, self._speed = wall_start_ns, speed
        self._budget = budget
        self._host = Host(access)
        self._history_at = history_at
        self._kept: dict[int, str] = {}
        self._kept_rows = np.zeros(0, np.int64)
        self._listener = Listener(self._host, endpoint, uri_of(plan), f"cellrt {plan.line.name}")
        self._figures = np.zeros(len(plan.cells), FIGURES)
        self._mirror = Mirror((), line_words(plan), wall_start_ns)
        self._number: dict[ua.NodeId, int] = {}
        self._values: list[AttributeValue] = []
        self._next = 0

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        return self._listener.gate.port

    async def start(self) -> None:
        """Take the port, build the address space, then serve. Raises ListenError; OSError and
        sqlite3.Error where certificate or history cannot be kept.
        """
        self._listener.listen()
        with collector_off():
            await self._listener.init()
            assert await self._listener.register_namespace(PACKML_URI) == PACKML
            kept = frozenset(self._plan.line.opcua.history)
            nodes = Nodes(self._host, NAMESPACE)
            space = Space(self._plan, nodes, self._send, self._figures, kept, self._speed)
            self._build(space)
            self._serve(space)
        await self._listener.start()

    def count(self, figures: Ints) -> None:
        """Newer figures of the units, `FIGURES` as words; they are shown with the next snapshot."""
        self._figures.view(np.int64)[:] = figures
        self._mirror.put(snapshot_words(self._plan), figures)

    def time(self, words: Ints) -> None:
        """Newer figures of how the line keeps its time, `cellrt.timing`'s; shown with the next snapshot."""
        self._mirror.put(timing_base(self._plan), words)

    async def publish(self, snapshot: Snapshot) -> None:
        """Show a newer snapshot. One call at a time."""
        self._mirror.take(snapshot)
        self._keep()
        await self._tell()

    async def lose(self) -> None:
        """The scan has stopped publishing: until it does again every tag is BadOutOfService."""
        self._mirror.lose()
        self._keep()
        await self._tell()

    async def stop(self) -> None:
        """Hang up on every client and stop."""
        await self._listener.stop()
        if self._host.history is not None:
            self._host.history.close()

    def _build(self, space: Space) -> None:
        plan, nodes = self._plan, space.nodes
        add_types(nodes)
        line = nodes.folder(OBJECTS, "/", plan.line.name, "a line of cells")
        for number, name in enumerate(plan.cells):
            kind = plan.line.cells[name].type
            cell = nodes.folder(line, name, name, first_line(kind))
            space.add_record(cell, name, kind)
            add_unit(space, number, cell)
        add_handovers(space, line)
        add_diagnostics(space, line)

    def _serve(self, space: Space) -> None:
        self._host.writes, self._host.methods = space.writes, space.nodes.methods
        self._mirror = Mirror(space.rows, line_words(self._plan), self._wall_start_ns)
        aspace, value = self._host.aspace, AttributeIds.Value
        for number, row in enumerate(space.rows):
            aspace.set_attribute_value_callback(row.node, value, self._read)
            self._number[row.node] = number
            self._values.append(aspace[row.node].attributes[value])
        self._kept = {
            n: name for n, r in enumerate(space.rows) if (name := name_of(r.node)) in space.kept
        }
        self._kept_rows = np.array(list(self._kept), np.int64)
        if self._kept:
            kinds = {name: space.rows[n].type for n, name in self._kept.items()}
            self._host.history = History(self._history_at, kinds)

    def _keep(self) -> None:
        """What became of the tags that have a history. A full disk loses it, says so, and nothing else."""
        numbers = self._kept_rows[self._mirror.changed[self._kept_rows]].tolist()
        if not numbers or self._host.history is None:
            return
        try:
            self._host.history.add((self._kept[n], self._mirror.reading(n)) for n in numbers)
        except sqlite3.Error as error:
            log.error("history not kept: %s", error)

    def _read(self, node: ua.NodeId, attribute: AttributeIds) -> Reading:
        return self._mirror.reading(self._number[node])

    async def _tell(self) -> None:
        """Tell whoever watches of what changed, those first whose turn it was last time."""
        mirror, told, shed = self._mirror, 0, 0
        for number in self._in_turn(np.flatnonzero(mirror.pending)):
            watchers = len(self._values[number].datachange_callbacks)
            if watchers and told >= self._budget:
                self._next = self._next if shed else number
                shed += watchers
                continue
            mirror.pending[number] = False
            if watchers:
                await self._tell_row(number)
                told += watchers
                if told % BREATH < watchers:
                    await asyncio.sleep(0)
        mirror.count(PUBLISHED_CHANGES, told)
        mirror.count(SHED_CHANGES, shed)

    def _in_turn(self, pending: Ints) -> list[int]:
        first = int(np.searchsorted(pending, self._next))
        return [*pending[first:].tolist(), *pending[:first].tolist()]

    async def _tell_row(self, number: int) -> None:
        change = self._mirror.change(number)
        for handle, watcher in list(self._values[number].datachange_callbacks.items()):
            try:
                await watcher(handle, change)
            except Exception:  # a filter that does not fit the value is that client's affair alone
                log.debug("a client's monitored item", exc_info=True)
