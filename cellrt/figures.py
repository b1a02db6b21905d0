"""What PackML's Admin and Status count of each unit: its time by mode and state, and its speed.

Made from the events outside the scan, so they cost it nothing, are exact to the scan, and are the same
from the journal of a run, from its twin and after a restart. The time of a line that is switched off
counts for nothing: nobody saw it. All times are logical.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cellrt.narrate import Entry, upper, words
from cellrt.packml import Mode, State
from cellrt.retained import RetainedError, read, save
from cellrt.scan.commands import Operation, Refusal
from cellrt.wire import Ints

SHAPE = (max(Mode) + 1, max(State) + 1)
"""Modes, states: a time's place is the standard's numbers (OPC 30050, 6.3.4)."""

FIGURES = np.dtype(
    [
        ("since_reset_s", "i8"),
        ("boards_per_min", "f8"),
        ("mode_now_s", "i8", SHAPE[:1]),
        ("mode_s", "i8", SHAPE[:1]),
        ("state_now_s", "i8", SHAPE),
        ("state_s", "i8", SHAPE),
    ]
)
"""A unit's figures. `since_reset_s` and `boards_per_min` come first: they are shown as they lie there."""

SECOND_NS = 10**9
SPEED_OVER = 11
"""Boards over which the speed is a mean: ten times between them."""

Times = dict[str, dict[str, dict[str, int]]]
"""ns by unit, mode and state; what is 0 is left out."""

Told = npt.NDArray[np.void]
"""Figures of all units: FIGURES, one of each."""

_RESET = words(Operation.RESET_COUNTERS)
_ACCEPTED = words(Refusal.ACCEPTED)


@dataclass
class _Unit:
    """One unit since its last reset; times in ns."""

    spent: Ints = field(default_factory=lambda: np.zeros(SHAPE, np.int64))
    counted: int = 0
    mode: int = int(Mode.PRODUCTION)
    mode_since: int = 0
    state: int = int(State.STOPPED)
    state_since: int = 0
    gone: deque[int] = field(default_factory=lambda: deque(maxlen=SPEED_OVER))

    def count_to(self, t_ns: int) -> None:
        self.spent[self.mode, self.state] += max(t_ns - self.counted, 0)
        self.counted = max(t_ns, self.counted)

    def enter(self, state: int, t_ns: int) -> None:
        self.count_to(t_ns)
        self.state, self.state_since = state, t_ns
        self.gone.clear()

    def turn(self, mode: int, t_ns: int) -> None:
        self.count_to(t_ns)
        self.mode, self.mode_since = mode, t_ns
        self.state_since = t_ns

    def reset(self, t_ns: int) -> None:
        self.spent[:] = 0
        self.counted = self.mode_since = self.state_since = t_ns

    def boards_per_min(self, now_ns: int) -> float:
        """Mean over the last boards handed on in this Execute; falls while none follows."""
        if self.state != State.EXECUTE or len(self.gone) < 2:
            return 0.0
        between, span = len(self.gone) - 1, self.gone[-1] - self.gone[0]
        waited = now_ns - self.gone[-1]
        if waited * between > span:
            between, span = between + 1, span + waited
        return 60e9 * between / span if span > 0 else 0.0


class Figures:
    """Hears a line's events and tells its units' figures. `before` is what earlier runs had counted."""

    def __init__(self, cells: Sequence[str], before: Times | None = None) -> None:
        self._units = {name: _Unit() for name in cells}
        self.before = before or {}
        for name, unit in self._units.items():
            for mode, states in self.before.get(name, {}).items():
                for state, spent in states.items():
                    unit.spent[Mode[upper(mode)], State[upper(state)]] = spent

    def hear(self, entry: Entry) -> None:
        """An event, in their order."""
        event, t_ns = entry["event"], int(entry["t_ns"])
        if event == "Started":  # powered up: Stopped, in Production
            for unit in self._units.values():
                unit.enter(int(State.STOPPED), t_ns)
                unit.turn(int(Mode.PRODUCTION), t_ns)
        elif event == "State":
            self._units[entry["cell"]].enter(State[upper(entry["to"])], t_ns)
        elif event == "Mode":
            self._units[entry["cell"]].turn(Mode[upper(entry["to"])], t_ns)
        elif event == "BoardOut":
            self._units[entry["cell"]].gone.append(t_ns)
        elif event == "Command" and entry["operation"] == _RESET and entry["answer"] == _ACCEPTED:
            self._units[entry["target"]].reset(t_ns)

    def at(self, now_ns: int) -> Told:
        """Figures of every unit at logical time `now_ns`, in whole seconds."""
        told = np.zeros(len(self._units), FIGURES)
        for row, unit in zip(told, self._units.values(), strict=True):
            unit.count_to(now_ns)
            row["since_reset_s"] = unit.spent.sum() // SECOND_NS
            row["boards_per_min"] = unit.boards_per_min(now_ns)
            row["mode_s"] = unit.spent.sum(axis=1) // SECOND_NS
            row["mode_now_s"][unit.mode] = (now_ns - unit.mode_since) // SECOND_NS
            row["state_s"] = unit.spent // SECOND_NS
            row["state_now_s"][unit.mode, unit.state] = (now_ns - unit.state_since) // SECOND_NS
        return told

    def times(self, now_ns: int) -> Times:
        """Times of every unit, to be kept."""
        told: Times = {}
        for name, unit in self._units.items():
            unit.count_to(now_ns)
            told[name] = {
                words(mode): {words(s): n for s in State if (n := int(unit.spent[mode, s]))}
                for mode in Mode
                if unit.spent[mode].any()
            }
        return told


class FiguresFile:
    """The times that outlive a run, on disk. A run's own are in its journal, which a brain that takes
    over reads again; so the file has, beside what a run came to, what there was `before` it.
    """

    def __init__(self, path: Path, run: str) -> None:
        """Raises RetainedError where the file is damaged; nothing is known then."""
        self._path, self._run = path, run
        self.before: Times = {}
        stored = read(path)
        try:
            self.before = stored["before" if stored["run"] == run else "now"] if stored else {}
        except KeyError:
            raise RetainedError(f"{path}: no file of units' times; move it away") from None

    def save(self, now: Times) -> None:
        """Raises OSError; the file is then as it was."""
        save(self._path, {"run": self._run, "before": self.before, "now": now})
