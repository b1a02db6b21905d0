"""Blows for the SMT line in virtual time: what people, networks, power and machines do to it, by a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from smt import OUT
from virtual_line import S_NS, Line, kill_io, kill_scan, plant_scan

from cellrt.packml import Command, State
from cellrt.supervisor import Goal
from cellrt.tags import WORD
from cellrt.twin import one_exchange_in
from cellrt.wire import Ints
from hw_sim.device import SimDevice
from hw_sim.plant import belt_paths

REST = {State.STOPPED, State.ABORTED}
WORKING = {State.EXECUTE, State.SUSPENDED}
STANDS_S = 1.5
"""What moved comes to rest within it, once its cell is at rest."""
PARTS = 300
DROPPED = 3
"""Parts that a head may lose unseen, and the inspection overlook; one cut short lacks more."""
LIQUIDUS_DEGC = 217.0

ORDERS = (
    *(Command.STOP, Command.HOLD, Command.ABORT, Command.UNHOLD, Command.CLEAR),
    *(Command.RESET, Command.START, Command.SUSPEND, Command.UNSUSPEND, Command.COMPLETE),
)
FAULTS = (
    "printer.smeared",
    "printer.paste.clogged",
    "spi.stage.hangs",
    "spi.stage.smeared",
    "aoi.stage.hangs",
    "aoi.stage.smeared",
    "aoi.glare",
    "placer.hand_opens",
    "placer.feeders.lanes.3.jammed",
    "placer.nozzles.2.clogged",
    "reflow.jam",
    "reflow.fan_broken",
    "reflow.zones.5.burnt_out",
    "reflow.zones.2.welded",
    "robot.jammed",
    "robot.panel_manual_key",
    "unloader.drop",
    "unloader.racks.0.none_left",
)
DRIVES = {
    "infeed": ["transport.zones.0.belt.speed_mm_s"],
    "printer": ["printer.belt.speed_mm_s"],
    "printed": ["transport.zones.1.belt.speed_mm_s"],
    "spi": ["spi.stage.belt.speed_mm_s"],
    "sorting": ["transport.zones.2.belt.speed_mm_s"],
    "placer": ["placer.belt.speed_mm_s"],
    "oven_infeed": ["transport.zones.3.belt.speed_mm_s"],
    "oven_outfeed": ["transport.zones.4.belt.speed_mm_s"],
    "buffer": ["buffer.belt.speed_mm_s"],
    "aoi": ["aoi.stage.belt.speed_mm_s"],
    "unload": ["transport.zones.5.belt.speed_mm_s"],
    "robot": [f"robot.{a}.speed_mm_s" for a in "xyz"] + ["unloader.nest.speed_mm_s"],
}
"""What stands while a cell is Stopped or Aborted. The oven runs out."""


class Beaten:
    """The line, its plant, and a witness who sees each board truly."""

    def __init__(self, line: Line, seed: int) -> None:
        self.line = line
        self.chance = random.Random(seed)
        self.told: list[str] = []
        self.wrong: list[str] = []
        members = line.plant.layout.instances
        devices = {n: k for n, k in members.items() if issubclass(k, SimDevice)}
        places = [*belt_paths(devices), "unloader.gripper"]
        places += [f"reflow.passengers.{n}" for n in range(24)]
        places += [f"buffer.slots.{n}" for n in range(20)]
        self._ids = self._words(f"{p}.board.id" for p in places)
        self._moves = self._words(d for drives in DRIVES.values() for d in drives)
        self._of = [(cell, d) for cell, drives in DRIVES.items() for d in drives]
        self._tally = self._words(["unloader.tally.stored", "unloader.gripper.board.id"])
        find, owners = line.plan.layout.find, [cell for cell, _ in self._of]
        self._state = np.array([find(f"{c}.unit.state").offset // WORD for c in owners])
        self._since = np.array([find(f"{c}.unit.state_since_ns").offset // WORD for c in owners])
        self._last: tuple[int, list[str]] = 0, []
        self._left: set[int] = set()
        self._stored = 0

    def _words(self, tags: Iterable[str]) -> Ints:
        """Where tags lie in the plant's image."""
        find = self.line.plant.layout.find
        return np.array([find(t).offset // WORD for t in tags], np.int64)

    def say(self, what: str) -> None:
        self.told.append(f"{self.line.now_ns / S_NS:9.2f} s  {what}")

    def fail(self, what: str) -> None:
        if what in self.wrong:
            return
        self.say(f"WRONG {what}")
        self.wrong.append(what)

    def run(self, for_s: float) -> None:
        """Go on, watching."""
        for _ in range(max(1, round(for_s * 10))):
            self.line.go(0.1)
            self.watch()

    def watch(self) -> None:
        """What must stand stands; who leaves the line is who he should be."""
        line, plant = self.line.tags.views.words, self.line.plant.views
        rests = (line[self._state] == State.STOPPED) | (line[self._state] == State.ABORTED)
        rests &= self.line.now_ns - line[self._since] > STANDS_S * S_NS
        for n in np.flatnonzero(rests & (plant.reals[self._moves] != 0.0)):
            cell, drive = self._of[n]
            self.fail(f"{drive} moves while {cell} is {self.line.state(cell).name}")
        self.watch_gripper()

    def watch_gripper(self) -> None:
        """The board that leaves the line is what the line takes it for."""
        stored, held = self.line.plant.views.words[self._tally].tolist()
        if stored > self._stored:
            board, bad = self._last
            self._left.add(board)
            if bad:
                self.fail(f"board {board} was stored and is not {bad}")
        self._stored = stored
        if held:
            believed = int(self.line.read("robot.board.id"))
            if believed not in (0, held) and self.line.read("robot.part_present"):
                self.fail(f"robot holds {held} and takes it for {believed}")
            if held in self._left:
                self.fail(f"board {held} twice")
            good = {
                "prints": self.line.plant["unloader.gripper.board.prints"] == 1,
                "placed": self.line.plant["unloader.gripper.board.placed"] >= PARTS - DROPPED,
                "peak": float(self.line.plant["unloader.gripper.board.peak_degC"]) > LIQUIDUS_DEGC,
                "whole": not self.line.plant["unloader.gripper.board.defective"],
                "believed": self.line.read("robot.board.result") == 1,
            }
            self._last = held, [k for k, well in good.items() if not well]

    def ids(self) -> list[int]:
        words = self.line.plant.views.words[self._ids]
        return [int(i) for i in words if i]

    def check_boards(self) -> None:
        """Every board of the plant is somewhere, once."""
        census, ids = self.line.census(), self.ids()
        if census["entered"] != sum(census[n] for n in OUT) + census["in_line"]:
            self.fail(f"census {census}")
        if len(ids) != len(set(ids)) or set(ids) & self._left:
            self.fail(f"doubled {sorted(ids)}")
        if len(ids) + int(self.line.plant["unloader.fallen"]) != census["in_line"]:
            self.fail(f"lost: {len(ids)} seen, {census['in_line']} counted")

    def order(self) -> None:
        """Any command to any cell."""
        cell = self.chance.choice(self.line.plan.cells)
        command = self.chance.choice(ORDERS)
        self.say(f"{command.name} to {cell} in {self.line.state(cell).name}")
        self.line.command(cell, command)

    def storm(self) -> None:
        """Many at once."""
        for _ in range(self.chance.randint(2, 10)):
            self.order()
            self.run(self.chance.choice((0.1, 0.3, 1.0)))

    def whole(self) -> None:
        """Stop or Abort for all cells."""
        goal = self.chance.choice((Goal.STOP, Goal.ABORT))
        self.say(f"whole line {goal.name}")
        self.line.pursue(goal)
        self.run(self.chance.choice((1.0, 10.0, 60.0)))

    def quality(self) -> None:
        """Any device, for less or more than a watchdog's time."""
        device = self.chance.choice(self.line.plan.devices)
        self.cut_off(device, self.chance.random() < 0.5, self.chance.choice((0.3, 2.0, 20.0)))

    def cut_off(self, device: str, deaf: bool, for_s: float) -> None:
        """The line does not hear a device, and a deaf one does not hear the line."""
        self.say(f"{device} lost for {for_s} s, deaf {deaf}")
        for n, _ in enumerate(lose(self.line, device, deaf, round(for_s * 100))):
            if n % 10 == 0:
                self.watch()
        if deaf and for_s >= STANDS_S:
            self.stand(d for _, d in self._of if d.split(".")[0] == device)

    def stand(self, drives: Iterable[str]) -> None:
        """Drives that nobody commands."""
        for drive in drives:
            if self.line.plant[drive] != 0.0:
                self.fail(f"{drive} moves at nobody's command")

    def kill(self) -> None:
        """The scan is gone, and comes back from what was retained; or io, and every device with it."""
        who = self.chance.choice((kill_scan, kill_io))
        self.say(who.__name__)
        who(self.line)
        self.stand(d for _, d in self._of)
        self.run(3.0)
        if not self.line.states() <= REST:
            self.fail(f"started by itself after {who.__name__}")

    def estop(self) -> None:
        """E-stop or guard, then the local reset: that starts nothing."""
        tag = self.chance.choice(("safety.panel_estop_pressed", "safety.panel_guard_open"))
        self.say(tag)
        self.line.plant[tag] = True
        self.run(self.chance.choice((0.5, 5.0, 30.0)))
        self.line.plant[tag] = False
        self.run(1.0)
        self.press_reset()
        self.run(5.0)
        if any(self.line.state(c) is not State.ABORTED for c in self.line.plan.cells):
            self.fail(f"started by itself after {tag}")

    def press_reset(self) -> None:
        self.line.plant["safety.panel_reset_pressed"] = True
        self.run(0.6)
        self.line.plant["safety.panel_reset_pressed"] = False
        self.run(0.3)

    def fault(self) -> None:
        """A fault of the plant, which a person mends."""
        tag = self.chance.choice(FAULTS)
        for_s = self.chance.choice((1.0, 10.0, 40.0, 120.0))
        self.say(f"{tag} for {for_s} s")
        self.line.plant[tag] = True
        self.run(for_s)
        self.line.plant[tag] = False

    BLOWS: tuple[Callable[[Beaten], None], ...] = (
        order, order, order, storm, whole, quality, quality, kill, kill, estop, fault, fault, fault,
    )  # fmt: skip

    def blow(self) -> None:
        """One of all these, at random."""
        self.chance.choice(self.BLOWS)(self)
        self.run(self.chance.choice((0.1, 1.0, 5.0, 30.0)))
        self.check_boards()

    def mend(self) -> None:
        """A person puts everything right that he can see, and starts the line."""
        self.line.plant["reflow.cut_out_reset"] = True
        self.run(1.0)
        self.line.plant["reflow.cut_out_reset"] = False
        self.line.pursue(Goal.RUN)

    def clear(self) -> None:
        """As often as a person would, unholding what waits for him."""
        for _ in range(6):
            self.mend()
            self.run(20.0)
            for cell in self.line.plan.cells:
                if self.line.state(cell) in (State.HELD, State.COMPLETE):
                    self.line.command(
                        cell,
                        Command.UNHOLD if self.line.state(cell) is State.HELD else Command.RESET,
                    )
                    self.run(0.2)
            self.run(40.0)

    def stuck(self) -> dict[str, str]:
        """Cells that do not work, and why."""
        told = {}
        for cell in self.line.plan.cells:
            if self.line.state(cell) not in WORKING:
                rules = self.line.plan.rules(cell)
                n = int(self.line.read(f"{cell}.unit.first_out"))
                told[cell] = f"{self.line.state(cell).name} {rules[n - 1] if n else '-'}"
        return told


def lose(line: Line, device: str, deaf: bool, scans: int) -> Iterator[None]:
    """So many scans in which a device's inputs are bad; deaf, it has the last outputs for ever."""
    runner, plant, number = line.twin.runner, line.twin.plant, line.plan.devices.index(device)
    sample = runner.plan.samples[number]
    own = slice(sample.output_base, sample.output_base + len(sample.device.map.outputs))
    kept = runner.work.outputs[own].copy()
    beat = sum(s.device.map.heartbeat is not None for s in runner.plan.samples[:number])
    hears = [n for n in range(len(plant.heartbeats)) if not deaf or n != beat]
    line.twin.plant = plant._replace(heartbeats=plant.heartbeats[hears])
    for _ in range(scans):
        scan = runner.scan
        one_exchange_in(plant, runner.inputs, runner.input_reals, scan)
        runner.inputs[sample.base + 1] = 0
        line.journal.append(runner.step().copy())
        outputs = runner.work.outputs.copy()
        if deaf:
            outputs[own] = kept
        plant_scan(line.twin, outputs, scan)
        yield
    line.twin.plant = plant
