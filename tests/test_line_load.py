"""The good line file: what comes of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cellrt.interlock import CAUSES, Cause, always, hold, run_out, safe, to
from cellrt.line.load import load_line
from cellrt.line.show import diagram, reactions_text, show
from cellrt.line.spec import DeviceSpec, HandoverSpec, LineSpec, SimSpec
from cellrt.wire import Point, Wire

FILE = Path(__file__).parent / "lines" / "line.toml"


@pytest.fixture(scope="module")
def line() -> LineSpec:
    before = [*sys.path]
    try:
        return load_line(FILE)
    finally:
        sys.path[:] = before


def test_line_is_what_the_file_says(line: LineSpec) -> None:
    assert (line.name, line.period_ns, line.seed, line.path) == ("press-line", 10_000_000, 7, FILE)
    assert line.handovers == (HandoverSpec("feeder>press", "feeder.outfeed", "press.infeed"),)
    assert line.sim == SimSpec((("io.feeder", "io.press"),), "safety")
    assert line.text == FILE.read_text()
    assert (line.unattended, line.warnings) == (False, ())


def test_parameters_of_an_array_of_records_stand_in_a_list_or_by_name(tmp_path: Path) -> None:
    before = [*sys.path]
    for file in FILE.parent.glob("*.*"):
        (tmp_path / file.name).write_text(file.read_text())
    text, told = FILE.read_text(), 'device = "io"\nto'
    written = (
        "params.pushers = [{ stroke_mm = 20 }, { stroke_mm = 30, slow = true }]",
        'params = { "pushers.0.stroke_mm" = 20, "pushers.1" = { stroke_mm = 30, slow = true } }',
    )
    for params in written:
        (tmp_path / "line.toml").write_text(text.replace(told, f'device = "io"\n{params}\nto'))
        line = load_line(tmp_path / "line.toml")
        sys.path[:] = before
        assert line.cells["feeder"].params == {
            "pushers.0.stroke_mm": 20.0,
            "pushers.1.stroke_mm": 30.0,
            "pushers.1.slow": True,
        }


def test_device_is_what_file_and_map_say(line: LineSpec) -> None:
    io = line.devices["io"]
    assert io == DeviceSpec(
        "io", io.map, "192.168.1.20:502", 20.0, 200.0, 500.0, "line_test_sim:Coupler"
    )
    assert (io.map.protocol, io.map.unit_id, io.map.watchdog_ms) == ("modbus", 2, 400.0)
    assert io.map.heartbeat == Point("heartbeat", "holding:0", Wire.U16)
    assert io.map.find("force_N") == Point("force_N", "input:10", Wire.U16, 0.1)
    assert [p.name for p in io.map.inputs] == ["at_stop", "force_N", "valve.is_open", "barcode"]


def test_device_without_times_has_the_usual_ones(line: LineSpec) -> None:
    safety = line.devices["safety"]
    assert (safety.poll_ms, safety.stale_ms, safety.recover_ms, safety.sim) == (
        10.0,
        200.0,
        500.0,
        None,
    )
    assert (safety.map.namespace, safety.map.watchdog_ms) == ("urn:test:safety", 500.0)


def test_tags_are_joined_by_cell_then_line_then_own_name(line: LineSpec) -> None:
    assert line.cells["press"].io == {
        "at_stop": ("io", "at_stop"),
        "force_N": ("io", "force_N"),
        "down": ("io", "down"),
        "force_setpoint_N": ("io", "force_setpoint_N"),
        "lamp": ("io", "lamp"),
        "valve.is_open": ("io", "valve.is_open"),
        "valve.open": ("io", "press_valve"),
        "estop_released": ("safety", "estop_released"),
    }


def test_parameters_have_the_types_of_their_tags(line: LineSpec) -> None:
    params = line.cells["press"].params
    assert params == {"force_wanted_N": 120.0, "strokes": 2}
    assert [type(value) for value in params.values()] == [float, int]


def test_safe_reactions_are_the_files_where_it_has_any(line: LineSpec) -> None:
    reactions = line.cells["press"].safe
    assert reactions["lamp"] == always(to(True))
    assert reactions["down"][Cause.ESTOP] == run_out(0.5, False)
    assert reactions["down"][Cause.PROCESS] == hold(2.0, False)
    assert set(reactions) == {"down", "force_setpoint_N", "lamp", "valve.open"}
    assert all(set(each) == set(CAUSES) for each in reactions.values())


def test_shown_line_names_every_tag_point_and_reaction(line: LineSpec) -> None:
    from rich.console import Console

    console = Console(width=220)
    with console.capture() as capture:
        console.print(show(line))
    rows = [" ".join(row.replace("│", " ").split()) for row in capture.get().splitlines()]
    assert (
        "force_setpoint_N output io.force_setpoint_N holding:1 float as u32 0.1 N 0..500 0" in rows
    )
    assert "valve.open output io.press_valve coil:3 bool false" in rows
    assert "force_wanted_N parameter float N 10..400 120" in rows
    assert "feeder.outfeed press.infeed" in rows
    assert "safety opcua opc.tcp://192.168.1.30:4840" in " ".join(rows)


def test_reactions_alike_are_shown_together() -> None:
    reactions = safe(to(0.5), to(0.5), hold(2.0, 0.0), run_out(30.0, 0.0), to(0.0))
    shown = "stop, process: 0.5; comms: hold 2 s, 0; guard: run out 30 s, 0; estop: 0"
    assert reactions_text(reactions) == shown


def test_diagram_has_packml_and_the_steps() -> None:
    from cells.conveyor import Conveyor

    text = diagram(Conveyor)
    assert text.count("```mermaid\nstateDiagram-v2\n") == 2
    assert "EXECUTE --> HOLDING: HOLD" in text
    assert f"[*] --> {Conveyor.sequence.names[0]}" in text
