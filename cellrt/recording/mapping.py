"""A recorded line's words in a line that has changed since: found by name, and told where they have none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from cellrt.narrate import OF_TERMINALS
from cellrt.recording.header import Header, describe
from cellrt.scan.commands import Operation
from cellrt.scan.plan import COMMAND_WORDS, COMMANDS_A_SCAN, OUTPUT_HEAD, Plan
from cellrt.scan.recorder import state
from cellrt.scan.runner import Runner
from cellrt.scan.tables import TOLD_OF_CELL
from cellrt.tags import WORD
from cellrt.wire import Ints

T = TypeVar("T")
Places = npt.NDArray[np.intp]
SIZES = {"bool": 1, "int": WORD, "float": WORD}
NOBODY = 2**31
"""A target that no scan knows: it refuses the command."""

OPERATION, TARGET = 2, 3
"""Words of a command."""


class Span(NamedTuple):
    """Where a named value lies in a keyframe: first byte, and "bool", "int" or "float"."""

    at: int
    kind: str


class Mapping:
    """From the words of a recording to those of a plan.

    `changes` are what was added, removed and retyped, for people. `identity`: nothing was. `compared` are the
    numbers of the results that both have, `was` where each of them lies in the recorded ones.
    """

    def __init__(self, header: Header, runner: Runner) -> None:
        plan = runner.plan
        self._now, self._then = describe(plan), header
        before, after = dict(spans(header)), dict(spans(self._now))
        both = [name for name in before if name in after]
        same = [name for name in both if before[name].kind == after[name].kind]
        self._of = _bytes(before[name] for name in same)
        self._to = _bytes(after[name] for name in same)
        self._retyped = [(before[n], after[n]) for n in both if before[n].kind != after[n].kind]
        self._steps = [
            _step_words(header, self._now, cell) for cell in header.cells if cell in self._now.cells
        ]
        self._fresh = np.concatenate([runner.inputs, *state(runner.work)])
        self._inputs = [
            (before[n].at // WORD, after[n].at // WORD) for n in both if n.startswith("input ")
        ]
        first, then = self._now.input_words, header.input_words
        results = [
            (after[n].at // WORD - first, before[n].at // WORD - then)
            for n in both
            if first + OUTPUT_HEAD <= after[n].at // WORD < self._now.image_base
            and not n.endswith(" trips")  # bits by the order of rules, which is no result
        ]
        self.compared, self.was = np.array(sorted(results), np.intp).reshape(-1, 2).T.copy()
        self._targets = {
            Operation.PACKML: _numbers(list(header.cells), list(self._now.cells)),
            Operation.PARAMETER: _numbers(header.parameters, self._now.parameters),
            Operation.FORCE: _numbers(header.terminals, self._now.terminals),
            Operation.TASK: _numbers(header.tasks, self._now.tasks),
        }
        self.changes = tuple(_changes(header, self._now, before, after, plan))
        self.identity = header.plan_hash == plan.hash and header.cells == self._now.cells

    def state(self, frame: Ints) -> Ints:
        """A keyframe's state, behind the inputs, as the plan has it; what was added is as it begins."""
        new = self._fresh.copy()
        new.view(np.uint8)[self._to] = frame.view(np.uint8)[self._of]
        for was, is_ in self._retyped:
            _write(new, is_, _read(frame, was))
        for (was_at, at, was_unit, unit), table in self._steps:
            new[at], new[unit] = table[frame[was_at]], table[frame[was_unit]]
        return new[self._now.input_words :]

    def inputs(self, told: Ints, into: Ints) -> None:
        """The inputs of a recorded scan as the plan has them: samples by point, commands by what they are to."""
        of, to = np.array(self._inputs, np.intp).reshape(-1, 2).T
        into[to] = told[of]
        base, then = self._now.commands_base, self._then.commands_base
        into[base:] = told[then:]
        for n in range(min(int(told[then]), COMMANDS_A_SCAN)):
            command = into[base + 1 + n * COMMAND_WORDS :][:COMMAND_WORDS]
            command[TARGET] = self._target(int(command[OPERATION]), int(command[TARGET]))

    def results(self, told: Ints) -> Ints:
        """Recorded results of `compared`, in its order."""
        found = told[self.was]
        for (was_at, at, _, _), table in self._steps:
            word = np.searchsorted(self.compared, at - self._now.input_words)
            found[word] = table[told[was_at - self._then.input_words]]
        return found

    def _target(self, operation: int, target: int) -> int:
        if target < 0:  # all of them
            return target
        kind = Operation.PACKML
        if operation in (Operation.PARAMETER, Operation.MISFIT):
            kind = Operation.PARAMETER
        elif operation in OF_TERMINALS:
            kind = Operation.FORCE
        elif operation == Operation.TASK:
            kind = Operation.TASK
        table = self._targets[kind]
        return table[target] if target < len(table) else NOBODY


