"""A line with an oven in virtual time: warm at will, commanded, saved and taken up again."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cellrt.app.simulate import VirtualLine
from cellrt.journal import Journal
from cellrt.line.load import load_line
from cellrt.packml import Command, State
from cellrt.scan.commands import Operation
from cellrt.supervisor import Goal
from cellrt.tags import Scalar

HERE = Path(__file__).parent
RECIPES = HERE.parent / "cells" / "recipes"
MASS_PCT = {1: 100.0, 2: 70.0, 3: 140.0}
"""Of the three products' boards."""
S_NS = 1_000_000_000


def recipe(product: int) -> dict[str, Any]:
    """The oven's settings for a shipped product."""
    settings: dict[str, Any] = tomllib.loads(
        (RECIPES / f"product_{product}.toml").read_text(encoding="utf-8")
    )["reflow"]
    return settings


class OvenLine:
    """`results` and `truth`, by board: what the line believes of it when it leaves, and what it is."""

    def __init__(self, file: str, **settings: Scalar) -> None:
        self.line = VirtualLine(load_line(HERE / "lines" / file))
        self.results: dict[int, tuple[int, int]] = {}
        self.truth: dict[int, tuple[float, float]] = {}
        self.mass_pct = 100.0
        for tag, value in settings.items():
            self.write(f"reflow.{tag}", value)

    def __getitem__(self, tag: str) -> Scalar:
        return self.line.read(tag)

    def write(self, tag: str, value: Scalar) -> None:
        image = self.line.twin.runner.image
        image.write(image.layout.find(tag), value)

    def plant(self, tag: str) -> Scalar:
        image = self.line.twin.plant_image
        return image.read(image.layout.find(tag))

    def set_plant(self, tag: str, value: Scalar) -> None:
        image = self.line.twin.plant_image
        image.write(image.layout.find(tag), value)

    def warm(self) -> None:
        """As if the oven had been heated long enough, but for the last touch of its controllers."""
        for n in range(8):
            self.set_plant(f"reflow.zones.{n}.temperature_degC", self[f"reflow.zone_{n + 1}_degC"])

    def start(self) -> OvenLine:
        """Every cell to work."""
        self.line.pursue(Goal.RUN)
        return self

    def state(self, cell: str = "reflow") -> State:
        return State(int(self[f"{cell}.unit.state"]))

    def command(self, cell: str, command: Command) -> None:
        """A PackML command to one cell, heard in the next scan."""
        number = self.line.plan.cells.index(cell)
        row = self.line.supervisor.commander.command(
            Operation.PACKML, number, int(command), self.line.now_ns
        )
        self.line._commands = [*self.line._commands, row]

    def run(self, time_s: float) -> OvenLine:
        """So much logical time, looking at the boards meanwhile."""
        end_ns = self.line.now_ns + round(time_s * S_NS)
        while self.line.now_ns < end_ns:
            for _ in self.line.run(min(S_NS // 2, end_ns - self.line.now_ns)):
                pass
            self._look()
        return self

    def until(self, reached: Callable[[], Any], within_s: float) -> float:
        """Run until something is so; how long it took."""
        began_ns = self.line.now_ns
        while not reached():
            assert self.line.now_ns - began_ns < within_s * S_NS, f"not within {within_s} s"
            for _ in self.line.run(S_NS // 10):
                pass
            self._look()
        return (self.line.now_ns - began_ns) / S_NS

    def _look(self) -> None:
        """Note what is on the outfeed, by the line and in truth; weigh the new boards."""
        for belt in ("coupler.infeed", "reflow.entry"):
            if belt.split(".")[0] in self.line.plan.line.devices:
                self.set_plant(f"{belt}.board.mass_pct", self.mass_pct)
        board = "coupler.outfeed.board"
        if number := int(self.plant(f"{board}.id")):
            self.truth[number] = (
                float(self.plant(f"{board}.peak_degC")),
                float(self.plant(f"{board}.liquid_s")),
            )
        if number := int(self["outfeed.board.id"]):
            self.results[number] = (
                int(self["outfeed.board.result"]),
                int(self["outfeed.board.route"]),
            )

    def census(self) -> Mapping[str, int]:
        return self.line.census()

    def save(self) -> list[Any]:
        """Everything that decides what the line does next."""
        line, runner = self.line, self.line.twin.runner
        return [
            runner,
            (runner.scan, runner.epoch, line.supervisor.commander.number),
            [a.copy() for a in self._arrays()],
            (dict(self.results), dict(self.truth)),
        ]

    def take_up(self, saved: list[Any]) -> OvenLine:
        """Back to where it was saved; nobody pursues anything."""
        runner, numbers, arrays, seen = saved
        line = self.line
        line.twin.runner = runner
        runner.scan, runner.epoch, line.supervisor.commander.number = numbers
        line.supervisor.commander.epoch = runner.epoch
        for mine, kept in zip(self._arrays(), arrays, strict=True):
            mine[...] = kept
        self.results, self.truth = dict(seen[0]), dict(seen[1])
        line.journal = Journal(line.plan, None)
        line._commands = ()
        line.pursue(Goal.REST)
        return self

    def _arrays(self) -> list[np.ndarray[Any, Any]]:
        runner, work = self.line.twin.runner, self.line.twin.runner.work
        return [
            self.line.twin.plant_image.bytes,
            runner.image.bytes,
            runner.inputs,
            *(work.outputs, work.seen, work.cells, work.links, work.events, work.event_count),
        ]
