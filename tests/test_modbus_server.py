"""The line's Modbus server: pymodbus and bare requests at one end, a scan in virtual time at the other."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.client import AsyncModbusTcpClient
from scada_line import PERIOD_NS, WALL_START_NS, FakeScan, press_line

from cellrt.audit import Deed
from cellrt.commander import Commander
from cellrt.line.modbus_map import ModbusMap, modbus_map
from cellrt.line.spec import ModbusSpec
from cellrt.modbus.server import ANSWERS, LineModbus
from cellrt.packml import Command, Mode, State
from cellrt.scan.commands import Operation, Origin, Refusal
from cellrt.scan.events import Event
from cellrt.scan.plan import Plan
from cellrt.scan.runner import Runner
from cellrt.scan.snapshot import MONOTONIC_NS, Snapshot

LIMIT_S = 10.0
MS = 1_000_000
TAGS = (
    *(f"press.{t}" for t in ("pressure_N", "strokes", "spread_mm", "ready", "lamp", "attempts")),
    *(f"press.{t}" for t in ("target_N", "offset_um", "armed")),
    "infeed.run",
)
WRITE = (
    *(f"press.{t}" for t in ("attempts", "target_N", "offset_um", "armed")),
    "press.CntrlCmd",
    "press.UnitMode",
)


@pytest.fixture(scope="module")
def plan() -> Plan:
    spec = ModbusSpec("127.0.0.1", 502, TAGS, WRITE)
    return Plan(dataclasses.replace(press_line().line, modbus=spec))


@pytest.fixture(scope="module")
def table(plan: Plan) -> ModbusMap:
    return modbus_map(plan.line)


class VirtualScan:
    """The line's scan, uncompiled, in time that moves only when a command is sent to it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.runner = Runner(plan, compiled=False)
        self.commander = Commander(1, Origin.SCADA)
        for sample in plan.samples:
            self.runner.inputs[sample.base : sample.base + 2] = 1
        self.step()

    def step(self) -> None:
        self.events = self.runner.step().tolist()

    async def send(self, operation: Operation, target: int, argument: int) -> Refusal:
        """The scan's own answer."""
        await asyncio.sleep(0)
        command = self.commander.command(operation, target, argument, self.runner.now_ns)
        self.runner.set_commands([command])
        self.step()
        (answer,) = [row for row in self.events if row[2] == Event.COMMAND and row[4] == command[0]]
        return Refusal(answer[7])

    def read(self, tag: str) -> Any:
        return self.runner.image.read(self.plan.layout.find(tag))

    def snapshot(self) -> Snapshot:
        runner = self.runner
        scan, now_ns = runner.scan - 1, runner.now_ns - PERIOD_NS
        return Snapshot.take(self.plan, runner.image, runner.inputs, scan, now_ns)


class Desk:
    """A server, a client of pymodbus and a scan."""

    def __init__(self, plan: Plan) -> None:
        self.table = modbus_map(plan.line)
        self.bits = {e.name: e.address for e in self.table.bits}
        self.at = self.bits | {e.name: e.address for e in self.table.registers}
        self.scan = VirtualScan(plan)
        self.deeds: list[Deed] = []
        self.now_ns = 0
        self.server = LineModbus(
            plan,
            self.scan.send,
            wall_start_ns=WALL_START_NS,
            note=self.deeds.append,
            monotonic_ns=lambda: self.now_ns,
        )
        self.client: AsyncModbusTcpClient

    def publish(self) -> None:
        self.server.publish(self.scan.snapshot())

    async def registers(self, name: str, count: int) -> list[int]:
        answer = await self.client.read_holding_registers(self.at[name], count=count)
        assert not answer.isError(), answer
        return list(answer.registers)

    async def number(self, name: str, form: str) -> Any:
        """A value by pymodbus' own decoding."""
        kind = self.client.DATATYPE[form]
        words = await self.registers(name, kind.value[1])
        return self.client.convert_from_registers(words, kind)

    async def bit(self, name: str) -> bool:
        answer = await self.client.read_coils(self.bits[name], count=1)
        assert not answer.isError(), answer
        return bool(answer.bits[0])

    async def write(self, name: str, value: float, form: str) -> int:
        """The exception code of the answer, 0 for none."""
        words = self.client.convert_to_registers(value, self.client.DATATYPE[form])
        return code(await self.client.write_registers(self.at[name], words))


def code(answer: Any) -> int:
    return int(answer.exception_code) if answer.isError() else 0


@pytest.fixture
async def desk(plan: Plan) -> AsyncIterator[Desk]:
    made = Desk(plan)
    port = await made.server.start("127.0.0.1", 0)
    made.client = AsyncModbusTcpClient(
        "127.0.0.1", port=port, timeout=LIMIT_S, retries=0, reconnect_delay=0
    )
    assert await made.client.connect()
    made.publish()
    yield made
    made.client.close()
    await made.server.stop()


