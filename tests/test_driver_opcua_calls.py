"""The driver's own encoding of its two OPC UA calls, against asyncua's."""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from hypothesis import given
from hypothesis import strategies as st

from cellrt.drivers.opcua_calls import READ, TYPES, WRITE, Calls, ReadCall, WriteCall
from cellrt.wire import Wire

BAD = 0x80340000


class Said(Calls):
    """Takes what is asked, and answers as it was told to."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = struct_to_binary(answer), (b"", b"")

    async def call(self, service: bytes, parameters: bytes) -> bytes:
        self.asked = service, parameters
        return self.answer


def value_of(wire: Wire) -> st.SearchStrategy[bool | int | float]:
    if wire is Wire.BOOL:
        return st.booleans()
    if wire.is_float:
        return st.floats(allow_nan=False, width=32 if wire is Wire.F32 else 64)
    return st.integers(wire.low, wire.high)


WIRES = st.lists(st.sampled_from(list(Wire)), min_size=1, max_size=20)


def nodes_of(wires: list[Wire]) -> list[ua.NodeId]:
    return [ua.NodeId(ua.String(f"n{n}"), ua.Int16(2)) for n in range(len(wires))]


def read_answer(wires: list[Wire], values: list[Any]) -> ua.ReadResponse:
    answer = ua.ReadResponse()
    answer.Results = [
        ua.DataValue(ua.Variant(value, TYPES[wire]), StatusCode=None)
        for wire, value in zip(wires, values, strict=True)
    ]
    return answer


@given(WIRES, st.data())
def test_plain_values_are_unpacked_as_asyncua_packs_them(
    wires: list[Wire], data: st.DataObject
) -> None:
    values = [data.draw(value_of(wire)) for wire in wires]
    calls, nodes = Said(read_answer(wires, values)), nodes_of(wires)
    assert list(asyncio.run(ReadCall(nodes, wires).run(calls))) == values
    service, parameters = calls.asked
    asked = struct_from_binary(ua.ReadParameters, Buffer(parameters))
    assert service == READ and [each.NodeId for each in asked.NodesToRead] == nodes


@pytest.mark.parametrize("odd", ["a status", "a timestamp", "another type", "no value", "a string"])
@given(WIRES, st.data())
def test_anything_else_is_left_to_asyncua(odd: str, wires: list[Wire], data: st.DataObject) -> None:
    values = [data.draw(value_of(wire)) for wire in wires]
    answer = read_answer(wires, values)
    at = data.draw(st.integers(0, len(wires) - 1))
    answer.Results[at] = {
        "a status": ua.DataValue(StatusCode=ua.StatusCode(ua.UInt32(BAD))),
        "a timestamp": ua.DataValue(
            ua.Variant(values[at], TYPES[wires[at]]),
            StatusCode=None,
            SourceTimestamp=ua.DateTime(2026, 1, 1, tzinfo=UTC),
        ),
        "another type": ua.DataValue(ua.Variant(1, ua.VariantType.Byte), StatusCode=None),
        "no value": ua.DataValue(StatusCode=None),
        "a string": ua.DataValue(ua.Variant("on", ua.VariantType.String), StatusCode=None),
    }[odd]
    found = asyncio.run(ReadCall(nodes_of(wires), wires).run(Said(answer)))
    assert all(isinstance(each, ua.DataValue) for each in found) and len(found) == len(wires)


def test_call_that_was_not_carried_out_raises() -> None:
    answer = read_answer([Wire.BOOL], [True])
    answer.ResponseHeader.ServiceResult = ua.StatusCode(ua.UInt32(BAD))
    with pytest.raises(ua.UaStatusCodeError):
        asyncio.run(ReadCall(nodes_of([Wire.BOOL]), [Wire.BOOL]).run(Said(answer)))


@given(WIRES, st.data())
def test_writes_are_packed_as_asyncua_packs_them(wires: list[Wire], data: st.DataObject) -> None:
    nodes = nodes_of(wires)
    rows = data.draw(st.permutations(range(len(wires))))[: data.draw(st.integers(1, len(wires)))]
    values: dict[int, Any] = {row: data.draw(value_of(wires[row])) for row in rows}
    bad = data.draw(st.sampled_from([None, *range(len(rows))]))
    answer = ua.WriteResponse()
    answer.Results = [ua.StatusCode(ua.UInt32(BAD if n == bad else 0)) for n in range(len(rows))]
    calls = Said(answer)
    known = dict(enumerate(zip(nodes, wires, strict=True)))
    statuses = asyncio.run(WriteCall(known).run(calls, values))
    assert [n for n, status in enumerate(statuses) if not status.is_good()] == (
        [] if bad is None else [bad]
    )
    service, parameters = calls.asked
    wanted = ua.WriteParameters()
    wanted.NodesToWrite = [
        ua.WriteValue(
            nodes[row],
            ua.IntegerId(AttributeIds.Value),
            Value=ua.DataValue(ua.Variant(value, TYPES[wires[row]]), StatusCode=None),
        )
        for row, value in values.items()
    ]
    assert service == WRITE and parameters == struct_to_binary(wanted)


def test_answers_to_other_writes_than_were_sent_are_an_error() -> None:
    answer = ua.WriteResponse()
    answer.Results = [ua.StatusCode(), ua.StatusCode()]
    known = {1: (nodes_of([Wire.BOOL])[0], Wire.BOOL)}
    with pytest.raises(ValueError, match="2 answers to 1 writes"):
        asyncio.run(WriteCall(known).run(Said(answer), {1: 1}))
