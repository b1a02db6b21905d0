"""A line with an oven in virtual time: warm at will, commanded, saved and taken up again."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from virtual_line import S_NS, Line

from cellrt.journal import Journal
from cellrt.packml import State
from cellrt.supervisor import Goal
from cellrt.tags import Scalar

HERE = Path(__file__).parent
RECIPES = HERE.parent / "cells" / "recipes"
MASS_PCT = {1: 100.0, 2: 70.0, 3: 140.0}
"""Of the three products' boards."""


def recipe(product: int) -> dict[str, Any]:
    """The oven's settings for a shipped product."""
    settings: dict[str, Any] = tomllib.loads(
        (RECIPES / f"product_{product}.toml").read_text(encoding="utf-8")
    )["reflow"]
    return settings


class OvenLine(Line):
    """`results` and `truth`, by board: what the line believes of it when it leaves, and what it is."""

    def __init__(self, file: str, **settings: Scalar) -> None:
        super().__init__(HERE / "lines" / file)
        self.results: dict[int, tuple[int, int]] = {}
        self.truth: dict[int, tuple[float, float]] = {}
        self.mass_pct = 100.0
        for tag, value in settings.items():
            self.tags[f"reflow.{tag}"] = value

    def __getitem__(self, tag: str) -> Scalar:
        return self.read(tag)

    def warm(self) -> None:
        """As if the oven had been heated long enough, but for the last touch of its controllers."""
        for n in range(8):
            self.plant[f"reflow.zones.{n}.temperature_degC"] = self[f"reflow.zone_{n + 1}_degC"]

    def start(self) -> OvenLine:
        """Every cell to work."""
        self.pursue(Goal.RUN)
        return self

    def state(self, cell: str = "reflow") -> State:
        return super().state(cell)

    def go(self, for_s: float) -> OvenLine:
        """Run, looking at the boards meanwhile."""
        end_ns = self.now_ns + round(for_s * S_NS)
        while self.now_ns < end_ns:
            super().go(min(0.5, (end_ns - self.now_ns) / S_NS))
            self._look()
        return self

    def _look(self) -> None:
        """Note what is on the outfeed, by the line and in truth; weigh the new boards."""
        for belt in ("coupler.infeed", "reflow.entry"):
            if belt.split(".")[0] in self.plan.line.devices:
                self.plant[f"{belt}.board.mass_pct"] = self.mass_pct
        board = "coupler.outfeed.board"
        if number := int(self.plant[f"{board}.id"]):
            self.truth[number] = (
                float(self.plant[f"{board}.peak_degC"]),
                float(self.plant[f"{board}.liquid_s"]),
            )
        if number := int(self["outfeed.board.id"]):
            self.results[number] = (
                int(self["outfeed.board.result"]),
                int(self["outfeed.board.route"]),
            )

    def save(self) -> list[Any]:
        """Everything that decides what the line does next."""
        runner = self.twin.runner
        return [
            runner,
            (runner.scan, runner.epoch, self.supervisor.commander.number),
            [a.copy() for a in self._arrays()],
            (dict(self.results), dict(self.truth)),
        ]

    def take_up(self, saved: list[Any]) -> OvenLine:
        """Back to where it was saved; nobody pursues anything."""
        runner, numbers, arrays, seen = saved
        self.twin.runner = runner
        runner.scan, runner.epoch, self.supervisor.commander.number = numbers
        self.supervisor.commander.epoch = runner.epoch
        for mine, kept in zip(self._arrays(), arrays, strict=True):
            mine[...] = kept
        self.results, self.truth = dict(seen[0]), dict(seen[1])
        self.journal = Journal(self.plan, None)
        self._commands = ()
        self.pursue(Goal.REST)
        return self

    def _arrays(self) -> list[np.ndarray[Any, Any]]:
        runner, work = self.twin.runner, self.twin.runner.work
        return [
            self.plant.bytes,
            runner.image.bytes,
            runner.inputs,
            *(
                work.outputs,
                work.seen,
                work.cells,
                work.links,
                work.told,
                work.events,
                work.event_count,
            ),
        ]