# reading


async def test_numbers_are_read_as_the_map_says(desk: Desk) -> None:
    image, find = desk.scan.runner.image, desk.scan.plan.layout.find
    values = {"pressure_N": 81.25, "strokes": -(2**40) - 5, "spread_mm": -0.5, "target_N": 120.0}
    for tag, value in values.items():
        image.write(find(f"press.{tag}"), value)
    desk.publish()
    assert await desk.number("press.pressure_N", "FLOAT32") == 81.25
    assert await desk.number("press.strokes", "INT64") == -(2**40) - 5
    assert await desk.number("press.spread_mm", "FLOAT32") == -0.5
    assert await desk.number("press.target_N", "FLOAT32") == 120.0
    assert await desk.number("press.attempts", "INT32") == 3
    assert await desk.registers("press.StateCurrent", 2) == [State.STOPPED, Mode.PRODUCTION]
    assert await desk.bit("press.armed") is True
    assert await desk.bit("press.lamp") is False


async def test_lower_words_of_a_long_number_are_its_lower_bits(desk: Desk) -> None:
    desk.scan.runner.image.write(desk.scan.plan.layout.find("press.strokes"), 70_000)
    desk.publish()
    assert (await desk.registers("press.strokes", 4))[2:] == [1, 70_000 - 65_536]


async def test_number_beyond_its_width_is_the_greatest_there_is(desk: Desk) -> None:
    image, find = desk.scan.runner.image, desk.scan.plan.layout.find
    image.write(find("press.attempts"), 2**40)
    image.write(find("press.unit.boards_in"), -1)
    image.write(find("press.pressure_N"), 1e300)
    desk.publish()
    assert await desk.number("press.attempts", "INT32") == 2**31 - 1
    assert await desk.number("press.boards_in", "UINT32") == 0
    assert await desk.number("press.pressure_N", "FLOAT32") == math.inf


async def test_all_functions_of_a_table_read_the_same(desk: Desk) -> None:
    size = desk.table.size
    assert size > 300
    for start in range(0, size, 100):
        holding = await desk.client.read_holding_registers(start, count=100)
        inputs = await desk.client.read_input_registers(start, count=100)
        assert holding.registers == inputs.registers
    coils = await desk.client.read_coils(0, count=size)
    assert coils.bits == (await desk.client.read_discrete_inputs(0, count=size)).bits
    assert any(coils.bits)


async def test_read_behind_the_map_is_refused(desk: Desk) -> None:
    size = desk.table.size
    assert code(await desk.client.read_holding_registers(size - 1, count=1)) == 0
    assert code(await desk.client.read_holding_registers(size - 1, count=2)) == 2
    assert code(await desk.client.read_coils(65535, count=1)) == 2


async def test_lines_block_tells_scan_time_checksum_and_cells(desk: Desk, table: ModbusMap) -> None:
    for _ in range(41):
        desk.scan.step()
    desk.publish()
    assert await desk.number("line.scan", "INT64") == 41
    assert await desk.number("line.epoch", "UINT32") == 1
    assert await desk.number("line.time_ms", "INT64") == WALL_START_NS // MS + 410
    assert await desk.number("line.checksum", "UINT32") == table.checksum
    assert await desk.registers("line.status", 2) == [1, 3]


async def test_age_is_since_the_scan_began(desk: Desk) -> None:
    snapshot = desk.scan.snapshot()
    words = snapshot.words.copy()
    words[MONOTONIC_NS] = 5_000 * MS
    desk.server.publish(Snapshot.of(desk.scan.plan, words))
    ages = []
    for ms in (5_000, 5_123, 5_000 + 65_535, 99_000_000, 4_000):
        desk.now_ns = ms * MS
        ages += await desk.registers("line.age_ms", 1)
    assert ages == [0, 123, 65_535, 65_535, 0]


async def test_device_bad_is_seen_by_line_device_and_cell(desk: Desk) -> None:
    assert await desk.registers("line.devices_bad", 1) == [0]
    gauge = desk.scan.plan.samples[desk.scan.plan.devices.index("gauge")]
    desk.scan.runner.inputs[gauge.base + 1] = 0
    desk.scan.step()
    desk.publish()
    assert await desk.registers("line.devices_bad", 1) == [1]
    assert await desk.bit("devices.coupler") is True
    assert await desk.bit("devices.gauge") is False
    assert await desk.bit("press.io_good") is False
    assert await desk.registers("press.io_good", 1) == [0]
    assert await desk.bit("infeed.io_good") is True


