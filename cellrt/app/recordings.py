"""`cellrt record`: what a line's runs have recorded, and a window of it as one file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cellrt.app.shell import app, refusals

record = typer.Typer(help="What a line's runs have recorded.", no_args_is_help=True)
app.add_typer(record, name="record")

AROUND_S = 10.0
LineName = Annotated[
    str, typer.Option("--line", help="name of the line; not needed for the only one")
]
RunName = Annotated[
    str, typer.Option("--run", help="name of the run, as `list` has it; else the last")
]


@dataclass(frozen=True)
class Window:
    """What of a run is wanted, in s of logical time: from and to; or the last so many; or `around_s` before
    and behind the last event of which all words of `event` are told."""

    from_s: float | None = None
    to_s: float | None = None
    last_s: float | None = None
    event: str = ""
    around_s: float = AROUND_S


@record.command("list")
def record_list(line: LineName = "") -> None:
    """Runs of a line, oldest first: name, from when to when in logical time, bytes."""
    with refusals():
        for text in runs(line):
            print(text)


@record.command("export")
def record_export(
    line: LineName = "",
    run: RunName = "",
    from_s: Annotated[float | None, typer.Option("--from", help="logical time in s")] = None,
    to_s: Annotated[float | None, typer.Option("--to", help="logical time in s")] = None,
    last_s: Annotated[float | None, typer.Option("--last", help="the last so many s")] = None,
    event: Annotated[
        str, typer.Option(help="around the last event with all of these words, as `journal` has it")
    ] = "",
    around: Annotated[float, typer.Option(help="s before and behind the event")] = AROUND_S,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="file to write")] = None,
) -> None:
    """Cut a window out of a run, dead or alive, with all that `cellrt replay` needs elsewhere."""
    with refusals():
        print(export(line, run, Window(from_s, to_s, last_s, event, around), out))


def runs(line: str) -> list[str]:
    """What `list` tells. Raises UsageError, RecordingError."""
    from cellrt.recording.export import Source
    from cellrt.recording.file import RECORDING

    told = []
    for run_dir in _run_dirs(_folder(line)):
        source = Source(run_dir, ring_of(run_dir))
        extent, period_s = source.extent(), source.header.period_ns / 1e9
        begin_s, end_s = extent.keyframes[0].scan * period_s, extent.last * period_s
        size = (run_dir / RECORDING).stat().st_size
        told.append(f"{run_dir.name}  {begin_s:.3f} s to {end_s:.3f} s  {size / 1e6:.1f} MB")
    return told


def export(line: str, run: str, window: Window, out: Path | None) -> str:
    """Write the window; what to tell of it. Raises UsageError, RecordingError, OSError."""
    from cellrt.app.refusals import UsageError
    from cellrt.recording.export import Source

    folder = _folder(line)
    names = {path.name: path for path in _run_dirs(folder)}
    if run and run not in names:
        raise UsageError(f"no run {run!r} of {folder.name}; runs are {', '.join(names)}")
    run_dir = names[run or max(names)]
    source = Source(run_dir, ring_of(run_dir))
    period_s, end = source.header.period_ns / 1e9, source.extent().last
    first_s, last_s = _bounds(window, end * period_s, run_dir)
    first, last = math.floor(first_s / period_s + 1e-6), math.ceil(last_s / period_s - 1e-6)
    data = source.cut(max(first, 0), last)
    path = out or Path(f"{source.header.line}-{run_dir.name}-{first_s:.0f}s.cellrt")
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(data)
    fresh.replace(path)
    return f"{path}: {source.header.line}, {first_s:.3f} s to {last_s:.3f} s, {len(data)} bytes"


def ring_of(run_dir: Path) -> Path:
    """Where the ring of a run is, or was."""
    from cellrt.recording.file import ring_path

    return ring_path(run_dir.parent.name, run_dir)


def _bounds(window: Window, end_s: float, run_dir: Path) -> tuple[float, float]:
    """From when to when."""
    from cellrt.app.refusals import UsageError
    from cellrt.journal import last_with

    span = window.from_s is not None or window.to_s is not None
    if span + (window.last_s is not None) + bool(window.event) > 1:
        raise UsageError("say --from and --to, or --last, or --event: one of them")
    given = (window.from_s, window.to_s, window.last_s, window.around_s)
    if not all(math.isfinite(t) and t >= 0 for t in given if t is not None):
        raise UsageError("--from, --to, --last and --around are times in s, 0 or more")
    if window.last_s is not None:
        return max(0.0, end_s - window.last_s), end_s
    if window.event:
        t_ns = last_with(run_dir / "journal.sqlite", window.event.split())
        if t_ns is None:
            raise UsageError(f"{run_dir.name} has no event with all of {window.event!r}")
        return max(0.0, t_ns / 1e9 - window.around_s), min(end_s, t_ns / 1e9 + window.around_s)
    from_s = window.from_s or 0.0
    to_s = max(end_s, from_s) if window.to_s is None else window.to_s
    if to_s < from_s:
        raise UsageError(f"--from {from_s:g} is behind --to {to_s:g}")
    return from_s, to_s


def _folder(line: str) -> Path:
    """A line's folder of runs."""
    from cellrt.app.refusals import UsageError
    from cellrt.runtime.watcher import state_dir

    root = state_dir("")
    there = {path.name: path for path in root.glob("*") if any(_run_dirs(path))}
    if line and line not in there:
        raise UsageError(
            f"nothing is recorded of a line {line!r}; of: {', '.join(there) or 'none'}"
        )
    if not line and len(there) != 1:
        raise UsageError(f"say which line with --line; there are: {', '.join(there) or 'none'}")
    return there[line] if line else next(iter(there.values()))


def _run_dirs(folder: Path) -> list[Path]:
    from cellrt.recording.file import RECORDING

    return sorted(path.parent for path in folder.glob(f"2*/{RECORDING}"))
