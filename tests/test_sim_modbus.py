"""The Modbus server of a simulated device, asked by pymodbus and by bare sockets."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.client import AsyncModbusTcpClient

from cellrt.assembly import Assembly
from cellrt.image import Image
from cellrt.tags import Var
from cellrt.wire import DeviceMap, Point, Wire
from hw_sim.coupler import Coupler
from hw_sim.device import SimDevice
from hw_sim.modbus_front import ModbusFront
from hw_sim.printer import Printer
from hw_sim.registers import Registers

LIMIT_S = 10.0
DEVICES: dict[str, type[SimDevice]] = {"coupler": Coupler, "printer": Printer}


class Served:
    """Both Modbus devices on free ports, without physics: their memory is set and read directly."""

    def __init__(self) -> None:
        self.image = Image(Assembly(DEVICES).layout)
        self.fronts = {n: ModbusFront(kind, n, self.image) for n, kind in DEVICES.items()}
        self.ports: dict[str, int] = {}

    def get(self, tag: str) -> bool | int | float:
        return self.image.read(self.image.layout.find(tag))

    async def put(self, tag: str, value: bool | int | float) -> None:
        self.image.write(self.image.layout.find(tag), value)
        for front in self.fronts.values():
            await front.publish()

    async def client(self, name: str) -> AsyncModbusTcpClient:
        client = AsyncModbusTcpClient(
            "127.0.0.1", port=self.ports[name], timeout=LIMIT_S, retries=0, reconnect_delay=0
        )
        assert await client.connect()
        return client

    async def raw(self, name: str, *sent: bytes, answer_bytes: int) -> bytes:
        """What comes back for bytes sent piece by piece; all that comes, if the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[name])
        try:
            for piece in sent:
                writer.write(piece)
                await writer.drain()
            async with asyncio.timeout(LIMIT_S):
                return await reader.readexactly(answer_bytes)
        except asyncio.IncompleteReadError as error:
            return error.partial
        finally:
            writer.close()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    plant = Served()
    for name, front in plant.fronts.items():
        address = await front.start(0)
        plant.ports[name] = int(address.rpartition(":")[2])
    yield plant
    for front in plant.fronts.values():
        await front.stop()


def frame(transaction: int, pdu: bytes, unit: int = 1) -> bytes:
    return struct.pack(">HHHB", transaction, 0, 1 + len(pdu), unit) + pdu


READ_COUNTER = struct.pack(">BHH", 4, 0, 1)


async def test_discrete_inputs_show_the_sensors(served: Served) -> None:
    client = await served.client("coupler")
    await served.put("coupler.infeed_exit", True)
    await served.put("coupler.power_on", True)
    answer = await client.read_discrete_inputs(0, count=12, device_id=1)
    assert answer.bits[:12] == [True, True] + [False] * 2 + [True] + [False] * 4 + [
        True,
        False,
        True,
    ]
    client.close()


async def test_input_registers_are_scaled_signed_and_wide(served: Served) -> None:
    client = await served.client("printer")
    await served.put("printer.pressure_N", 81.26)
    await served.put("printer.offset_x_um", -12.34)
    await served.put("printer.temperature_degC", 4000.0)
    await served.put("printer.barcode", 0x0001_0002)
    answer = await client.read_input_registers(10, count=9, device_id=1)
    assert answer.registers[0] == 813
    assert answer.registers[2] == 0x10000 - 123
    assert answer.registers[5] == 0x7FFF
    assert answer.registers[6:8] == [1, 2]
    client.close()


async def test_addresses_between_points_are_reserved_and_read_as_0(served: Served) -> None:
    client = await served.client("coupler")
    answer = await client.read_input_registers(0, count=108, device_id=1)
    assert answer.registers == [0] * 108
    client.close()


