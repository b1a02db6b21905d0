"""The Modbus driver against a device, written by hand, that answers as no device should."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellrt.drivers.base import DeviceError, bounded
from cellrt.drivers.mbap import flaw
from cellrt.drivers.modbus import ModbusDriver
from cellrt.drivers.transactions import Connection, Transaction
from cellrt.wire import DeviceMap, Point, Wire

PATIENCE_S = 30.0
"""Of a driver that is not to time out."""

SHORT_S = 0.2
READ, WRITE_REGISTERS, WRITE_COILS = 4, 16, 15
MAP = DeviceMap(
    "modbus",
    (Point("pressure", "input:1", Wire.U16), Point("level", "input:2", Wire.I16)),
    (Point("clamp", "coil:0", Wire.BOOL), Point("speed", "holding:1", Wire.U16)),
    heartbeat=Point("heartbeat", "holding:0", Wire.U16),
    counter=Point("counter", "input:0", Wire.U16),
    unit_id=3,
)
OUTPUTS = np.array([1, 1, 50], np.int64)


class Hostile:
    """Answers as it should, but for the next request of `function`, which `act` answers.

    `act` takes the request, the right answer and the one before it, and gives the bytes to send.
    """

    def __init__(self) -> None:
        self.registers = [100, 200, 65535]
        self.function = 0
        self.act: Callable[[bytes, bytes, bytes], bytes] = lambda request, answer, last: answer
        self.hang_up = False
        self.asked = asyncio.Event()
        self.connections = 0
        self._last = b""
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    def write(self, data: bytes) -> None:
        """Say something on the newest connection, asked or not."""
        self._writers[-1].write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(6)
                request = head + await reader.readexactly(int.from_bytes(head[4:6], "big"))
                answer = self._right(request)
                if request[7] == self.function:
                    self.function = 0
                    writer.write(self.act(request, answer, self._last))
                    self.asked.set()
                    if self.hang_up:
                        break
                else:
                    writer.write(answer)
                self._last = answer
        writer.close()

    def _right(self, request: bytes) -> bytes:
        data = request[8:12]
        if request[7] == READ:
            count = int.from_bytes(request[10:12], "big")
            words = b"".join(r.to_bytes(2, "big") for r in self.registers[:count])
            data = bytes([len(words)]) + words
        return request[:4] + (2 + len(data)).to_bytes(2, "big") + request[6:8] + data


@pytest.fixture
async def device() -> AsyncIterator[Hostile]:
    device = Hostile()
    await device.start()
    yield device
    await device.stop()


@pytest.fixture
async def driver(device: Hostile) -> AsyncIterator[ModbusDriver]:
    driver = driver_of(device)
    await driver.connect()
    yield driver
    await driver.close()


def driver_of(device: Hostile, timeout_s: float = PATIENCE_S) -> ModbusDriver:
    return ModbusDriver("printer", f"127.0.0.1:{device.port}", MAP, timeout_s)


def with_byte(frame: bytes, at: int, value: int) -> bytes:
    return frame[:at] + bytes([value]) + frame[at + 1 :]


ACTS: dict[str, tuple[Callable[[bytes, bytes, bytes], bytes], str]] = {
    "garbage": (lambda q, a, last: bytes(range(180, 200)), "answer with transaction"),
    "one stray byte first": (lambda q, a, last: b"\xff" + a, "answer with transaction"),
    "text": (
        lambda q, a, last: b"HTTP/1.1 400 Bad Request\r\n\r\n",
        "answer with transaction 18516",
    ),
    "exception": (
        lambda q, a, last: q[:4] + b"\0\3" + q[6:7] + bytes([q[7] | 0x80, 6]),
        r"refused with exception 6 \(device busy\)",
    ),
    "exception unheard of": (
        lambda q, a, last: q[:4] + b"\0\3" + q[6:7] + bytes([q[7] | 0x80, 99]),
        "refused with exception 99$",
    ),
    "exception to another function": (
        lambda q, a, last: q[:4] + b"\0\3" + q[6:7] + b"\x81\2",
        "answer with length 3 in place of",
    ),
    "another unit": (lambda q, a, last: with_byte(a, 6, 4), "answer with unit 4 in place of 3"),
    "another protocol": (
        lambda q, a, last: with_byte(a, 3, 1),
        "answer with protocol 1 in place of 0",
    ),
    "another transaction": (lambda q, a, last: with_byte(a, 1, 99), "answer with transaction 99"),
    "no transaction": (lambda q, a, last: b"\0\0" + a[2:], "answer with transaction 0 in place of"),
    "the answer before": (lambda q, a, last: last, "answer with transaction"),
    "the answer before, then this": (lambda q, a, last: last + a, "answer with transaction"),
    "the answer twice": (lambda q, a, last: a + a, "bytes more than the answer"),
    "a flood": (lambda q, a, last: a * 10_000, "bytes more than the answer"),
    "another function": (
        lambda q, a, last: with_byte(a, 7, 5),
        "answer with function 5 in place of",
    ),
    "wrong byte count or address": (
        lambda q, a, last: with_byte(a, 8, a[8] ^ 2),
        "answer with data .* in place of",
    ),
    "a shorter answer": (
        lambda q, a, last: with_byte(a, 5, a[5] - 2)[:-2],
        "answer with length . in place of",
    ),
    "a length beyond the frame": (lambda q, a, last: with_byte(a, 4, 200), "answer with length 5"),
}


@pytest.mark.parametrize("function", [READ, WRITE_COILS, WRITE_REGISTERS])
@pytest.mark.parametrize("act", ACTS)
async def test_wrong_answer_fails_and_connected_again_all_is_right(
    device: Hostile, driver: ModbusDriver, act: str, function: int
) -> None:
    inputs = np.zeros(3, np.int64)
    device.act, reason = ACTS[act]
    device.function = function
    with pytest.raises(DeviceError, match=f"^printer: .*{reason}"):
        await driver.exchange(OUTPUTS, inputs)
    assert inputs.tolist() == [0, 0, 0]
    with pytest.raises(DeviceError):  # not before it is connected again
        await driver.exchange(OUTPUTS, inputs)
    await driver.connect()
    await driver.exchange(OUTPUTS, inputs)
    assert inputs.tolist() == [100, 200, -1]
    assert device.connections == 2


@pytest.mark.parametrize("said", [0, 5, 9])
async def test_silence_ends_with_the_timeout(device: Hostile, said: int) -> None:
    """Nothing comes, or a part of a frame, and then nothing more."""
    driver = driver_of(device, SHORT_S)
    await driver.connect()
    inputs = np.zeros(3, np.int64)
    device.act, device.function = (lambda q, a, last: a[:said]), READ
    with pytest.raises(DeviceError, match=r"^printer: no answer within 0.2 s"):
        await driver.exchange(OUTPUTS, inputs)
    assert inputs.tolist() == [0, 0, 0]
    await driver.connect()
    await driver.exchange(OUTPUTS, inputs)
    await driver.close()
    assert inputs.tolist() == [100, 200, -1]


@pytest.mark.parametrize("said", [0, 9])
async def test_device_that_hangs_up_is_noticed_at_once(
    device: Hostile, driver: ModbusDriver, said: int
) -> None:
    """Long before the timeout, which here would outlast the test."""
    device.act, device.function = (lambda q, a, last: a[:said]), READ
    device.hang_up = True
    with pytest.raises(DeviceError, match=r"^printer: the device closed the connection"):
        async with asyncio.timeout(PATIENCE_S / 2):
            await driver.exchange(OUTPUTS, np.zeros(3, np.int64))


async def test_frame_in_pieces_is_put_together(device: Hostile, driver: ModbusDriver) -> None:
    """TCP may cut anywhere; only the first piece is sent before the driver has asked."""

    def in_two(request: bytes, answer: bytes, last: bytes) -> bytes:
        asyncio.get_running_loop().call_soon(device.write, answer[5:])
        return answer[:5]

    device.act, device.function = in_two, READ
    inputs = np.zeros(3, np.int64)
    await driver.exchange(OUTPUTS, inputs)
    assert inputs.tolist() == [100, 200, -1]


async def test_late_answer_never_passes_for_a_later_one(device: Hostile) -> None:
    """The device answers after the driver has given up, on the old connection and on the new."""
    late: list[bytes] = []

    def keep(request: bytes, answer: bytes, last: bytes) -> bytes:
        late.append(answer)
        return b""

    driver = driver_of(device, SHORT_S)
    await driver.connect()
    inputs = np.zeros(3, np.int64)
    device.act, device.function = keep, READ
    with pytest.raises(DeviceError, match="no answer"):
        await driver.exchange(OUTPUTS, inputs)
    device.write(late[0])
    device.registers = [101, 1, 2]
    await driver.connect()
    device.write(late[0])
    with pytest.raises(DeviceError, match=r"answer with transaction|not asked for"):
        await driver.exchange(OUTPUTS, inputs)
    assert inputs.tolist() == [0, 0, 0]
    await driver.connect()
    await driver.exchange(OUTPUTS, inputs)
    await driver.close()
    assert inputs.tolist() == [101, 1, 2]


async def test_nobody_listening_is_an_error() -> None:
    with socket.socket() as reserved:  # bound, never listening
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        driver = ModbusDriver("printer", f"127.0.0.1:{port}", MAP, PATIENCE_S)
        with pytest.raises(DeviceError, match=f"printer: no connection to 127.0.0.1:{port}"):
            await driver.connect()


async def test_wrong_answer_while_connecting_fails_the_connect(device: Hostile) -> None:
    driver = driver_of(device)
    device.act, device.function = ACTS["another unit"][0], READ
    with pytest.raises(DeviceError, match="unit 4 in place of 3"):
        await driver.connect()
    await driver.connect()
    await driver.close()


async def test_cancelled_in_mid_exchange_the_connection_is_given_up(
    device: Hostile, driver: ModbusDriver
) -> None:
    inputs = np.zeros(3, np.int64)
    device.act, device.function = (lambda q, a, last: b""), READ
    exchange = asyncio.create_task(driver.exchange(OUTPUTS, inputs))
    await asyncio.wait_for(device.asked.wait(), 10)
    exchange.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange
    with pytest.raises(DeviceError, match="not connected"):
        await driver.exchange(OUTPUTS, inputs)
    await driver.connect()
    await driver.exchange(OUTPUTS, inputs)
    assert inputs.tolist() == [100, 200, -1]


async def test_cancellation_that_meets_the_answer_is_not_lost() -> None:
    """`wait_for` of Python 3.11 gives the result and forgets that it was cancelled."""
    answer = asyncio.get_running_loop().create_future()
    waiting = asyncio.Event()

    async def exchange() -> None:
        async with bounded(10.0):
            waiting.set()
            await asyncio.wait_for(answer, 10.0)

    task = asyncio.create_task(exchange())
    await waiting.wait()
    answer.set_result(None)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


REQUESTS = st.tuples(
    st.sampled_from([1, 2, 3, 4, 15, 16]), st.integers(0, 65535), st.integers(1, 125)
).map(
    lambda r: b"\0\7\0\0\0\6\3" + bytes([r[0]]) + r[1].to_bytes(2, "big") + r[2].to_bytes(2, "big")
)


def right_answer(request: bytes) -> bytes:
    function, count = request[7], int.from_bytes(request[10:12], "big")
    size = {1: (count + 7) // 8, 2: (count + 7) // 8, 3: 2 * count, 4: 2 * count}.get(function)
    data = request[8:12] if size is None else bytes([size]) + bytes(size)
    return request[:4] + (2 + len(data)).to_bytes(2, "big") + request[6:8] + data


@given(REQUESTS, st.data())
def test_every_beginning_of_the_answer_is_right_and_every_other_byte_wrong(
    request: bytes, data: st.DataObject
) -> None:
    answer = right_answer(request)
    assert flaw(request, answer[: data.draw(st.integers(0, len(answer)))]) == ""
    fixed = 12 if request[7] > 4 else 9
    at = data.draw(st.integers(0, fixed - 1))
    wrong = with_byte(answer, at, answer[at] ^ data.draw(st.integers(1, 255)))
    assert flaw(request, wrong)
    assert flaw(request, answer + b"\0")


class Recorded(asyncio.Transport):
    """Takes requests; whether it was cut."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.cut = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))

    def abort(self) -> None:
        self.cut = True


