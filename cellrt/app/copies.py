"""A factory on a screen: a row for each line, where there is no room for one of each cell."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from rich.text import Text

from cellrt.narrate import words
from cellrt.packml import State

COLOURS = {
    State.EXECUTE: "green",
    State.ABORTED: "bold red",
    State.ABORTING: "bold red",
    State.HELD: "yellow",
    State.SUSPENDED: "cyan",
    State.STOPPED: "dim",
}
URGENT = (State.ABORTED, State.ABORTING, State.HELD, State.STOPPED, State.SUSPENDED)
"""These are told first, in this order."""

MANY_DEVICES = 16
"""So many are shown each; of more than that, those that are lost."""

PATIENCE = 4.0
"""So many times what a look took, on both sides, passes before the next one: a line has other things to do
than to be looked at."""


class Patient:
    """Looks when it is asked to, but not so soon behind a look that took long."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._next_s = 0.0

    def look(self) -> None:
        """Look, if it is time."""
        began_s = time.monotonic()
        if began_s >= self._next_s:
            self._look()
            now_s = time.monotonic()
            self._next_s = now_s + PATIENCE * (now_s - began_s)


def states(of_cells: Iterable[State]) -> Text:
    """How many cells are in which state, what is urgent first: `1 Held, 14 Execute`."""
    counts = Counter(of_cells)
    order = [s for s in (*URGENT, *State) if s in counts]
    told = [Text(f"{counts[s]} {words(s)}", style=COLOURS.get(s, "")) for s in dict.fromkeys(order)]
    return Text(", ").join(told)


def devices(told: dict[str, dict[str, object]]) -> str:
    """The devices of `report.io` in words: each with its round trip, or of many those that are lost."""
    if len(told) <= MANY_DEVICES:
        return "  ".join(_device(name, d) for name, d in told.items())
    lost = [name for name, d in told.items() if not d["ok"]]
    return f"{len(told)} devices, {f'{len(lost)} LOST: {some(lost)}' if lost else 'all ok'}"


def some(names: Sequence[str]) -> str:
    """The first of many names."""
    return ", ".join(names[:MANY_DEVICES]) + (", ..." if len(names) > MANY_DEVICES else "")


def _device(name: str, d: dict[str, object]) -> str:
    rtt: dict[str, float] = d["rtt_us"]  # type: ignore[assignment]
    return f"{name} {'ok' if d['ok'] else 'LOST'} {rtt['p50'] / 1e3:.1f} ms"
