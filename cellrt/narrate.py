"""Events in words: from the scan's eight numbers to what a person, a report or a database reads."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

from cellrt.handover import Link, Result
from cellrt.interlock import Cause
from cellrt.packml import Control, Mode, State
from cellrt.scan.commands import Operation, Origin, Refusal
from cellrt.scan.events import Event
from cellrt.scan.plan import Plan

_STEP, _HANDOVER = int(Event.STEP), int(Event.HANDOVER)
_OF_BOARDS = (int(Event.BOARD_IN), int(Event.BOARD_OUT), int(Event.BOARD_LEFT))
_PLACE = "?"
"""Stands, in a line that is put together, for a board's id and the time. No name has it."""

SUBJECTS = "cell", "handover", "device", "task"
OF_TERMINALS = (Operation.FORCE, Operation.UNFORCE, Operation.JOG)
Entry = dict[str, Any]
"""An event in words; its first keys are `t_ns`, `event` and the subject."""


@functools.lru_cache(maxsize=None, typed=True)  # members of two enums may be equal as numbers
def words(member: Any) -> str:
    """`NOT_IN_THIS_STATE` as PackML and Hermes write it: `NotInThisState`."""
    return "".join(part.capitalize() for part in str(member.name).split("_"))


def upper(name: str) -> str:
    """The way back: `NotInThisState` as the member is called, `NOT_IN_THIS_STATE`."""
    return "".join(f"_{c}" if c.isupper() else c for c in name).lstrip("_").upper()


def _named(enum: Any, value: int) -> str:
    try:
        return words(enum(value))
    except ValueError:
        return str(value)


