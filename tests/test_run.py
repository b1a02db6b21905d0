"""The print station run as anyone runs it: over sockets, from the command line to its report."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua
from pymodbus.client import ModbusTcpClient
from running import (
    LIMIT_S,
    STATION,
    Journey,
    RunningLine,
    answers,
    cellrt,
    free_port,
    journeys,
    running,
)
from scada_line import Watch
from scada_people import Laptop
from typer.testing import CliRunner, Result

from cellrt.app.cli import app
from cellrt.app.simulate import VirtualLine
from cellrt.line.load import load_line
from cellrt.line.modbus_map import modbus_map
from cellrt.narrate import canonical
from cellrt.packml import Command, Mode, State
from cellrt.supervisor import Goal

pytestmark = pytest.mark.real_time

SPEED = 10
SOAK = os.environ.get("CELLRT_SOAK") == "1"
BOARDS = 3
MODBUS_PORT = free_port()


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLine]:
    """The station at ten times its speed; the tests of this file share it, the last ones end it."""
    folder = tmp_path_factory.mktemp("run")
    options = ("--sim", "--speed", SPEED, "--modbus-port", MODBUS_PORT)
    with running(folder, with_modbus(folder), *options) as started:
        yield started


def with_modbus(folder: Path) -> Path:
    """The station's line file, and in it a Modbus server."""
    write = '["printer.stroke_mm_s_wanted", "printer.CntrlCmd"]'
    path = folder / STATION.name
    path.write_text(f"{STATION.read_text()}\n[modbus]\nport = 1\nwrite = {write}\n")
    return path


def departed(line: RunningLine) -> int:
    """Boards that are through."""
    return int(line.ask(do="status")["departed"].get("magazine", 0))


def through(told: dict[int, Journey]) -> dict[int, Journey]:
    """Those of the boards that left the line."""
    return {b: j for b, j in told.items() if j[-1][:2] == ("BoardOut", "magazine")}


def twin_journeys(boards: int) -> dict[int, Journey]:
    """The same boards in virtual time."""
    virtual = VirtualLine(load_line(STATION))
    virtual.pursue(Goal.RUN)
    for _ in virtual.run((60 + 40 * boards) * 1_000_000_000):
        pass
    told = through(journeys(virtual.journal.entries(last=10**9)))
    assert len(told) >= boards
    return told


def test_running_line_comes_to_execute_and_boards_flow(line: RunningLine) -> None:
    line.wait(lambda: line.states() == {State.EXECUTE}, "every cell in Execute")
    line.wait(lambda: line.field.census()["entered"] >= 1, "a board on the line")


def test_running_line_answers_a_modbus_client(line: RunningLine) -> None:
    line.wait(lambda: answers(f"127.0.0.1:{MODBUS_PORT}"), "the Modbus server")
    table = modbus_map(line.spec)
    at = {e.name: e.address for e in table.registers}
    with ModbusTcpClient("127.0.0.1", port=MODBUS_PORT, timeout=LIMIT_S, retries=0) as client:

        def number(name: str, form: Any) -> Any:
            answer = client.read_holding_registers(at[name], count=form.value[1])
            return (
                None if answer.isError() else client.convert_from_registers(answer.registers, form)
            )

        kinds = client.DATATYPE
        line.wait(lambda: number("line.status", kinds.UINT16), "a snapshot")
        assert number("line.checksum", kinds.UINT32) == table.checksum
        assert number("printer.StateCurrent", kinds.UINT16) in list(State)
        wanted = at["printer.stroke_mm_s_wanted"]
        for value, code in ((101.0, 3), (61.5, 0)):
            answer = client.write_registers(
                wanted, client.convert_to_registers(value, kinds.FLOAT32)
            )
            assert (answer.exception_code if answer.isError() else 0) == code
        line.wait(
            lambda: number("printer.stroke_mm_s_wanted", kinds.FLOAT32) == 61.5, "the new speed"
        )
        line.wait(lambda: line.read("printer.stroke_mm_s_wanted") == [61.5], "brain to see it too")
        back = client.convert_to_registers(60.0, kinds.FLOAT32)
        assert not client.write_registers(wanted, back).isError()
        assert client.write_register(at["printer.CntrlCmd"], Command.CLEAR).exception_code == 3
        assert client.write_register(at["loader.CntrlCmd"], Command.STOP).exception_code == 2
    line.wait(
        lambda: {"printer.stroke_mm_s_wanted", "printer.CntrlCmd"} <= audited(line), "the audit"
    )


