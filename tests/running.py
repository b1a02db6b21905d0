"""`cellrt run` in a process of its own, and the ways in which anyone may look at it from outside."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from asyncua import Client, ua
from pymodbus.client import ModbusTcpClient

from cellrt.line.load import load_line
from cellrt.runtime.control import ControlError, ask
from cellrt.runtime.region import Status
from cellrt.scan.plan import Plan
from cellrt.shared.memory import Region, Role, attach

STATION = Path(__file__).parents[1] / "cells" / "print_station.toml"
CELLRT = (
    sys.executable,
    "-c",
    f"from cellrt.lifeline import die_with_parent; die_with_parent({os.getpid()})\n"
    "from cellrt.app.cli import main; main()",
)
"""Ends with these tests, however they end."""
LIMIT_S = 100.0
WATCHDOG_AT = {"coupler": 12, "printer": 20}
"""Input registers of the Modbus devices' watchdogs."""
LOOK_EVERY_S = 0.02


Journey = list[tuple[str, str, str, int, int]]


def journeys(events: list[dict[str, Any]], *kinds: str) -> dict[int, Journey]:
    """What befell each board, in order, without when: event, cell, result, product, route."""
    told: dict[int, Journey] = {}
    for e in events:
        if e["event"] in (kinds or ("BoardIn", "BoardOut")):
            row = e["event"], e["cell"], e["result"], e["product"], e["route"]
            told.setdefault(e["board"], []).append(row)
    return told


