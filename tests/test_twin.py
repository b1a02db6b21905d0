"""The twin of the print station: deterministic, conserved, and the same plain as compiled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellrt.app.simulate import VirtualLine
from cellrt.app.virtual import run_twin
from cellrt.commander import Commander
from cellrt.line.load import load_line
from cellrt.line.spec import LineSpec
from cellrt.packml import Command, State
from cellrt.scan.commands import Operation, Origin
from cellrt.scan.plan import Plan
from cellrt.scan.runner import Runner
from cellrt.supervisor import Goal
from cellrt.twin import TwinError

STATION = Path(__file__).parents[1] / "cells" / "print_station.toml"
HOUR_S = 3600.0


@pytest.fixture(scope="module")
def station() -> LineSpec:
    return load_line(STATION)


def produce(line: LineSpec, for_s: float, seed: int = 1) -> VirtualLine:
    virtual = VirtualLine(line, seed=seed)
    virtual.pursue(Goal.RUN)
    for _ in virtual.run(round(for_s * 1e9)):
        pass
    return virtual


def test_same_seed_gives_the_same_hashes_and_another_does_not() -> None:
    first, second, other = (run_twin(STATION, HOUR_S, seed) for seed in (7, 7, 8))
    assert first["hashes"] == second["hashes"]
    assert first["hashes"]["journal"] != other["hashes"]["journal"]
    assert first["boards"]["completed"] > 100


def test_boards_are_conserved_as_the_plant_counts_them(station: LineSpec) -> None:
    virtual = produce(station, HOUR_S)
    census, boards = virtual.census(), virtual.journal.boards
    assert census["entered"] == census["stored"] + census["in_line"]
    left_s = boards["completed"] + boards["rejected"]
    assert left_s == census["stored"]
    assert virtual.read("loader.serial") - census["entered"] in (0, 1), "the next board is named"


def test_stop_ends_the_work_and_leaves_every_cell_stopped(station: LineSpec) -> None:
    virtual = produce(station, 200.0)
    virtual.pursue(Goal.STOP)
    for _ in virtual.run(60_000_000_000):
        pass
    assert {virtual.read(f"{c}.unit.state") for c in virtual.plan.cells} == {State.STOPPED}
    outputs = [name for name in virtual.plan.line.cells["infeed"].io if name == "run"]
    assert not any(virtual.read(f"infeed.{name}") for name in outputs)


def test_stopped_line_takes_up_its_boards_again(station: LineSpec) -> None:
    virtual = produce(station, 203.0)
    for goal, for_s in ((Goal.ABORT, 5), (Goal.RUN, 300), (Goal.STOP, 60), (Goal.RUN, 600)):
        virtual.pursue(goal)
        for _ in virtual.run(for_s * 1_000_000_000):
            pass
    census, boards = virtual.census(), virtual.journal.boards
    assert census["entered"] == census["stored"] + census["in_line"]
    assert boards["completed"] + boards["rejected"] == census["stored"]
    assert boards["rejected"] <= 1, "at most the one that was being printed"


def test_device_without_a_register_that_the_line_expects_is_named(station: LineSpec) -> None:
    from dataclasses import replace

    wrong = replace(station.devices["printer"], sim="hw_sim.coupler:Coupler")
    line = replace(station, devices={**station.devices, "printer": wrong})
    with pytest.raises((TwinError, ValueError), match="printer"):
        VirtualLine(line)


def drive(runner: Runner, scans: int, seed: int) -> list[bytes]:
    """Random samples, qualities and commands; the image's bytes after each thousandth scan."""
    chance, plan, kept = np.random.default_rng(seed), runner.plan, []
    commander = Commander(1, Origin.SUPERVISOR)
    for n in range(scans):
        for sample in plan.samples:
            if chance.random() < 0.3:
                runner.inputs[sample.base] += 1
                runner.inputs[sample.base + 1] = chance.random() < 0.97
                raw = chance.integers(0, 2, sample.raw)
                runner.inputs[sample.first_raw : sample.first_raw + sample.raw] = raw
        commands = []
        if chance.random() < 0.2:
            cell = int(chance.integers(len(plan.cells)))
            command = int(chance.choice([c for c in Command if c is not Command.ABORT]))
            commands.append(commander.command(Operation.PACKML, cell, command, runner.now_ns))
        runner.set_commands(commands)
        runner.step()
        if n % 100 == 99:
            kept.append(runner.image.bytes.tobytes() + runner.work.outputs.tobytes())
    return kept


def test_ten_thousand_random_scans_are_the_same_bytes_plain_and_compiled(station: LineSpec) -> None:
    plan = Plan(station)
    compiled = drive(Runner(plan), 10_000, seed=3)
    plain = drive(Runner(plan, compiled=False), 10_000, seed=3)
    assert compiled == plain
    assert len(set(compiled)) == len(compiled), "something happened in every hundred scans"


def test_a_scan_leaves_its_inputs_as_they_were(station: LineSpec) -> None:
    runner = Runner(Plan(station))
    runner.inputs[: runner.plan.commands_base] = 1
    before = runner.inputs.copy()
    for _ in range(100):
        runner.step()
    assert np.array_equal(runner.inputs, before)
