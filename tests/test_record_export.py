"""A window cut out of a run: from what was put to disk and from the ring, running or dead."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import PERIOD_NS, Session, line
from typer.testing import CliRunner

from cellrt.app.cli import app
from cellrt.journal import Journal
from cellrt.line.load import load_line
from cellrt.recording import file as files
from cellrt.recording.export import Source
from cellrt.recording.file import RECORDING
from cellrt.recording.header import RecordingError
from cellrt.recording.reader import RecordingReader
from cellrt.replay import replay
from cellrt.scan.events import Event
from cellrt.wire import Ints

RUN = "20260101-000000"
README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state of a line that was killed: most of its run on disk, the rest in its ring."""
    root = tmp_path_factory.mktemp("state")
    run_dir = root / "pair" / RUN
    run_dir.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "SHARED_MEMORY", root)
        patch.setenv("CELLRT_STATE_DIR", str(root))
        session = Session(run_dir / RECORDING, seed=11)
        for _ in range(8):
            session.at_random(100)
            session.save()
        session.at_random(200)
        session.writer.close()
        session.ring.path.rename(files.ring_path("pair", run_dir))
        journal = Journal(session.plan, run_dir / "journal.sqlite")
        journal.append(_step(1, 2 * 10**9))
        journal.append(_step(2, 6 * 10**9))
        journal.close()
        yield root


def _step(number: int, t_ns: int) -> Ints:
    """An event of the cell `left`."""
    return np.array([[number, t_ns, Event.STEP, 0, 0, 1, 0, 0]], np.int64)


def source(state: Path) -> Source:
    run_dir = state / "pair" / RUN
    return Source(run_dir, files.ring_path("pair", run_dir))


def cellrt(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    return done.exit_code, done.output


class Scans(dict[int, tuple[bytes, bytes]]):
    """Inputs and results by scan; too many to be shown."""

    def __repr__(self) -> str:
        return f"{len(self)} scans"


def told(path: Path) -> Scans:
    read = RecordingReader(path)
    return Scans({r.scan: (r.inputs.tobytes(), r.results.tobytes()) for r in read})


@pytest.fixture(scope="module")
def whole(state: Path) -> Scans:
    path = state / "whole.cellrt"
    here = source(state)
    path.write_bytes(here.cut(0, here.extent().last))
    found = told(path)
    assert len(found) == 1000
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1400), st.integers(0, 900))
def test_a_window_has_its_scans_as_the_whole_has_them_and_replays_alone(
    state: Path, whole: Scans, first: int, length: int
) -> None:
    last = max(whole)
    first = min(first, last)
    end = min(first + length, last)
    path = state / "window.cellrt"
    here = source(state)
    path.write_bytes(here.cut(first, end))
    found = told(path)
    wanted = {scan: data for scan, data in whole.items() if first <= scan <= end}
    assert wanted.items() <= found.items() <= whole.items()
    begin = max((k.scan for k in here.extent().keyframes if k.scan <= first), default=-1)
    assert min(found, default=begin) >= begin
    replayed = replay(path, line())
    assert not replayed.findings and not replayed.cut_bytes and not replayed.differing
    assert replayed.scans == len(found)


def test_the_last_seconds_come_from_the_ring_of_a_dead_line(state: Path) -> None:
    out = state / "last.cellrt"
    code, said = cellrt("record", "export", "--last", 1, "-o", out)
    assert code == 0 and str(out) in said
    end = source(state).extent().last
    assert max(told(out)) == end and end * PERIOD_NS > 8 * 10**9


def test_around_an_event_is_a_window_of_its_time(state: Path) -> None:
    out = state / "event.cellrt"
    code, _ = cellrt("record", "export", "--event", "Step left", "--around", 0.5, "-o", out)
    assert code == 0
    assert 550 <= max(told(out)) <= 690
    code, said = cellrt("record", "export", "--event", "Aborted", "-o", out)
    assert code == 2 and "no event with all of 'Aborted'" in said


def test_runs_are_listed_with_their_extent(state: Path) -> None:
    code, said = cellrt("record", "list")
    assert code == 0
    assert said.startswith(RUN) and " s to " in said and said.rstrip().endswith("MB")


@pytest.mark.parametrize(
    ("options", "mend"),
    [
        (("--from", 4000), "is recorded from"),
        (("--from", 5, "--to", 4), "--from 5 is behind --to 4"),
        (("--last", -1), "0 or more"),
        (("--last", 1, "--to", 4), "one of them"),
        (("--run", "20250101-000000"), f"runs are {RUN}"),
        (("--line", "press"), "of: pair"),
    ],
)
def test_a_window_that_is_not_there_is_refused_with_what_is(
    state: Path, options: tuple[object, ...], mend: str
) -> None:
    code, said = cellrt("record", "export", *options, "-o", state / "none.cellrt")
    assert code == 2 and mend in said
    assert not (state / "none.cellrt").exists()


def test_nothing_recorded_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLRT_STATE_DIR", str(tmp_path))
    assert "there are: none" in cellrt("record", "export", "--last", 1)[1]
    with pytest.raises(RecordingError, match="this run recorded nothing"):
        Source(tmp_path, tmp_path / "x.ring")


def test_a_window_replays_where_neither_line_nor_cells_are(tmp_path: Path) -> None:
    """The line of the README, recorded, cut out, and its folder gone."""
    from test_readme import BLOCK

    folder = tmp_path / "stamping"
    folder.mkdir()
    for name, text in BLOCK.findall(README.read_text(encoding="utf-8")):
        (folder / name).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        spec = load_line(folder / "stamper_line.toml")
        path = folder / RECORDING
        with Session(path, spec=spec) as session:
            for n in range(30):
                session.sample(0, guard_closed=1, part_here=n % 2)
                session.scan()
        sys.modules.pop("stamper")
    out = tmp_path / "window.cellrt"
    here = Source(folder, tmp_path / "none.ring")
    out.write_bytes(here.cut(0, 29))
    shutil.rmtree(folder)
    done = subprocess.run(
        [sys.executable, "-c", "from cellrt.app.cli import main; main()", "replay", str(out)],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stamping: 30 scans of 10 ms" in done.stdout
    assert "0 differing scans, 0 differing bytes" in done.stdout
