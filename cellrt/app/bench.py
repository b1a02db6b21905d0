"""`cellrt bench`: what cellrt costs on this machine. Its code is in `bench/`, which only a checkout has."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cellrt.app.refusals import UsageError
from cellrt.app.shell import app, refusals


@app.command()
def bench(
    only: Annotated[
        list[str] | None, typer.Option(help="how the names of wanted benches begin; repeatable")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="write the figures here, after each bench")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="draw into this folder")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="one small round of each: do they run?")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="print a table for a page")] = False,
) -> None:
    """Measure this machine: ours and the best there is, round by round. Takes minutes.

    What fails is told, and costs none of the others; the exit code is then 1.
    """
    with refusals():
        try:
            from bench import run
        except ModuleNotFoundError as error:
            if error.name not in ("bench", "bench.run"):
                raise
            raise UsageError(
                "cellrt bench runs in a checkout only: its code, the folder bench/, is not installed"
            ) from None
        if json and not json.parent.is_dir():
            raise UsageError(f"--json {json}: {json.parent} is no folder")
        if plot:
            try:
                from bench.plot import draw
            except ModuleNotFoundError as error:
                raise UsageError(
                    f"--plot needs {error.name}: install cellrt with the extra `plot`"
                ) from None
            plot.mkdir(parents=True, exist_ok=True)
        try:
            tell = Console(stderr=True, highlight=False, markup=False).print
            outcome = run.run(only or (), quick, tell, json)
        except run.NoSuchBench as error:
            raise UsageError(str(error)) from None
        if plot:
            draw(plot, outcome.results)
    if markdown:
        print(run.markdown(outcome.results))
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(run.table(outcome.results))
    if outcome.failed:
        print(f"failed: {', '.join(outcome.failed)}", file=sys.stderr)
        raise typer.Exit(1)
