"""The server's side of Modbus connections, by bare sockets: whatever comes in, whatever goes out."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellrt.modbus.frames import ANSWERS_BYTES, BUFFER_BYTES, MAX_CONNECTIONS, Server
from cellrt.modbus.requests import Refused, Request, parse

LIMIT_S = 10.0
SLOW = 6
"""Requests of this function are answered only when the test lets them be."""


class Echo:
    """Answers each request with its own bytes backwards."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.go = asyncio.Event()

    def __call__(self, pdu: bytes, peer: str) -> bytes | asyncio.Task[bytes]:
        self.heard.append(pdu)
        return self.later(pdu) if pdu[0] == SLOW else pdu[::-1]  # type: ignore[return-value]

    async def later(self, pdu: bytes) -> bytes:
        await self.go.wait()
        return pdu[::-1]


class Bench:
    """A server and its address."""

    def __init__(self, idle_s: float = 60.0) -> None:
        self.echo = Echo()
        self.server = Server(self.echo, idle_s=idle_s)  # type: ignore[arg-type]
        self.port = 0

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def exchange(self, *pieces: bytes) -> bytes:
        """All that comes back for what is sent piece by piece; then the client ends."""
        reader, writer = await self.connect()
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            with contextlib.suppress(OSError):
                writer.write_eof()
            async with asyncio.timeout(LIMIT_S):
                return await reader.read()
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def serving(idle_s: float = 60.0) -> AsyncIterator[Bench]:
    made = Bench(idle_s)
    made.port = await made.server.start("127.0.0.1", 0)
    try:
        yield made
    finally:
        await made.server.stop()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with serving() as made:
        yield made