async def test_written_coils_and_registers_reach_their_tags_and_read_back(served: Served) -> None:
    client = await served.client("printer")
    assert not (await client.write_coil(1, True, device_id=1)).isError()
    assert not (await client.write_coils(0, [True, False, True], device_id=1)).isError()
    assert not (await client.write_register(0, 0xFFFF, device_id=1)).isError()
    assert not (await client.write_registers(1, [905, 500, 0x10000 - 55], device_id=1)).isError()
    tags = ("belt_run", "clamp", "print_start", "wipe_start")
    assert [served.get(f"printer.{t}") for t in tags] == [True, False, True, False]
    assert served.get("printer.heartbeat") == 0xFFFF
    assert served.get("printer.pressure_setpoint_N") == pytest.approx(90.5)
    assert served.get("printer.correction_x_um") == pytest.approx(-5.5)
    back = await client.read_holding_registers(0, count=5, device_id=1)
    assert back.registers == [0xFFFF, 905, 500, 0x10000 - 55, 0]
    assert (await client.read_coils(0, count=4, device_id=1)).bits[:4] == [True, False, True, False]
    client.close()


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("write_coil", (6, True)),
        ("write_coils", (4, [True] * 3)),
        ("write_register", (3, 1)),
        ("write_registers", (2, [1, 1])),
        ("write_registers", (65535, [1])),
    ],
)
async def test_write_outside_the_map_is_refused_whole(
    served: Served, call: str, arguments: Any
) -> None:
    client = await served.client("coupler")
    before = served.image.hash()
    answer = await getattr(client, call)(*arguments, device_id=1)
    assert answer.isError()
    assert answer.exception_code == 2
    assert served.image.hash() == before
    client.close()


@pytest.mark.parametrize(
    ("call", "address", "count"),
    [
        ("read_coils", 0, 7),
        ("read_discrete_inputs", 13, 1),
        ("read_holding_registers", 2, 2),
        ("read_input_registers", 108, 1),
    ],
)
async def test_read_beyond_the_map_is_refused(
    served: Served, call: str, address: int, count: int
) -> None:
    client = await served.client("coupler")
    answer = await getattr(client, call)(address, count=count, device_id=1)
    assert answer.exception_code == 2
    client.close()


async def test_other_unit_is_told_that_nobody_is_there(served: Served) -> None:
    client = await served.client("coupler")
    assert (await client.read_coils(0, count=1, device_id=7)).exception_code == 11
    assert not (await client.read_coils(0, count=1, device_id=255)).isError()
    client.close()


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        (bytes((43, 14, 1, 0)), 1),
        (struct.pack(">BHHHHHB", 23, 0, 1, 0, 1, 0, 2), 1),
        (struct.pack(">BHH", 4, 0, 0), 3),
        (struct.pack(">BHH", 4, 0, 126), 3),
        (struct.pack(">BHH", 2, 0, 2001), 3),
        (struct.pack(">BH", 4, 0), 3),
        (struct.pack(">BHH", 5, 0, 0x1234), 3),
        (struct.pack(">BHHB", 15, 0, 9, 1) + b"\1", 3),
        (struct.pack(">BHHB", 16, 0, 2, 2) + b"\0\1", 3),
        (struct.pack(">BHHB", 16, 0, 1, 4) + b"\0\1", 3),
        (struct.pack(">BH", 16, 0), 3),
    ],
)
async def test_wrong_request_is_refused_by_the_standards_code(
    served: Served, pdu: bytes, code: int
) -> None:
    answer = await served.raw("coupler", frame(9, pdu), answer_bytes=9)
    assert answer == frame(9, bytes((pdu[0] | 0x80, code)))


async def test_requests_in_one_segment_are_each_answered_in_order(served: Served) -> None:
    await served.put("coupler.counter", 7)
    sent = b"".join(frame(n, READ_COUNTER) for n in range(50))
    answers = await served.raw("coupler", sent, answer_bytes=50 * 11)
    assert answers == b"".join(frame(n, b"\4\2\0\7") for n in range(50))


async def test_request_in_pieces_is_answered_when_whole(served: Served) -> None:
    whole = frame(1, READ_COUNTER)
    answer = await served.raw("coupler", *(whole[k : k + 1] for k in range(12)), answer_bytes=11)
    assert answer == frame(1, b"\4\2\0\0")


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack(">HHHBB", 1, 7, 2, 1, 4),
        struct.pack(">HHHB", 1, 0, 0, 1),
        struct.pack(">HHHB", 1, 0, 1, 1),
        struct.pack(">HHHB", 1, 0, 255, 1),
    ],
)
async def test_bytes_that_are_no_modbus_close_that_connection_alone(
    served: Served, garbage: bytes
) -> None:
    other = await served.client("coupler")
    good = frame(1, READ_COUNTER)
    assert await served.raw("coupler", good + garbage + good, answer_bytes=99) == frame(
        1, b"\4\2\0\0"
    )
    assert not (await other.read_coils(0, count=1, device_id=1)).isError()
    other.close()


