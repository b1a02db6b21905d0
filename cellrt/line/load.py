"""A line file, loaded: a `LineSpec`, or every problem in it and in its device maps at once."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cellrt import MS
from cellrt.cell import Cell
from cellrt.line.copies import load_copies
from cellrt.line.device_map import LoadedMap, load_map
from cellrt.line.join import Joiner, Joint, check_stations
from cellrt.line.modbus import exposure, modbus
from cellrt.line.model import DeviceTable, LineTable
from cellrt.line.neighbours import handovers, sim
from cellrt.line.problem import LineError, choose
from cellrt.line.recipes import begin_with_recipe
from cellrt.line.resolve import ResolveError, find_map, resolve, resolve_cell, search_beside
from cellrt.line.scada import opcua
from cellrt.line.source import Source, parse, read
from cellrt.line.spec import CellSpec, DeviceSpec, LineSpec, TaskSpec
from cellrt.line.tables import Tables, tables
from cellrt.line.tasks import tasks
from cellrt.line.values import Values

__all__ = ["LineError", "load_line", "sim_classes"]

HOST = r"([\w.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})"
ADDRESSES = {
    "modbus": (re.compile(HOST), '"host:port", such as "192.168.1.20:502"'),
    "opcua": (re.compile(rf"opc\.tcp://{HOST}(/\S*)?"), '"opc.tcp://192.168.1.30:4840"'),
}
PERIODS_NS = sorted(2**a * 5**b for a in range(10) for b in range(10))
"""What divides a second: a base period is one of these, so that seconds begin with a scan."""


def load_line(path: Path) -> LineSpec:
    """The line described by the file at `path`. Raises LineError with every problem found.

    Puts the file's folder first on the import path: cells and simulations may lie there.
    """
    source = read(path)
    search_beside(path)
    if "copies" in source.data:
        return load_copies(source, path, _line)
    return _line(source, path)


def _line(source: Source, path: Path) -> LineSpec:
    """The line that the tables of a source describe; maps and recipes are looked for beside `path`."""
    file = tables(source)
    kinds = _kinds(file, source)
    period_ns = _period_ns(file.line, kinds, source) if file.line else 0
    maps = _maps(file, kinds, path, source)
    devices = _devices(file, maps, period_ns, source)
    cells = _cells(file, kinds, maps, source)
    if file.line and file.line.recipes:
        cells = begin_with_recipe(path.parent / file.line.recipes, cells, source)
    _check_fit(cells, source)
    between = handovers(file, kinds, source)
    plant = sim(file, source)
    _check_safety(file, source)
    paced = _tasks(file, kinds, period_ns, source) if period_ns else {}
    scada = opcua(file.opcua, file.cells, cells, source)
    served = modbus(file, kinds, source)
    if source.problems or file.line is None:
        raise LineError(source.problems)
    warnings = dict.fromkeys(str(w) for loaded in maps.values() if loaded for w in loaded.warnings)
    warnings.update(dict.fromkeys(exposure(served, source)))
    return LineSpec(
        file.line.name,
        path,
        period_ns,
        file.line.seed,
        devices,
        cells,
        between,
        plant,
        file.line.unattended,
        tuple(warnings),
        source.text,
        tuple(file.line.safety),
        file.line.recipes,
        scada,
        served,
        file.line.takt_s,
        paced,
    )


def sim_classes(line: LineSpec) -> dict[str, Any]:
    """What simulates each device that has a `sim`. Raises LineError with every wrong name."""
    source = parse(line.text, str(line.path))
    classes: dict[str, Any] = {}
    for name, sim_name in ((d.name, d.sim) for d in line.devices.values() if d.sim):
        try:
            classes[name] = resolve(sim_name)
        except ResolveError as error:
            source.fault(("devices", name, "sim"), error.what, error.mend)
    if source.problems:
        raise LineError(source.problems)
    return classes


def _kinds(file: Tables, source: Source) -> dict[str, type[Cell] | None]:
    """Each cell's class; None where it cannot be had."""
    kinds: dict[str, type[Cell] | None] = {}
    for name, cell in file.cells.items():
        kinds[name] = None
        if cell is not None:
            try:
                kinds[name] = resolve_cell(cell.type)
            except ResolveError as error:
                source.fault(("cells", name, "type"), error.what, error.mend)
    return kinds


