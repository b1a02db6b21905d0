"""A recording whose disk is full: the line runs on, the ring holds what it can, what is lost is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from moved_loop import MovedLoop
from recorded import PERIOD_NS, Session, line

from cellrt.narrate import Narrator
from cellrt.recording.header import describe
from cellrt.recording.keeper import Keeper
from cellrt.recording.reader import RecordingReader
from cellrt.replay import replay
from cellrt.runtime.region import Status
from cellrt.scan.events import Event
from cellrt.scan.plan import Plan

FILL = "filler"


def disk(folder: Path, test: str) -> None:
    """Run `test` of this module where `folder` is a disk of its own of 256 kB; skip where nobody may mount."""
    mount = f"mount -t tmpfs -o size=256k none {folder} && exec {sys.executable} {__file__} {test} {folder}"
    allowed = subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0
    if not allowed:
        pytest.skip("no right to mount a disk of its own")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", mount],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def fill(folder: Path) -> None:
    """The disk has no byte left."""
    with (folder / FILL).open("ab", 0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def keeper_of(session: Session, path: Path) -> Keeper:
    return Keeper(path, describe(session.plan), session.ring)


def full_for_a_while(folder: Path, here: Path) -> None:
    """Nothing is lost as long as the ring holds it."""
    session = Session(here / "unused.rec", seed=2)
    keeper = keeper_of(session, folder / "x.rec")
    session.at_random(50)
    keeper.save()
    assert not keeper.stuck
    fill(folder)
    for _ in range(5):
        session.at_random(100)
        keeper.save()
        assert "No space left on device" in keeper.stuck and "x.rec" in keeper.stuck
    assert keeper.take_gaps() == []
    session.finish()
    (folder / FILL).unlink()
    keeper.save()
    assert not keeper.stuck and keeper.take_gaps() == []
    keeper.close()
    told = replay(folder / "x.rec", line())
    assert told.faithful and told.scans == 550 and not told.findings


def full_for_too_long(folder: Path, here: Path) -> None:
    """The gap is told with its first and last scan, once, and what follows replays."""
    session = Session(here / "unused.rec", seed=2, capacity=1)
    keeper = keeper_of(session, folder / "x.rec")
    session.at_random(50)
    keeper.save()
    last = session.runner.scan - 1
    fill(folder)
    while session.ring.written < 3 * session.ring.capacity:
        session.at_random(100)
        keeper.save()
    (folder / FILL).unlink()
    keeper.save()
    for _ in range(6):
        session.at_random(100)
        keeper.save()
    (gap,) = keeper.take_gaps()
    assert keeper.take_gaps() == [] and not keeper.stuck
    keeper.close()
    reader = RecordingReader(folder / "x.rec")
    scans = [r.scan for r in reader]
    assert gap.first - 1 == max(scan for scan in scans if scan <= last)
    assert not {*range(gap.first, gap.last + 1)} & {*scans} and max(scans) > gap.last
    (finding,) = reader.findings
    assert str(gap.nbytes) in finding.what and not finding.damage
    told = replay(folder / "x.rec", line())
    assert told.differing == told.differing_bytes == 0 and told.scans == len(scans)


def full_from_the_start(folder: Path, here: Path) -> None:
    """A disk that has room only later: the ring is written from its beginning."""
    session = Session(here / "unused.rec", seed=2)
    fill(folder)
    keeper = keeper_of(session, folder / "x.rec")
    session.at_random(50)
    keeper.save()
    assert "No space left" in keeper.stuck
    session.finish()
    (folder / FILL).unlink()
    keeper.save()
    assert not keeper.stuck
    keeper.close()
    assert len([*RecordingReader(folder / "x.rec")]) == 50


def test_full_disk_for_a_while_loses_nothing(tmp_path: Path) -> None:
    disk(tmp_path, "full_for_a_while")


def test_full_disk_for_too_long_tells_the_gap_with_its_scans(tmp_path: Path) -> None:
    disk(tmp_path, "full_for_too_long")


def test_full_disk_from_the_start_is_written_when_there_is_room(tmp_path: Path) -> None:
    disk(tmp_path, "full_from_the_start")


def test_recording_of_another_line_in_its_place_is_an_alarm_and_no_end(tmp_path: Path) -> None:
    from dataclasses import replace

    with Session(tmp_path / "x.rec") as session:
        session.at_random(10)
    keeper = Keeper(tmp_path / "x.rec", describe(Plan(replace(line(), seed=9))), session.ring)
    keeper.save()
    assert "of another line" in keeper.stuck


def test_what_brain_says_of_the_disk_is_an_event_whenever_it_changes(tmp_path: Path) -> None:
    said = {3: {Status.UNSAVED: 1}, 5: {Status.UNSAVED: 0}}
    said[7] = {Status.LOST_FIRST: 200, Status.LOST_LAST: 299, Status.LOST_BYTES: 5000}

    def entry(_: int) -> None:
        for word, value in said.get(loop.number, {}).items():
            loop.status[word] = value
        if loop.number == 9:
            loop.stop()

    loop = MovedLoop(Plan(line()), tmp_path, entry)
    loop.run()
    tell = Narrator(loop.plan).tell
    kinds = Event.RECORDING, Event.RECORDING_LOST
    told = [tell(event) for event in loop.events() if event[2] in kinds]
    lost = {"event": "RecordingLost", "from": "2.000 s", "to": "2.990 s", "bytes": 5000}
    assert told == [
        {"t_ns": 3 * PERIOD_NS, "event": "Recording", "saved": False},
        {"t_ns": 5 * PERIOD_NS, "event": "Recording", "saved": True},
        {"t_ns": 7 * PERIOD_NS, **lost},
    ]


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        globals()[sys.argv[1]](Path(sys.argv[2]), Path(name))
