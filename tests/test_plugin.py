"""The pytest plugin as a cell's author meets it: what reads well when it works, and when it does not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from cellrt.packml import Command
from cellrt.testing import NotReached, OpenLine, TestLine

HERE = Path(__file__).parent
PRESSES = "lines/press_line.toml"
STATION = "../cells/print_station.toml"


@pytest.fixture
def presses(line: OpenLine) -> TestLine:
    """Two presses in Execute, without parts."""
    return line(PRESSES).force("left.guard_closed", True).start()


def test_stopped_start_brings_every_cell_to_execute(line: OpenLine) -> None:
    station = line(PRESSES).force("left.guard_closed", True)
    assert station["left.Stopped"] and station.now_s == 0.0
    station.start()
    assert station["left.Execute"] and station["right.Execute"]


def test_stopped_start_that_cannot_be_names_what_is_in_the_way(line: OpenLine) -> None:
    with pytest.raises(NotReached, match=r"left is Aborted.*first out guard_closed"):
        line(PRESSES).start(timeout_s=1.0)


def test_execute_stop_brings_every_cell_to_stopped(presses: TestLine) -> None:
    presses.stop()
    assert presses["left.Stopped"] and presses["right.Stopped"]


def test_execute_held_by_the_test_stays_held(presses: TestLine) -> None:
    presses.command("left", "hold").step(until="left.Held", timeout_s=1.0).step(200)
    assert presses["left.Held"] and presses["right.Execute"]
    presses.command("left", Command.UNHOLD).step(until="left.Execute", timeout_s=1.0)


def test_step_until_stops_in_the_scan_that_reaches_it(presses: TestLine) -> None:
    presses.force("left.part_here", True).step(until="left.pressing", timeout_s=1.0)
    began_s = presses.now_s
    presses.step(until=lambda: presses["left.done"] == 1, timeout_s=1.0)
    assert presses.now_s - began_s == pytest.approx(0.3)
    presses.step(until="left.leaving")
    assert presses.now_s - began_s == pytest.approx(0.3), "true already: no scan"


def test_step_until_not_reached_says_how_the_line_stands(presses: TestLine) -> None:
    presses.force("right.part_here", True)
    with pytest.raises(NotReached) as raised:
        presses.step(until="right.Held", timeout_s=5.0)
    told = str(raised.value)
    assert told.startswith("right.Held: not within 5 s")
    assert "left is Execute, step waiting\n" in told
    assert "right is Aborted, step leaving, first out leaving within 2 s" in told
    assert "guard_closed=1 part_here=1 force_N=0 barcode=0 press=. most_N=0 done=1" in told
    assert "Aborting -> Aborted" in told.splitlines()[-1]


def test_step_until_a_function_not_reached_is_named(presses: TestLine) -> None:
    def two_are_done() -> bool:
        return presses["left.done"] == 2

    with pytest.raises(NotReached, match=r"^two_are_done: not within 0.5 s"):
        presses.step(until=two_are_done, timeout_s=0.5)


def test_force_reaches_every_tag_of_the_point_at_the_width_of_the_wire(presses: TestLine) -> None:
    presses.force("left.force_N", 812.34).force("right.barcode", 2**32 - 1).step()
    assert presses["left.force_N"] == presses["right.force_N"] == pytest.approx(812.3)
    assert presses["left.barcode"] == 2**32 - 1


@pytest.mark.parametrize(
    ("tag", "value", "says"),
    [
        ("left.part_here", 1, "left.part_here is bool and cannot be 1"),
        ("left.barcode", 1.5, "left.barcode is int and cannot be 1.5"),
        ("left.force_N", True, "left.force_N is float and cannot be True"),
        ("left.force_N", 6553.6, "left.force_N cannot be 6553.6: u16 carries 0 to 6553.5"),
        ("left.barcode", -1, "left.barcode cannot be -1: u32 carries 0 to"),
    ],
)
def test_force_what_the_wire_cannot_carry_is_refused(
    presses: TestLine, tag: str, value: float, says: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        presses.force(tag, value)


def test_plant_is_read_and_set_as_it_truly_is(line: OpenLine) -> None:
    station = line(STATION, sim=True).start().step(until="printer.judging", timeout_s=60.0)
    number = station.plant["printer.belt.board.id"]
    assert number == station["printer.board.id"] == 1
    assert station.plant.census()["entered"] >= 1
    station.plant["printer.belt.board.id"] = 4711
    station.step(10)
    assert station["printer.barcode"] == 4711 and station["printer.board.id"] == 1


def test_plant_refuses_what_it_has_not_and_what_is_of_another_type(line: OpenLine) -> None:
    plant = line(STATION, sim=True).plant
    with pytest.raises(LookupError, match=r"no tag 'printer.clam'; did you mean 'printer.clamp'"):
        plant["printer.clam"]
    with pytest.raises(LookupError, match=r"no tag 'printer.clam'; did you mean 'printer.clamp'"):
        plant["printer.clam"] = True
    with pytest.raises(ValueError, match=r"printer.clamp is bool and cannot be 1"):
        plant["printer.clamp"] = 1
    plant["printer.pressure_N"] = 3
    assert plant["printer.pressure_N"] == 3.0


def test_plant_of_a_line_without_sim_is_refused(presses: TestLine) -> None:
    with pytest.raises(LookupError, match="has no plant here; open it with sim=True"):
        _ = presses.plant


def test_unknown_names_are_met_with_the_nearest(presses: TestLine) -> None:
    def says(text: str) -> pytest.RaisesContext[LookupError]:
        return pytest.raises(LookupError, match=re.escape(text))

    with says("no input 'left.part_her'; did you mean 'left.part_here'?"):
        presses.force("left.part_her", True)
    with says("left.press is output, not input; inputs of left are left.guard_closed, left.part"):
        presses.force("left.press", True)
    with says("no tag 'left.presing'; did you mean 'left.pressing'?"):
        presses.step(until="left.presing")
    with says("no tag 'right.Holding_'; did you mean 'right.Holding'?"):
        presses["right.Holding_"]
    with says("no cell 'lft'; did you mean 'left'?"):
        presses.command("lft", "hold")
    with says("no command 'HODL'; did you mean 'HOLD'?"):
        presses.command("left", "hodl")
    with says("no device 'oi'; choose among io"):
        presses.quality("oi", False)
    with says("no tag matches 'lefd.*'; did you mean 'left.*'?"):
        presses.trace("lefd.*")


def test_device_goes_bad_its_cells_abort_and_start_again_when_it_is_good(presses: TestLine) -> None:
    presses.quality("io", False).step(until="left.Aborted", timeout_s=1.0)
    (told,) = [e for e in presses.events if e["event"] == "Device" and not e["good"]]
    assert told["device"] == "io"
    presses.quality("io", True).start()


def test_trace_has_one_row_for_each_scan_that_changed_something(presses: TestLine) -> None:
    trace = presses.trace("left.*")
    presses.step(50)
    presses.force("left.part_here", True).step(50)
    assert str(trace) == (
        "         left\n"
        "t_ms    state      step  guard_closed  part_here  force_N  barcode  press  most_N  done\n"
        "   0  Execute   waiting             1          .        0        0      .       0     0\n"
        " 500  Execute  pressing             1          1        0        0      .       0     0\n"
        " 510  Execute  pressing             1          1        0        0      1       0     0\n"
        " 800  Execute   leaving             1          1        0        0      1       0     1\n"
        " 810  Execute   leaving             1          1        0        0      .       0     1\n"
    )


def test_trace_of_two_cells_names_each_over_its_columns(presses: TestLine) -> None:
    trace = presses.trace("*.press", "left.now_ns", "right.press_ms", "*.unit.boards_*")
    presses.step(2)
    heads = [line.split() for line in str(trace).splitlines()[:2]]
    assert heads[0] == ["left", "right", "left", "right", "left", "right"]
    counts = ["boards_in", "boards_out"]
    assert heads[1] == ["t_ms", "press", "press", "now_ns", "press_ms", *counts, *counts]
    assert len(trace.rows) == 2, "the clock is named, so every scan counts"


def test_simulated_device_is_forced_and_released(line: OpenLine) -> None:
    station = line(STATION, sim=True).start()
    station.force("infeed.board_at_exit", True).step(2)
    assert station["infeed.board_at_exit"]
    station.release("infeed.board_at_exit").step(2)
    assert not station["infeed.board_at_exit"]
    station.quality("printer", False).step(until="printer.Aborted", timeout_s=1.0)
    assert station["infeed.Execute"]
    station.quality("printer", True).start()


def test_same_seed_same_prints_and_another_seed_others(line: OpenLine) -> None:
    def first_offset_um(seed: int) -> object:
        station = line(STATION, sim=True, seed=seed).start()
        station.step(until="printer.print_done", timeout_s=60.0)
        return station["printer.offset_x_um"]

    assert first_offset_um(5) == first_offset_um(5) != first_offset_um(6)


AUTHORS_TESTS = """
import pytest


