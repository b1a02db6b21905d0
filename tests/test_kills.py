"""Processes of a running line killed and frozen while boards flow, one at a time and all at once.

One run of the line sees all of it, so that each blow falls on what the ones before have left. In CI every
kind of blow falls once; with CELLRT_SOAK=1 twenty times, and freezing each process alone is added. At the
speed of real time: watchdogs count the wall clock, and belts must not have run on for longer than in a plant.
"""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator, Sequence

import pytest
from running import STATION, RunningLine, answers, running

from cellrt.packml import State
from cellrt.runtime.region import Status
from cellrt.shared.memory import Role

pytestmark = pytest.mark.real_time

SOAK = os.environ.get("CELLRT_SOAK") == "1"
ROUNDS = 20 if SOAK else 1
MOMENTS = 1500 if SOAK else 150
"""Scans within which a blow falls."""

ALL = (Role.SCAN, Role.IO, Role.BRAIN, Role.SCADA)
KILL = pytest.param(signal.SIGKILL, id="kill")
FREEZE = pytest.param(
    signal.SIGSTOP, id="freeze", marks=pytest.mark.skipif(not SOAK, reason="CELLRT_SOAK=1 runs it")
)

WATCHDOG_MS = 500
STALL_MS = 60
"""What the devices' process, served late, may add to a watchdog: one bounded stall and a tick."""

RESTING = {State.STOPPED, State.ABORTED}
WORKING = {State.EXECUTE, State.SUSPENDED}
LOOK_SCANS = 100


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """The station, allowed to run unattended; the key is not turned yet."""
    folder = tmp_path_factory.mktemp("kills")
    path = folder / "line.toml"
    for device_map in STATION.parent.glob("*.toml"):
        (folder / device_map.name).write_text(device_map.read_text())
    path.write_text(STATION.read_text().replace("seed = 1\n", "seed = 1\nunattended = true\n"))
    with running(folder, path, "--sim") as started:
        works(started)
        yield started


def works(line: RunningLine) -> None:
    """Every cell works, and something goes on: a step, a transport, a print."""
    catch_up(line)
    line.wait(lambda: line.states() <= WORKING, "every cell at work")
    before = progress(line)
    line.wait(lambda: progress(line) > before or line.read("printer.printing") == [True], "work")


def catch_up(line: RunningLine) -> None:
    """Until brain shows the line as it is now, and not as it was before a blow."""
    now = line.status(Status.SCAN)
    line.wait(lambda: line.ask(do="status")["scan"] >= now, "a snapshot of now")


def progress(line: RunningLine) -> int:
    """Number of the last event of boards on their way."""
    kinds = "event IN ('Step', 'Handover', 'BoardIn', 'BoardOut')"
    return max((number for number, _ in line.events(kinds)), default=0)


def restart(line: RunningLine) -> None:
    """A person looks and asks for the line again."""
    line.ask(do="pursue", goal="run")
    works(line)


class Before:
    """How the line stood when the blow fell."""

    def __init__(self, line: RunningLine, victims: Sequence[Role]) -> None:
        self._line = line
        self.pids = {role: line.pid(role) for role in victims}
        self.trips = {device: line.field.watchdog(device)[0] for device in line.plan.devices}
        self.epoch = line.region.epoch
        self._counts = self._count()

    def _count(self) -> tuple[int, int, int]:
        status = self._line.status
        return status(Status.SCAN), status(Status.SCANS), status(Status.OVERRUNS)

    def every_scan_counted(self) -> bool:
        """Each number since then was scanned or is counted as passed over."""
        scan, done, overruns = (b - a for a, b in zip(self._counts, self._count(), strict=True))
        return scan == done + overruns and scan > 0


def strike(line: RunningLine, victims: Sequence[Role], sign: signal.Signals, moment: int) -> Before:
    """Send `sign` to processes, all in one go, `moment` scans from now."""
    before = Before(line, victims)
    due = line.status(Status.SCANS) + moment
    line.wait(lambda: line.status(Status.SCANS) >= due, "the moment")
    for pid in before.pids.values():
        os.kill(pid, sign)
    return before


