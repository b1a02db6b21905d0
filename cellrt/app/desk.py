"""Commands that speak with a running line: look at it, take it in hand, change it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cellrt.app.shell import LineName, app, ask_line, refusals, shown, socket_of
from cellrt.runtime.control import ask

JOG_EVERY_S = 0.05


@app.command()
def tags(
    match: Annotated[str, typer.Argument(help="part of a tag's name")] = "",
    line: LineName = "",
) -> None:
    """Tags of a running line with their values."""
    with refusals():
        told = ask_line(line, do="tags", match=match)["tags"]
    table = Table("tag", "value", "unit", "role", "meaning")
    for row in told:
        table.add_row(row["tag"], shown(row["value"]), row["unit"], row["role"], row["doc"])
    Console().print(table)


@app.command()
def watch(
    names: Annotated[list[str], typer.Argument(help="tags")],
    line: LineName = "",
    count: Annotated[int, typer.Option(help="stop after so many changes; 0: never")] = 0,
) -> None:
    """Print tags of a running line whenever one of them changes."""
    before: dict[str, Any] | None = None
    changes = 0
    with refusals():
        while not (count and changes >= count):
            values = ask_line(line, do="read", tags=names)["values"]
            if values != before:
                print("  ".join(f"{n}={shown(v)}" for n, v in values.items()), flush=True)
                before, changes = values, changes + 1
            time.sleep(0.1)


@app.command()
def cmd(
    cell: Annotated[str, typer.Argument(help="name of a cell; or `line`")],
    command: Annotated[
        str, typer.Argument(help="Reset, Start, Stop, ...; for line: run, stop, abort")
    ],
    line: LineName = "",
) -> None:
    """Give a cell of a running line a PackML command or mode, or the whole line a goal."""
    with refusals():
        if cell == "line":
            ask_line(line, do="pursue", goal=command.lower())
        else:
            ask_line(line, do="command", cell=cell, command=command)


@app.command()
def take(
    cell: Annotated[str, typer.Argument(help="name of a cell; or `line`: every one")],
    line: LineName = "",
) -> None:
    """Take a cell in hand: it obeys `cmd`, `jog` and `step`, and from afar only Stop and Abort."""
    with refusals():
        ask_line(line, do="commander", cell=cell, control="local")


@app.command()
def release(
    cell: Annotated[str, typer.Argument(help="name of a cell; or `line`: every one")],
    line: LineName = "",
) -> None:
    """Give a cell back to supervisor and SCADA."""
    with refusals():
        ask_line(line, do="commander", cell=cell, control="remote")


@app.command()
def step(
    cell: Annotated[str, typer.Argument(help="name of a cell that was taken, in Maintenance")],
    line: LineName = "",
) -> None:
    """Let a cell's sequence make its next transition."""
    with refusals():
        ask_line(line, do="step", cell=cell)


@app.command()
def jog(
    cell: Annotated[str, typer.Argument(help="name of a cell that was taken, in Manual")],
    output: Annotated[str, typer.Argument(help="an output that may be jogged")],
    value: Annotated[str, typer.Argument(help="true, false or a number")] = "true",
    for_s: Annotated[float, typer.Option("--for", help="wall time in s")] = 1.0,
    line: LineName = "",
) -> None:
    """Move one output by hand, as long as this runs: without it the output is safe within 200 ms."""
    end_s = time.monotonic() + for_s
    with refusals(), suppress(KeyboardInterrupt):
        while time.monotonic() < end_s:
            ask_line(line, do="jog", cell=cell, output=output, value=_value(value))
            time.sleep(JOG_EVERY_S)


@app.command(name="set")
def set_parameter(
    tag: Annotated[str, typer.Argument(help="a parameter's tag")],
    value: Annotated[float, typer.Argument(help="its new value")],
    line: LineName = "",
) -> None:
    """Change a parameter of a running line, within its limits."""
    with refusals():
        ask_line(line, do="write", tag=tag, value=value)


@app.command()
def force(
    tag: Annotated[str, typer.Argument(help="an input or output; none: list what is forced")] = "",
    value: Annotated[str, typer.Argument(help="true, false or a number")] = "",
    for_s: Annotated[float, typer.Option("--for", help="logical time in s")] = 0.0,
    line: LineName = "",
) -> None:
    """Hold an input or output of a running line at a value for a while, or list what is held.

    Safe reactions win over a forced output, and what safety relies on is never forced.
    """
    from cellrt.app.refusals import UsageError

    with refusals():
        if tag and not (value and for_s):
            raise UsageError(
                f"force {tag}: give a value and for how long: `force TAG VALUE --for S`"
            )
        if tag:
            ask_line(line, do="force", tag=tag, value=_value(value), for_s=for_s)
            return
        for each in ask_line(line, do="forces")["forces"]:
            print(f"{each['tag']} = {shown(each['value'])}  {each['left_s']:.1f} s left")


@app.command()
def unforce(
    tag: Annotated[str, typer.Argument(help="a forced input or output")] = "",
    all_: Annotated[bool, typer.Option("--all", help="every force")] = False,
    line: LineName = "",
) -> None:
    """End a force, or all of them."""
    from cellrt.app.refusals import UsageError

    with refusals():
        if bool(tag) is all_:
            raise UsageError("unforce: give one tag, or --all")
        ask_line(line, do="unforce", tag=tag or None)


@app.command(name="io")
def show_points(
    device: Annotated[str, typer.Argument(help="one device only; or a factory's line")] = "",
    line: LineName = "",
) -> None:
    """Every point of a running line's devices: raw value, value, unit, forces, address, tags; quality and age."""
    from cellrt.app.points import show

    with refusals():
        show(lambda: ask_line(line, do="io", device=device or None)["points"])


@app.command()
def top(line: LineName = "") -> None:
    """A running line on the whole screen; keys to take, reset, start and stop."""
    from cellrt.app.top import Top

    with refusals():
        path = socket_of(line)
        ask(path, {"do": "overview"})
        Top(lambda **request: ask(path, request, 2.0)).run()


@app.command()
def journal(
    last: Annotated[int, typer.Option(help="how many events")] = 50,
    subject: Annotated[
        str | None, typer.Option(help="of one cell, handover or device only")
    ] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="logins, writes and calls of OPC UA clients")
    ] = False,
    line: LineName = "",
) -> None:
    """The last events of a running line."""
    from cellrt.audit import told
    from cellrt.narrate import sentence

    with refusals():
        if audit:
            for deed in ask_line(line, do="audit", last=last)["deeds"]:
                print(told(deed))
            return
        for entry in ask_line(line, do="journal", last=last, subject=subject)["entries"]:
            print(sentence(entry))


def _value(text: str) -> bool | float:
    """What a person writes for a value. Raises ValueError."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither true, false nor a number") from None