def audited(line: RunningLine) -> set[str]:
    """What was written, or asked to be, by anyone."""
    with contextlib.closing(sqlite3.connect(line.run_dir / "audit.sqlite")) as db:
        return {subject for (subject,) in db.execute("SELECT subject FROM audit")}


async def test_running_line_answers_an_opcua_client(line: RunningLine) -> None:
    url = f"opc.tcp://127.0.0.1:{line.opcua_port}"
    await asyncio.to_thread(
        line.wait, lambda: answers(f"127.0.0.1:{line.opcua_port}"), "the OPC UA server"
    )
    async with Client(url, timeout=LIMIT_S) as client:
        index = await client.get_namespace_index("urn:cellrt:print-station")
        node = client.get_node(f"ns={index};s=printer.pressure_N_wanted")
        assert await node.read_value() == 80.0
        names = [
            (await n.read_browse_name()).Name
            for n in await client.get_node(f"ns={index};s=printer").get_children()
        ]
        assert {"PackML", "board_at_stop", "pressure_N"} <= set(names)
        times = client.get_node(f"ns={index};s=printer.PackML.Admin.StateCumulativeTime")
        watch = Watch()
        await (await client.create_subscription(100, watch)).subscribe_data_change(times)
        async with asyncio.timeout(LIMIT_S):  # until brain tells times
            while not (await watch.told.get())[1].Value.Value[Mode.PRODUCTION][State.EXECUTE]:
                pass
        scans = client.get_node(f"ns={index};s=/Diagnostics/Tasks/10 ms/Scans")
        took_us = client.get_node(f"ns={index};s=/Diagnostics/Tasks/10 ms/ExecutionP50")
        assert await scans.read_value() > 0 and await took_us.read_value() > 0.0
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):  # without a name one only looks
            await client.get_node(f"ns={index};s=outfeed.PackML").call_method(
                ua.NodeId("outfeed.PackML.Hold", index)
            )


async def test_operator_comes_in_with_a_trusted_certificate_and_holds_a_cell(
    line: RunningLine, tmp_path: Path
) -> None:
    added = at_desk(line, "users", STATION, "add", "otto", "--role", "operator", said="push it!\n")
    assert added.stdout == "otto is operator of print-station\n", added.stderr
    laptop = Laptop.make(tmp_path)
    with pytest.raises(ua.uaerrors.BadCertificateUntrusted):
        await (await laptop.client(line.opcua_port, "otto", "push it!")).connect()
    (rejected,) = at_desk(line, "trust", STATION).stdout.splitlines()[:1]
    assert rejected.startswith("rejected ") and rejected.endswith(" CN=laptop")
    trusted = at_desk(line, "trust", STATION, rejected.split()[1][:10])
    assert trusted.exit_code == 0, trusted.stderr
    with pytest.raises(ua.uaerrors.BadUserAccessDenied):
        await (await laptop.client(line.opcua_port, "otto", "push it?")).connect()
    async with await laptop.client(line.opcua_port, "otto", "push it!") as client:
        unit = client.get_node(ua.NodeId("outfeed.PackML", 1))
        with pytest.raises(ua.UaError):  # a cell in Execute is not to be reset
            await unit.call_method(ua.NodeId("outfeed.PackML.Reset", 1))
        await unit.call_method(ua.NodeId("outfeed.PackML.Hold", 1))
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            await client.get_node(ua.NodeId("printer.wipe_after", 1)).write_value(
                ua.Variant(13, ua.VariantType.Int64), ua.VariantType.Int64
            )
    await asyncio.to_thread(
        line.wait, lambda: line.read("outfeed.unit.state") == [State.HELD], "the hold"
    )

    said = (
        "is not trusted",
        "Login refused  otto",
        "Login accepted  otto (operator) 127.0.0.1:",
        "outfeed.PackML.Reset: BadInvalidState",
        "outfeed.PackML.Hold: Good",
        "printer.wipe_after = 13: needs the rank of engineer",
    )

    def told() -> bool:
        text = at_desk(line, "journal", "--audit").stdout
        return all(each in text for each in said)

    await asyncio.to_thread(line.wait, told, "the audit log")


