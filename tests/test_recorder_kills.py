"""The recorder and who puts it to disk killed at random moments: what is there replays to the last byte.

In CI they are killed twice, with CELLRT_SOAK=1 twenty times.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from recorded import Session, line

from cellrt.recording.export import Source
from cellrt.recording.file import RECORDING
from cellrt.recording.header import RecordingError, describe
from cellrt.recording.keeper import Keeper
from cellrt.recording.reader import RecordingReader, check_sound
from cellrt.replay import replay
from cellrt.scan.tape import EPOCH

ROUNDS = 20 if os.environ.get("CELLRT_SOAK") == "1" else 2
LIMIT_S = 60.0


def forked(work: Callable[[], None]) -> int:
    """A process that does this over and over until it is killed."""
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            while True:
                work()
        os._exit(1)
    return pid


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL, "it had ended by itself"


def begun(path: Path) -> bool:
    """A recording has its header."""
    with suppress(RecordingError):
        return bool(RecordingReader(path).header.line)
    return False


def test_killed_at_random_moments_every_whole_scan_replays(tmp_path: Path) -> None:
    chance, out = random.Random(5), tmp_path / "window.cellrt"
    session = Session(tmp_path / "made.rec", seed=8, hands=True, capacity=16 << 20)
    session.writer.close()
    scans, last = 0, -1
    for epoch in range(1, ROUNDS + 1):
        if epoch > 1:
            session.runner.epoch, session.runner.scan = epoch, last + 1
            session.start()
        keeper = Keeper(tmp_path / RECORDING, describe(session.plan), session.ring)
        mark = session.ring.written + chance.randrange(2_000, 60_000)
        scan = forked(lambda: session.at_random(1))
        brain = forked(keeper.save)
        until_s = time.monotonic() + LIMIT_S
        while session.ring.written < mark or not begun(tmp_path / RECORDING):
            assert time.monotonic() < until_s
        kill(*((scan, brain) if chance.random() < 0.5 else (brain, scan)))
        source = Source(tmp_path, session.ring.path)
        last = source.extent().last
        out.write_bytes(source.cut(0, last))
        check_sound(out)
        told = replay(out, line())
        assert told.faithful and not told.findings and told.scans > scans
        scans = told.scans
    reader = RecordingReader(out)
    assert {int(reader.tape.head[EPOCH]) for _ in reader} == {*range(1, ROUNDS + 1)}
