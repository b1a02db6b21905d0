"""How a run ends, what it leaves to the next one, and what bad devices do to it."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socketserver
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from running import CELLRT, LIMIT_S, STATION, Field, RunningLine, free_port, running
from running import devices as served_devices

from cellrt.app.options import Options
from cellrt.app.run import BRAIN_GONE_S, Run
from cellrt.packml import State
from cellrt.runtime.child import Order
from cellrt.runtime.control import ControlError
from cellrt.runtime.region import Status, sections
from cellrt.runtime.watcher import TICK_S
from cellrt.shared.memory import Role, create

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
    scan = strict.report()["scan"]
    assert not scan["spins"] and scan["early_us"] > 0, "it gets up early, and sleeps once more"
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


IMPATIENT = "import cellrt.app.run as run; run.BRAIN_GONE_S = run.BRAIN_BACK_S = 0.5\n"
GONE = "brain does not answer: the line was stopped without a drain"


def test_brain_stands_still_while_the_line_is_to_end_it_ends_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("running.CELLRT", (*CELLRT[:2], IMPATIENT + CELLRT[2]))
    with running(tmp_path, STATION, "--sim", "--speed", 10) as line:
        line.wait(lambda: State.EXECUTE in line.states(), "a cell in Execute")
        ring = Path(line.order["ring"])
        os.kill(line.pid(Role.BRAIN), signal.SIGSTOP)
        line.process.send_signal(signal.SIGINT)
        assert line.process.wait(LIMIT_S) == 2, line.account()
        assert line.report()["host"]["told"].count(GONE) == 1
        assert GONE in line.told()
        assert ring.exists(), "what brain did not put to disk is there for the next run"
        ring.unlink()


class Clock:
    """Time that passes while the watcher rests."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def rest(self) -> None:
        self.now_s += TICK_S


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("cellrt.app.run.time", clock)
    return clock


def run_without_brain(tmp_path: Path, clock: Clock, scans: int) -> Run:
    """A run of one second whose scan has done so many, and that has no processes."""
    at_work = Run(Options(STATION, duration_s=1.0))
    at_work.region = create(sections(at_work.plan), at_work.plan.hash)
    at_work.status[[Status.FIRST_SCAN_NS, Status.SCAN, Status.SCANS]] = scans > 0, scans, scans
    at_work.order = Order(
        str(STATION), at_work.region.fd, at_work.plan.hash, "", 0, str(tmp_path / "run"), "", 1, {}
    )
    at_work.watcher = SimpleNamespace(watch=list, rest=clock.rest)  # type: ignore[assignment]
    return at_work


def test_brain_never_comes_run_is_given_up_once_and_not_after_twice_the_time(
    tmp_path: Path, clock: Clock
) -> None:
    run = run_without_brain(tmp_path, clock, scans=200)
    began_s = clock.now_s
    assert (run._live(), run._drain()) == (0, 2)
    assert run.told == [GONE]
    assert BRAIN_GONE_S < clock.now_s - began_s < BRAIN_GONE_S + 1.0


def test_brain_goes_while_the_line_is_drained_it_is_waited_for_though_the_drain_took_its_time(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_without_brain(tmp_path, clock, scans=200)
    drain_s = run.drain_s + 5.0

    def answer(path: Path, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        if clock.now_s > 1000.0 + drain_s - 10.0:
            raise ControlError("gone")
        return {"goal": "stop", "reached": False}

    monkeypatch.setattr("cellrt.app.run.ask", answer)
    assert (run._live(), run._drain()) == (0, 2)
    assert run.told == [GONE]
    assert clock.now_s - 1000.0 > drain_s


def test_nothing_has_been_scanned_end_waits_for_nobody(tmp_path: Path, clock: Clock) -> None:
    run = run_without_brain(tmp_path, clock, scans=0)
    run.stops = 1
    assert (run._live(), run._drain()) == (0, 0)
    assert not run.told and clock.now_s == 1000.0