def is_back(line: RunningLine, before: Before, role: Role) -> bool:
    """Another process plays the role, and its heart beats."""
    return line.region.pid(role) != before.pids[role] and line.region.pid(role) == line.pid(role)


def comes_back(line: RunningLine, before: Before, roles: Sequence[Role]) -> None:
    for role in roles:
        line.wait(lambda r=role: is_back(line, before, r), f"{role.name} back")


def devices_went_safe(line: RunningLine, before: Before) -> None:
    """Each within its watchdog's time, by its own clock."""
    watchdog = line.field.watchdog
    for device, trips in before.trips.items():
        line.wait(lambda d=device, n=trips: watchdog(d)[0] > n, f"{device} safe")
        assert WATCHDOG_MS <= watchdog(device)[1] <= WATCHDOG_MS + STALL_MS


def nothing_moves(line: RunningLine) -> None:
    """With the devices back, cells rest and belts stand, look after look."""
    catch_up(line)
    good = [f"{cell}.unit.io_good" for cell in line.plan.cells]
    line.wait(lambda: all(line.read(*good)), "good inputs")
    end = line.status(Status.SCANS) + LOOK_SCANS

    def looked() -> bool:
        assert line.states() <= RESTING
        assert not any(line.field.inputs("coupler", 10, 2)), "a belt runs"
        assert not any(line.field.coils("coupler", 6)), "something is commanded"
        assert not line.field.bits("printer", 4)[0], "a print goes on"
        return line.status(Status.SCANS) >= end

    line.wait(looked, "a look")


def journal_is_whole(line: RunningLine) -> None:
    """Up to the newest event in the ring: every number once, none lost."""
    newest = int(line.region.section("events").words[0])
    line.wait(lambda: line.last_event() >= newest, "the journal")
    numbers = [number for number, _ in line.events()]
    assert numbers == list(range(1, numbers[-1] + 1))
    assert not line.events("event = 'Lost'")


def moments(kind: object) -> list[int]:
    """When the blows fall, in scans. The same in every run."""
    chance = random.Random(str(kind))
    return [chance.randrange(MOMENTS) for _ in range(ROUNDS)]


@pytest.mark.parametrize("sign", [KILL, FREEZE])
def test_brain_gone_the_line_goes_on_and_its_journal_is_whole(
    line: RunningLine, sign: signal.Signals
) -> None:
    for moment in moments(f"brain {sign}"):
        before = strike(line, (Role.BRAIN,), sign, moment)
        comes_back(line, before, (Role.BRAIN,))
        works(line)
        assert line.ask(do="status")["goal"] == "run"
        assert line.wait(before.every_scan_counted, "every scan")
        journal_is_whole(line)
        assert line.region.epoch == before.epoch


@pytest.mark.parametrize("sign", [KILL, FREEZE])
def test_io_gone_devices_go_safe_the_scan_goes_on_and_a_person_restarts(
    line: RunningLine, sign: signal.Signals
) -> None:
    for moment in moments(f"io {sign}"):
        before = strike(line, (Role.IO,), sign, moment)
        devices_went_safe(line, before)
        comes_back(line, before, (Role.IO,))
        nothing_moves(line)
        assert line.wait(before.every_scan_counted, "every scan")
        assert line.region.epoch == before.epoch
        restart(line)


@pytest.mark.parametrize("sign", [KILL, FREEZE])
def test_scan_gone_devices_go_safe_and_a_person_restarts(
    line: RunningLine, sign: signal.Signals
) -> None:
    for moment in moments(f"scan {sign}"):
        before = strike(line, (Role.SCAN,), sign, moment)
        devices_went_safe(line, before)
        comes_back(line, before, (Role.SCAN,))
        assert line.region.epoch == before.epoch + 1
        nothing_moves(line)
        restart(line)
        journal_is_whole(line)


