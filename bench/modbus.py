"""What a Modbus transaction costs the process io on this machine: `python -m bench.modbus`.

Processor time of the asking process alone, sockets of the kernel included, for a read of 40 registers
from a server in a process of its own. Ours decodes them into a sample too; beside it, in rounds by turns,
the client of pymodbus and a plain loop in C.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import multiprocessing
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from pymodbus.client import AsyncModbusTcpClient

from cellrt.drivers.modbus import ModbusDriver
from cellrt.report import steal_ticks
from cellrt.wire import DeviceMap, Point, Wire

REGISTERS = 40
ROUNDS, TRANSACTIONS = 9, 2_000
TIMEOUT_S = 30.0
MAP = DeviceMap(
    "modbus",
    tuple(Point(f"r{n}", f"holding:{n}", Wire.U16) for n in range(1, REGISTERS)),
    (),
    counter=Point("counter", "holding:0", Wire.U16),
)
REQUEST_BYTES = 12
ANSWER = b"\0\0" + (3 + 2 * REGISTERS).to_bytes(2, "big") + bytes([1, 3, 2 * REGISTERS])

C_CLIENT = r"""
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    int count = atoi(argv[2]), size = atoi(argv[3]), one = 1, s = socket(AF_INET, SOCK_STREAM, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (argc < 4 || connect(s, (struct sockaddr *)&at, sizeof at)) return 1;
    unsigned char asked[12] = {0, 0, 0, 0, 0, 6, 1, 3, 0, 0, 0, size}, got[260];
    unsigned short registers[125];
    struct timespec t0, t1;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
    for (int n = 0; n < count; n++) {
        asked[0] = n >> 8, asked[1] = n;
        if (write(s, asked, 12) != 12) return 2;
        for (int have = 0, more; have < 9 + 2 * size; have += more)
            if ((more = read(s, got + have, 9 + 2 * size - have)) <= 0) return 3;
        if (memcmp(asked, got, 2) || got[7] != 3 || got[8] != 2 * size) return 4;
        for (int r = 0; r < size; r++) registers[r] = got[9 + 2 * r] << 8 | got[10 + 2 * r];
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t1);
    printf("%f %d\n", ((t1.tv_sec - t0.tv_sec) * 1e6 + (t1.tv_nsec - t0.tv_nsec) * 1e-3) / count, registers[0]);
}
"""


def serve(pipe: Connection) -> None:
    """Registers that count, for one client after the other, until the pipe's other end is closed."""
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


async def ours_us(port: int, transactions: int) -> float:
    """The driver's exchange, which here is one transaction."""
    driver = ModbusDriver("bench", f"127.0.0.1:{port}", MAP, TIMEOUT_S)
    outputs, inputs = np.zeros(1, np.int64), np.zeros(REGISTERS, np.int64)
    await driver.connect()
    began_s = time.process_time()
    for _ in range(transactions):
        await driver.exchange(outputs, inputs)
    spent_s = time.process_time() - began_s
    await driver.close()
    assert inputs[0] == inputs[-1] == (transactions + 1) & 0xFFFF
    return spent_s * 1e6 / transactions


async def pymodbus_us(port: int, transactions: int) -> float:
    """A read alone."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=TIMEOUT_S, retries=0)
    await client.connect()
    began_s = time.process_time()
    for _ in range(transactions):
        answer = await client.read_holding_registers(0, count=REGISTERS, device_id=1)
    spent_s = time.process_time() - began_s
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


def transaction_us(rounds: int = ROUNDS, transactions: int = TRANSACTIONS) -> dict[str, float]:
    """Processor time a transaction of each, in us, by turns; medians of the rounds."""
    spent: dict[str, list[float]] = {"ours": [], "pymodbus": [], "c": []}
    with tempfile.TemporaryDirectory() as folder, server() as port:
        source, program = Path(folder, "client.c"), Path(folder, "client")
        source.write_text(C_CLIENT)
        subprocess.run(["gcc", "-O2", "-o", program, source], check=True)
        gc.collect()
        gc.freeze()  # as the process io does
        for _ in range(rounds):
            spent["ours"].append(asyncio.run(ours_us(port, transactions)))
            spent["pymodbus"].append(asyncio.run(pymodbus_us(port, transactions)))
            spent["c"].append(c_us(program, port, transactions))
    return {name: round(statistics.median(values), 1) for name, values in spent.items()}


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds, steal = parser.parse_args().rounds, steal_ticks()
    cpu_us = transaction_us(rounds)
    told = {"registers": REGISTERS, "rounds": rounds, "cpu_us": cpu_us}
    ratios = {name: round(cpu_us["ours"] / cpu_us[name], 2) for name in ("pymodbus", "c")}
    print(json.dumps({**told, "ours_to": ratios, "steal_ticks": steal_ticks() - steal}, indent=2))


if __name__ == "__main__":
    main()