async def test_scan_lost_only_the_lines_block_is_read_and_says_so(desk: Desk) -> None:
    assert await desk.bit("line.status") is True
    desk.server.lose()
    assert code(await desk.client.read_holding_registers(99, count=2)) == 4
    assert code(await desk.client.read_coils(100, count=1)) == 4
    assert code(await desk.client.read_holding_registers(desk.table.size, count=1)) == 2
    assert await desk.registers("line.status", 1) == [0]
    assert await desk.registers("line.devices_bad", 1) == [2]
    assert not any((await desk.client.read_coils(0, count=100)).bits[:100])
    assert await desk.write("press.target_N", 80.0, "FLOAT32") == 6
    assert desk.scan.read("press.target_N") == 120.0
    desk.publish()
    assert await desk.number("press.target_N", "FLOAT32") == 120.0
    assert await desk.registers("line.status", 1) == [1]


async def test_before_the_first_snapshot_nothing_is_known_of_the_line(plan: Plan) -> None:
    server = LineModbus(plan, FakeScan(plan).send, wall_start_ns=0, note=[].append)
    assert server.respond(struct.pack(">BHH", 3, 0, 1), "peer") == b"\3\2\0\0"
    assert server.respond(struct.pack(">BHH", 3, 100, 1), "peer") == b"\x83\4"


# writing


async def test_parameter_within_limits_is_the_scans_and_read_back(desk: Desk) -> None:
    assert await desk.write("press.target_N", 99.5, "FLOAT32") == 0
    assert await desk.write("press.attempts", 9, "INT32") == 0
    assert code(await desk.client.write_coil(desk.at["press.armed"], False)) == 0
    read = desk.scan.read
    assert [read(f"press.{t}") for t in ("target_N", "attempts", "armed")] == [99.5, 9, False]
    desk.publish()
    assert await desk.number("press.target_N", "FLOAT32") == 99.5
    assert await desk.bit("press.armed") is False


@pytest.mark.parametrize(
    ("tag", "value", "form"),
    [
        ("target_N", 180.1, "FLOAT32"),
        ("target_N", 9.999, "FLOAT32"),
        ("target_N", math.nan, "FLOAT32"),
        ("offset_um", math.inf, "FLOAT32"),
        ("attempts", 0, "INT32"),
        ("attempts", -1, "INT32"),
    ],
)
async def test_parameter_out_of_limits_is_refused(
    desk: Desk, tag: str, value: float, form: str
) -> None:
    before = desk.scan.read(f"press.{tag}")
    assert await desk.write(f"press.{tag}", value, form) == 3
    assert desk.scan.read(f"press.{tag}") == before


async def test_several_values_of_which_one_is_out_of_limits_none_is_written(desk: Desk) -> None:
    at, convert = desk.at["press.attempts"], desk.client.convert_to_registers
    kinds = desk.client.DATATYPE
    good = [*convert(5, kinds.INT32), *convert(66.0, kinds.FLOAT32)]
    bad = [*convert(6, kinds.INT32), *convert(666.0, kinds.FLOAT32)]
    assert desk.at["press.target_N"] == at + 2
    assert code(await desk.client.write_registers(at, bad)) == 3
    assert [desk.scan.read(f"press.{t}") for t in ("attempts", "target_N")] == [3, 120.0]
    assert code(await desk.client.write_registers(at, good)) == 0
    assert [desk.scan.read(f"press.{t}") for t in ("attempts", "target_N")] == [5, 66.0]


async def test_every_write_is_noted_with_who_wrote_what(desk: Desk) -> None:
    assert await desk.write("press.target_N", 99.5, "FLOAT32") == 0
    assert await desk.write("press.target_N", 999.5, "FLOAT32") == 3
    assert code(await desk.client.write_register(desk.at["press.CntrlCmd"], Command.START)) == 3
    assert code(await desk.client.write_register(7, 1)) == 2
    await desk.registers("line.status", 1)
    assert [(d.event, d.accepted, d.subject, d.value, d.reason) for d in desk.deeds] == [
        ("Write", True, "press.target_N", "99.5", ""),
        ("Write", False, "press.target_N", "999.5", "exception 3: illegal_value"),
        ("Write", False, "press.CntrlCmd", "2", "exception 3: illegal_value"),
        ("Write", False, "holding 7", "(1,)", "exception 2: illegal_address"),
    ]
    assert {d.peer.rpartition(":")[0] for d in desk.deeds} == {"modbus 127.0.0.1"}


async def test_part_of_a_value_is_refused(desk: Desk) -> None:
    at = desk.at["press.target_N"]
    for first, words in ((at, [1]), (at + 1, [1]), (at + 1, [1, 2]), (at, [17096, 0, 1])):
        assert code(await desk.client.write_registers(first, words)) == 2
    assert code(await desk.client.write_register(at, 1)) == 2
    assert desk.scan.read("press.target_N") == 120.0


