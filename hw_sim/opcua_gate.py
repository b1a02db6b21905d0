"""The socket of a simulated OPC UA device. Values are made up when they are asked for.

A client that polls sends the same Read again and again. It is taken apart once and known again by its
bytes; its answer is packed in one go. asyncua would take 20 us a node, for request and answer alike.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Sequence
from typing import Any, Protocol

from asyncua import ua
from asyncua.server.binary_server_asyncio import BinaryServer, OPCUAProtocol
from asyncua.server.server import Server
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary

from cellrt.wire import Wire
from hw_sim.opcua_space import Inside

READ = ua.NodeId(ua.Int32(ObjectIds.ReadRequest_Encoding_DefaultBinary))
WRITE = ua.NodeId(ua.Int32(ObjectIds.WriteRequest_Encoding_DefaultBinary))
CODES = {
    Wire.BOOL: ("?", ua.VariantType.Boolean),
    Wire.I16: ("h", ua.VariantType.Int16),
    Wire.U16: ("H", ua.VariantType.UInt16),
    Wire.I32: ("i", ua.VariantType.Int32),
    Wire.U32: ("I", ua.VariantType.UInt32),
    Wire.I64: ("q", ua.VariantType.Int64),
    Wire.F32: ("f", ua.VariantType.Float),
    Wire.F64: ("d", ua.VariantType.Double),
}
"""How `struct` and OPC UA call a value."""

COUNT_BYTES = 4
NO_DIAGNOSTICS = struct.pack("<i", -1)


class Points(Protocol):
    """The device's values behind its nodes."""

    def show(self) -> None:
        """Bring the nodes up to what the device is now."""

    def row(self, node: ua.NodeId) -> int | None:
        """The number of the point at a node."""

    def wire(self, row: int) -> Wire:
        """A point's width."""

    def values(self, rows: Sequence[int]) -> Sequence[bool | int | float]:
        """What these points are now."""


class Poll:
    """A Read of points' values, without timestamps: DataValues of a variant alone (Part 6, 5.2.2.17)."""

    def __init__(self, points: Points, rows: Sequence[int]) -> None:
        self._points, self._rows = points, rows
        codes = [CODES[points.wire(row)] for row in rows]
        self._codec = struct.Struct("<i" + "".join(f"2s{code}" for code, _ in codes))
        self._words: list[Any] = [len(rows)]
        for _, variant in codes:
            self._words += [bytes((1, variant.value)), 0]

    def results(self) -> bytes:
        """The answer's array of DataValues."""
        self._words[2::2] = self._points.values(self._rows)
        return self._codec.pack(*self._words)


def poll_of(points: Points, asked: ua.ReadParameters) -> Poll | None:
    """None for a Read of anything else, or with timestamps, which asyncua answers."""
    rows: list[int] = []
    for each in asked.NodesToRead:
        row = points.row(each.NodeId)
        if row is None or each.AttributeId != AttributeIds.Value or each.IndexRange:
            return None
        rows.append(row)
    is_plain = asked.TimestampsToReturn == ua.TimestampsToReturn.Neither
    return Poll(points, rows) if rows and is_plain else None


class Processor(UaProcessor):
    """What a client asks on one connection."""

    points: Points
    _asked = b""
    _poll: Poll | None = None

    async def _process_message(
        self, typeid: ua.NodeId, requesthdr: ua.RequestHeader, seqhdr: Any, body: Any
    ) -> Any:
        if typeid == READ and self._is_poll(body):
            return self._answer(requesthdr, seqhdr)
        if typeid != WRITE:  # then nodes are looked at
            self.points.show()
        otherwise: Any = super()._process_message
        return await otherwise(typeid, requesthdr, seqhdr, body)

    def _is_poll(self, body: Any) -> bool:
        """Whether a client that may read asks for points' values alone."""
        if self.session is None or not self.session.is_activated():
            return False
        asked = body.copy().read(len(body))
        if asked != self._asked:
            parameters = struct_from_binary(ua.ReadParameters, body.copy())
            self._asked, self._poll = asked, poll_of(self.points, parameters)
        return self._poll is not None

    def _answer(self, asked: ua.RequestHeader, sequence: Any) -> bool:
        assert self.session is not None and self._poll is not None
        self.session_last_activity = time.monotonic()
        self.session.touch()
        response = ua.ReadResponse()
        response.ResponseHeader.RequestHandle = asked.RequestHandle
        head = struct_to_binary(response)[: -2 * COUNT_BYTES]  # without its two empty arrays
        answer = head + self._poll.results() + NO_DIAGNOSTICS
        data = self._connection.message_to_binary(answer, request_id=sequence.RequestId)
        self._transport.write(data)
        return True


class Connection(OPCUAProtocol):
    """One client."""

    points: Points

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.processor is not None:
            self.processor = Processor(self.iserver, self.transport, self.limits)
            self.processor.points = self.points
            set_policies: Any = self.processor.set_policies
            set_policies(self.policies)


class Gate(BinaryServer):
    """The socket."""

    points: Points

    def _make_protocol(self) -> OPCUAProtocol:
        connection = Connection(
            self.iserver, self._policies, self.clients, self.closing_tasks, self.limits
        )
        connection.points = self.points
        return connection


class FrontServer(Server):
    """asyncua's server with a gate of our own and standard nodes that are copies."""

    def __init__(self, points: Points) -> None:
        super().__init__(Inside())
        self._points = points

    async def start(self) -> None:
        """Listen. Raises OSError."""
        await self._setup_server_nodes()
        await self.iserver.start()
        host, port = str(self.endpoint.hostname), int(self.endpoint.port or 0)
        gate = self.bserver = Gate(self.iserver, host, port, self.limits)
        gate.points = self._points
        gate.set_policies(self._policies)
        await gate.start()
