"""The two OPC UA calls of an exchange as bytes: requests stand ready, answers are unpacked in one go.

asyncua takes 15 us for each node that it encodes or decodes, and a device has a hundred. What is not
shaped as expected (timestamps that were not asked for, a status, a fault) is left to it to decode.
OPC UA Part 6, 5.2: a DataValue is a mask (1: a value alone), the variant's type, and the value.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.utils import Buffer
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.ua_binary import nodeid_to_binary, struct_from_binary, struct_to_binary

from cellrt.wire import Wire

TYPES = {
    Wire.BOOL: ua.VariantType.Boolean,
    Wire.I16: ua.VariantType.Int16,
    Wire.U16: ua.VariantType.UInt16,
    Wire.I32: ua.VariantType.Int32,
    Wire.U32: ua.VariantType.UInt32,
    Wire.I64: ua.VariantType.Int64,
    Wire.F32: ua.VariantType.Float,
    Wire.F64: ua.VariantType.Double,
}
CODES = dict(zip(TYPES, "?hHiIqfd", strict=True))
"""How `struct` calls them."""

COUNT = struct.Struct("<i")
STAMP = struct.Struct("<qI")
EPOCH_100_NS = 116_444_736_000_000_000
"""1970 in 100 ns since 1601, as OPC UA counts."""

HEAD = struct.Struct("<4s8x4xIBi3s")
"""Of an answer: type, time, handle, result, diagnostics, strings, additional header."""


def four_byte_id(number: int) -> bytes:
    """A node id of namespace 0 as a message begins with it."""
    return struct.pack("<BBH", 1, 0, number)


READ = four_byte_id(ObjectIds.ReadRequest_Encoding_DefaultBinary)
READ_ANSWER = four_byte_id(ObjectIds.ReadResponse_Encoding_DefaultBinary)
WRITE = four_byte_id(ObjectIds.WriteRequest_Encoding_DefaultBinary)
WRITE_ANSWER = four_byte_id(ObjectIds.WriteResponse_Encoding_DefaultBinary)


def is_good(answer: bytes, kind: bytes) -> bool:
    """Whether the head of an answer says that the call was carried out, and nothing else."""
    if len(answer) < HEAD.size:
        return False
    got, result, diagnostics, strings, more = HEAD.unpack_from(answer)
    return bool(got == kind and result == diagnostics == 0 >= strings and more == b"\0\0\0")


class Calls:
    """Calls of one client's session. One at a time; whoever calls bounds the time."""

    def __init__(self, client: Client, timeout_s: float) -> None:
        protocol = self._protocol = cast(Any, client.uaclient.protocol)
        header = ua.RequestHeader(TimeoutHint=ua.UInt32(int(1000 * timeout_s)))
        header.AuthenticationToken = protocol.authentication_token
        self._header = bytearray(struct_to_binary(header))
        self._stamp_at = len(nodeid_to_binary(protocol.authentication_token))

    async def call(self, service: bytes, parameters: bytes) -> bytes:
        """The answer's body, from its type on. Raises what asyncua does: a fault, a lost connection."""
        protocol = self._protocol
        if protocol.transport is None:
            raise ConnectionError("Connection is closed")
        protocol._request_handle += 1
        protocol._request_id += 1
        stamp = time.time_ns() // 100 + EPOCH_100_NS
        STAMP.pack_into(self._header, self._stamp_at, stamp, protocol._request_handle)
        protocol.revolve_security_token()
        message = service + self._header + parameters
        data = protocol._connection.message_to_binary(message, request_id=protocol._request_id)
        answer: asyncio.Future[Buffer] = asyncio.get_running_loop().create_future()
        protocol._callbackmap[protocol._request_id] = answer
        protocol.transport.write(data)
        body = await answer
        protocol.check_answer(body, "")
        return body.read(len(body))


class ReadCall:
    """Reads the values of the same nodes, again and again."""

    def __init__(self, nodes: Sequence[ua.NodeId], wires: Sequence[Wire]) -> None:
        asked = ua.ReadParameters(TimestampsToReturn=ua.TimestampsToReturn.Neither)
        asked.NodesToRead = [
            ua.ReadValueId(node, ua.IntegerId(AttributeIds.Value)) for node in nodes
        ]
        self._parameters = struct_to_binary(asked)
        values = "".join(f"2s{CODES[wire]}" for wire in wires)
        self._answer = struct.Struct(f"<i{values}i")
        self._heads = tuple(bytes((1, TYPES[wire].value)) for wire in wires)

    async def run(self, calls: Calls) -> Sequence[bool | int | float] | list[ua.DataValue]:
        """Plain values of the wires' types where that is all the server sent, else what it sent."""
        body = await calls.call(READ, self._parameters)
        if len(body) == HEAD.size + self._answer.size and is_good(body, READ_ANSWER):
            count, *words, _ = self._answer.unpack_from(body, HEAD.size)
            if count == len(self._heads) and tuple(words[::2]) == self._heads:
                return words[1::2]
        response = struct_from_binary(ua.ReadResponse, Buffer(body))
        response.ResponseHeader.ServiceResult.check()
        results: list[ua.DataValue] = response.Results
        return results


class WriteCall:
    """Writes values to some of its nodes, by the numbers that they are known by."""

    def __init__(self, nodes: Mapping[int, tuple[ua.NodeId, Wire]]) -> None:
        self._starts: dict[int, bytes] = {}
        self._codecs: dict[int, struct.Struct] = {}
        for row, (node, wire) in nodes.items():
            zero = ua.Variant(False if wire is Wire.BOOL else 0, TYPES[wire])
            value = ua.DataValue(zero, StatusCode=None)
            whole = struct_to_binary(
                ua.WriteValue(node, ua.IntegerId(AttributeIds.Value), Value=value)
            )
            codec = self._codecs[row] = struct.Struct("<" + CODES[wire])
            self._starts[row] = whole[: -codec.size]

    async def run(self, calls: Calls, values: Mapping[int, int | float]) -> list[ua.StatusCode]:
        """Each value's status, in their order; value and type alone are sent: many servers refuse a
        status or a timestamp from a client. Empty when all are good."""
        parts = [COUNT.pack(len(values))]
        for row, value in values.items():
            parts += self._starts[row], self._codecs[row].pack(value)
        body = await calls.call(WRITE, b"".join(parts))
        good = COUNT.pack(len(values)) + bytes(4 * len(values))
        if is_good(body, WRITE_ANSWER) and body[HEAD.size : -COUNT.size] == good:
            return []
        response = struct_from_binary(ua.WriteResponse, Buffer(body))
        response.ResponseHeader.ServiceResult.check()
        statuses: list[ua.StatusCode] = response.Results
        if len(statuses) != len(values):
            raise ValueError(f"{len(statuses)} answers to {len(values)} writes")
        return statuses
