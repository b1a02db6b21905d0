"""A line as the rest of cellrt knows it: checked, complete, and free of any file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from pathlib import Path

from cellrt.cell import Cell
from cellrt.interlock import Reactions
from cellrt.tags import Role, Scalar, leaves
from cellrt.wire import DeviceMap


@dataclass(frozen=True)
class DeviceSpec:
    """A device of the line.

    Its inputs are bad when no fresh sample came for `stale_ms` (wall time), and count again after
    `recover_ms` of good ones. `sim` is the `module:Class` that stands in for it.
    """

    name: str
    map: DeviceMap
    address: str
    poll_ms: float
    stale_ms: float
    recover_ms: float
    sim: str | None


@dataclass(frozen=True)
class CellSpec:
    """A cell of the line. `io` and `safe` are complete: every input and output, every cause.

    `params` holds the parameters that the line file sets, `io` maps a tag's path to (device, point)
    and `safe` an output's path to its reactions.
    """

    name: str
    type: type[Cell]
    params: Mapping[str, Scalar]
    io: Mapping[str, tuple[str, str]]
    safe: Mapping[str, Reactions]

    @property
    def parameters(self) -> dict[str, Scalar]:
        """Every parameter by tag: as the line file or a recipe sets it, else its default."""
        tags = {t: f for t, f in leaves(self.type) if f.role is Role.PARAMETER}
        defaults: dict[str, Scalar] = {
            t: f.default for t, f in tags.items() if f.default is not None
        }
        return defaults | dict(self.params)


class Policy(IntEnum):
    """What follows when a task overruns; `cellrt.scan.meter` says when it does."""

    SKIP = 0
    DEGRADE = 1
    SAFE_STOP = 2


INTERLOCKS = "interlocks"
"""The task that every line has: the scan as a whole, in which interlocks are looked at."""


@dataclass(frozen=True)
class TaskSpec:
    """The cells of one period. `policy` is followed after `after` overruns in a row; None: as many as
    `cellrt.scan.tasks` says. `budget_us` is what one scan of them may take; None: all of their period."""

    name: str
    period_ns: int
    policy: Policy = Policy.SKIP
    budget_us: float | None = None
    after: int | None = None


@dataclass(frozen=True)
class RecipeSpec:
    """What the cells work by for one product: settings by cell and tag, as the file at `path` has them."""

    number: int
    name: str
    version: int
    path: str
    settings: Mapping[str, Mapping[str, Scalar]]


@dataclass(frozen=True)
class HandoverSpec:
    """Neighbours, "infeed>printer", and their ports' paths, "infeed.outfeed", "printer.infeed"."""

    name: str
    upstream: str
    downstream: str

    @property
    def giver(self) -> str:
        """The cell upstream."""
        return self.upstream.partition(".")[0]

    @property
    def taker(self) -> str:
        """The cell downstream."""
        return self.downstream.partition(".")[0]


@dataclass(frozen=True)
class SimSpec:
    """How the simulated plant is put together: belts from end to end, the power, what one device
    senses of another (pairs of tags), and how it is found when it is switched on (tags' values).

    The whole of it is there once for each of the `prefixes`, which stand before its devices' names.
    """

    belts: tuple[tuple[str, str], ...] = ()
    power: str | None = None
    wires: tuple[tuple[str, str], ...] = ()
    start: Mapping[str, Scalar] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class OpcuaSpec:
    """The OPC UA server: where it listens, the rank of clients without a name, tags with a history."""

    listen: str = "127.0.0.1"
    anonymous: str = "viewer"
    history: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModbusSpec:
    """The line as a Modbus TCP server. `tags` are shown beside what every cell shows, in this order
    within each cell; `write`, some of them or cells' commands (`printer.CntrlCmd`), may be written.
    """

    host: str
    port: int
    tags: tuple[str, ...]
    write: tuple[str, ...]


@dataclass(frozen=True)
class LineSpec:
    """A line, ready to be planned. `unattended`: it may restart by itself when armed locally.

    `tasks` are those that the line file declares. No point of a device in `safety` may be forced.
    `recipes` is the folder of its recipes, as seen from the folder of the line file; "" for none. From
    board to board the line is planned to take `takt_s`; 0: not told. `copied` is the file, seen from the
    same folder, of which it is copies; "" for none. `warnings` are lines to show to whoever starts it;
    `text` is the line file as it was read.
    """

    name: str
    path: Path
    period_ns: int
    seed: int
    devices: Mapping[str, DeviceSpec]
    cells: Mapping[str, CellSpec]
    handovers: tuple[HandoverSpec, ...]
    sim: SimSpec
    unattended: bool
    warnings: tuple[str, ...]
    text: str
    safety: tuple[str, ...] = ()
    recipes: str = ""
    opcua: OpcuaSpec = OpcuaSpec()
    modbus: ModbusSpec | None = None
    takt_s: float = 0.0
    tasks: Mapping[str, TaskSpec] = field(default_factory=dict)
    copied: str = ""

    @cached_property
    def first_cells(self) -> frozenset[str]:
        """Cells that hand boards on and are handed none."""
        return frozenset(self._feeding - {h.taker for h in self.handovers})

    @cached_property
    def last_cells(self) -> frozenset[str]:
        """Cells that hand boards to no other cell."""
        return frozenset(self.cells.keys() - self._feeding)

    @property
    def _feeding(self) -> set[str]:
        return {h.giver for h in self.handovers}

    def copy_of(self, name: str) -> str:
        """Which copy a cell or device is of, `line_03`; "" where the line is no copies."""
        found = (p for p in self.sim.prefixes if p and name.startswith(p))
        return next(found, "").rstrip("_")
