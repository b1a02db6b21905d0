"""A running line whose disk is full for a while: it runs on, says so, and what it recorded is there."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from running import CELLRT, LIMIT_S, STATION, RunningLine, running
from test_recording_keeper import FILL, fill

from cellrt.recording.reader import RecordingReader
from cellrt.replay import replay
from cellrt.runtime.region import Status
from cellrt.shared.memory import Role

pytestmark = pytest.mark.real_time

DISK = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=24m none "$0" && exec "$@"')
"""Then a folder and a command, which has that folder as a disk of its own."""


def cellrt_beside(line: RunningLine, state: Path, *arguments: object) -> str:
    """What a command prints that sees the line's disk."""
    done = subprocess.run(
        ["nsenter", "-m", "-t", str(line.process.pid), *CELLRT, *map(str, arguments)],
        env=os.environ | {"CELLRT_STATE_DIR": str(state)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def of_the_recording(line: RunningLine) -> list[dict[str, Any]]:
    """What the journal has of the recording and of losses."""
    entries = line.ask(do="journal", last=10_000)["entries"]
    return [e for e in entries if e["event"] in ("Recording", "RecordingLost", "Lost")]


def test_disk_full_while_recording_the_line_runs_on_and_it_is_an_alarm_until_there_is_room(
    tmp_path: Path,
) -> None:
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        pytest.skip("no right to mount a disk of its own")
    state, window = tmp_path / "state", tmp_path / "window.cellrt"
    state.mkdir()
    with running(tmp_path, STATION, "--sim", "--speed", 10, within=(*DISK, str(state))) as line:
        line.wait(lambda: line.children(), "processes on the disk")
        disk = Path(f"/proc/{line.process.pid}/root{state}")
        line.folder = disk.parent
        line.wait(lambda: line.ask(do="status")["scan"] > 0, "scans, and brain that sees them")
        line.pid(Role.SCADA)
        processes = line.children()

        fill(disk)
        (alarm,) = line.wait(lambda: line.ask(do="status")["alarms"], "an alarm")
        assert "the recording is not saved" in alarm and "No space left on device" in alarm
        assert line.status(Status.UNSAVED) == 1
        scans, full_at = line.status(Status.SCANS), line.status(Status.SCAN)
        line.wait(lambda: line.status(Status.SCANS) > scans + 1000, "scans, all the same")
        assert line.children() == processes
        said = cellrt_beside(line, state, "record", "export", "--last", 5, "-o", window)
        assert "print-station" in said
        assert max(r.scan for r in RecordingReader(window)) > full_at + 500, "from the ring"
        assert replay(window, line.spec).faithful

        (disk / FILL).unlink()
        line.wait(lambda: not line.ask(do="status")["alarms"], "no alarm any more")
        line.wait(lambda: line.status(Status.UNSAVED) == 0, "nor for SCADA")
        said = line.wait(lambda: len(told := of_the_recording(line)) == 2 and told, "the journal")
        assert [e.get("saved") for e in said] == [False, True], "the ring held it all meanwhile"
        line.process.send_signal(signal.SIGINT)
        assert line.process.wait(LIMIT_S) == 0
