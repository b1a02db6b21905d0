"""How a run ends, what it leaves to the next one, and what bad devices do to it."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import socketserver
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from running import LIMIT_S, STATION, Field, RunningLine, free_port, running
from running import devices as served_devices

from cellrt.packml import State

pytestmark = pytest.mark.real_time


def line_with(folder: Path, addresses: Mapping[str, str]) -> Path:
    """The print station with its devices elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    for device_map in STATION.parent.glob("*.toml"):
        shutil.copy(device_map, folder)
    text = STATION.read_text()
    for device, address in addresses.items():
        head, found, tail = text.partition(f"[devices.{device}]")
        old = tail.split('address = "', 1)[1].split('"', 1)[0]
        text = head + found + tail.replace(old, address, 1)
    path = folder / "line.toml"
    path.write_text(text)
    return path


class Garbage(socketserver.ThreadingTCPServer):
    """Answers whatever it is asked with what no device would say."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.answers = 0
        super().__init__(("127.0.0.1", 0), Nonsense)


class Nonsense(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, Garbage)
        with contextlib.suppress(OSError):
            while asked := self.request.recv(4096):
                kind = server.chance.randrange(4)
                server.answers += 1
                if kind == 0:
                    self.request.sendall(server.chance.randbytes(40))
                elif kind == 1:
                    self.request.sendall(asked[: len(asked) // 2])  # half a frame
                elif kind == 2:
                    self.request.sendall(asked)  # an echo
                else:
                    return


@pytest.fixture
def garbage() -> Iterator[Garbage]:
    with Garbage(seed=4) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """A line with --strict and no devices; it ends while others run."""
    folder = tmp_path_factory.mktemp("strict")
    path = line_with(
        folder / "line", {d: f"127.0.0.1:{free_port()}" for d in ("coupler", "printer")}
    )
    with running(folder, path, "--strict", "--no-spin") as line:
        yield line


def test_devices_silent_or_mad_are_bad_and_the_scan_goes_on(
    tmp_path: Path, garbage: Garbage, strict: RunningLine
) -> None:
    mad = f"127.0.0.1:{garbage.server_address[1]}"
    nobody = f"127.0.0.1:{free_port()}"
    addresses = {"coupler": mad, "printer": nobody, "safety": f"opc.tcp://{mad}"}
    path = line_with(tmp_path / "line", addresses)
    with running(tmp_path, path, "--speed", 10, "--duration", 40) as line:
        report = line.end()
        assert not line.events("event = 'Device'"), "none was ever good"
    assert garbage.answers > 2
    assert [d["ok"] for d in report["io"].values()] == [False] * 3
    assert {n for n, d in report["io"].items() if d["errors"]} == {"coupler", "safety"}
    assert {n for n, d in report["io"].items() if d["absent"]} == {"printer"}
    assert {c["state"] for c in report["cells"].values()} == {"Aborted"}
    assert {c["first_out"] for c in report["cells"].values()} == {"inputs_good"}
    scan = report["scan"]
    assert scan["count"] + scan["overruns"] == round(report["duration_s"] * 100) + 1
    assert report["duration_s"] >= 40
    assert report["boards"]["in_line"] is None, "real devices do not count boards"


def test_strict_without_devices_ends_and_says_why(strict: RunningLine) -> None:
    assert strict.process.wait(LIMIT_S) == 2
    assert strict.report()["scan"]["spin_us"] == 0
    (said,) = strict.report()["host"]["told"]
    assert "coupler, printer, safety does not answer" in said or "SCHED_FIFO" in said


def test_second_signal_stops_at_once_and_the_next_run_takes_up_the_boards(tmp_path: Path) -> None:
    with served_devices(STATION, speed=10) as addresses:
        path = line_with(tmp_path / "line", addresses)
        field = Field(addresses)
        with running(tmp_path, path, "--speed", 10) as first:
            first.wait(lambda: first.read("printer.printing") == [True], "a board is printed")
            first.process.send_signal(signal.SIGINT)
            first.wait(lambda: first.read("printer.unit.state") == [State.STOPPING], "the drain")
            report = first.end(signal.SIGINT)
        assert report["cells"]["printer"]["state"] == "Stopping", "the print was not waited for"
        assert not any(field.coils("coupler", 6)) and not any(field.coils("printer", 4))
        entered = report["boards"]["entered"]

        with running(tmp_path, path, "--speed", 10) as second:
            second.wait(lambda: sum(second.read("magazine.good", "magazine.failed")) >= 2, "boards")
            report = second.end(signal.SIGTERM)
        census = field.census()
        boards = report["boards"]
        assert boards["rejected"] == 1, "the board whose print was cut short"
        assert boards["completed"] + boards["rejected"] == census["stored"]
        assert (
            entered + boards["entered"] == census["entered"] == census["stored"] + census["in_line"]
        )
        assert {c["state"] for c in report["cells"].values()} == {"Stopped"}
        assert not any(field.coils("coupler", 6)) and not any(field.coils("printer", 4))
        beat = field.heartbeat("coupler")
        assert beat != 0 and beat == field.heartbeat("coupler"), "nobody writes to it any more"
        field.close()
