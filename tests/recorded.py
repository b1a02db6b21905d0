"""Two conveyors with a handover between them, driven by chance and recorded: what the recorder's tests share."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from cellrt.handover import Link
from cellrt.interlock import always, to
from cellrt.line.spec import CellSpec, DeviceSpec, HandoverSpec, LineSpec, SimSpec
from cellrt.packml import Command, Control, Mode, State
from cellrt.recording.file import RecordingWriter
from cellrt.recording.header import describe
from cellrt.scan.commands import Operation, Origin
from cellrt.scan.plan import Plan
from cellrt.scan.recorder import (
    begin,
    finish_recording,
    longest,
    record_scan,
    recorder,
    take_in,
)
from cellrt.scan.runner import Runner
from cellrt.shared.ringfile import RingFile, RingFileReader, create
from cellrt.wire import DeviceMap, Ints, Point, Wire
from cells.conveyor import Conveyor

INPUTS = ("estop_released", "guards_closed", "board_at_entry", "board_at_exit")
PERIOD_NS = 10_000_000
RING_BYTES = 1 << 20


def device(name: str) -> DeviceSpec:
    """A device with a conveyor's points and two values that no cell reads."""
    points = [Point(tag, f"discrete:{n}", Wire.BOOL) for n, tag in enumerate(INPUTS)]
    points += [Point("pressure", "input:1", Wire.U16), Point("level", "input:2", Wire.F64)]
    outputs = (Point("run", "coil:0", Wire.BOOL),)
    counter = Point("counter", "input:0", Wire.U16)
    device_map = DeviceMap("memory", tuple(points), outputs, counter=counter)
    return DeviceSpec(name, device_map, "", 10, 200, 500, None)


def conveyor(name: str, safe_run: bool = False) -> CellSpec:
    """A conveyor on the device of its own name."""
    io = {tag: (name, tag) for tag in (*INPUTS, "run")}
    return CellSpec(name, Conveyor, {}, io, {"run": always(to(safe_run))})


def line(safe_run: bool = False) -> LineSpec:
    """`left` hands over to `right`; with `safe_run` their belts run when they should stand."""
    return LineSpec(
        name="pair",
        path=Path("pair.toml"),
        period_ns=PERIOD_NS,
        seed=1,
        devices={name: device(name) for name in ("left", "right")},
        cells={name: conveyor(name, safe_run) for name in ("left", "right")},
        handovers=(HandoverSpec("left>right", "left.outfeed", "right.infeed"),),
        sim=SimSpec(),
        unattended=False,
        warnings=(),
        text="",
    )


