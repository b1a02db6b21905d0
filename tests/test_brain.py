"""The process brain without its process: more commands than its queue has room for, and what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from recipe_files import station_with_recipes

from cellrt.line.load import load_line
from cellrt.packml import Command
from cellrt.runtime import download, region
from cellrt.runtime.brain import Brain
from cellrt.runtime.child import Order, Station
from cellrt.runtime.control import ControlError, ControlServer
from cellrt.runtime.download import DownloadError
from cellrt.runtime.region import Status, sections
from cellrt.scan.commands import Operation, Refusal
from cellrt.scan.plan import Plan
from cellrt.scan.recorder import longest
from cellrt.scan.snapshot import Snapshot
from cellrt.scan.tables import initial_image
from cellrt.shared.memory import Region, create
from cellrt.shared.queue import QueueReader
from cellrt.shared.ringfile import create as create_ring
from cellrt.shared.triple import TripleWriter
from cellrt.supervisor import Goal

COPIES, QUEUE, AT_ONCE = 14, 12, 4
"""More cells than the queue has room for, of those too that take a recipe."""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Printing stations side by side."""
    folder = tmp_path_factory.mktemp("stations")
    station_with_recipes(folder)
    path = folder / "factory.toml"
    head = '[line]\nname = "factory"\nperiod_ms = 10\nrecipes = "recipes"\n\n'
    path.write_text(f'{head}[copies]\nfile = "station.toml"\ncount = {COPIES}\n')
    return Plan(load_line(path))


class Scan:
    """Takes commands and shows an image. Parameters of cells in `refusing` it leaves as they are."""

    def __init__(self, plan: Plan, shared: Region) -> None:
        self.plan, self.image, self.scan = plan, initial_image(plan), 0
        for cell in plan.cells:
            self.image.write(plan.layout.find(f"{cell}.unit.io_good"), True)
        self.refusing: set[str] = set()
        self.most = 0
        self._queue = QueueReader(shared.section("commands-brain"))
        self._snapshots = TripleWriter(shared.section("snapshot-brain"))

    def show(self) -> None:
        self.scan += 1
        inputs = np.zeros(self.plan.input_words, np.int64)
        snapshot = Snapshot.take(self.plan, self.image, inputs, self.scan, self.scan * 10**7)
        self._snapshots.publish(snapshot.words)

    def take(self) -> list[list[int]]:
        """All commands that are there."""
        found, command = [], np.zeros(8, np.int64)
        while self._queue.pop(command):
            found.append(command.tolist())
        self.most = max(self.most, len(found))
        return found

    def carry_out(self, brain: Brain) -> None:
        for number, _, _, target, bits, *_ in self.take():
            leaf = self.plan.parameters[target]
            if leaf.path.partition(".")[0] in self.refusing:
                brain._operator.hear(number, Refusal.OUT_OF_LIMITS)
                continue
            kind = leaf.field.kind
            self.image.write(
                leaf, float(np.int64(bits).view(np.float64)) if kind is float else bits
            )
            brain._operator.hear(number, Refusal.ACCEPTED)

    @asynccontextmanager
    async def at_work(self, brain: Brain) -> AsyncIterator[None]:
        async def work() -> None:
            while True:
                self.carry_out(brain)
                self.show()
                brain.tick()
                await asyncio.sleep(0)

        working = asyncio.create_task(work())
        yield
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


@pytest.fixture
def shared(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> Region:
    monkeypatch.setattr(region, "QUEUE", QUEUE)
    monkeypatch.setattr(download, "AT_ONCE", AT_ONCE)
    made = create(sections(plan), plan.hash)
    made.section("status").words[Status.SPEED_PPM] = 1_000_000
    return made


@pytest.fixture
def scan(plan: Plan, shared: Region) -> Scan:
    return Scan(plan, shared)


@pytest.fixture
def brain(plan: Plan, shared: Region, scan: Scan, tmp_path: Path) -> Iterator[Brain]:
    run_dir, ring = tmp_path / "run", tmp_path / "ring"
    run_dir.mkdir()
    create_ring(ring, plan.hash, longest(plan), 1 << 20)
    order = Order(str(plan.line.path), shared.fd, plan.hash, "", 0, str(run_dir), str(ring), 1, {})
    made = Brain(Station(order, plan, shared))
    scan.show()
    made.tick()
    yield made
    made._recording.close()
    made.journal.close()


def test_supervisor_has_more_commands_than_there_is_room_for_each_is_sent_once(
    plan: Plan, brain: Brain, scan: Scan
) -> None:
    brain.pursue(Goal.RUN)
    brain.tick()
    sent = scan.take()
    assert len(sent) == QUEUE < len(plan.cells)
    while found := (scan.show(), brain.tick(), scan.take())[2]:
        sent += found
    assert [row[2:5] for row in sent] == [
        [Operation.PACKML, cell, Command.RESET] for cell in range(len(plan.cells))
    ]


def test_goal_changes_what_was_not_sent_for_the_last_one_is_not_sent_any_more(
    plan: Plan, brain: Brain, scan: Scan
) -> None:
    brain.pursue(Goal.RUN)
    brain.tick()
    assert len(scan.take()) == QUEUE
    brain.pursue(Goal.ABORT)
    sent = []
    while found := (scan.show(), brain.tick(), scan.take())[2]:
        sent += found
    assert [row[3:5] for row in sent] == [[n, Command.ABORT] for n in range(len(plan.cells))]


async def test_recipe_for_more_cells_than_the_queue_has_room_for_comes_to_all(
    plan: Plan, brain: Brain, scan: Scan
) -> None:
    async with scan.at_work(brain):
        told = await download.download(brain, 2, None)
    assert len(told["cells"]) == COPIES > QUEUE
    tags = ("recipe.number", "recipe.version", "pressure_N_wanted", "wipe_after")
    for cell in told["cells"]:
        shown = [scan.image.read(plan.layout.find(f"{cell}.{tag}")) for tag in tags]
        assert shown == [2, 7, 95.0, 9]
    assert scan.most <= AT_ONCE, "the rest of the queue is others'"


async def test_cells_that_do_not_take_a_recipe_are_all_named_and_the_others_have_it(
    plan: Plan, brain: Brain, scan: Scan
) -> None:
    scan.refusing = {"line_03_printer", "line_09_printer"}
    async with scan.at_work(brain):
        with pytest.raises(DownloadError) as refused:
            await download.download(brain, 2, None)
    head, *rows = str(refused.value).splitlines()
    assert head == f"recipe 2 is not in 2 of {COPIES} cells; download it again"
    assert rows == [f"line_0{n}_printer: recipe.version = 0: refused, OutOfLimits" for n in (3, 9)]
    versions = [
        scan.image.read(plan.layout.find(f"line_{n:02}_printer.recipe.version"))
        for n in range(1, COPIES + 1)
    ]
    assert versions == [3 if n in (3, 9) else 7 for n in range(1, COPIES + 1)]


def test_line_of_a_factory_mistyped_is_offered_beside_devices(brain: Brain) -> None:
    control = ControlServer(brain, Path("unused"))
    with pytest.raises(ControlError, match="no device or line 'line_7'; did you mean 'line_07'"):
        control._do_io("line_7")
    with pytest.raises(ControlError, match="did you mean 'line_03_printer'"):
        control._do_io("line_03_prnter")