@pytest.mark.parametrize(
    "name", ["press.pressure_N", "press.StateCurrent", "infeed.CntrlCmd", "line.status"]
)
async def test_what_the_line_file_does_not_name_cannot_be_written(desk: Desk, name: str) -> None:
    assert code(await desk.client.write_registers(desk.at[name], [1, 1])) == 2
    assert code(await desk.client.write_register(desk.at[name], 1)) == 2
    assert not any(row[2] == Event.COMMAND for row in desk.scan.events)


async def test_bits_that_are_not_writable_refuse_the_whole_write(desk: Desk) -> None:
    armed, lamp = desk.at["press.armed"], desk.at["press.lamp"]
    assert code(await desk.client.write_coil(lamp, True)) == 2
    assert armed == lamp + 1
    assert code(await desk.client.write_coils(lamp, [False, False])) == 2
    assert desk.scan.read("press.armed") is True
    assert code(await desk.client.write_coils(armed, [False])) == 0
    assert desk.scan.read("press.armed") is False


async def test_command_is_the_scans_to_accept_or_refuse(desk: Desk) -> None:
    at = desk.at["press.CntrlCmd"]
    assert code(await desk.client.write_register(at, Command.START)) == 3
    assert desk.scan.read("press.unit.state") == State.STOPPED
    assert code(await desk.client.write_register(at, Command.RESET)) == 0
    assert desk.scan.read("press.unit.state") == State.RESETTING
    assert code(await desk.client.write_register(at, 99)) == 3
    assert await desk.registers("press.CntrlCmd", 1) == [0]


async def test_mode_is_the_scans_to_accept_or_refuse(desk: Desk) -> None:
    at = desk.at["press.UnitMode"]
    assert code(await desk.client.write_register(at, Mode.MANUAL)) == 0
    assert desk.scan.read("press.unit.mode") == Mode.MANUAL
    assert code(await desk.client.write_register(at, 0)) == 3
    both = [Command.RESET, Mode.PRODUCTION]
    assert code(await desk.client.write_registers(at - 1, both)) == 3  # in Resetting modes stand
    assert desk.scan.read("press.unit.state") == State.IDLE
    assert desk.scan.read("press.unit.mode") == Mode.MANUAL


@pytest.mark.parametrize("refusal", [r for r in Refusal if r is not Refusal.ACCEPTED])
async def test_every_refusal_of_the_scan_has_its_exception(plan: Plan, refusal: Refusal) -> None:
    scan = FakeScan(plan)
    scan.answer = refusal
    server = LineModbus(plan, scan.send, wall_start_ns=0, note=[].append)
    server.publish(scan.snapshot())
    at = {e.name: e.address for e in modbus_map(plan.line).registers}["press.UnitMode"]
    answer = server.respond(struct.pack(">BHH", 6, at, 1), "peer")
    assert not isinstance(answer, bytes)
    assert await answer == bytes((0x86, ANSWERS[refusal]))
    assert scan.asked == [(Operation.MODE, 2, 1)]


# any request


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


REQUESTS = st.one_of(
    st.binary(min_size=1, max_size=253),
    st.builds(struct.pack, st.just(">BHH"), st.integers(1, 6), *[st.integers(0, 420)] * 2),
    st.builds(
        lambda f, at, data: (
            struct.pack(">BHHB", f, at, len(data) // 2 if f == 16 else 8 * len(data), len(data))
            + data
        ),
        st.sampled_from((15, 16)),
        st.integers(295, 345),
        st.binary(min_size=1, max_size=16),
    ),
)


@settings(max_examples=300, deadline=None)
@given(requests=st.lists(REQUESTS, max_size=4), is_lost=st.booleans())
def test_any_request_is_answered_and_changes_only_what_may_be_written(
    plan: Plan, runner: asyncio.Runner, requests: list[bytes], is_lost: bool
) -> None:
    scan = FakeScan(plan)
    server = LineModbus(plan, scan.send, wall_start_ns=WALL_START_NS, note=[].append)
    server.publish(scan.snapshot())
    if is_lost:
        server.lose()
    writable = {n for n, leaf in enumerate(plan.parameters) if leaf.path in WRITE}
    for pdu in requests:
        asked = len(scan.asked)
        answer = server.respond(pdu, "peer")
        if not isinstance(answer, bytes):
            answer = runner.run(answer)
        assert answer[0] & 0x7F == pdu[0] & 0x7F
        if answer[0] & 0x80 and not pdu[0] & 0x80:
            assert answer[1] in (1, 2, 3, 4, 6)
            assert len(scan.asked) == asked
        assert len(answer) <= 253
    for operation, target, argument in scan.asked:
        assert not is_lost
        if operation is Operation.PARAMETER:
            field = plan.parameters[target].field
            value = np.int64(argument).view(np.float64) if field.kind is float else argument
            assert target in writable
            assert (field.low is None or field.low <= value) and math.isfinite(value)
            assert field.high is None or value <= field.high
        else:
            assert target == plan.cells.index("press")