class Session:
    """A runner whose scans are recorded, and whose samples are moved by chance; a board stands in `left`."""

    def __init__(
        self,
        path: Path,
        seed: int = 1,
        capacity: int = RING_BYTES,
        *,
        hands: bool = False,
        spec: LineSpec | None = None,
    ) -> None:
        self.plan = Plan(spec or line())
        self.path = path
        self.runner = Runner(self.plan)
        self.samples: Ints = np.zeros(self.plan.commands_base, np.int64)
        ring_path = path.with_suffix(".ring")
        self.ring: RingFile = create(ring_path, self.plan.hash, longest(self.plan), capacity)
        self.hands, self.most_forces = hands, 0
        self.chance = random.Random(seed)
        self.states: set[object] = set()
        self.paces: set[int] = set()
        first = self.plan.cells[0]
        self.state = self.plan.layout.find(f"{first}.unit.state")
        self.runner.image.write(self.plan.layout.find(f"{first}.board.id"), 7)
        self.start()
        self.writer = RecordingWriter(path, describe(self.plan))
        self.reader = RingFileReader(self.ring, self.writer.position)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        """Save the rest."""
        self.finish()
        self.save()
        self.writer.close()

    def start(self) -> None:
        """A scan process starts."""
        self.recorder = recorder(self.plan, self.ring)
        begin(
            self.recorder,
            self.runner.work,
            self.runner.inputs,
            self.runner.scan - 1,
            self.runner.epoch,
        )

    def finish(self) -> None:
        """The scans end in good order: the last quiet ones are recorded."""
        finish_recording(self.recorder, self.runner.work, self.runner.inputs)

    def scan(self, commands: list[list[int]] | None = None) -> None:
        """One scan with the samples as they are."""
        runner, base = self.runner, self.plan.commands_base
        waiting, scan = runner.set_commands(commands or []), runner.scan
        take_in(self.recorder, runner.inputs, self.samples, scan)
        runner.step()
        runner.inputs[base] = waiting
        record_scan(self.recorder, runner.work, runner.inputs, scan)
        runner.inputs[base] = 0

    def sample(self, number: int, **values: int) -> None:
        """A fresh, good sample of device `number`, in which these points have changed."""
        samples, place = self.samples, self.plan.samples[number]
        samples[place.base] += 1
        samples[place.base + 1] = 1
        samples[place.first_raw] += 1
        names = [p.name for p in place.device.map.inputs]
        for name, value in values.items():
            samples[place.first_raw + 1 + names.index(name)] = value

    def at_random(self, scans: int) -> None:
        """Scans with inputs, commands and skipped scans as chance has them."""
        chance = self.chance
        for _ in range(scans):
            for number, place in enumerate(self.plan.samples):
                if chance.random() < 0.7:
                    self.sample(number, **self.noise())
                if chance.random() < 0.02:
                    self.samples[place.base + 1] = chance.randrange(2)
            if chance.random() < 0.02:
                self.runner.scan += chance.randrange(1, 40)
            commands = [self.command() for _ in range(chance.choice((0, 0, 0, 0, 1, 2)))]
            if self.hands and chance.random() < 0.2:
                commands += self.by_hand()
            self.scan(commands)
            self.most_forces = max(self.most_forces, int(self.runner.work.forces[0]))
            self.paces |= set(self.runner.work.pace.multiple.tolist())
            self.states.add(self.runner.image.read(self.state))

    def noise(self) -> dict[str, int]:
        """New values for some points; the two that stop the line are mostly well."""
        chance = self.chance
        values = {tag: int(chance.random() < 0.99) for tag in INPUTS[:2]}
        values |= {tag: chance.randrange(2) for tag in INPUTS[2:] if chance.random() < 0.2}
        values["pressure"] = chance.randrange(1 << 16)
        return values | {"level": chance.getrandbits(64) - (1 << 63)}

    def command(self) -> list[int]:
        """Some command, mostly one that helps, sometimes nonsense."""
        chance = self.chance
        what = chance.choice((*Command, Command.CLEAR, Command.RESET, Command.START))
        number, expires = chance.randrange(1 << 40), 1 << 60
        operation = chance.choice((Operation.PACKML,) * 8 + (Operation.MODE, 99))
        return [number, 0, int(operation), chance.randrange(-1, 3), int(what), expires, 0, 1]

    def by_hand(self) -> list[list[int]]:
        """A person takes a cell and jogs, or steps, or gives it back; or forces something for a while; or
        the executive changes a task's pace, or stops it."""
        chance, plan = self.chance, self.plan
        cell, end = chance.randrange(len(plan.cells)), chance.randrange(-1, len(plan.terminals) + 1)
        belt = plan.terminal_of[f"{plan.cells[cell]}.run"]
        asked: list[tuple[int, int, int]] = chance.choice(
            (
                [(Operation.COMMANDER, cell, Control.LOCAL), (Operation.MODE, cell, Mode.MANUAL)],
                [(Operation.JOG, belt, 1)],
                [(Operation.COMMANDER, cell, Control.LOCAL), (Operation.STEP, cell, 0)],
                [(Operation.MODE, cell, Mode.PRODUCTION), (Operation.COMMANDER, cell, 0)],
                [(Operation.FORCE, end, chance.randrange(3))],
                [(Operation.UNFORCE, end, 0)],
                [(Operation.TASK, chance.randrange(-1, 1), chance.choice((0, 1, 2, 4)))],
            )
        )
        until_ns = self.runner.now_ns + chance.randrange(60) * plan.line.period_ns
        origin = Origin.SCAN if asked[0][0] is Operation.TASK else Origin.OPERATOR
        number = chance.randrange(1 << 40)
        return [[number, origin, *map(int, each), until_ns, 0, 1] for each in asked]

    def save(self) -> None:
        """What the ring has into the file."""
        self.writer.write(self.reader.drain())


def hand_over(path: Path) -> dict[str, int]:
    """Record how a board goes from left to right; the scans in which it did."""
    scans: dict[str, int] = {}
    with Session(path) as session:
        runner = session.runner

        def samples(**left: int) -> None:
            session.sample(0, **left)
            session.sample(1)

        def state(cell: str) -> int:
            return int(runner.image.read(session.plan.layout.find(f"{cell}.unit.state")))

        def give(what: Command) -> None:
            rows = [[n, 0, int(Operation.PACKML), n, int(what), 1 << 60, 0, 1] for n in (0, 1)]
            samples()
            session.scan(rows)

        well = {"estop_released": 1, "guards_closed": 1}
        session.sample(0, **well, board_at_exit=1)
        session.sample(1, **well)
        session.scan()
        for what in (Command.CLEAR, Command.RESET, Command.START):
            give(what)
            for _ in range(4):
                samples()
                session.scan()
        assert state("left") == state("right") == State.EXECUTE
        for _ in range(20):
            samples()
            session.scan()
        scans["exit clear"] = runner.scan
        samples(board_at_exit=0)
        session.scan()
        for _ in range(5):
            samples()
            session.scan()
        scans["arrived"] = runner.scan
        session.sample(1, board_at_exit=1)
        session.scan()
        for _ in range(600):
            samples()
            session.scan()
        link = session.plan.layout.find("left>right.state")
        assert int(runner.image.read(link)) == Link.NOT_AVAILABLE_NOT_READY
    return scans
