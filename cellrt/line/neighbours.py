"""Who hands boards to whom, and how the simulated plant stands between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cellrt.cell import Cell
from cellrt.handover import Infeed, Outfeed
from cellrt.line.problem import choose
from cellrt.line.source import Keys, Source
from cellrt.line.spec import HandoverSpec, SimSpec
from cellrt.line.tables import Tables
from cellrt.tags import Record


def handovers(
    file: Tables, kinds: Mapping[str, type[Cell] | None], source: Source
) -> tuple[HandoverSpec, ...]:
    """One handover for each `to`, in the order of the file; no infeed has two of them."""
    made: list[HandoverSpec] = []
    for name, cell in file.cells.items():
        if cell is None or cell.to is None:
            continue
        keys: Keys = ("cells", name, "to")
        target, dot, port = cell.to.partition(".")
        if target not in file.cells or (dot and not port):
            mend = choose(target, (c for c in file.cells if c != name))
            source.fault(keys, f"unknown cell {cell.to!r} to hand over to", mend)
        elif target == name:
            what = f"{name} hands over to itself"
            source.fault(keys, what, "name the next cell")
        else:
            up = _port(name, kinds[name], Outfeed, "", keys, source)
            down = _port(target, kinds[target], Infeed, port, keys, source)
            if up and down:
                made.append(HandoverSpec(f"{name}>{target}", f"{name}.{up}", f"{target}.{down}"))
    _one_upstream(made, source)
    return tuple(made)


def _port(
    name: str,
    kind: type[Cell] | None,
    port_type: type[Record],
    wanted: str,
    keys: Keys,
    source: Source,
) -> str | None:
    """The port called `wanted`; without one the cell's `infeed` or `outfeed`, or its only one."""
    if kind is None:
        return None
    usual = port_type.__name__.lower()
    ports = [f.name for f in kind.fields.values() if f.kind is port_type]
    if wanted in ports:
        return wanted
    if not wanted and (usual in ports or len(ports) == 1):
        return usual if usual in ports else ports[0]
    if wanted or len(ports) > 1:
        what = f"{name} has no {port_type.__name__} {wanted or usual!r}"
        mend = choose(wanted or usual, ports)
    else:
        what = f"{name} ({kind.type_name()}) has no {port_type.__name__}"
        mend = f"declare `{usual}: {port_type.__name__}` in it, or drop `to`"
    source.fault(keys, what, mend)
    return None


def _one_upstream(made: Iterable[HandoverSpec], source: Source) -> None:
    taken: dict[str, str] = {}
    for each in made:
        upstream = each.upstream.partition(".")[0]
        first = taken.setdefault(each.downstream, upstream)
        if first != upstream:
            what = f"{upstream} and {first} both hand over to {each.downstream}"
            mend = 'give each its own infeed: `to = "cell.port"`'
            source.fault(("cells", upstream, "to"), what, mend)


def sim(file: Tables, source: Source) -> SimSpec:
    """Belts and power of the plant. What ends a device has is for the simulation to check."""
    table = file.sim
    belts = tuple((first, second) for first, second in table.belts)
    wires = tuple((first, second) for first, second in table.wires)
    named: list[tuple[Keys, str]] = [(("sim", "belts"), end) for belt in belts for end in belt]
    named += [(("sim", "wires"), end) for wire in wires for end in wire]
    if table.power is not None:
        named.append((("sim", "power"), table.power))
    named += [(("sim", "start", tag), tag) for tag in table.start]
    for keys, end in named:
        device = end.partition(".")[0]
        if device not in file.devices:
            mend = choose(device, file.devices)
            source.fault(keys, f"unknown device {device!r} in {end!r}", mend)
    return SimSpec(belts, table.power, wires, table.start)
