"""What every command line command has: the application, its arguments, and one way to refuse."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cellrt.runtime.control import ControlError, ask

app = typer.Typer(
    help="A soft-PLC whose scan never enters the interpreter.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
LineFile = Annotated[Path, typer.Argument(help="the line file")]
LineName = Annotated[
    str, typer.Option("--line", help="name of the running line; not needed when only one runs")
]


@contextmanager
def refusals() -> Iterator[None]:
    """Whatever is wrong with what the user gave: one message, exit code 2, no traceback."""
    from cellrt.app.refusals import REFUSALS

    try:
        yield
    except REFUSALS as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None


def ask_line(line: str, **request: Any) -> dict[str, Any]:
    """Ask a running line. Raises ControlError."""
    return ask(socket_of(line), request)


def socket_of(line: str) -> Path:
    """The control socket of the line called so, or of the only one that runs."""
    from cellrt.runtime.watcher import state_dir

    if line:
        return state_dir(line) / "control.sock"
    running = sorted(state_dir("").glob("*/control.sock"))
    if len(running) != 1:
        names = ", ".join(p.parent.name for p in running) or "none"
        raise ControlError(f"say which line with --line; running: {names}")
    return running[0]


def shown(value: bool | int | float) -> str:
    """A tag's value for people."""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
