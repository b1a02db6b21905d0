"""The inspection line in virtual time: printer, SPI and AOI, with hands that place and solder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from virtual_line import Line, kill_scan

from cellrt.line.load import load_line
from cellrt.packml import Command, State
from cellrt.supervisor import Goal
from cellrt.tags import Scalar

LINE = load_line(Path(__file__).parent / "lines" / "inspection_line.toml")
BOARD = "spi.stage.belt.board"

Blow = Callable[["Inspection"], None]


class Inspection(Line):
    """Boards on the SPI's belt are placed and soldered well, unless `solders` is false."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(LINE, seed=seed)
        self.solders = True
        self.pursue(Goal.RUN)

    def tamper(self, **tags: Scalar) -> Inspection:
        """Make it otherwise: `spi__stage__hangs=True` is the plant's `spi.stage.hangs`."""
        for name, value in tags.items():
            self.plant[name.replace("__", ".")] = value
        return self

    def set(self, **tags: Scalar) -> Inspection:
        """Tags of the line, `spi__fails_most=2`."""
        for name, value in tags.items():
            self.tags[name.replace("__", ".")] = value
        return self

    def go(self, for_s: float) -> Inspection:
        """Run, in steps short enough for the hands."""
        for _ in range(round(for_s * 10)):
            super().go(0.1)
            if self.solders and self.plant[f"{BOARD}.id"] and not self.plant[f"{BOARD}.placed"]:
                self.tamper(
                    spi__stage__belt__board__placed=300,
                    spi__stage__belt__board__peak_degC=240.0,
                    spi__stage__belt__board__liquid_s=60.0,
                )
        return self

    def at(self, cell: str, step: str) -> bool:
        """Whether the cell is in that step."""
        return self.step_of(cell) == step


def stop(line: Inspection) -> None:
    """Everything, to Stopped or as far as it comes in a minute."""
    line.pursue(Goal.STOP)
    line.go(60.0).pursue(Goal.RUN)


def hold_for_a_while(cell: str) -> Blow:
    def blow(line: Inspection) -> None:
        line.command(cell, Command.HOLD)
        line.go(30.0)
        assert line.state(cell) is State.HELD
        line.command(cell, Command.UNHOLD)

    return blow


def abort(line: Inspection) -> None:
    line.pursue(Goal.ABORT)
    line.go(3.0).pursue(Goal.RUN)


def cut_power(line: Inspection) -> None:
    """E-stop: the drives are dead, the machines forget what they were at."""
    line.tamper(safety__panel_estop_pressed=True).go(2.0)
    line.tamper(safety__panel_estop_pressed=False).go(1.0)
    line.tamper(safety__panel_reset_pressed=True).go(0.5)
    line.tamper(safety__panel_reset_pressed=False).go(1.0)
    line.pursue(Goal.RUN)


BLOWS = ("stop", "hold", "abort", "power", "kill")


def blow_of(name: str, cell: str) -> Blow:
    """By the names in BLOWS."""

    def kill(line: Inspection) -> None:
        kill_scan(line)
        line.go(3.0).pursue(Goal.RUN)

    blows = {"stop": stop, "abort": abort, "power": cut_power, "kill": kill}
    return blows.get(name) or hold_for_a_while(cell)