def at_desk(line: RunningLine, *arguments: object, said: str = "") -> Result:
    """A command of someone who looks at the running line, and what that one types."""
    env = {"CELLRT_STATE_DIR": str(line.folder / "state"), "COLUMNS": "160"}
    return CliRunner().invoke(app, [str(a) for a in arguments], env=env, input=said)


def test_held_by_a_person_stays_held_until_told(line: RunningLine) -> None:
    refused = at_desk(line, "cmd", "outfeed", "Unhold")
    assert refused.exit_code == 2 and "cellrt take" in refused.stderr
    assert at_desk(line, "take", "outfeed").exit_code == 0
    assert at_desk(line, "cmd", "outfeed", "Unhold").exit_code == 0
    line.wait(lambda: line.read("outfeed.unit.state") == [State.EXECUTE], "outfeed goes on")
    assert at_desk(line, "release", "outfeed").exit_code == 0
    commands = [e for _, e in line.events("event = 'Command' AND subject = 'outfeed'")]
    told = [(e["origin"], e["operation"], e["answer"]) for e in commands]
    assert told[-6:] == [
        ("Scada", "Packml", "NotInThisState"),
        ("Scada", "Packml", "Accepted"),
        ("Operator", "Packml", "NotInCommand"),
        ("Operator", "Commander", "Accepted"),
        ("Operator", "Packml", "Accepted"),
        ("Operator", "Commander", "Accepted"),
    ], "the supervisor kept out of it"


def test_command_line_shows_and_commands_the_running_line(line: RunningLine) -> None:
    tags = at_desk(line, "tags", "printer.paste_pct").stdout
    assert "printer.paste_pct" in tags and "%" in tags
    watched = at_desk(line, "watch", "printer.unit.state", "loader.serial", "--count", 1).stdout
    assert "printer.unit.state=6" in watched
    done = at_desk(line, "set", "printer.wipe_after", 11)
    assert done.exit_code == 0, done.stderr
    line.wait(lambda: line.read("printer.wipe_after") == [11], "the parameter")
    at_desk(line, "set", "printer.wipe_after", 12)
    at_desk(line, "take", "printer")
    refused = at_desk(line, "cmd", "printer", "Start")
    at_desk(line, "release", "printer")
    assert refused.exit_code == 2 and "NotInThisState" in refused.stderr
    assert "Parameter" in at_desk(line, "journal", "--subject", "printer.wipe_after").stdout


def test_same_line_twice_is_refused(line: RunningLine) -> None:
    refused = cellrt(line.folder / "state", "run", STATION, "--sim", "--opcua-port", 0)
    assert refused.returncode == 2
    assert "runs already" in refused.stderr and "CELLRT_STATE_DIR" in refused.stderr


def test_ports_in_use_are_named_with_who_asked(line: RunningLine, tmp_path: Path) -> None:
    refused = cellrt(tmp_path, "run", STATION, "--sim", "--opcua-port", line.opcua_port)
    assert refused.returncode == 2
    assert f"port {line.opcua_port} for the OPC UA server" in refused.stderr
    port = int(line.order["addresses"]["coupler"].rpartition(":")[2])
    refused = cellrt(tmp_path, "run", STATION, "--sim", "--opcua-port", 0, "--base-port", port)
    assert refused.returncode == 2
    assert f"port {port} for simulated device coupler" in refused.stderr


@pytest.fixture(scope="module")
def ended(line: RunningLine) -> dict[str, Any]:
    """The report of the line, drained by Ctrl-C after some boards."""
    line.wait(lambda: departed(line) >= BOARDS, "boards through the line")
    return line.end(signal.SIGINT)


