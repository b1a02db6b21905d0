"""What a Modbus transaction costs the process io on this machine.

Processor time of the asking thread alone, sockets of the kernel included, for a read of 40 registers from a
server in a process of its own. Ours decodes them into a sample too, on io's event loop; beside it, by turns,
the client of pymodbus on its usual one and a plain loop in C. A line's scan keeps idle processors from sleeping,
which is done here for all three: else the wake-up of one that sleeps is charged to whoever sends to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from pymodbus.client import AsyncModbusTcpClient

from bench.native import built
from bench.registry import Bench, Pair, Round, subject
from cellrt.drivers.modbus import ModbusDriver
from cellrt.runtime.io import to_the_microsecond
from cellrt.runtime.realtime import keep_awake
from cellrt.wire import DeviceMap, Point, Wire

REGISTERS = 40
TRANSACTIONS, QUICK_TRANSACTIONS = 2_000, 50
TIMEOUT_S = 30.0
MAP = DeviceMap(
    "modbus",
    tuple(Point(f"r{n}", f"holding:{n}", Wire.U16) for n in range(1, REGISTERS)),
    (),
    counter=Point("counter", "holding:0", Wire.U16),
)
REQUEST_BYTES = 12
ANSWER = b"\0\0" + (3 + 2 * REGISTERS).to_bytes(2, "big") + bytes([1, 3, 2 * REGISTERS])


def serve(pipe: Connection) -> None:
    """Registers that count, for one client after the other, until it is ended."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        pipe.send(listening.getsockname()[1])
        while True:
            client, _ = listening.accept()
            with client:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                number = 0
                while request := client.recv(REQUEST_BYTES):
                    number = (number + 1) & 0xFFFF
                    data = number.to_bytes(2, "big") * REGISTERS
                    client.sendall(request[:2] + ANSWER + data)


@contextlib.contextmanager
def server() -> Iterator[int]:
    """A server's port."""
    here, there = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=serve, args=(there,), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


@contextlib.contextmanager
def frozen() -> Iterator[None]:
    """What there is already is no work for the garbage collector, as in the process io."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def ours_us(port: int, transactions: int) -> float:
    """The driver's exchange, which here is one transaction."""
    driver = ModbusDriver("bench", f"127.0.0.1:{port}", MAP, TIMEOUT_S)
    outputs, inputs = np.zeros(1, np.int64), np.zeros(REGISTERS, np.int64)
    await driver.connect()
    began_s = time.thread_time()
    for _ in range(transactions):
        await driver.exchange(outputs, inputs)
    spent_s = time.thread_time() - began_s
    await driver.close()
    assert inputs[0] == inputs[-1] == (transactions + 1) & 0xFFFF
    return spent_s * 1e6 / transactions


async def pymodbus_us(port: int, transactions: int) -> float:
    """A read alone."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=TIMEOUT_S, retries=0)
    await client.connect()
    began_s = time.thread_time()
    for _ in range(transactions):
        answer = await client.read_holding_registers(0, count=REGISTERS, device_id=1)
    spent_s = time.thread_time() - began_s
    client.close()
    assert answer.registers[0] == transactions & 0xFFFF
    return spent_s * 1e6 / transactions


def c_us(program: Path, port: int, transactions: int) -> float:
    """The loop in C, in a process of its own."""
    asked = [str(program), str(port), str(transactions), str(REGISTERS)]
    told = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=TIMEOUT_S)
    us, register = told.stdout.split()
    assert int(register) == transactions & 0xFFFF
    return float(us)


@subject(
    Bench("modbus_transaction", "us", "pymodbus"), Bench("modbus_transaction_c", "us", "C loop")
)
def transaction(quick: bool) -> Iterator[Round]:
    """Processor time of a transaction; the same of ours beside both."""
    count = QUICK_TRANSACTIONS if quick else TRANSACTIONS
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        program = built("modbus_client.c", folder)
        port = stack.enter_context(server())
        stack.enter_context(frozen())
        with contextlib.suppress(OSError):  # without the right to it a line's scan does not either
            stack.callback(os.close, keep_awake())

        def one_round() -> Mapping[str, Pair]:
            with asyncio.Runner(loop_factory=to_the_microsecond) as runner:
                ours = runner.run(ours_us(port, count))
            theirs = asyncio.run(pymodbus_us(port, count))
            return {
                "modbus_transaction": Pair(ours, theirs),
                "modbus_transaction_c": Pair(ours, c_us(program, port, count)),
            }

        yield one_round
