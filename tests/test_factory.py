"""Lines side by side: one line file many times over, and a twin that is as fast as it says and as exact."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipe_files import station_with_recipes
from rich.console import Console

from cellrt.app.options import Options
from cellrt.app.params import save
from cellrt.app.refusals import UsageError
from cellrt.app.run import Run
from cellrt.app.simulate import VirtualLine
from cellrt.app.view import lines_table, plain_line, render
from cellrt.chronicle import Chronicle
from cellrt.commander import Commander
from cellrt.journal import Journal
from cellrt.line.load import LineError, load_line
from cellrt.line.recipes import recipes_of
from cellrt.narrate import Narrator, canonical
from cellrt.packml import State
from cellrt.recording.header import describe, recorded_line
from cellrt.runtime.region import sections
from cellrt.scan.commands import Origin
from cellrt.scan.events import Event
from cellrt.scan.plan import COMMANDS_A_SCAN, Plan
from cellrt.scan.snapshot import Snapshot
from cellrt.scan.tables import initial_image
from cellrt.shared.memory import create
from cellrt.supervisor import Goal, Supervisor
from cellrt.twin import LOOK_EVERY

CELLS = Path(__file__).parents[1] / "cells"
HEAD = '[line]\nname = "factory"\nperiod_ms = 10\n\n[copies]\n'
S_NS = 1_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(CELLS / "print_station.toml", tmp_path)
    return tmp_path


def factory(folder: Path, copies: str) -> Path:
    path = folder / "factory.toml"
    path.write_text(HEAD + copies)
    return path


def stations(folder: Path, count: int) -> Path:
    return factory(folder, f'file = "print_station.toml"\ncount = {count}\n')


def test_copies_have_names_ports_and_neighbours_of_their_own(folder: Path) -> None:
    one, line = load_line(CELLS / "print_station.toml"), load_line(stations(folder, 3))
    assert len(line.cells) == 3 * len(one.cells) and len(line.devices) == 3 * len(one.devices)
    name, device = next(iter(one.devices.items()))
    port = int(device.address.rpartition(":")[2])
    assert line.devices[f"line_03_{name}"].address.endswith(f":{port + 2}")
    for each in line.handovers:
        assert {each.upstream[:8], each.downstream[:8]} == {each.name[:8]}
    for cell in line.cells.values():
        assert {device[:8] for device, _ in cell.io.values()} <= {cell.name[:8]}


@pytest.mark.parametrize(
    ("copies", "told"),
    [
        ('file = "none.toml"\ncount = 2', "does not exist"),
        ('file = "print_station.toml"\ncount = 0', "1 or more"),
        ('file = "print_station.toml"\ncount = 100', "99 or less"),
        ('file = "factory.toml"\ncount = 2', "has copies itself"),
        ('file = "print_station.toml"\ncount = 2\nparams = { printr = {} }', "no cell 'printr'"),
        ('file = "print_station.toml"\ncount = 2\nlines = 3', "unknown key 'lines'"),
        ('file = "high.toml"\ncount = 50', "need ports up to"),
    ],
)
def test_copies_that_cannot_be_made_are_told_with_their_line(
    folder: Path, copies: str, told: str
) -> None:
    text = (folder / "print_station.toml").read_text()
    (folder / "high.toml").write_text(text.replace(':502"', ':65500"'))
    with pytest.raises(LineError, match=told) as caught:
        load_line(factory(folder, copies))
    assert "factory.toml:" in str(caught.value) or "none.toml" in str(caught.value)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> VirtualLine:
    folder = tmp_path_factory.mktemp("factory")
    shutil.copy(CELLS / "print_station.toml", folder)
    line = VirtualLine(load_line(stations(folder, 3)))
    line.pursue(Goal.RUN)
    for _ in line.run(900 * S_NS):
        pass
    return line


def test_more_cells_than_a_scan_takes_commands_all_start_and_boards_are_conserved(
    three: VirtualLine,
) -> None:
    assert len(three.plan.cells) > COMMANDS_A_SCAN
    census, boards = three.census(), three.journal.boards
    assert census["entered"] == census["stored"] + census["in_line"]
    assert boards["completed"] + boards["rejected"] == census["stored"]
    assert min(three.journal.departed[f"line_0{n}_magazine"] for n in (1, 2, 3)) > 10


def test_lines_do_not_draw_alike(three: VirtualLine) -> None:
    seeds = {three.plant[f"line_0{n}_printer.seed"] for n in (1, 2, 3)}
    assert len(seeds) == 3


def test_recording_of_copies_holds_all_that_its_plan_is_made_from(folder: Path) -> None:
    plan = Plan(load_line(stations(folder, 2)))
    header = describe(plan)
    for file in folder.iterdir():
        file.unlink()
    assert Plan(recorded_line(header)).hash == plan.hash


def test_recipe_of_the_copied_line_is_each_copys(tmp_path: Path) -> None:
    one = load_line(station_with_recipes(tmp_path))
    head = 'recipes = "recipes"\n\n[copies]'
    path = factory(tmp_path, 'file = "station.toml"\ncount = 3\n')
    path.write_text(path.read_text().replace("[copies]", head))
    line = load_line(path)
    of_one, of_all = recipes_of(one), recipes_of(line)
    assert of_all.keys() == of_one.keys() == {1, 2}
    for number, recipe in of_all.items():
        settings = of_one[number].settings["printer"]
        assert recipe.settings == {f"line_0{n}_printer": settings for n in (1, 2, 3)}
    begun = [cell.parameters["recipe.number"] for n, cell in line.cells.items() if "printer" in n]
    assert begun == [one.cells["printer"].parameters["recipe.number"]] * 3
    header = describe(Plan(line))
    shutil.rmtree(tmp_path)
    assert recorded_line(header).cells == line.cells


def test_line_copied_from_another_folder_has_its_recipes_from_there(tmp_path: Path) -> None:
    one = load_line(station_with_recipes(tmp_path / "station"))
    shutil.copytree(tmp_path / "station" / "recipes", tmp_path / "factory" / "recipes")
    for stale in (tmp_path / "factory" / "recipes").iterdir():
        stale.write_text(stale.read_text().replace("version = ", "version = 9"))
    path = factory(tmp_path / "factory", 'file = "../station/station.toml"\ncount = 2\n')
    path.write_text(path.read_text().replace("[copies]", 'recipes = "recipes"\n\n[copies]'))
    line = load_line(path)
    assert {n: r.version for n, r in recipes_of(line).items()} == {
        n: r.version for n, r in recipes_of(one).items()
    }
    header = describe(Plan(line))
    shutil.rmtree(tmp_path)
    assert recorded_line(header).cells == line.cells
    assert not tmp_path.exists() and not Path(tempfile.gettempdir(), "station").exists()


def test_running_factory_is_shown_by_line(folder: Path) -> None:
    run = Run(Options(stations(folder, 3)))
    image, inputs = initial_image(run.plan), np.zeros(run.plan.input_words, np.int64)
    held = run.plan.layout.find("line_02_printer.unit.state")
    image.write(held, int(State.HELD))
    run.region = create(sections(run.plan), run.plan.hash)
    run.snapshot = Snapshot.take(run.plan, image, inputs, 1, 10**7)
    screen = Console(width=150, file=io.StringIO(), record=True)
    screen.print(render(run))
    each = len(run.plan.cells) // 3
    for said in (screen.export_text(), plain_line(run)):
        assert f"{each} Stopped" in said and f"1 Held, {each - 1} Stopped" in said
        assert "line_03" in said and "line_03_outfeed" not in said


def test_boards_of_a_line_are_those_of_the_cell_that_hands_on_to_none(folder: Path) -> None:
    """Whatever the order in which its file has the cells."""
    text = (folder / "print_station.toml").read_text()
    head, *tables = text.split("[cells.")
    magazine = next(n for n, table in enumerate(tables) if table.startswith("magazine]"))
    tables.insert(0, tables.pop(magazine) + "\n")
    (folder / "print_station.toml").write_text("[cells.".join([head, *tables]))
    run = Run(Options(stations(folder, 2)))
    assert run.line.last_cells >= {"line_01_magazine", "line_02_magazine"}
    assert next(iter(run.line.cells)) == "line_01_magazine"
    image, inputs = initial_image(run.plan), np.zeros(run.plan.input_words, np.int64)
    for cell, boards in (
        ("line_01_magazine", 41),
        ("line_01_outfeed", 43),
        ("line_02_magazine", 47),
    ):
        image.write(run.plan.layout.find(f"{cell}.unit.boards_out"), boards)
    run.region = create(sections(run.plan), run.plan.hash)
    run.snapshot = Snapshot.take(run.plan, image, inputs, 1, 10**7)
    screen = Console(width=150, file=io.StringIO(), record=True)
    screen.print(lines_table(run))
    said = screen.export_text()
    assert "41" in said and "47" in said and "43" not in said


def test_parameters_of_copies_are_not_saved_into_their_file(folder: Path) -> None:
    path = stations(folder, 2)
    before = path.read_text()
    with pytest.raises(UsageError, match=r"copies of print_station\.toml"):
        save(path)
    assert path.read_text() == before


def played(always: bool) -> tuple[str, str, str]:
    """A station through goals; asked at every look, or only of what has moved."""
    line = VirtualLine(load_line(CELLS / "print_station.toml"), seed=5)
    supervisor = Supervisor(line.plan, Commander(1, Origin.SUPERVISOR))
    events, commands = hashlib.sha256(), list[list[int]]()
    for goal, scans in (
        (Goal.RUN, 20_303),
        (Goal.ABORT, 500),
        (Goal.RUN, 30_007),
        (Goal.STOP, 6000),
        (Goal.RUN, 9000),
    ):
        line.pursue(goal)
        supervisor.pursue(goal)
        if not always:
            for rows in line.run(scans * line.plan.line.period_ns):
                events.update(rows.tobytes())
            continue
        for first in range(0, scans, LOOK_EVERY):
            for rows in line.twin.run(min(LOOK_EVERY, scans - first), commands):
                line.journal.append(rows)
                events.update(rows.tobytes())
            commands = supervisor.decide(line.now_ns, line.read)
    return line.twin.runner.image.hash(), events.hexdigest(), line.journal.hash()


def test_supervisor_asked_of_what_moved_says_what_one_asked_always_says() -> None:
    assert played(always=False) == played(always=True)


def test_chronicle_counts_and_hashes_as_a_journal(three: VirtualLine) -> None:
    chronicle, journal = Chronicle(three.plan), Journal(three.plan)
    for rows in three.journal._kept:
        chronicle.append(rows)
        journal.append(rows)
    assert chronicle.hash() == journal.hash() == three.journal.hash()
    assert (chronicle.boards, chronicle.departed) == (journal.boards, journal.departed)
    assert chronicle.last_number == journal.last_number > 1000
    cell = three.plan.cells[-1]
    assert chronicle.entries(40, cell) == journal.entries(40, cell) != []


@pytest.fixture(scope="module")
def narrator() -> Narrator:
    return Narrator(Plan(load_line(CELLS / "print_station.toml")))


@given(st.lists(st.tuples(st.integers(0, 2**62), *[st.integers(0, 20)] * 4), min_size=1))
def test_line_put_together_is_the_line_told(
    narrator: Narrator, values: list[tuple[int, int, int, int, int]]
) -> None:
    kinds = (Event.STATE, Event.STEP, Event.HANDOVER, Event.BOARD_IN, Event.BOARD_LEFT)
    for t_ns, a, b, c, d in values:
        for kind in kinds:
            row = [0, t_ns, int(kind), 0, a, b, c, d]
            assert narrator.line(row) == canonical(narrator.tell(row))


def test_event_room_grows_with_the_line(three: VirtualLine, folder: Path) -> None:
    small = VirtualLine(load_line(CELLS / "print_station.toml")).twin.runner.work.events
    large = VirtualLine(load_line(stations(folder, 20))).twin.runner.work.events
    assert len(large) > len(small)


def test_shipped_factory_is_three_hundred_cells_and_two_hundred_devices() -> None:
    line = load_line(CELLS / "factory.toml")
    assert (len(line.cells), len(line.devices), len(line.handovers)) == (300, 200, 260)
    assert {cell.parameters["product"] for n, cell in line.cells.items() if "loader" in n} == {4}
    assert recipes_of(line)[4].settings.keys() >= {"line_01_printer", "line_20_reflow"}
    assert np.unique([d.address for d in line.devices.values()]).size == 200
