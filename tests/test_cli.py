"""The command line as a person meets it: what works prints, what is wrong is one message and exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cellrt.app.cli import app

STATION = Path(__file__).parents[1] / "cells" / "print_station.toml"


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLRT_STATE_DIR", str(tmp_path / "state"))


def cellrt(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def refused(*arguments: object) -> str:
    """What a refusal says: exit code 2, nothing on standard output, no traceback."""
    result = cellrt(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr and not result.stdout
    return result.stderr


def test_check_says_that_a_line_is_well() -> None:
    result = cellrt("check", STATION)
    assert result.exit_code == 0
    assert "6 cells, 3 devices, well" in result.stdout


def test_check_show_names_every_tag_of_every_cell() -> None:
    shown = cellrt("check", STATION, "--show").stdout
    for name in ("printer", "pressure_N", "board_at_stop", "input:10"):
        assert name in shown


def test_diagram_draws_packml_and_the_steps() -> None:
    drawn = cellrt("diagram", "cells.printer:Printer").stdout
    assert drawn == cellrt("diagram", "printer", "--line", STATION).stdout
    assert "EXECUTE --> ABORTING: ABORT" in drawn
    assert "clamping --> stroke: clamped" in drawn


def test_twin_prints_its_report() -> None:
    told = json.loads(cellrt("twin", STATION, "--for", 60).stdout)
    assert told["scan"]["count"] == 6000
    assert told["boards"]["entered"] > 1
    assert set(told["hashes"]) == {"layout", "image", "journal"}


@pytest.mark.parametrize("time", ["0", "-5", "nan", "inf", "1e12"])
def test_twin_for_an_absurd_time_is_refused(time: str) -> None:
    assert "--for" in refused("twin", STATION, "--for", time)


@pytest.mark.parametrize(
    ("speed", "mend"), [(0, "0.01"), (-1, "0.01"), (51, "200 us"), (45, "handshake")]
)
def test_speed_that_the_line_cannot_keep_is_refused_with_the_most_it_can(
    speed: float, mend: str
) -> None:
    assert mend in refused("run", STATION, "--sim", "--speed", speed)


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for command in ("run", "check", "devices"):
        assert "none.toml" in refused(command, tmp_path / "none.toml")


def test_line_file_with_a_mistake_is_refused_by_every_command(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(STATION.read_text().replace("period_ms", "perod_ms"))
    for command in (("run",), ("check",), ("devices",), ("twin", "--for", 1)):
        said = refused(command[0], wrong, *command[1:])
        assert f"{wrong}:4" in said and "period_ms" in said


def test_cell_that_a_diagram_does_not_know_is_named_with_those_there_are() -> None:
    assert "magazine" in refused("diagram", "prnter", "--line", STATION)
    assert "cells.printer" in refused("diagram", "cells.prnter:Printer")


@pytest.mark.parametrize(
    "command",
    [("tags",), ("watch", "printer.paste_pct"), ("cmd", "printer", "Stop"), ("journal",)],
)
def test_asking_a_line_that_does_not_run_says_so(command: tuple[str, ...]) -> None:
    assert "running: none" in refused(*command)
    assert "no running line answers" in refused(*command, "--line", "print-station")


def test_port_in_use_names_the_port_and_who_asked(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused("run", STATION, "--sim", "--opcua-port", port)
        assert str(port) in said and "OPC UA" in said
        said = refused("run", STATION, "--sim", "--opcua-port", 0, "--base-port", port)
        assert str(port) in said and "coupler" in said
        table = tmp_path / "line.toml"
        table.write_text(f"{STATION.read_text()}\n[modbus]\nport = {port}\n")
        said = refused("run", table, "--sim", "--opcua-port", 0)
        assert f"port {port} for the Modbus server ([modbus] of {table})" in said
        said = refused("run", table, "--sim", "--opcua-port", 0, "--modbus-port", port)
        assert f"port {port} for the Modbus server (--modbus-port)" in said


def test_one_port_for_both_servers_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "line.toml"
    table.write_text(f"{STATION.read_text()}\n[modbus]\nport = 4840\n")
    assert "port 4840 for the Modbus server" in refused("run", table, "--opcua-port", 4840)


def test_modbus_port_for_a_line_without_the_server_is_refused() -> None:
    said = refused("run", STATION, "--sim", "--opcua-port", 0, "--modbus-port", 1502)
    assert "has no Modbus server; add `[modbus]`" in said


def test_report_into_a_folder_that_is_not_there_is_refused_before_anything_moves(
    tmp_path: Path,
) -> None:
    report = tmp_path / "none" / "report.json"
    assert f"--report {report}" in refused("run", STATION, "--sim", "--report", report)
    assert f"--report {report}" in refused("twin", STATION, "--for", 1, "--report", report)


def users(*arguments: object, said: str = "") -> Result:
    words = [str(a) for a in ("users", STATION, *arguments)]
    return CliRunner().invoke(app, words, input=said)


def test_users_are_added_listed_and_removed() -> None:
    assert "has no users" in users().stdout
    assert users("add", "emma", "--role", "engineer", said="turn a screw\n").exit_code == 0
    assert users("add", "otto", "--role", "viewer", said="push a button\n").exit_code == 0
    assert users("add", "otto", "--role", "operator", said="push a button\n").exit_code == 0
    assert [row.split() for row in users("list").stdout.splitlines()] == [
        ["emma", "engineer"],
        ["otto", "operator"],
    ]
    assert users("remove", "otto").stdout == "removed otto\n"
    assert [row.split() for row in users().stdout.splitlines()] == [["emma", "engineer"]]


@pytest.mark.parametrize(
    ("arguments", "said", "answer"),
    [
        (("add", "emma", "--role", "boss"), "turn a screw", "choose among viewer, operator"),
        (("add", "emma", "--role", "viewer"), "short", "a password has 8 to 256 characters"),
        (("add", "a\nb", "--role", "viewer"), "turn a screw", "cannot name a user"),
        (("add",), "", "say `list`, `add NAME --role ROLE` or `remove NAME`"),
        (("remove", "emma"), "", "no user 'emma'; users are none"),
    ],
)
def test_user_that_cannot_be_is_refused_with_the_mend(
    arguments: tuple[str, ...], said: str, answer: str
) -> None:
    result = users(*arguments, said=said)
    assert result.exit_code == 2
    assert answer in result.stderr


def test_file_of_users_that_is_damaged_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "print-station" / "opcua"
    folder.mkdir(parents=True)
    (folder / "users.json").write_text('{"version": 1, "users": {"eve": 7}}')
    assert "users.json: no file of users; restore it" in refused("users", STATION, "list")


def test_certificate_that_is_none_or_not_there_is_refused_with_those_there_are(
    tmp_path: Path,
) -> None:
    (tmp_path / "letter.txt").write_text("trust me")
    assert "no certificate in DER or PEM" in refused("trust", STATION, tmp_path / "letter.txt")
    assert "there are: none" in refused("trust", STATION, "c0ffee")
    assert "say which" in refused("trust", STATION, "--remove")
    assert "in " in cellrt("trust", STATION).stdout