def pressed(line, file="press_line.toml"):
    station = line(file).force("left.guard_closed", True).start()
    trace = station.trace("left.*", "right.press")
    station.force("left.force_N", 512.0).force("left.part_here", True).step(100)
    return trace


@pytest.mark.parametrize("name", ["one_part", "tampered", "missing"])
def test_golden(line, golden, name):
    golden(name, pressed(line))


def test_not_reached(line):
    line("press_line.toml").step(until="left.press", timeout_s=0.1)


def test_wrong_line(line):
    line("wrong_line.toml")


def test_namesake(line):
    line("press_line.toml")
    line("other/press_line.toml")


def test_breakpoint(line, monkeypatch):
    monkeypatch.setattr("sys.breakpointhook", lambda: print("in the press"))
    pressed(line, "stopping_line.toml")
"""


class Author(NamedTuple):
    """A folder with a cell, its lines and tests; what pytest says of it plain and compiled."""

    folder: Path
    plain: str
    compiled: str

    @property
    def kept(self) -> str:
        return (self.folder / "golden" / "one_part.txt").read_text()


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Author:
    folder = tmp_path_factory.mktemp("author")

    def write(name: str, source: str, **changes: str) -> None:
        text = (HERE / "lines" / source).read_text()
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    def run(*options: str) -> str:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
        return done.stdout

    write("line_test_press.py", "line_test_press.py")
    write("stopping_press.py", "line_test_press.py", **{"self.press = True": "breakpoint()"})
    write("other/line_test_press.py", "line_test_press.py", within_s="limit_s")
    write("other/press_line.toml", "press_line.toml")
    write("press.toml", "press.toml")
    write("press_line.toml", "press_line.toml")
    write("stopping_line.toml", "press_line.toml", line_test_press="stopping_press")
    write("wrong_line.toml", "press_line.toml", period_ms="perod_ms")
    (folder / "test_press.py").write_text(AUTHORS_TESTS)
    plain = run("--plain", "--update-golden", "-k", "one_part or tampered or breakpoint", "-s")
    tampered = folder / "golden" / "tampered.txt"
    tampered.write_text(tampered.read_text().replace("300  Execute   lea", "290  Execute   lea"))
    return Author(folder, plain, run("-rA"))


def test_golden_written_plain_is_met_compiled(author: Author) -> None:
    assert "300  Execute   leaving" in author.kept
    assert "PASSED test_press.py::test_golden[one_part]" in author.compiled


def test_golden_is_missing_says_how_to_write_it(author: Author) -> None:
    assert "missing.txt is missing; write it with --update-golden, and read it" in author.compiled
    assert not (author.folder / "golden" / "missing.txt").exists()


def test_golden_is_another_shows_the_rows_that_differ_under_their_heads(author: Author) -> None:
    lines = author.compiled.splitlines()
    what = "tampered.txt: the line does otherwise; if that is meant, --update-golden"
    start = next(n for n, line in enumerate(lines) if line.endswith(what))
    shown = lines[start + 1 :]
    assert shown[1].startswith(" t_ms    state      step  guard_closed")
    assert [line[:16] for line in shown if line.startswith(("-", "+"))][:4] == [
        "--- kept",
        "+++ now",
        "- 290  Execute  ",
        "+ 300  Execute  ",
    ]


def test_breakpoint_is_reached_plain_and_named_compiled(author: Author) -> None:
    assert author.plain.count("in the press") > 10
    assert re.search(r"^stopping_press:Press: .*stopping_press\.py:\d+", author.compiled, re.M)


def test_failing_the_traceback_ends_at_the_authors_line(author: Author) -> None:
    assert "left.press: not within 0.1 s\nE       two-presses at 0.1 s:" in author.compiled
    assert '>       line("press_line.toml").step(until="left.press"' in author.compiled
    for inner in ("_scan_until", "plugin.py", "load.py", "entry.py", "During handling"):
        assert inner not in author.compiled


def test_line_file_is_wrong_fails_with_its_one_message(author: Author) -> None:
    assert re.search(r"wrong_line\.toml:3: unknown key 'perod_ms'.*'period_ms'", author.compiled)


def test_second_module_of_one_name_is_refused_not_mistaken(author: Author) -> None:
    assert re.search(
        r"'line_test_press' is .*other/.*, but .* was imported under this name before",
        author.compiled,
    )