def say(connection: Connection, words: bytes) -> None:
    """Bytes come in, as the loop brings them."""
    connection.get_buffer(-1)[: len(words)] = words
    connection.buffer_updated(len(words))


@given(st.lists(REQUESTS, min_size=1, max_size=6), st.integers(0, 65535), st.data())
async def test_answers_in_any_pieces_are_taken_and_one_wrong_byte_cuts_the_connection(
    requests: list[bytes], number: int, data: st.DataObject
) -> None:
    connection, wire = Connection(number, PATIENCE_S), Recorded()
    connection.connection_made(wire)
    transactions = [Transaction("block", r[6], r[7:]) for r in requests]
    run = asyncio.ensure_future(connection.run(transactions))
    await asyncio.sleep(0)
    for n, transaction in enumerate(transactions):
        assert len(wire.sent) == n + 1, "one in flight"
        answer = right_answer(wire.sent[n])
        head = len(transaction.answer)
        content = data.draw(st.binary(min_size=len(answer) - head, max_size=len(answer) - head))
        answer = answer[:head] + content
        if data.draw(st.integers(0, 9)) == 0:
            at = data.draw(st.integers(0, head - 1))
            say(connection, with_byte(answer, at, answer[at] ^ data.draw(st.integers(1, 127))))
            with pytest.raises(DeviceError, match="answer with"):
                await run
            assert wire.cut
            return
        cut = data.draw(st.integers(0, len(answer) - 1))
        for piece in filter(None, (answer[:cut], answer[cut:])):
            say(connection, piece)
        assert transaction.data == content
    await run
    numbers = [int.from_bytes(sent[:2], "big") for sent in wire.sent]
    assert len(set(numbers)) == len(numbers) and number not in numbers and 0 not in numbers
    assert not wire.cut