class Narrator:
    """Tells the events of one line."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._cells = plan.cells
        self._rules = {name: plan.rules(name) for name in plan.cells}
        self._steps = {name: cell.type.sequence.names for name, cell in plan.line.cells.items()}
        self._lines: dict[tuple[int, ...], list[str]] = {}
        self._tell: dict[int, Callable[[int, int, int, int, int], Entry]] = {
            Event.STARTED: lambda k, a, b, c, d: {"epoch": a},
            Event.STATE: self._state,
            Event.STEP: self._step,
            Event.BOARD_IN: self._board,
            Event.BOARD_OUT: self._board,
            Event.BOARD_LEFT: self._board,
            Event.TRIPPED: self._tripped,
            Event.HANDOVER: self._handover,
            Event.COMMAND: self._command,
            Event.PARAMETER: self._parameter,
            Event.DEVICE: lambda k, a, b, c, d: {"device": plan.devices[k], "good": bool(a)},
            Event.OVERRUN: lambda k, a, b, c, d: {"skipped": a, "late_ns": b},
            Event.TASK: self._task,
            Event.MODE: lambda k, a, b, c, d: self._moved(k, Mode, a, b),
            Event.COMMANDER: lambda k, a, b, c, d: self._moved(k, Control, a, b),
            Event.CHANGED: self._changed,
            Event.FORCED: self._forced,
            Event.UNFORCED: self._unforced,
            Event.RECORDING: lambda k, a, b, c, d: {"saved": bool(a)},
            Event.RECORDING_LOST: lambda k, a, b, c, d: self._gap(a, b, c),
            Event.LOST: lambda k, a, b, c, d: {"lost": a},
        }

    def tell(self, row: Sequence[int]) -> Entry:
        """One event in words."""
        _, t_ns, kind, subject, a, b, c, d = (int(x) for x in row)
        told = self._tell[kind](subject, a, b, c, d)
        return {"t_ns": t_ns, "event": words(Event(kind)), **told}

    def line(self, row: Sequence[int]) -> str:
        """One event as `canonical` writes it, put together from what is told again and again."""
        _, t_ns, kind, subject, a, b, c, d = row
        if kind == _STEP:
            board, key = 0, (kind, subject, a, b, 0)
        elif kind == _HANDOVER:
            board, key = c, (kind, subject, a, b, 0)
        elif kind in _OF_BOARDS:
            board, key = a, (kind, subject, b, c, d)
        else:
            return canonical(self.tell(row))
        parts = self._lines.get(key)
        if parts is None:
            entry = self.tell(row)
            places = {k: _PLACE for k in ("board", "t_ns") if k in entry}
            parts = self._lines[key] = canonical(entry | places).split(f'"{_PLACE}"')
        if len(parts) == 2:
            return f"{parts[0]}{t_ns}{parts[1]}"
        return f"{parts[0]}{board}{parts[1]}{t_ns}{parts[2]}"

    def first_out(self, cell: str, number: int) -> str:
        """The name of the rule that tripped a cell first; empty when none did."""
        rules = self._rules[cell]
        return rules[number - 1] if 0 < number <= len(rules) else ""

    def step_name(self, cell: str, step: int) -> str:
        """A step's name; empty for a cell without a sequence."""
        names = self._steps[cell]
        return names[step] if 0 <= step < len(names) else ""

    def _gap(self, nbytes: int, first: int, last: int) -> Entry:
        """What of a recording never came to disk, in logical time."""
        period_s = self._plan.line.period_ns / 1e9
        begin = "?" if first < 0 else f"{first * period_s:.3f} s"
        return {"from": begin, "to": f"{last * period_s:.3f} s", "bytes": nbytes}

    def _state(self, k: int, before: int, after: int, cause: int, first_out: int) -> Entry:
        cell = self._cells[k]
        told: Entry = {"cell": cell, "from": _named(State, before), "to": _named(State, after)}
        if cause > Cause.STOP:
            told["cause"] = _named(Cause, cause)
        if first_out:
            told["first_out"] = self.first_out(cell, first_out)
        return told

    def _moved(self, k: int, kind: Any, before: int, after: int) -> Entry:
        return {"cell": self._cells[k], "from": _named(kind, before), "to": _named(kind, after)}

    def _task(self, k: int, before: int, after: int, _c: int, _d: int) -> Entry:
        told: Entry = {"task": self._plan.tasks[k].name, "from": f"1/{before}"}
        return told | {"to": f"1/{after}" if after else "stopped safely"}

    def _step(self, k: int, before: int, after: int, _c: int, _d: int) -> Entry:
        cell = self._cells[k]
        return {
            "cell": cell,
            "from": self.step_name(cell, before),
            "to": self.step_name(cell, after),
        }

    def _board(self, k: int, board: int, result: int, product: int, route: int) -> Entry:
        told: Entry = {"cell": self._cells[k], "board": board, "result": _named(Result, result)}
        return told | {"product": product, "route": route}

    def _tripped(self, k: int, rule: int, first_out: int, _c: int, _d: int) -> Entry:
        cell = self._cells[k]
        return {
            "cell": cell,
            "rule": self._rules[cell][rule],
            "first_out": self.first_out(cell, first_out),
        }

    def _handover(self, k: int, before: int, after: int, board: int, _d: int) -> Entry:
        told: Entry = {"handover": self._plan.handovers[k], "from": _named(Link, before)}
        return told | {"to": _named(Link, after), "board": board}

    def _command(
        self, origin: int, number: int, target: int, operation: int, refusal: int
    ) -> Entry:
        told: Entry = {"origin": _named(Origin, origin), "command": number}
        told |= {
            "operation": _named(Operation, operation),
            "target": self._target(operation, target),
        }
        return told | {"answer": _named(Refusal, refusal)}

    def _target(self, operation: int, target: int) -> str:
        names: Sequence[str] = self._cells
        if operation in (Operation.PARAMETER, Operation.MISFIT):
            names = [p.path for p in self._plan.parameters]
        elif operation == Operation.TASK:
            names = [t.name for t in self._plan.tasks]
        elif operation in OF_TERMINALS:
            names = [t.name for t in self._plan.terminals]
        return names[target] if 0 <= target < len(names) else str(target)

    def _parameter(self, k: int, before: int, after: int, number: int, _d: int) -> Entry:
        return {
            "tag": self._plan.parameters[k].path,
            "before_bits": before,
            "after_bits": after,
            "command": number,
        }

    def _changed(self, k: int, before: int, after: int, _c: int, _d: int) -> Entry:
        tag = self._plan.told[k].path
        return {"cell": tag.partition(".")[0], "tag": tag, "from": before, "to": after}

    def _forced(self, k: int, raw: int, until_ns: int, number: int, _d: int) -> Entry:
        terminal = self._plan.terminals[k]
        told: Entry = {"tag": terminal.name, "value": terminal.point.value(raw)}
        return told | {"until_ns": until_ns, "command": number}

    def _unforced(self, k: int, raw: int, number: int, _c: int, _d: int) -> Entry:
        terminal = self._plan.terminals[k]
        told: Entry = {"tag": terminal.name, "value": terminal.point.value(raw)}
        return told | ({"command": number} if number else {"expired": True})


def canonical(entry: Entry) -> str:
    """One line of JSON, the same for the same event."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"))


def subject_of(entry: Entry) -> str:
    """The cell, handover, device, task or tag that an event is of; for a command its target. "" for none."""
    keys = (*SUBJECTS, "target", "tag")
    return next((str(entry[k]) for k in keys if k in entry), "")


def sentence(entry: Entry) -> str:
    """An entry as one line for people."""
    subject = next((entry[k] for k in SUBJECTS if k in entry), "")
    return f"{entry['t_ns'] / 1e9:10.3f} s  {entry['event']:<9} {subject:<16} {brief(entry)}"


def brief(entry: Entry) -> str:
    """What an entry says beside when, what kind and of whom."""
    shown = {"t_ns", "event", *SUBJECTS, "from", "to"}
    moved = f"{entry['from']} -> {entry['to']}" if "from" in entry else ""
    rest = ", ".join(f"{k} {v}" for k, v in entry.items() if k not in shown and v != "")
    return " ".join(part for part in (moved, rest) if part)
