"""Register maps: complete, free of overlaps, printed, and what the line's maps were written to."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cellrt.tags import find
from cellrt.wire import Point, Wire
from hw_sim.aoi import Aoi
from hw_sim.buffer import Buffer
from hw_sim.coupler import Coupler
from hw_sim.device import SimDevice
from hw_sim.document import document
from hw_sim.placer import Placer
from hw_sim.printer import Printer
from hw_sim.reflow import Reflow
from hw_sim.robot import Robot
from hw_sim.safety_plc import SafetyPlc
from hw_sim.spi import Spi
from hw_sim.unloader import Unloader

DEVICES: tuple[type[SimDevice], ...] = (
    Coupler,
    Printer,
    Spi,
    Placer,
    Reflow,
    Buffer,
    Aoi,
    SafetyPlc,
    Robot,
    Unloader,
)
MAPS = Path(__file__).parents[1] / "cells"
WIDTHS = {Wire.U32: 2, Wire.I32: 2}


@pytest.mark.parametrize("device", DEVICES)
def test_every_point_is_a_tag_with_a_meaning(device: type[SimDevice]) -> None:
    for point in device.points:
        assert find(device, point.name).field.doc, point.name


@pytest.mark.parametrize("device", DEVICES)
def test_no_two_points_share_a_cell(device: type[SimDevice]) -> None:
    taken: set[tuple[str, int]] = set()
    for point in device.points:
        table, _, number = point.address.partition(":")
        for k in range(WIDTHS.get(point.wire, 1)):
            cell = (table, int(number or 0) + k)
            assert cell not in taken, point.address
            taken.add(cell)


@pytest.mark.parametrize("device", DEVICES)
def test_documentation_has_a_row_for_every_point(device: type[SimDevice]) -> None:
    rows = [line.split("|") for line in document(device).splitlines() if line.startswith("| ")]
    cells = {(row[1].strip(), row[3].strip(), row[7].strip()) for row in rows[1:]}
    written = device.written()
    assert cells == {
        (p.address, "write" if p in written else "read", p.name) for p in device.points
    }


def test_module_prints_the_documentation_of_all_devices() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "hw_sim"], capture_output=True, text=True, check=True, timeout=60
    )
    assert printed.stdout.strip() == "\n\n".join(document(device) for device in DEVICES)


def mapped(text: dict[str, Any], section: str) -> list[Point]:
    """The points of a device map as a line's author wrote it."""
    entries = text[section].items() if section in ("inputs", "outputs") else [("", text[section])]
    points = []
    for name, entry in entries:
        rest = dict(entry)
        wire, scale = Wire(rest.pop("type", "bool")), rest.pop("scale", 1.0)
        ((table, number),) = rest.items()
        address = str(number) if table == "node" else f"{table}:{number}"
        points.append(Point(name, address, wire, scale))
    return points


@pytest.mark.parametrize(
    ("file", "device"),
    [
        ("coupler.toml", Coupler),
        ("printer.toml", Printer),
        ("spi.toml", Spi),
        ("placer.toml", Placer),
        ("reflow.toml", Reflow),
        ("buffer.toml", Buffer),
        ("aoi.toml", Aoi),
        ("safety.toml", SafetyPlc),
        ("robot.toml", Robot),
        ("unloader.toml", Unloader),
    ],
)
def test_shipped_maps_agree_with_the_documentation(file: str, device: type[SimDevice]) -> None:
    text, what = tomllib.loads((MAPS / file).read_text()), device.device_map
    assert (text["protocol"], text.get("namespace", "")) == (what.protocol, what.namespace)
    assert text["watchdog_ms"] == what.watchdog_ms
    documented = {(p.address, p.wire, p.scale) for p in device.points}
    written = {p.address for p in device.written()}
    for section in ("heartbeat", "counter", "inputs", "outputs"):
        for point in mapped(text, section):
            assert (point.address, point.wire, point.scale) in documented, point
            assert (point.address in written) == (section in ("heartbeat", "outputs")), point
