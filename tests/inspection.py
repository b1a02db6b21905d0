"""The inspection line in virtual time: printer, SPI and AOI, with hands that place and solder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cellrt.app.simulate import VirtualLine
from cellrt.line.load import load_line
from cellrt.packml import Command, State
from cellrt.scan.commands import Operation
from cellrt.supervisor import Goal
from cellrt.tags import Scalar

LINE = load_line(Path(__file__).parent / "lines" / "inspection_line.toml")
S_NS = 1_000_000_000
BOARD = "spi.stage.belt.board"

Blow = Callable[["Inspection"], None]


class Inspection(VirtualLine):
    """Boards on the SPI's belt are placed and soldered well, unless `solders` is false."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(LINE, seed=seed)
        self.solders = True
        self.pursue(Goal.RUN)

    def plant(self, tag: str) -> Scalar:
        """What is so, by `device.tag`."""
        image = self.twin.plant_image
        return image.read(image.layout.find(tag))

    def tamper(self, **tags: Scalar) -> Inspection:
        """Make it otherwise: `spi__stage__hangs=True` is the plant's `spi.stage.hangs`."""
        image = self.twin.plant_image
        for name, value in tags.items():
            image.write(image.layout.find(name.replace("__", ".")), value)
        return self

    def set(self, **tags: Scalar) -> Inspection:
        """Tags of the line, `spi__fails_most=2`."""
        for name, value in tags.items():
            self.twin.runner.image.write(self._leaves[name.replace("__", ".")], value)
        return self

    def go(self, for_s: float) -> Inspection:
        """Run, in steps short enough for the hands."""
        for _ in range(round(for_s * 10)):
            for _ in self.run(S_NS // 10):
                pass
            if self.solders and self.plant(f"{BOARD}.id") and not self.plant(f"{BOARD}.placed"):
                self.tamper(
                    spi__stage__belt__board__placed=300,
                    spi__stage__belt__board__peak_degC=240.0,
                    spi__stage__belt__board__liquid_s=60.0,
                )
        return self

    def until(self, reached: Callable[[], bool], within_s: float = 120.0) -> Inspection:
        """Run until it is so."""
        end_ns = self.now_ns + within_s * S_NS
        while not reached():
            assert self.now_ns < end_ns, f"not within {within_s} s: {self.stand()}"
            self.go(0.1)
        return self

    def at(self, cell: str, step: str) -> bool:
        """Whether the cell is in that step."""
        names = self.plan.line.cells[cell].type.sequence.names
        return names[int(self.read(f"{cell}.unit.step"))] == step

    def state(self, cell: str) -> State:
        return State(int(self.read(f"{cell}.unit.state")))

    def command(self, cell: str, command: Command) -> None:
        """As a person at the panel gives it."""
        number = [*self.plan.cells].index(cell)
        told = self.supervisor.commander.command(
            Operation.PACKML, number, int(command), self.now_ns
        )
        for events in self.twin.run(1, (told,)):
            self.journal.append(events)

    def stand(self) -> str:
        cells = self.plan.cells
        return ", ".join(f"{c} {self.state(c).name} {self.read(f'{c}.unit.step')}" for c in cells)

    def stored(self) -> list[int]:
        """Boards in the order in which they left the line."""
        events = self.journal.entries(last=10**6)
        return [e["board"] for e in events if e["event"] == "BoardOut" and e["cell"] == "magazine"]


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
    from test_kills_virtual import kill_scan

    def kill(line: Inspection) -> None:
        kill_scan(line)
        line.go(3.0).pursue(Goal.RUN)

    blows = {"stop": stop, "abort": abort, "power": cut_power, "kill": kill}
    return blows.get(name) or hold_for_a_while(cell)