def test_drained_line_is_stopped_and_its_boards_are_all_accounted_for(
    line: RunningLine, ended: dict[str, Any]
) -> None:
    assert {cell["state"] for cell in ended["cells"].values()} == {"Stopped"}
    boards = ended["boards"]
    gone = boards["completed"] + boards["rejected"] + boards["scrapped"]
    assert boards["completed"] >= BOARDS
    assert boards["entered"] == gone + boards["in_line"]
    census = json.loads((line.run_dir / "census.json").read_text())
    assert census["stored"] == gone and census["entered"] == boards["entered"]
    assert ended["cells"]["magazine"]["boards"] == gone


def test_report_has_every_key_with_sensible_values(ended: dict[str, Any]) -> None:
    report = ended
    assert report["line"] == "print-station" and report["speed"] == SPEED
    scan = report["scan"]
    assert scan["period_us"] == 10_000
    done = round(report["duration_s"] * 100) + 1
    assert scan["count"] + scan["overruns"] == done, "every scan is done or counted as missed"
    assert scan["scheduler"] in ("fifo", "other") and scan["back_to_back"] == 0
    assert scan["spins"] and 0 < scan["early_us"] < 0.6 * 10_000 / SPEED
    for times in (scan["wake_us"], scan["exec_us"]):
        assert 0 <= times["p50"] <= times["p99"] <= times["p999"] <= times["max"]
    age = report["input_age_ms"]
    assert 0 < age["p50"] <= age["p99"] <= age["max"]
    assert set(report["boards"]) == {
        *("entered", "completed", "rejected", "rework", "scrapped", "in_line")
    }
    assert set(report["io"]) == {"coupler", "printer", "safety"}
    for name, device in report["io"].items():
        assert device["ok"]
        assert 0 < device["age_ms"]["p50"] <= device["age_ms"]["p99"] <= device["age_ms"]["max"]
        assert (
            device["age_ms"]["max"] <= age["by_protocol"][device["protocol"]]["max"] <= age["max"]
        )
        assert device["protocol"] == ("opcua" if name == "safety" else "modbus")
        assert 0 < device["rtt_us"]["p50"] <= device["rtt_us"]["p99"]
    assert all(
        len(bytes.fromhex(report["hashes"][h])) == 32 for h in ("layout", "image", "journal")
    )
    host = report["host"]
    assert host["first_scan_s"] > host["compile_s"] > 0
    assert host["wall_s"] > report["duration_s"] / SPEED
    assert host["steal_ticks"] >= 0 and host["epochs"] == 1 and host["told"] == []


def test_journals_hash_is_of_its_lines(line: RunningLine, ended: dict[str, Any]) -> None:
    events = line.events()
    numbers = [number for number, _ in events]
    assert numbers == list(range(1, len(numbers) + 1))
    lines = "".join(canonical(e) + "\n" for _, e in events)
    assert hashlib.sha256(lines.encode()).hexdigest() == ended["hashes"]["journal"]


def test_boards_journeys_are_those_of_the_twin(line: RunningLine, ended: dict[str, Any]) -> None:
    events = [e for _, e in line.events()]
    real = through(journeys(events))
    assert len(real) >= BOARDS
    virtual = twin_journeys(len(real))
    assert real == {board: virtual[board] for board in real}


def test_ended_line_leaves_nothing_behind(line: RunningLine, ended: dict[str, Any]) -> None:
    assert not (line.folder / "state" / "print-station" / "control.sock").exists()
    assert not Path(line.order["ring"]).exists()
    assert not answers(f"127.0.0.1:{line.opcua_port}")


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="CELLRT_SOAK=1 runs it")
def test_fifty_boards_journeys_are_those_of_the_twin(tmp_path: Path) -> None:
    with running(tmp_path, STATION, "--sim", "--speed", SPEED) as line:
        line.wait(lambda: departed(line) >= 50, "fifty boards through the line", limit_s=600)
        line.end(signal.SIGTERM)
        real = through(journeys([e for _, e in line.events()]))
    virtual = twin_journeys(50)
    first = sorted(virtual)[:50]
    assert {b: real[b] for b in first} == {b: virtual[b] for b in first}