async def test_run_has_its_whole_time_whenever_another_began_to_be_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, now_s = asyncio.get_running_loop(), [1.0]
    monkeypatch.setattr(loop, "time", lambda: now_s[0])

    async def pass_s(time_s: float) -> None:
        now_s[0] += time_s
        for _ in range(3):
            await asyncio.sleep(0)

    connection, wire = Connection(0, 1.0), Recorded()
    connection.connection_made(wire)
    block = Transaction("block", 1, b"\3\0\0\0\1")
    first = asyncio.ensure_future(connection.run([block]))
    await pass_s(0.0)
    await pass_s(0.5)
    say(connection, right_answer(wire.sent[0]))
    await first
    second = asyncio.ensure_future(connection.run([block]))
    await pass_s(0.0)
    await pass_s(0.6)
    await pass_s(0.3)
    assert not second.done(), "0.9 s of its 1.0 s; 1.4 s since the first began"
    await pass_s(0.2)
    with pytest.raises(DeviceError, match="no answer within 1 s"):
        await second
    assert wire.cut


async def test_answer_that_comes_as_time_is_up_is_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are found in one turn of the loop, in which whoever waits is not yet woken."""
    loop, now_s = asyncio.get_running_loop(), [1.0]
    monkeypatch.setattr(loop, "time", lambda: now_s[0])
    connection, wire = Connection(0, 1.0), Recorded()
    connection.connection_made(wire)
    block = Transaction("block", 1, b"\3\0\0\0\1")
    for n in range(2):
        run = asyncio.ensure_future(connection.run([block]))
        await asyncio.sleep(0)
        loop.call_soon(say, connection, right_answer(wire.sent[n]))
        now_s[0] += 2.0
        await run
    assert not wire.cut


@given(REQUESTS, st.integers(0, 255))
def test_exception_response_is_an_answer(request: bytes, code: int) -> None:
    answer = request[:4] + b"\0\3" + request[6:7] + bytes([request[7] | 0x80, code])
    assert flaw(request, answer) == ""
    assert flaw(request, answer + b"\0")
