"""A cell's steps inside Execute, as data (IEC 61131-3 SFC reduced to one token)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cellrt.packml import Command
from cellrt.statemachine import Table
from cellrt.tags import DeclarationError


@dataclass(frozen=True)
class Step:
    """`goes` maps a condition (a bool tag or a method) to the next step, most urgent first.

    A method of the cell with the step's name is its action, called in every scan of the step.
    A step that lasts longer than `within_s` is a fault of that name and commands `late`.
    """

    name: str
    goes: Mapping[str, str] = field(default_factory=dict)
    within_s: float | None = None
    late: Command = Command.ABORT


class Sequence:
    """Steps in order; the first is where Execute begins. A step's number is its place."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps
        self.names = tuple(s.name for s in steps)
        self.conditions = tuple(dict.fromkeys(c for s in steps for c in s.goes))
        for step in steps:
            for target in step.goes.values():
                if target not in self.names:
                    raise DeclarationError(
                        f"step {step.name!r} goes to {target!r}, which is no step; "
                        f"steps are {', '.join(self.names)}"
                    )
        if len(set(self.names)) != len(self.names):
            raise DeclarationError(f"two steps of one name among {', '.join(self.names)}")
        if len(self.conditions) > 62:
            raise DeclarationError("a sequence has at most 62 different conditions")

    def tables(self) -> tuple[Table, Table, Table]:
        """(allow[step], next[step, condition], within_ns[step]); priority is the conditions' order.

        A step's own order of `goes` must agree with the order in which the conditions first appear.
        """
        count, width = max(len(self.steps), 1), max(len(self.conditions), 1)
        allow, next_ = np.zeros(count, np.int64), np.full((count, width), -1, np.int64)
        within_ns = np.zeros(count, np.int64)
        for number, step in enumerate(self.steps):
            order = [self.conditions.index(c) for c in step.goes]
            if order != sorted(order):
                raise DeclarationError(
                    f"step {step.name!r}: its conditions' priority contradicts an earlier step's; "
                    f"the order is {', '.join(self.conditions)}"
                )
            for bit, target in zip(order, step.goes.values(), strict=True):
                allow[number] |= 1 << bit
                next_[number, bit] = self.names.index(target)
            within_ns[number] = round((step.within_s or 0.0) * 1e9)
        return allow, next_, within_ns

    def mermaid(self) -> str:
        """A mermaid state diagram."""
        lines = [f"    [*] --> {self.names[0]}"] if self.names else []
        lines += [f"    {s.name} --> {t}: {c}" for s in self.steps for c, t in s.goes.items()]
        return "\n".join(["stateDiagram-v2", *lines])