def spans(header: Header) -> Iterator[tuple[str, Span]]:
    """Everything in a keyframe by name."""
    for k, name in enumerate(header.inputs):
        yield f"input {_plain(name)}", Span(k * WORD, "int")
    for k, name in enumerate(header.results, header.input_words):
        yield _plain(name), Span(k * WORD, "int")
    for name, kind, at in header.tags:
        yield f"tag {name}", Span(header.image_base * WORD + at, kind)
    at = header.image_base * WORD + header.image_bytes
    devices = [header.inputs[base].partition(":")[0] for base, *_ in header.samples]
    tasks = [f"task {every}" for every in header.tasks]
    names = {"forces": [""], "seen": devices, "pace": tasks, "scanned": tasks}
    hands = "forced", "forced until", "forces", "jogged", "jogged until"
    for part in (*hands, "seen", "pace", "scanned"):
        for name in names.get(part, header.terminals):
            yield f"{part} {name}", Span(at, "int")
            at += WORD


def _plain(name: str) -> str:
    """A point's name without its tags."""
    return name.partition(" (")[0]


def _bytes(places: Iterator[Span]) -> Places:
    each = [np.arange(at, at + SIZES[kind]) for at, kind in places]
    return np.concatenate(each) if each else np.zeros(0, np.intp)


def _read(words: Ints, span: Span) -> float:
    if span.kind == "bool":
        return float(words.view(np.uint8)[span.at])
    word = words[span.at // WORD]
    return float(word.view(np.float64)) if span.kind == "float" else float(word)


def _write(words: Ints, span: Span, value: float) -> None:
    """A number as another type has it; what an integer cannot be is 0."""
    if span.kind == "bool":
        words.view(np.uint8)[span.at] = value != 0.0
    elif span.kind == "float":
        words.view(np.float64)[span.at // WORD] = value
    else:
        words[span.at // WORD] = int(value) if abs(value) < 2.0**63 else 0


def _numbers(before: list[T], after: list[T]) -> list[int]:
    """New number of each; NOBODY's where there is none."""
    return [after.index(name) if name in after else NOBODY for name in before]


def _step_words(
    then: Header, now: Header, cell: str
) -> tuple[tuple[int, int, int, int], list[int]]:
    """Words of a cell's step in the results and in the image, then and now, and each step's new number.

    A step that there is no more becomes the first one.
    """
    places = []
    for header in (then, now):
        word = header.input_words + header.results.index(f"{cell} {TOLD_OF_CELL[1]}")
        tag = next(at for name, _, at in header.tags if name == f"{cell}.unit.step")
        places.append((word, header.image_base + tag // WORD))
    steps = now.cells[cell]
    numbers = [steps.index(s) if s in steps else 0 for s in then.cells[cell]] or [0]
    (was_at, was_unit), (at, unit) = places
    return (was_at, at, was_unit, unit), numbers


def _changes(
    then: Header, now: Header, before: dict[str, Span], after: dict[str, Span], plan: Plan
) -> Iterator[str]:
    """Cells as a whole, then tags, inputs and outputs of those that both have, then steps."""
    for what, here, there in (("removed", before, after), ("added", after, before)):
        owners = {name.split(".")[0] for name in there if name.startswith("tag ")}
        gone = dict.fromkeys(n.split(".")[0] for n in here if n.startswith("tag "))
        for owner in gone:
            if owner not in owners:
                kind = "handover" if ">" in owner else "cell"
                yield f"{what} {kind} {owner.removeprefix('tag ')}"
        for name, span in here.items():
            if name in there or not name.startswith(("tag ", "input ", "output ")):
                continue
            if name.startswith("tag ") and name.split(".")[0] in owners:
                began = ""
                if what == "added":
                    default = plan.layout.find(name.removeprefix("tag ")).field.default
                    began = f", begins as {default}" if default is not None else ""
                yield f"{what} {name} ({span.kind}{began})"
            elif not name.startswith("tag "):
                yield f"{what} {name}"
    for name in before:
        if name in after and before[name].kind != after[name].kind:
            yield f"retyped {name}: {before[name].kind} was, {after[name].kind} is"
    for cell, steps in then.cells.items():
        if cell in now.cells and steps != now.cells[cell]:
            yield f"steps of {cell}: {', '.join(steps)} were, {', '.join(now.cells[cell])} are"