def free_port() -> int:
    """A port that nobody has, nor is given who asks the kernel for any: those begin at 32768."""
    while True:
        port = random.randrange(20_000, 32_768)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def cellrt(
    folder: Path, *arguments: object, timeout_s: float = LIMIT_S
) -> subprocess.CompletedProcess[str]:
    """A command to its end, with the state of its lines in `folder`."""
    return subprocess.run(
        [*CELLRT, *map(str, arguments)],
        env=os.environ | {"CELLRT_STATE_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


class RunningLine:
    """A line that runs until it ends by itself or is told to. Its state is in `folder`. `within` is the
    command that becomes it."""

    def __init__(
        self,
        folder: Path,
        line: Path = STATION,
        *options: object,
        within: Sequence[str] = (),
        **env: str,
    ) -> None:
        self.folder, self.spec = folder, load_line(line)
        self.plan = Plan(self.spec)
        self.report_at = folder / "report.json"
        self.opcua_port = free_port()
        told = (folder / "told.txt").open("w")
        arguments = ("--opcua-port", self.opcua_port, "--report", self.report_at, *options)
        with told:
            self.process = subprocess.Popen(
                [*within, *CELLRT, "run", str(line), *map(str, arguments)],
                env=os.environ | {"CELLRT_STATE_DIR": str(folder / "state")} | env,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    # What the processes are

    def wait(self, condition: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> Any:
        """Look until `condition` answers something; what it answered. Fails when the line ends."""
        until_s = time.monotonic() + limit_s
        while not (found := condition()):
            assert time.monotonic() < until_s, f"{what}: not within {limit_s} s\n{self.account()}"
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self.process.wait(LOOK_EVERY_S)
                raise AssertionError(f"{what}: the line ended with {code}\n{self.account()}")
        return found

    def end(self, *signals: signal.Signals) -> dict[str, Any]:
        """Send signals, wait for the end with exit code 0; the report."""
        for sign in signals:
            self.process.send_signal(sign)
        assert self.process.wait(LIMIT_S) == 0, self.account()
        return self.report()

    def kill(self) -> None:
        """However it stands: gone. Its children go with it."""
        if "field" in self.__dict__:
            self.field.close()
        if self.process.poll() is None:
            with contextlib.suppress(AssertionError):
                Path(self.order["ring"]).unlink(missing_ok=True)
        self.process.kill()
        self.process.wait()

    def report(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.report_at.read_text())
        return told

    def children(self) -> dict[str, int]:
        """Processes under the watcher, by the last part of their module's name."""
        found = {}
        pid = self.process.pid
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
                if len(words) > 3 and words[1] == "-m":
                    found[words[2].rpartition(".")[2]] = int(child)
        return found

    @functools.cached_property
    def order(self) -> dict[str, Any]:
        """What the watcher told its children."""

        def look() -> dict[str, Any] | None:
            for child in self.children().values():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    found: dict[str, Any] = json.loads(
                        Path(f"/proc/{child}/cmdline").read_text().split("\0")[3]
                    )
                    return found
            return None

        found: dict[str, Any] = self.wait(look, "a child with its order")
        return found

    @functools.cached_property
    def region(self) -> Region:
        """The memory that the line's processes share."""
        fd = os.open(f"/proc/{self.process.pid}/fd/{self.order['fd']}", os.O_RDWR)
        return attach(fd, self.order["plan_hash"])

    def status(self, word: Status) -> int:
        return int(self.region.section("status").words[word])

    def pid(self, role: Role) -> int:
        """A process that has come to beat."""
        beat = self.region.heartbeat(role)
        self.wait(lambda: self.region.heartbeat(role) > beat, f"a heartbeat of {role.name}")
        return self.region.pid(role)

    def told(self) -> str:
        """What `cellrt run` has printed."""
        return (self.folder / "told.txt").read_text()

    # What the line does

    def ask(self, **request: Any) -> dict[str, Any]:
        """Ask the control socket, until a brain is there to answer."""
        path = self.folder / "state" / self.spec.name / "control.sock"

        def answer() -> dict[str, Any] | None:
            try:
                return ask(path, request)
            except ControlError as error:
                if "no running line answers" in str(error) or "ended before" in str(error):
                    return None
                raise

        found: dict[str, Any] = self.wait(answer, f"an answer to {request}")
        return found

    def read(self, *tags: str) -> list[Any]:
        return list(self.ask(do="read", tags=list(tags))["values"].values())

    def states(self) -> set[int]:
        return set(self.read(*(f"{cell}.unit.state" for cell in self.plan.cells)))

    @property
    def run_dir(self) -> Path:
        """What the last run in `folder` leaves: journal, recording, log."""
        return max((self.folder / "state" / self.spec.name).glob("2*"))

    def events(self, where: str = "1") -> list[tuple[int, dict[str, Any]]]:
        """Numbers and entries of the journal."""
        path = self.run_dir / "journal.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            rows = db.execute(f"SELECT number, line FROM events WHERE {where} ORDER BY number")
            return [(number, json.loads(line)) for number, line in rows]

    def last_event(self) -> int:
        """Number of the newest event in the journal."""
        return max((number for number, _ in self.events()), default=0)

    def account(self) -> str:
        """What there is to say when something did not come."""
        said = (self.folder / "told.txt").read_text().splitlines()[-12:]
        with contextlib.suppress(ValueError, OSError, sqlite3.Error):
            said += (self.run_dir / "log.jsonl").read_text().splitlines()[-12:]
            said += [str(entry) for _, entry in self.events()[-25:]]
        return "\n".join(said)

    @functools.cached_property
    def field(self) -> Field:
        """The simulated devices of this line."""
        self.wait(lambda: all(map(answers, self.order["addresses"].values())), "the devices")
        return Field(self.order["addresses"])


class Field:
    """The simulated devices, asked over the network as anyone may ask them."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self.addresses = dict(addresses)
        self._clients: dict[str, ModbusTcpClient] = {}

    def _modbus(self, device: str) -> ModbusTcpClient:
        if device not in self._clients:
            host, port = self.addresses[device].split(":")
            client = ModbusTcpClient(host, port=int(port), timeout=10.0, retries=3)
            assert client.connect(), device
            self._clients[device] = client
        return self._clients[device]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def inputs(self, device: str, first: int, count: int = 1) -> list[int]:
        """Input registers."""
        return list(self._modbus(device).read_input_registers(first, count=count).registers)

    def bits(self, device: str, first: int, count: int = 1) -> list[bool]:
        """Discrete inputs."""
        return list(self._modbus(device).read_discrete_inputs(first, count=count).bits[:count])

    def coils(self, device: str, count: int) -> list[bool]:
        """What the line commands."""
        return list(self._modbus(device).read_coils(0, count=count).bits[:count])

    def heartbeat(self, device: str) -> int:
        """The line's scan count as the device has it."""
        return int(self._modbus(device).read_holding_registers(0, count=1).registers[0])

    def watchdog(self, device: str) -> tuple[int, int]:
        """How often it went safe, and how long the heartbeat had then stood still, in ms."""
        if device in WATCHDOG_AT:
            trips, stood_ms = self.inputs(device, WATCHDOG_AT[device], 2)
            return trips, stood_ms
        trips, stood_ms = asyncio.run(self._read(device, "Watchdog.Trips", "Watchdog.TrippedMs"))
        return trips, stood_ms

    async def _read(self, device: str, *nodes: str) -> list[int]:
        async with Client(self.addresses[device], timeout=10.0) as client:
            return [await client.get_node(f"ns=2;s={node}").read_value() for node in nodes]

    def turn_key(self) -> None:
        """A person's hand at the safety PLC's panel: to unattended."""

        async def turn() -> None:
            async with Client(self.addresses["safety"], timeout=10.0) as client:
                key = client.get_node("ns=2;s=Panel.UnattendedKey")
                await key.write_value(ua.Variant(True, ua.VariantType.Boolean))

        asyncio.run(turn())

    def census(self) -> dict[str, int]:
        """The plant's own count of boards."""
        words = self.inputs("coupler", 100, 8)
        names = ("entered", "stored", "in_line", "magazines_out")
        return {n: words[2 * k] << 16 | words[2 * k + 1] for k, n in enumerate(names)}


def answers(address: str) -> bool:
    """Somebody listens there."""
    host, _, port = address.removeprefix("opc.tcp://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@contextlib.contextmanager
def running(
    folder: Path,
    line: Path = STATION,
    *options: object,
    within: Sequence[str] = (),
    **env: str,
) -> Iterator[RunningLine]:
    """A line that is gone behind the block, whatever happened in it."""
    folder.mkdir(parents=True, exist_ok=True)
    started = RunningLine(folder, line, *options, within=within, **env)
    try:
        yield started
    finally:
        started.kill()


@contextlib.contextmanager
def devices(line: Path, speed: float) -> Iterator[dict[str, str]]:
    """The simulated devices of a line served alone; their addresses."""
    process = subprocess.Popen(
        [*CELLRT, "devices", str(line), "--speed", str(speed)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        rows = (process.stdout.readline().split() for _ in load_line(line).devices)
        yield {name: address for name, address in rows}
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
