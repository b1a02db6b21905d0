"""The command line. Each command is a few lines that call what does the work."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cellrt.line.load import load_line
from cellrt.line.spec import RecipeSpec
from cellrt.runtime.control import ControlError, ask

app = typer.Typer(
    help="A soft-PLC whose scan never enters the interpreter.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
params = typer.Typer(help="A line's parameters against its file.", no_args_is_help=True)
recipe = typer.Typer(help="Recipes of a line.", no_args_is_help=True)
app.add_typer(params, name="params")
app.add_typer(recipe, name="recipe")
LineFile = Annotated[Path, typer.Argument(help="the line file")]
JOG_EVERY_S = 0.05
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
    verify: Annotated[bool, typer.Option("--verify", help="compare every scan")] = False,
    at: Annotated[float | None, typer.Option(help="logical time in s")] = None,
    tag: Annotated[str | None, typer.Option(help="tag to look at around --at")] = None,
    line: Annotated[Path | None, typer.Option(help="line file, if not the recorded one")] = None,
) -> None:
    """Run the recorded scans again, bit for bit."""
    from cellrt.app.virtual import replay_lines

    with refusals():
        lines, code = replay_lines(recording, line, verify=verify, at_s=at, tag=tag)
    for text in lines:
        print(text)
    raise typer.Exit(code)


@app.command()
def tags(
    match: Annotated[str, typer.Argument(help="part of a tag's name")] = "",
    line: LineName = "",
) -> None:
    """Tags of a running line with their values."""
    with refusals():
        told = _ask(line, do="tags", match=match)["tags"]
    table = Table("tag", "value", "unit", "role", "meaning")
    for row in told:
        table.add_row(row["tag"], _shown(row["value"]), row["unit"], row["role"], row["doc"])
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
            values = _ask(line, do="read", tags=names)["values"]
            if values != before:
                print("  ".join(f"{n}={_shown(v)}" for n, v in values.items()), flush=True)
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
            _ask(line, do="pursue", goal=command.lower())
        else:
            _ask(line, do="command", cell=cell, command=command)


@app.command()
def take(
    cell: Annotated[str, typer.Argument(help="name of a cell; or `line`: every one")],
    line: LineName = "",
) -> None:
    """Take a cell in hand: it obeys `cmd`, `jog` and `step`, and from afar only Stop and Abort."""
    with refusals():
        _ask(line, do="commander", cell=cell, control="local")


@app.command()
def release(
    cell: Annotated[str, typer.Argument(help="name of a cell; or `line`: every one")],
    line: LineName = "",
) -> None:
    """Give a cell back to supervisor and SCADA."""
    with refusals():
        _ask(line, do="commander", cell=cell, control="remote")


@app.command()
def step(
    cell: Annotated[str, typer.Argument(help="name of a cell that was taken, in Maintenance")],
    line: LineName = "",
) -> None:
    """Let a cell's sequence make its next transition."""
    with refusals():
        _ask(line, do="step", cell=cell)


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
            _ask(line, do="jog", cell=cell, output=output, value=_value(value))
            time.sleep(JOG_EVERY_S)


@app.command(name="set")
def set_parameter(
    tag: Annotated[str, typer.Argument(help="a parameter's tag")],
    value: Annotated[float, typer.Argument(help="its new value")],
    line: LineName = "",
) -> None:
    """Change a parameter of a running line, within its limits."""
    with refusals():
        _ask(line, do="write", tag=tag, value=value)


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
            _ask(line, do="force", tag=tag, value=_value(value), for_s=for_s)
            return
        for each in _ask(line, do="forces")["forces"]:
            print(f"{each['tag']} = {_shown(each['value'])}  {each['left_s']:.1f} s left")


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
        _ask(line, do="unforce", tag=tag or None)


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
            for deed in _ask(line, do="audit", last=last)["deeds"]:
                print(told(deed))
            return
        for entry in _ask(line, do="journal", last=last, subject=subject)["entries"]:
            print(sentence(entry))


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


@app.command(name="io")
def show_points(
    device: Annotated[str, typer.Argument(help="one device only")] = "",
    line: LineName = "",
) -> None:
    """Every point of a running line's devices: address, raw value, value, quality, tags, forces."""
    from cellrt.app.points import show

    with refusals():
        show(lambda: _ask(line, do="io", device=device or None)["points"])


@app.command()
def top(line: LineName = "") -> None:
    """A running line on the whole screen; keys to take, reset, start and stop."""
    from cellrt.app.top import Top

    with refusals():
        path = _socket_of(line)
        ask(path, {"do": "overview"})
        Top(lambda **request: ask(path, request, 2.0)).run()


@params.command("diff")
def params_diff(line: LineFile) -> None:
    """Where the running (else the retained) parameters differ from line file, recipe and defaults."""
    from cellrt.app.params import lines

    with refusals():
        for text in lines(load_line(line)):
            print(text)


@params.command("save")
def params_save(line: LineFile) -> None:
    """Write the running (else the retained) parameters into the line file; comments stay."""
    from cellrt.app.params import save

    with refusals():
        for tag in save(line):
            print(tag)


@recipe.command("check")
def recipe_check(line: LineFile) -> None:
    """Check every recipe of a line."""
    with refusals():
        print(f"{len(_recipes(line))} recipes, well")


@recipe.command("list")
def recipe_list(line: LineFile) -> None:
    """Recipes of a line: number, version, name, file."""
    with refusals():
        for each in _recipes(line).values():
            print(f"{each.number:>4}  version {each.version}  {each.name}  {each.path}")


@recipe.command("download")
def recipe_download(
    number: Annotated[int, typer.Argument(help="of the recipe")],
    cell: Annotated[str, typer.Option(help="one cell only")] = "",
    line: LineName = "",
) -> None:
    """Send a recipe to the cells of a running line, read it back and compare."""
    with refusals():
        told = ask(
            _socket_of(line), {"do": "download", "number": number, "cell": cell or None}, 60.0
        )
    print(f"recipe {number} version {told['version']}, {told['name']}: {', '.join(told['cells'])}")


def _recipes(path: Path) -> dict[int, RecipeSpec]:
    from cellrt.app.refusals import UsageError
    from cellrt.line.recipes import load_recipes

    spec = load_line(path)
    if not spec.recipes:
        raise UsageError(f'{path} names no recipes; add `recipes = "recipes"` to [line]')
    return load_recipes(path.parent / spec.recipes, spec.cells)


def _ask(line: str, **request: Any) -> dict[str, Any]:
    return ask(_socket_of(line), request)


def _socket_of(line: str) -> Path:
    """The control socket of the line called so, or of the only one that runs."""
    from cellrt.runtime.watcher import state_dir

    if line:
        return state_dir(line) / "control.sock"
    running = sorted(state_dir("").glob("*/control.sock"))
    if len(running) != 1:
        names = ", ".join(p.parent.name for p in running) or "none"
        raise ControlError(f"say which line with --line; running: {names}")
    return running[0]


def _value(text: str) -> bool | float:
    """What a person writes for a value. Raises ValueError."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither true, false nor a number") from None


def _shown(value: bool | int | float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


main: Callable[[], None] = app
