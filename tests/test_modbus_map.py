"""A line's Modbus map: what lies where, and what moves it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cellrt import Cell, Input, Output, Parameter, Var, always, to
from cellrt.app.cli import app
from cellrt.line.load import LineError, load_line
from cellrt.line.modbus_map import OWN_BITS, OWN_WORDS, Entry, ModbusMap, make_map, modbus_map
from cellrt.line.spec import ModbusSpec
from cellrt.tags import leaves
from cells.conveyor import Conveyor

LINES = Path(__file__).parent / "lines"
STATION = Path(__file__).parents[1] / "cells" / "print_station.toml"


class Oven(Cell):
    """One tag of each width."""

    door_closed: bool = Input()
    zone_degC: float = Input(unit="degC", low=0.0, high=300.0)
    counted: int = Input(doc="of any size")
    heat: bool = Output(safe=always(to(False)))
    recipe: int = Parameter(1, low=1, high=2_147_483_647)
    huge: int = Parameter(1, low=1, high=2_147_483_648)
    eco: bool = Parameter(False)


class LongerOven(Cell):
    """The same with tags behind."""

    door_closed: bool = Input()
    zone_degC: float = Input(unit="degC", low=0.0, high=300.0)
    counted: int = Input(doc="of any size")
    heat: bool = Output(safe=always(to(False)))
    recipe: int = Parameter(1, low=1, high=2_147_483_647)
    huge: int = Parameter(1, low=1, high=2_147_483_648)
    eco: bool = Parameter(False)
    more: int = Var()
    lamp: bool = Var()


KINDS: dict[str, type[Cell]] = {"oven": Oven, "belt": Conveyor, "longer": LongerOven}


def tags_of(cells: dict[str, type[Cell]]) -> tuple[str, ...]:
    own = ((cell, path) for cell, kind in cells.items() for path, _ in leaves(kind))
    clocks = ("now_ns", "dt_s")
    return tuple(f"{cell}.{path}" for cell, path in own if "." not in path and path not in clocks)


def map_of(
    cells: dict[str, type[Cell]],
    *write: str,
    devices: tuple[str, ...] = ("io",),
    tags: tuple[str, ...] | None = None,
) -> ModbusMap:
    shown = tags_of(cells) if tags is None else tags
    return make_map(cells, devices, ModbusSpec("127.0.0.1", 502, shown, write))


def places(table: ModbusMap) -> dict[str, int]:
    return {f"{e.name} {e.wire.value}": e.address for e in (*table.registers, *table.bits)}


def own(entries: tuple[Entry, ...], first: int) -> list[tuple[int, str, str]]:
    return [(e.address, e.name, e.wire.value) for e in entries if e.address >= first]


def test_own_tags_follow_what_every_cell_has_each_in_its_width() -> None:
    table = map_of({"oven": Oven})
    assert own(table.registers, 100 + OWN_WORDS) == [
        (120, "oven.zone_degC", "f32"),
        (122, "oven.counted", "i64"),
        (126, "oven.recipe", "i32"),
        (128, "oven.huge", "i64"),
    ]
    assert own(table.bits, 100 + OWN_BITS) == [
        (110, "oven.door_closed", "bool"),
        (111, "oven.heat", "bool"),
        (112, "oven.eco", "bool"),
    ]
    assert (table.first_cell, table.size) == (100, 200)


def test_cell_added_behind_moves_nothing_and_changes_the_checksum() -> None:
    before, after = map_of({"oven": Oven}), map_of({"oven": Oven, "belt": Conveyor})
    assert places(before).items() <= places(after).items()
    assert before.checksum != after.checksum


def test_tag_added_behind_moves_nothing() -> None:
    before = map_of({"oven": Oven, "belt": Conveyor})
    after = map_of({"oven": LongerOven, "belt": Conveyor})
    assert places(before).items() < places(after).items()


def test_tags_named_in_the_line_file_stand_in_its_order() -> None:
    table = map_of({"oven": Oven}, tags=("oven.huge", "oven.zone_degC"))
    assert own(table.registers, 120) == [(120, "oven.huge", "i64"), (124, "oven.zone_degC", "f32")]


def test_writable_are_only_those_named() -> None:
    table = map_of({"oven": Oven, "belt": Conveyor}, "oven.recipe", "oven.eco", "belt.CntrlCmd")
    writable = {e.name for e in (*table.registers, *table.bits) if e.writable}
    assert writable == {"oven.recipe", "oven.eco", "belt.CntrlCmd"}
    assert table.checksum != map_of({"oven": Oven, "belt": Conveyor}).checksum


@given(
    st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=8),
    st.integers(0, 200),
    st.randoms(use_true_random=False),
)
def test_no_two_values_overlap_and_every_cell_begins_at_its_hundred(
    kinds: list[str], devices: int, random: object
) -> None:
    cells = {f"c{n}": KINDS[kind] for n, kind in enumerate(kinds)}
    table = map_of(cells, devices=tuple(f"d{n}" for n in range(devices)))
    for entries in (table.registers, table.bits):
        ends = [0, *(e.address + e.width for e in entries)]
        assert all(e.address >= end for e, end in zip(entries, ends[:-1], strict=True))
        assert ends[-1] <= table.size
    states = {e.name: e.address for e in table.registers if e.name.endswith(".StateCurrent")}
    assert list(states) == [f"{cell}.StateCurrent" for cell in cells]
    assert all(address % 100 == 0 and address >= table.first_cell for address in states.values())


# from the line file


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the station's line file, to be given a table `[modbus]`."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    copy = tmp_path / "line.toml"
    copy.write_text(STATION.read_text())
    yield copy


def with_table(path: Path, table: str) -> Path:
    path.write_text(f"{path.read_text()}\n[modbus]\n{table}\n")
    return path


def test_line_without_the_table_has_no_server(path: Path) -> None:
    assert load_line(path).modbus is None
    with pytest.raises(ValueError, match=r"has no Modbus server; add `\[modbus\]`"):
        modbus_map(load_line(path))


def test_table_without_keys_shows_every_cells_own_tags_on_this_machine_only(path: Path) -> None:
    line = load_line(with_table(path, ""))
    assert line.modbus is not None
    assert (line.modbus.host, line.modbus.port, line.modbus.write) == ("127.0.0.1", 502, ())
    shown = set(line.modbus.tags)
    assert {"printer.pressure_N", "infeed.run", "station.guards_closed"} <= shown
    assert not any(t.endswith((".now_ns", ".dt_s")) or ".unit." in t for t in shown)
    assert line.warnings == ()


def test_patterns_stand_for_one_part_and_named_tags_come_first(path: Path) -> None:
    table = (
        'tags = ["printer.wipe_after", "*.infeed.state", "printer.*"]\nwrite = ["loader.product"]'
    )
    line = load_line(with_table(path, table))
    assert line.modbus is not None
    tags = line.modbus.tags
    assert tags[:2] == ("printer.wipe_after", "infeed.infeed.state")
    assert "printer.infeed.up" not in tags and "printer.clamped" in tags
    assert tags[-1] == "loader.product"


def test_other_host_is_a_warning(path: Path) -> None:
    line = load_line(with_table(path, 'host = "0.0.0.0"'))
    assert [w.partition(": ")[2] for w in line.warnings] == [
        "modbus.host 0.0.0.0 can be reached from elsewhere, and Modbus knows no users; "
        "whoever reaches it may read all that is shown, and write what `write` names"
    ]


def test_map_too_long_for_modbus_is_refused(path: Path) -> None:
    loader = path.read_text().partition("[cells.loader]")[2].partition("[cells.infeed]")[0]
    more = "".join(
        f"[cells.c{n}]\n{loader.strip()}\n".replace('to = "infeed"', "") for n in range(650)
    )
    path.write_text(path.read_text() + more)
    with pytest.raises(LineError) as caught:
        load_line(with_table(path, ""))
    said = [str(p) for p in caught.value.problems if "Modbus" in str(p)]
    assert len(said) == 1
    assert (
        "the Modbus map takes 65800 addresses, of which there are 65536; name fewer tags" in said[0]
    )


def test_command_prints_the_map_as_markdown(path: Path) -> None:
    with_table(path, 'write = ["printer.pressure_N_wanted"]')
    said = CliRunner().invoke(app, ["modbus-map", str(path)])
    assert said.exit_code == 0, said.output
    rows = [line.strip("| ").split(" | ") for line in said.output.splitlines() if line[:2] == "| "]
    by_name = {row[1]: row for row in rows}
    table = modbus_map(load_line(path))
    assert {e.name for e in (*table.registers, *table.bits)} <= by_name.keys()
    assert by_name["printer.pressure_N_wanted"][2:5] == ["f32", "yes", "30..150 N"]
    assert all(len(row) <= 6 for row in rows)
    assert f"Checksum of this map: {table.checksum}" in said.output


def test_command_for_a_line_without_a_server_names_the_mend() -> None:
    said = CliRunner().invoke(app, ["modbus-map", str(STATION)])
    assert said.exit_code == 2
    assert "add `[modbus]`" in said.stderr
