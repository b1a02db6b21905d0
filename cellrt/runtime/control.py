"""The control socket: how `cellrt cmd`, `watch`, `tags` and `journal` speak with a running line.

A line of JSON each way on a Unix socket in the line's state folder: {"do": ..., ...} and
{"ok": true, ...} or {"ok": false, "error": ...}.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import hashlib
import json
import math
import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellrt.audit import AUDIT, deeds
from cellrt.line.values import NOUNS
from cellrt.narrate import words
from cellrt.packml import Command, Control, Mode
from cellrt.runtime.download import DownloadError, download
from cellrt.runtime.overview import overview, points
from cellrt.runtime.sender import misfit
from cellrt.scan.commands import Operation, Refusal
from cellrt.scan.tables import check_carried, raw_value
from cellrt.supervisor import Goal

if TYPE_CHECKING:
    from cellrt.runtime.brain import Brain

REQUEST_BYTES = 65_536
LONGEST_FORCE_S = 86_400.0
DEADMAN_S = 0.2
"""Wall time after which a jog that is not asked for again ends."""

MENDS = {
    Refusal.NOT_IN_COMMAND: "; take the cell first: `cellrt take CELL`",
    Refusal.NOT_IN_THIS_MODE: "; set the mode first: `cellrt cmd CELL Manual` or `Maintenance`",
    Refusal.NOT_WELL: "; an interlock's condition is lost",
}


class ControlError(Exception):
    """The line does not run, or refuses; the message says why."""


class NotRunning(ControlError):
    """Nobody answers on the control socket."""


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name of at most a few bytes for `path`: a socket's may have no more than 107."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def ask(path: Path, request: dict[str, Any], timeout_s: float = 10.0) -> dict[str, Any]:
    """Send one request to the line behind `path`. Raises ControlError."""
    try:
        with (
            socket.socket(socket.AF_UNIX) as connection,
            short_path(path) as name,
        ):
            connection.settimeout(timeout_s)
            connection.connect(name)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as file:
                answer: dict[str, Any] = json.loads(file.readline() or b"{}")
    except (OSError, ValueError) as error:
        raise NotRunning(f"{path}: no running line answers ({error})") from None
    if not answer.get("ok"):
        raise ControlError(str(answer.get("error", "the line ended before it answered")))
    return answer


class ControlServer:
    """Serves one line's brain."""

    def __init__(self, brain: Brain, path: Path) -> None:
        self._brain, self._path = brain, path
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. A socket left behind by a brain that was killed is replaced."""
        self._path.unlink(missing_ok=True)
        with short_path(self._path) as name:
            self._server = await asyncio.start_unix_server(
                self._converse, name, limit=REQUEST_BYTES
            )
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Listen no more."""
        if self._server:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ValueError):
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            done = getattr(self, f"_do_{request.pop('do')}")(**request)
            return {"ok": True, **(await done if asyncio.iscoroutine(done) else done)}
        except ControlError as error:
            return {"ok": False, "error": str(error)}
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            return {"ok": False, "error": f"request not understood: {error}"}

    def _do_status(self) -> dict[str, Any]:
        return self._brain.status()

    def _do_pursue(self, goal: str) -> dict[str, Any]:
        self._brain.pursue(Goal(goal))
        return {}

    def _do_read(self, tags: list[str]) -> dict[str, Any]:
        return {"values": {tag: self._brain.read(self._known(tag)) for tag in tags}}

    def _do_tags(self, match: str) -> dict[str, Any]:
        told = [
            {
                "tag": leaf.path,
                "value": self._brain.read(leaf.path),
                "unit": leaf.field.unit,
                "role": leaf.field.role.value,
                "doc": leaf.field.doc,
            }
            for leaf in self._brain.plan.layout.tags()
            if match in leaf.path
        ]
        return {"tags": told}

    def _do_journal(self, last: int, subject: str | None = None) -> dict[str, Any]:
        return {"entries": self._brain.journal.entries(last, subject)}

    def _do_audit(self, last: int) -> dict[str, Any]:
        try:
            return {"deeds": deeds(self._brain.run_dir / AUDIT, last)}
        except sqlite3.Error as error:
            raise ControlError(f"the audit log cannot be read: {error}") from None

    async def _do_command(self, cell: str, command: str) -> dict[str, Any]:
        plan = self._brain.plan
        if cell not in plan.cells:
            raise ControlError(_unknown("cell", cell, list(plan.cells)))
        names: dict[str, tuple[Operation, int]] = {
            **{c.name.lower(): (Operation.PACKML, int(c)) for c in Command},
            **{m.name.lower(): (Operation.MODE, int(m)) for m in Mode},
        }
        if command.lower() not in names:
            raise ControlError(_unknown("command", command, list(names)))
        operation, argument = names[command.lower()]
        answer = await self._brain.send(operation, plan.cells.index(cell), argument)
        return self._accepted(answer, f"{cell} {command}")

    async def _do_write(self, tag: str, value: bool | float) -> dict[str, Any]:
        numbers = self._brain.plan.parameter_of
        if tag not in numbers:
            raise ControlError(_unknown("parameter", tag, list(numbers)))
        if not math.isfinite(value):
            raise ControlError(f"{tag} = {value}: needs a number")
        number = numbers[tag]
        kind = self._brain.plan.parameters[number].field.kind
        if kind is not float and value != int(value):
            raise ControlError(f"{tag} = {value}: needs a whole number")
        bits = int(np.float64(value).view(np.int64)) if kind is float else int(value)
        answer = await self._brain.send(Operation.PARAMETER, number, bits)
        if answer is Refusal.UNFIT:
            why = misfit(self._brain.plan, self._brain.read, number, bits)
            raise ControlError(f"{tag} = {value}: refused, {why}")
        return self._accepted(answer, f"{tag} = {value}")

    def _do_overview(self) -> dict[str, Any]:
        return overview(self._brain)

    def _do_io(self, device: str | None = None) -> dict[str, Any]:
        line, devices = self._brain.plan.line, list(self._brain.plan.devices)
        of = [d for d in devices if device in (None, d, line.copy_of(d))]
        if not of and device is not None:
            lines = dict.fromkeys(filter(None, map(line.copy_of, devices)))
            what = "device or line" if lines else "device"
            raise ControlError(_unknown(what, device, [*lines, *devices]))
        self._brain.drain()
        return {"points": points(self._brain, of)}

    def _do_params(self) -> dict[str, Any]:
        plan = self._brain.plan
        values = {leaf.path: self._brain.read(leaf.path) for leaf in plan.parameters}
        return {"values": values, "line": hashlib.sha256(plan.line.text.encode()).hexdigest()}

    async def _do_download(self, number: int, cell: str | None = None) -> dict[str, Any]:
        try:
            return await download(self._brain, number, cell)
        except DownloadError as error:
            raise ControlError(str(error)) from None

    async def _do_commander(self, cell: str, control: str) -> dict[str, Any]:
        plan, wanted = self._brain.plan, Control[control.upper()]
        if cell != "line" and cell not in plan.cells:
            raise ControlError(_unknown("cell", cell, [*plan.cells, "line"]))
        for number, name in enumerate(plan.cells):
            if cell in ("line", name):
                answer = await self._brain.send(Operation.COMMANDER, number, wanted)
                self._accepted(answer, f"{name} {control}")
        return {}

    async def _do_step(self, cell: str) -> dict[str, Any]:
        plan = self._brain.plan
        if cell not in plan.cells:
            raise ControlError(_unknown("cell", cell, list(plan.cells)))
        answer = await self._brain.send(Operation.STEP, plan.cells.index(cell), 0)
        return self._accepted(answer, f"step {cell}")

    async def _do_jog(self, cell: str, output: str, value: bool | float) -> dict[str, Any]:
        plan, tag = self._brain.plan, f"{cell}.{output}"
        number = self._terminal(tag)
        if not plan.layout.find(tag).field.jog:
            of = [t for t, n in plan.terminal_of.items() if t.startswith(f"{cell}.")]
            may = [t.partition(".")[2] for t in of if plan.layout.find(t).field.jog]
            raise ControlError(f"{tag} is not jogged; outputs of {cell} that are: {may or 'none'}")
        raw, for_ns = (
            self._raw(number, tag, value),
            round(DEADMAN_S * self._brain.station.speed * 1e9),
        )
        answer = await self._brain.send(Operation.JOG, number, raw, for_ns)
        return self._accepted(answer, f"jog {tag}")

    async def _do_force(self, tag: str, value: bool | float, for_s: float) -> dict[str, Any]:
        plan, number = self._brain.plan, self._terminal(tag)
        if number in plan.safety_terminals:
            name = plan.terminals[number].point.name
            raise ControlError(f"{tag}: safety relies on {name}; nobody forces it")
        if not 0.0 < for_s <= LONGEST_FORCE_S:
            raise ControlError(f"--for {for_s:g}: a force lasts up to {LONGEST_FORCE_S:g} s")
        raw, for_ns = self._raw(number, tag, value), round(for_s * 1e9)
        answer = await self._brain.send(Operation.FORCE, number, raw, for_ns)
        return self._accepted(answer, f"force {tag} = {value:g}")

    async def _do_unforce(self, tag: str | None = None) -> dict[str, Any]:
        number = -1 if tag is None else self._terminal(tag)
        answer = await self._brain.send(Operation.UNFORCE, number, 0)
        return self._accepted(answer, f"unforce {tag or 'all'}")

    def _do_forces(self) -> dict[str, Any]:
        self._brain.drain()
        now_ns = self._brain.snapshot.now_ns if self._brain.snapshot else 0
        told = [
            {"left_s": max(0.0, (entry["until_ns"] - now_ns) / 1e9)} | entry
            for entry in self._brain.journal.forces.values()
        ]
        return {"forces": told}

    def _terminal(self, tag: str) -> int:
        """The number of the terminal of an input or output."""
        numbers = self._brain.plan.terminal_of
        if self._known(tag) not in numbers:
            role = self._brain.plan.layout.find(tag).field.role.value
            raise ControlError(f"{tag} is {role}; only inputs and outputs of devices are forced")
        return numbers[tag]

    def _raw(self, number: int, tag: str, value: bool | float) -> int:
        """The raw value for a tag's value at its terminal."""
        leaf = self._brain.plan.layout.find(tag)
        kind = leaf.field.kind
        whole = math.isfinite(value) and value == int(value)
        if (kind is int and not whole) or (kind is bool and value not in (0, 1)):
            raise ControlError(f"{tag} = {value}: needs {NOUNS[kind]}")
        point = self._brain.plan.terminals[number].point
        try:
            check_carried(point, leaf, kind(value))
        except ValueError as error:
            raise ControlError(str(error)) from None
        return raw_value(point, leaf, kind(value))

    def _accepted(self, answer: Refusal, what: str) -> dict[str, Any]:
        if answer is not Refusal.ACCEPTED:
            raise ControlError(f"{what}: refused, {words(answer)}{MENDS.get(answer, '')}")
        return {}

    def _known(self, tag: str) -> str:
        try:
            self._brain.plan.layout.find(tag)
        except KeyError:
            tags = [leaf.path for leaf in self._brain.plan.layout.tags()]
            raise ControlError(_unknown("tag", tag, tags)) from None
        return tag


def _unknown(what: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"no {what} {name!r}; " + (
        f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known[:12])}"
    )