def _period_ns(line: LineTable, kinds: Mapping[str, type[Cell] | None], source: Source) -> int:
    """The base period, which divides a second and every cell's own period."""
    period_ns = round(line.period_ms * 1e6)
    if period_ns not in PERIODS_NS:
        handy = [p for p in PERIODS_NS if p % (MS if period_ns > MS else MS // 20) == 0]
        below = max(p for p in handy if p < period_ns)
        above = min(p for p in handy if p > period_ns)
        what = f"period_ms = {line.period_ms:g} does not divide a second into whole scans"
        mend = f"take {below / 1e6:g} or {above / 1e6:g}"
        source.fault(("line", "period_ms"), what, mend)
    for name, kind in kinds.items():
        if kind is not None and not _is_multiple(kind.period_ms, period_ns):
            what = (
                f"{kind.type_name()} is scanned every {kind.period_ms} ms, "
                f"no multiple of the base period of {line.period_ms:g} ms"
            )
            mend = "change its `period_ms`, or that of [line] to one that divides it"
            source.fault(("cells", name, "type"), what, mend)
    return period_ns


def _tasks(
    file: Tables, kinds: Mapping[str, type[Cell] | None], period_ns: int, source: Source
) -> dict[str, TaskSpec]:
    """Tasks of the cells whose period is well."""
    well = [k if k and _is_multiple(k.period_ms, period_ns) else None for k in kinds.values()]
    return tasks(file.tasks, well, period_ns, source)


def _is_multiple(period_ms: object, base_ns: int) -> bool:
    if not isinstance(period_ms, int | float) or not 0 <= period_ms < 1e9:
        return False
    return round(period_ms * 1e6) % base_ns == 0


def _maps(
    file: Tables,
    kinds: Mapping[str, type[Cell] | None],
    path: Path,
    source: Source,
) -> dict[str, LoadedMap | None]:
    """Each device's map; None where it cannot be had."""
    maps: dict[str, LoadedMap | None] = {}
    for name, device in file.devices.items():
        maps[name] = None
        if device is not None:
            try:
                maps[name] = load_map(find_map(device.map, path, filter(None, kinds.values())))
            except ResolveError as error:
                source.fault(("devices", name, "map"), error.what, error.mend)
            except LineError as error:
                source.problems.extend(error.problems)
    return maps


def _devices(
    file: Tables,
    maps: Mapping[str, LoadedMap | None],
    period_ns: int,
    source: Source,
) -> dict[str, DeviceSpec]:
    devices: dict[str, DeviceSpec] = {}
    for name, table in file.devices.items():
        loaded = maps[name]
        if table is None or loaded is None:
            continue
        _check_device(name, table, loaded, period_ns / 1e6, source)
        times = table.poll_ms, table.stale_ms, table.recover_ms
        devices[name] = DeviceSpec(name, loaded.map, table.address, *times, table.sim)
    check_stations(devices.values(), source)
    return devices


def _check_safety(file: Tables, source: Source) -> None:
    """`[line] safety` names devices."""
    for place, name in enumerate(file.line.safety if file.line else ()):
        if name not in file.devices:
            mend = choose(name, file.devices)
            source.fault(("line", "safety", place), f"no device {name!r} for safety", mend)


def _check_device(
    name: str, table: DeviceTable, loaded: LoadedMap, period_ms: float, source: Source
) -> None:
    """Address and times of one device. One lost poll must neither make it bad nor make it safe."""
    pattern, example = ADDRESSES[loaded.map.protocol]
    match = pattern.fullmatch(table.address)
    if match is None or not 0 < int(match["port"]) < 65536:
        what = f"{table.address!r} is no address for {loaded.map.protocol}"
        source.fault(("devices", name, "address"), what, f"write {example}")
    if table.stale_ms < 2 * table.poll_ms:
        what = f"{name} is stale after {table.stale_ms:g} ms but polled every {table.poll_ms:g} ms"
        mend = f"let `stale_ms` be {2 * table.poll_ms:g} or more: one lost poll stops no line"
        source.fault(("devices", name, "stale_ms"), what, mend)
    heard_ms = max(table.poll_ms, period_ms)
    if loaded.map.heartbeat is not None and loaded.map.watchdog_ms < 2 * heard_ms:
        watchdog = f"{name}'s watchdog of {loaded.map.watchdog_ms:g} ms"
        what = f"{watchdog} hears the scan only every {heard_ms:g} ms"
        mend = "poll it, and scan, at least twice in that time"
        source.fault(("devices", name, "poll_ms"), what, mend)
    elif loaded.map.heartbeat is not None and table.stale_ms >= loaded.map.watchdog_ms:
        alone = f"{name} goes safe by itself after {loaded.map.watchdog_ms:g} ms"
        what = f"{alone}, but is stale only after {table.stale_ms:g} ms"
        mend = f"let `stale_ms` be below {loaded.map.watchdog_ms:g}: the line must notice it first"
        source.fault(("devices", name, "stale_ms"), what, mend)


def _cells(
    file: Tables,
    kinds: Mapping[str, type[Cell] | None],
    maps: Mapping[str, LoadedMap | None],
    source: Source,
) -> dict[str, CellSpec]:
    joiner = Joiner(source, maps, file.io)
    cells: dict[str, CellSpec] = {}
    joints: list[Joint] = []
    for name, table in file.cells.items():
        kind = kinds[name]
        if table is None or kind is None:
            continue
        values = Values(name, kind, table, source)
        own = joiner.joints(name, kind, table)
        joints += own
        io = {joint.leaf.path: joint.place for joint in own}
        cells[name] = CellSpec(name, kind, values.params(), io, values.safe())
        for finding in _findings(kind):
            what = f"{kind.type_name()}: {finding}"
            source.fault(("cells", name, "type"), what, "mend it in the class")
    joiner.check_writers(joints)
    if all(kinds.values()):
        joiner.check_shared(cell.type for cell in cells.values())
    return cells


def _check_fit(cells: Mapping[str, CellSpec], source: Source) -> None:
    """Parameters that are each within their limits must also do together."""
    for name, cell in cells.items():
        if why := cell.type.unfit(cell.parameters):
            source.fault(("cells", name, "params"), f"{name}: {why}", "change its `params`")


def _findings(kind: type[Cell]) -> list[str]:
    """What compiled and plain Python would do differently in this class."""
    try:
        check = importlib.import_module("cellrt.check")
    except ModuleNotFoundError:
        return []
    return [str(finding) for finding in check.findings(kind)]