@pytest.mark.parametrize("sign", [KILL, FREEZE])
def test_scada_gone_the_line_goes_on_and_clients_are_answered_again(
    line: RunningLine, sign: signal.Signals
) -> None:
    for moment in moments(f"scada {sign}"):
        before = strike(line, (Role.SCADA,), sign, moment)
        works(line)
        comes_back(line, before, (Role.SCADA,))
        line.wait(lambda: answers(f"127.0.0.1:{line.opcua_port}"), "the OPC UA server")
        assert line.wait(before.every_scan_counted, "every scan")


def test_all_killed_devices_go_safe_and_a_person_restarts(line: RunningLine) -> None:
    for moment in moments("all killed"):
        before = strike(line, ALL, signal.SIGKILL, moment)
        devices_went_safe(line, before)
        comes_back(line, before, ALL)
        assert line.region.epoch == before.epoch + 1
        nothing_moves(line)
        restart(line)
        journal_is_whole(line)


@pytest.mark.skipif(not SOAK, reason="CELLRT_SOAK=1 runs it")
@pytest.mark.parametrize("victims", [ALL[:1], ALL[1:2], ALL], ids=["scan", "io", "all"])
def test_armed_line_restarts_by_itself_behind_its_warning(
    line: RunningLine, victims: Sequence[Role]
) -> None:
    arm(line)
    for moment in moments(f"armed {victims}"):
        before, starts = strike(line, victims, signal.SIGKILL, moment), executions(line)
        devices_went_safe(line, before)
        comes_back(line, before, victims)
        works_behind_a_warning(line, len(starts))
        line.ask(do="pursue", goal="run")  # a person looked: the next restart is the first again


def arm(line: RunningLine) -> None:
    """Unattended, by the key at the safety PLC."""
    line.field.turn_key()
    line.wait(lambda: line.read("station.unattended_armed") == [True], "the line is armed")


def works_behind_a_warning(line: RunningLine, starts: int) -> None:
    """Started by itself, and no cell before the one that warns."""
    works(line)
    started = executions(line)[starts:]
    assert started[0] == "station" and set(started) == set(line.plan.cells)


def executions(line: RunningLine) -> list[str]:
    """Cells in the order in which they came to Execute."""
    states = (entry for _, entry in line.events("event = 'State'"))
    return [e["cell"] for e in states if (e["from"], e["to"]) == ("Starting", "Execute")]


def test_all_frozen_devices_go_safe_and_an_armed_line_restarts(line: RunningLine) -> None:
    """SCADA, which nobody waits for, is left frozen for longest: in CI until the line ends."""
    arm(line)
    for moment in moments("all frozen"):
        before, starts = strike(line, ALL, signal.SIGSTOP, moment), executions(line)
        devices_went_safe(line, before)
        comes_back(line, before, ALL if SOAK else ALL[:3])
        assert line.region.epoch == before.epoch + 1
        works_behind_a_warning(line, len(starts))
        journal_is_whole(line)
        line.ask(do="pursue", goal="run")


def test_no_board_is_lost_or_doubled(line: RunningLine) -> None:
    """By the plant's own count, against what the line says; the last test, since it ends the line."""
    published = int(line.region.section("events").words[0])
    line.process.send_signal(signal.SIGINT)
    others = [f"{cell}.unit.state" for cell in line.plan.cells if cell != "printer"]
    line.wait(lambda: set(line.read(*others)) == {State.STOPPED}, "the end of all transports")
    report = line.end(signal.SIGINT)  # a print under way is not waited for
    boards, census = report["boards"], json.loads((line.run_dir / "census.json").read_text())
    gone = boards["completed"] + boards["rejected"] + boards["scrapped"]
    assert boards["entered"] == gone + boards["in_line"]
    assert census["entered"] == boards["entered"] and census["stored"] == gone
    stored = [e["board"] for _, e in line.events("event = 'BoardOut' AND subject = 'magazine'")]
    assert stored == list(range(1, gone + 1)), "each board once, in order"
    numbers = [number for number, _ in line.events()]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= published
