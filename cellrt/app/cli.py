"""The command line. Each command is a few lines that call what does the work."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cellrt.app import bench, desk, recordings, settings
from cellrt.app.shell import LineFile, app, refusals
from cellrt.line.load import load_line

__all__ = ["app", "bench", "desk", "main", "recordings", "settings"]


@app.command()
def run(
    line: LineFile,
    sim: Annotated[bool, typer.Option("--sim", help="serve a simulation for each device")] = False,
    python: Annotated[
        bool, typer.Option("--python", help="cells uncompiled; breakpoint() works")
    ] = False,
    speed: Annotated[float, typer.Option(help="logical time per wall time")] = 1.0,
    duration: Annotated[
        float | None, typer.Option(help="stop after so many s of logical time")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="write a JSON report here")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="warnings end the run, exit code 2")
    ] = False,
    opcua_port: Annotated[int, typer.Option(help="port of the OPC UA server")] = 4840,
    modbus_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="port of the Modbus server; else the line file's"),
    ] = None,
    base_port: Annotated[
        int, typer.Option(help="first port of simulated devices; 0: free ones")
    ] = 0,
    start: Annotated[bool, typer.Option(help="reset and start the cells")] = True,
    no_spin: Annotated[
        bool, typer.Option("--no-spin", help="sleep to each scan's edge; it begins a little late")
    ] = False,
) -> None:
    """Run a line. Ctrl-C drains and stops it; a second one stops it at once."""
    from cellrt.app.options import Options
    from cellrt.app.run import Run
    from cellrt.app.view import View

    options = Options(
        line,
        sim,
        python,
        speed,
        duration,
        report,
        strict,
        opcua_port,
        modbus_port,
        base_port,
        start,
        not no_spin,
    )
    with refusals(), View() as view:
        code = Run(options, view.show).execute()
    raise typer.Exit(code)


@app.command()
def devices(
    line: LineFile,
    base_port: Annotated[int, typer.Option(help="first port; 0: free ones")] = 0,
    speed: Annotated[float, typer.Option(help="logical time per wall time")] = 1.0,
    seed: Annotated[
        int | None, typer.Option(help="decides every draw; the line's own if not given")
    ] = None,
) -> None:
    """Serve the simulated devices of a line alone, for any other PLC to be tested against."""
    from cellrt.app.devices import serve_devices

    with refusals():
        chosen = load_line(line).seed if seed is None else seed
        asyncio.run(
            serve_devices(line, seed=chosen, base_port=base_port, speed=speed, census_at=None)
        )


@app.command()
def twin(
    line: LineFile,
    for_s: Annotated[float, typer.Option("--for", help="logical time in s")],
    seed: Annotated[
        int | None, typer.Option(help="decides every draw; the line's own if not given")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="write a JSON report here")] = None,
    python: Annotated[
        bool, typer.Option("--python", help="cells uncompiled; breakpoint() works")
    ] = False,
) -> None:
    """Run a line with its simulated plant in virtual time."""
    from cellrt.app.virtual import run_twin

    with refusals():
        told = run_twin(line, for_s, seed, compiled=not python, report_at=report)
    print(json.dumps(told, indent=2))


@app.command()
def check(
    line: LineFile,
    show: Annotated[bool, typer.Option("--show", help="also show cells, tags and devices")] = False,
) -> None:
    """Check a line file and everything it names."""
    with refusals():
        spec = load_line(line)
    for warning in spec.warnings:
        print(warning, file=sys.stderr)
    if show:
        from cellrt.line.show import show as tables

        Console(width=None if sys.stdout.isatty() else 160).print(tables(spec))
    print(f"{line}: {len(spec.cells)} cells, {len(spec.devices)} devices, well")


@app.command()
def modbus_map(line: LineFile) -> None:
    """The addresses of a line's Modbus server, as Markdown."""
    from cellrt.line.modbus_map import modbus_map

    with refusals():
        table = modbus_map(load_line(line))
    print(table.markdown())


@app.command()
def diagram(
    cell: Annotated[
        str, typer.Argument(help="a cell's type, `module:Class`; with --line its name")
    ],
    line: Annotated[Path | None, typer.Option(help="the line file that has the cell")] = None,
) -> None:
    """Draw a cell's states and steps as mermaid."""
    from cellrt.app.refusals import UsageError
    from cellrt.line.resolve import resolve_cell
    from cellrt.line.show import diagram as draw

    with refusals():
        if line is None:
            print(draw(resolve_cell(cell)))
            return
        spec = load_line(line)
        if cell not in spec.cells:
            raise UsageError(f"no cell {cell!r} in {line}; cells are {', '.join(spec.cells)}")
        print(draw(spec.cells[cell].type))


@app.command()
def new(
    what: Annotated[str, typer.Argument(help="cell")],
    name: Annotated[str, typer.Argument(help="name of the package and its first cell")],
) -> None:
    """Write a start: a package with a cell, its device map, a line file and a passing test."""
    from cellrt.app.new import write_cell

    with refusals():
        for path in write_cell(what, name, Path.cwd()):
            print(path)


@app.command()
def replay(
    recording: Annotated[Path, typer.Argument(help="a recording")],
    verify: Annotated[bool, typer.Option("--verify", help="to the bit, edited or not")] = False,
    at: Annotated[float | None, typer.Option(help="logical time in s")] = None,
    tag: Annotated[str | None, typer.Option(help="tag to look at around --at")] = None,
    line: Annotated[Path | None, typer.Option(help="line file, if not the recorded one")] = None,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="replay what is sound of a damaged recording")
    ] = False,
) -> None:
    """Run the recorded scans again, bit for bit; with edited cells, show theirs beside the recorded ones.

    Exit code 0: the same, 1: another, 2: it cannot be replayed.
    """
    from cellrt.app.virtual import replay_lines

    with refusals():
        lines, code = replay_lines(
            recording, line, verify=verify, at_s=at, tag=tag, damaged=damaged
        )
    for text in lines:
        print(text)
    raise typer.Exit(code)


@app.command()
def users(
    line: LineFile,
    action: Annotated[str, typer.Argument(help="list, add or remove")] = "list",
    name: Annotated[str, typer.Argument(help="the user's name")] = "",
    role: Annotated[str, typer.Option(help="viewer, operator or engineer")] = "",
) -> None:
    """Users of a line's OPC UA server. A password is asked for, or read from standard input."""
    from cellrt.app.scada import change_users

    with refusals():
        for text in change_users(load_line(line).name, action, name, role):
            print(text)


@app.command()
def trust(
    line: LineFile,
    which: Annotated[
        str, typer.Argument(help="start of a rejected one's thumbprint, or a file; none: list them")
    ] = "",
    remove: Annotated[bool, typer.Option("--remove", help="trust it no more")] = False,
) -> None:
    """Certificates of OPC UA clients: which are trusted, which were refused; trust one."""
    from cellrt.app.scada import change_trust

    with refusals():
        for text in change_trust(load_line(line).name, which, remove):
            print(text)


main: Callable[[], None] = app