async def test_values_read_between_two_ticks_belong_together(served: Served) -> None:
    client = await served.client("coupler")
    await client.read_input_registers(0, count=1, device_id=1)
    served.image.write(served.image.layout.find("coupler.counter"), 5)
    assert (await client.read_input_registers(0, count=1, device_id=1)).registers == [0]
    await served.fronts["coupler"].publish()
    assert (await client.read_input_registers(0, count=1, device_id=1)).registers == [5]
    client.close()


async def test_stopped_front_closes_its_connections(served: Served) -> None:
    client = await served.client("coupler")
    await served.fronts["coupler"].stop()
    reader = asyncio.open_connection("127.0.0.1", served.ports["coupler"])
    with pytest.raises(ConnectionRefusedError):
        await reader
    client.close()


class Sparse(SimDevice):
    """Reserved and read-only registers between the written ones, one of them wide and signed."""

    speed: int = Var()
    shown: int = Var()
    device_map = DeviceMap(
        protocol="modbus",
        inputs=(Point("shown", "holding:4", Wire.U16),),
        outputs=(Point("speed", "holding:2", Wire.I32),),
    )


@pytest.fixture
def sparse() -> Iterator[tuple[Registers, Image]]:
    image = Image(Assembly({"sparse": Sparse}).layout)
    yield Registers(Sparse, "sparse", image), image


def write(first: int, *values: int) -> bytes:
    return struct.pack(f">BHHB{len(values)}H", 16, first, len(values), 2 * len(values), *values)


@pytest.mark.parametrize("pdu", [write(1, 1), write(4, 1), write(1, 1, 1), write(2, 1, 1, 1)])
def test_write_of_a_reserved_or_read_only_register_is_refused(
    sparse: tuple[Registers, Image], pdu: bytes
) -> None:
    registers, image = sparse
    before = image.hash()
    assert registers.answer(pdu) == b"\x90\2"
    assert image.hash() == before


def test_wide_register_written_whole_or_by_halves_is_one_signed_value(
    sparse: tuple[Registers, Image],
) -> None:
    registers, image = sparse
    speed = image.layout.find("sparse.speed")
    registers.answer(write(2, 0xFFFF, 0xFFFE))
    assert image.read(speed) == -2
    registers.answer(write(3, 0x0001))
    assert image.read(speed) == -0xFFFF
    registers.answer(write(2, 0x0001))
    assert image.read(speed) == 0x1_0001


def test_device_with_a_float_in_a_register_is_not_served() -> None:
    class Floating(Sparse):
        device_map = DeviceMap(
            protocol="modbus", inputs=(Point("shown", "input:0", Wire.F32),), outputs=()
        )

    with pytest.raises(ValueError, match="shown at input:0: registers here hold integers"):
        Registers(Floating, "sparse", Image(Assembly({"sparse": Sparse}).layout))


REQUESTS = st.one_of(
    st.binary(min_size=1, max_size=253),
    st.builds(
        lambda f, a, c, data: struct.pack(">BHHB", f, a, c, len(data)) + data,
        st.sampled_from((5, 6, 15, 16)),
        st.integers(0, 8),
        st.integers(0, 9),
        st.binary(max_size=18),
    ),
    st.builds(
        lambda f, a, c: struct.pack(">BHH", f, a, c),
        st.integers(1, 6),
        st.integers(0, 120),
        st.integers(0, 2100),
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(REQUESTS, max_size=5))
def test_any_request_is_answered_and_touches_only_what_may_be_written(
    requests: list[bytes],
) -> None:
    image = Image(Assembly({"printer": Printer}).layout)
    registers = Registers(Printer, "printer", image)
    readable = [p for p in Printer.points if p not in Printer.written()]
    before = [image.read(image.layout.find(f"printer.{p.name}")) for p in readable]
    for pdu in requests:
        memory = image.hash()
        answer = registers.answer(pdu)
        if answer[0] & 0x80:
            assert answer[0] == pdu[0] | 0x80
            assert answer[1] in (1, 2, 3)
            assert image.hash() == memory
        else:
            assert answer[0] == pdu[0]
            assert len(answer) <= 253
    assert [image.read(image.layout.find(f"printer.{p.name}")) for p in readable] == before