async def until(condition: Callable[[], bool]) -> None:
    """Let the server work until it holds."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0)


def frame(transaction: int, pdu: bytes, unit: int = 255, protocol: int = 0) -> bytes:
    return struct.pack(">HHHB", transaction, protocol, 1 + len(pdu), unit) + pdu


async def test_pipelined_requests_are_answered_in_order(bench: Bench) -> None:
    pdus = [bytes((3, n, n + 1)) for n in range(50)]
    sent = b"".join(frame(n, pdu) for n, pdu in enumerate(pdus))
    expected = b"".join(frame(n, pdu[::-1]) for n, pdu in enumerate(pdus))
    assert await bench.exchange(sent) == expected


async def test_request_in_single_bytes_is_answered_once_whole(bench: Bench) -> None:
    sent = frame(7, b"\3\0\1\0\2")
    assert await bench.exchange(*(sent[n : n + 1] for n in range(len(sent)))) == frame(
        7, b"\2\0\1\0\3"
    )


async def test_half_a_frame_is_not_answered(bench: Bench) -> None:
    assert await bench.exchange(frame(1, b"\3\0\1"), frame(2, b"\3\0\1")[:-1]) == frame(
        1, b"\1\0\3"
    )
    assert bench.echo.heard == [b"\3\0\1"]


@pytest.mark.parametrize(
    "garbage",
    [
        frame(2, b"\3\0", protocol=1),
        struct.pack(">HHHB", 2, 0, 1, 255),
        struct.pack(">HHHB", 2, 0, 255, 255) + bytes(254),
        struct.pack(">HHHB", 2, 0, 0, 255),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["protocol", "no function", "too long", "empty", "http"],
)
async def test_bytes_that_are_no_modbus_what_came_before_is_answered_then_closed(
    bench: Bench, garbage: bytes
) -> None:
    reader, writer = await bench.connect()
    writer.write(frame(1, b"\3\0\1") + garbage + frame(3, b"\3\0\1"))
    async with asyncio.timeout(LIMIT_S):
        assert await reader.read() == frame(1, b"\1\0\3")
    assert len(bench.echo.heard) == 1
    writer.close()


async def test_answer_before_the_end_can_be_fetched_though_more_was_sent(bench: Bench) -> None:
    reader, writer = await bench.connect()
    writer.transport.pause_reading()
    writer.write(frame(1, b"\3\0\1") + frame(2, b"\3\0", protocol=1))
    await until(lambda: bool(bench.echo.heard))
    for _ in range(20):
        writer.write(bytes(100))
        await asyncio.sleep(0)
    writer.transport.resume_reading()
    async with asyncio.timeout(LIMIT_S):
        assert await reader.read() == frame(1, b"\1\0\3")
    writer.close()


async def test_longest_frame_is_taken(bench: Bench) -> None:
    pdu = bytes(range(1, 254))
    assert await bench.exchange(frame(9, pdu)) == frame(9, pdu[::-1])


async def test_other_unit_is_told_that_nobody_is_there(bench: Bench) -> None:
    assert await bench.exchange(frame(1, b"\3\0", unit=9)) == frame(1, b"\x83\x0b", unit=9)
    assert bench.echo.heard == []


async def test_answer_outstanding_the_client_waits_and_others_do_not(bench: Bench) -> None:
    reader, writer = await bench.connect()
    writer.write(frame(1, bytes((SLOW, 1))) + frame(2, b"\3\2"))
    await writer.drain()
    await until(lambda: bool(bench.echo.heard))
    assert await bench.exchange(frame(8, b"\3\0")) == frame(8, b"\0\3")
    assert bench.echo.heard == [bytes((SLOW, 1)), b"\3\0"]
    bench.echo.go.set()
    expected = frame(1, bytes((1, SLOW))) + frame(2, b"\2\3")
    async with asyncio.timeout(LIMIT_S):
        assert await reader.readexactly(len(expected)) == expected
    writer.close()


async def test_client_gone_while_its_answer_is_outstanding_server_goes_on(bench: Bench) -> None:
    _, writer = await bench.connect()
    writer.write(frame(1, bytes((SLOW, 1))))
    await writer.drain()
    await until(lambda: bool(bench.echo.heard))
    writer.transport.abort()
    assert await bench.exchange(frame(8, b"\3\0")) == frame(8, b"\0\3")
    bench.echo.go.set()
    assert await bench.exchange(frame(9, b"\3\0")) == frame(9, b"\0\3")


async def test_client_that_fetches_no_answers_is_not_heard_until_it_does(bench: Bench) -> None:
    pdu, sent = bytes(253), 0
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", bench.port))
    reader, writer = await asyncio.open_connection(sock=sock)
    writer.transport.pause_reading()
    await until(lambda: bool(bench.server.connections))
    (connection,) = bench.server.connections
    transport = connection._transport
    assert isinstance(transport, asyncio.Transport)
    async with asyncio.timeout(LIMIT_S):
        while transport.is_reading():
            writer.write(frame(sent & 0xFFFF, pdu))
            sent += 1
            await asyncio.sleep(0)
    heard = len(bench.echo.heard)
    for _ in range(20):
        writer.write(frame(sent & 0xFFFF, pdu))
        sent += 1
        await asyncio.sleep(0)
    assert len(bench.echo.heard) == heard
    assert connection._filled <= BUFFER_BYTES
    assert 0 < transport.get_write_buffer_size() <= ANSWERS_BYTES + len(frame(0, pdu))
    assert await bench.exchange(frame(8, b"\3\0")) == frame(8, b"\0\3")
    writer.transport.resume_reading()
    expected = b"".join(frame(n & 0xFFFF, pdu) for n in range(sent))
    async with asyncio.timeout(LIMIT_S):
        assert await reader.readexactly(len(expected)) == expected
    writer.close()


async def test_one_connection_too_many_is_closed_and_the_others_are_served(bench: Bench) -> None:
    there = [await bench.connect() for _ in range(MAX_CONNECTIONS)]
    for number, (reader, writer) in enumerate(there):
        writer.write(frame(number, b"\3\0"))
        assert await reader.readexactly(9) == frame(number, b"\0\3")
    reader, writer = await bench.connect()
    with contextlib.suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    reader, writer = there.pop()
    writer.close()
    await writer.wait_closed()
    await until(lambda: len(bench.server.connections) < MAX_CONNECTIONS)
    assert await bench.exchange(frame(8, b"\3\0")) == frame(8, b"\0\3")
    for _, writer in there:
        writer.close()


async def test_client_without_a_whole_request_is_hung_up_on() -> None:
    async with serving(idle_s=0.05) as bench:
        reader, writer = await bench.connect()
        writer.write(frame(1, b"\3\0")[:-1])
        async with asyncio.timeout(LIMIT_S):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()


async def test_stopped_server_hangs_up_and_gives_the_port_back() -> None:
    async with serving() as bench:
        reader, writer = await bench.connect()
        writer.write(frame(1, b"\3\0"))
        await reader.readexactly(9)
        await bench.server.stop()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        again = Server(bench.echo)  # type: ignore[arg-type]
        assert await again.start("127.0.0.1", bench.port) == bench.port
        await again.stop()


# random bytes


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


FRAMES = st.builds(
    frame,
    st.integers(0, 0xFFFF),
    st.binary(min_size=1, max_size=253),
    st.sampled_from((255, 0, 9)),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(FRAMES, max_size=12),
    st.one_of(st.just(b""), st.binary(max_size=300)),
    st.lists(st.integers(1, 400), max_size=8),
)
def test_any_bytes_each_whole_request_is_answered_by_its_transaction(
    runner: asyncio.Runner, frames: list[bytes], rest: bytes, cuts: list[int]
) -> None:
    sent = b"".join(frames) + rest
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(sent[at : at + cut])
        at += cut

    async def exchange() -> bytes:
        async with serving() as bench:
            bench.echo.go.set()
            return await bench.exchange(*pieces, sent[at:])

    assert runner.run(exchange()) == expected_answers(sent)


def expected_answers(sent: bytes) -> bytes:
    """What a server answers that reads these bytes one after the other."""
    answers, at = b"", 0
    while at + 7 <= len(sent):
        transaction, protocol, length, unit = struct.unpack_from(">HHHB", sent, at)
        pdu = sent[at + 7 : at + 6 + length]
        if protocol != 0 or not 2 <= length <= 254 or len(pdu) < length - 1:
            break
        answer = pdu[::-1] if unit in (0, 255) else bytes((pdu[0] | 0x80, 11))
        answers += frame(transaction, answer, unit)
        at += 6 + length
    return answers


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        st.binary(min_size=1, max_size=253),
        st.builds(
            lambda f, a, c, data: struct.pack(">BHHB", f, a, c, len(data)) + data,
            st.sampled_from((15, 16)),
            st.integers(0, 0xFFFF),
            st.integers(0, 130),
            st.binary(max_size=247),
        ),
        st.builds(struct.pack, st.just(">BHH"), st.integers(1, 7), *[st.integers(0, 0xFFFF)] * 2),
    )
)
def test_any_request_is_refused_or_within_what_the_standard_allows(pdu: bytes) -> None:
    try:
        request = parse(pdu)
    except Refused as refused:
        assert refused.code in (1, 3)
        assert (refused.code == 1) == (pdu[0] not in (1, 2, 3, 4, 5, 6, 15, 16))
        return
    most = {1: 2000, 2: 2000, 3: 125, 4: 125, 5: 1, 6: 1, 15: 1968, 16: 123}
    assert 1 <= request.count <= most[request.function]
    assert len(request.values) == (request.count if request.is_write else 0)
    assert all(0 <= v <= (1 if request.is_of_bits else 0xFFFF) for v in request.values)


def test_written_values_are_the_requests() -> None:
    assert parse(struct.pack(">BHHB", 15, 3, 10, 2) + b"\x05\x02") == Request(
        15, 3, 10, (1, 0, 1, 0, 0, 0, 0, 0, 0, 1)
    )
    assert parse(struct.pack(">BHHBHH", 16, 3, 2, 4, 258, 65535)) == Request(16, 3, 2, (258, 65535))
    assert parse(struct.pack(">BHH", 5, 3, 0xFF00)).values == (1,)
