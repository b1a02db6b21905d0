"""State machines as data: declared once, run as a dense table, drawn and checked from its rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from cellrt.compiled import compiled, lowest_set_bit

Table = npt.NDArray[np.int64]
STAY = -1


@dataclass(frozen=True)
class StateMachine:
    """A machine of small-integer states. The value of a trigger is its bit and so its priority.

    `rows` hold (states, trigger, next state); a trigger that a state does not name leaves it alone.
    """

    name: str
    states: type[IntEnum]
    triggers: type[IntEnum]
    rows: tuple[tuple[tuple[IntEnum, ...], IntEnum, IntEnum], ...]

    def transitions(self) -> Iterable[tuple[IntEnum, IntEnum, IntEnum]]:
        """Every single (state, trigger, next state)."""
        for sources, trigger, target in self.rows:
            for source in sources:
                yield source, trigger, target

    def allow(self) -> Table:
        """allow[state]: the bits of the triggers that `state` answers to. Shape (states,)."""
        allow = np.zeros(max(self.states) + 1, np.int64)
        for source, trigger, _ in self.transitions():
            allow[source] |= 1 << trigger
        return allow

    def next(self) -> Table:
        """next[state, trigger]: the state after it, or STAY. Shape (states, triggers)."""
        table = np.full((max(self.states) + 1, max(self.triggers) + 1), STAY, np.int64)
        for source, trigger, target in self.transitions():
            if table[source, trigger] != STAY:
                raise ValueError(f"{self.name}: {source.name} has two answers to {trigger.name}")
            table[source, trigger] = target
        return table

    def reference(self, initial: IntEnum) -> Any:
        """The same machine on the `transitions` library: slow, and independent of the tables."""
        from transitions import Machine

        return Machine(
            states=[s.name for s in self.states],
            initial=initial.name,
            transitions=[[t.name, s.name, n.name] for s, t, n in self.transitions()],
            auto_transitions=False,
            ignore_invalid_triggers=True,
        )

    def mermaid(self) -> str:
        """A mermaid state diagram."""
        lines = [f"    {s.name} --> {n.name}: {t.name}" for s, t, n in self.transitions()]
        return "\n".join(["stateDiagram-v2", *lines])


@compiled
def fire(allow: Table, next_: Table, state: int, triggers: int) -> int:
    """Where the most urgent of `triggers` (a bit mask) leads; STAY when none applies."""
    applicable = triggers & int(allow[state])
    if applicable == 0:
        return STAY
    return int(next_[state, lowest_set_bit(applicable)])
