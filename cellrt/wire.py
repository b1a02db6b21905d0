"""Points: single values as a device's documentation lists them, and their way into and out of an image.

On the way between a driver and an image every value is one int64, its *raw* value: 0 or 1, the integer
in the registers, or the bits of a float64. So a sample is an array of int64, whatever the protocol, and
scaling is done in one place, compiled, the same for real and simulated devices.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cellrt.compiled import inlined
from cellrt.tags import WORD, Leaf

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.uint32]


class Wire(enum.Enum):
    """Width of a value on the wire; `low` and `high` are the raw integers it can hold."""

    BOOL = "bool"
    I16 = "i16"
    U16 = "u16"
    I32 = "i32"
    U32 = "u32"
    I64 = "i64"
    F32 = "f32"
    F64 = "f64"

    @property
    def is_float(self) -> bool:
        return self in (Wire.F32, Wire.F64)

    @property
    def bits(self) -> int:
        return 1 if self is Wire.BOOL else int(self.value[1:])

    @property
    def low(self) -> int:
        return -(1 << (self.bits - 1)) if self.value[0] == "i" else 0

    @property
    def high(self) -> int:
        return (1 << (self.bits - (self.value[0] == "i"))) - 1

    @property
    def limits(self) -> tuple[int, int]:
        """Lowest and highest raw integer; a float's raw value is its bits and has none."""
        return (0, 0) if self.is_float else (self.low, self.high)


@dataclass(frozen=True)
class Point:
    """One value of a device. `value = raw * scale + offset` where the raw value is an integer.

    `address` is `coil:3`, `discrete:3`, `holding:10`, `input:4` (Modbus, zero-based; 32-bit values
    take two registers, high word first) or the string identifier of a node (OPC UA).
    """

    name: str
    address: str
    wire: Wire
    scale: float = 1.0
    offset: float = 0.0

    def value(self, raw: int) -> bool | int | float:
        """What a raw value stands for.

        >>> Point("level", "input:1", Wire.U16, scale=0.5).value(9)
        4.5
        """
        if self.wire is Wire.BOOL:
            return raw != 0
        if self.wire.is_float:
            return float(np.int64(raw).view(np.float64))
        plain = self.scale == 1.0 and self.offset == 0.0
        return raw if plain else raw * self.scale + self.offset


@dataclass(frozen=True)
class DeviceMap:
    """What a device has on its network: what the line reads, what it writes, and the two counters.

    The device goes safe by itself when `heartbeat` (the scan's counter, which the line writes) stands
    still for `watchdog_ms`; the line distrusts the device when its own `counter` stands still.
    """

    protocol: str
    inputs: tuple[Point, ...]
    outputs: tuple[Point, ...]
    heartbeat: Point | None = None
    counter: Point | None = None
    watchdog_ms: float = 500.0
    unit_id: int = 1
    namespace: str = ""
    path: str = ""

    def find(self, name: str) -> Point:
        """The input or output called `name`. Raises KeyError."""
        return {p.name: p for p in (*self.inputs, *self.outputs)}[name]


class Kind(enum.IntEnum):
    """How a raw value and a tag's value relate."""

    BOOL = 0
    INT = 1
    SCALED = 2
    REAL = 3
    REAL32 = 4


Alike = tuple[Kind, int, int]
"""A kind, and the lowest and the highest raw value that a wire can carry."""


FIRST, END, KIND, GROUP, LOW, HIGH = range(6)
"""What a stretch of rows is: first row, row behind the last, `Kind` of all of them, group, lowest and
highest raw value that their wire can carry."""


class Wiring(NamedTuple):
    """Points joined to tags, as tables for compiled code.

    `runs`, `whole`, `rows` int64[n, 6] are three ways through the same rows, stretch by stretch (columns
    FIRST to HIGH). A run is of one group, what is `whole` is of all of them, and in `rows` each row stands
    alone. The longer a stretch, the less a row costs; rows in the order of `alike` have the longest ones.

    By row: `tags` uint32, the tag's place in the image, as a byte for a bool and as a word for all others;
    `raws` uint32, the index of its raw value; `scales`, `offsets` float64.
    """

    runs: Ints
    whole: Ints
    rows: Ints
    tags: Places
    raws: Places
    scales: Floats
    offsets: Floats


def wiring(
    joined: Sequence[tuple[Point, Leaf]],
    raw: Sequence[int] | None = None,
    groups: Sequence[int] | None = None,
) -> Wiring:
    """Tables for points and the tags (offsets from the image's start) that they are joined to.

    `raw[n]` is the index of row n's raw value (its own number if not given; a point may have many tags),
    `groups[n]` the number of the group to which it belongs. Raises ValueError where tag and point do not
    fit.
    """
    kinds = [kind_of(point, leaf) for point, leaf in joined]
    places = [
        leaf.offset if kind is Kind.BOOL else leaf.offset // WORD
        for kind, (_, leaf) in zip(kinds, joined, strict=True)
    ]
    like = [alike(point, leaf) for point, leaf in joined]
    group = [0] * len(kinds) if groups is None else groups
    return Wiring(
        _stretches(like, group, list(zip(like, group, strict=True))),
        _stretches(like, [0] * len(kinds), like),
        _stretches(like, group, range(len(kinds))),
        np.array(places, np.uint32),
        np.array(range(len(kinds)) if raw is None else raw, np.uint32),
        np.array([p.scale for p, _ in joined], np.float64),
        np.array([p.offset for p, _ in joined], np.float64),
    )


def _stretches(like: Sequence[Alike], groups: Sequence[int], same: Sequence[object]) -> Ints:
    """Stretches of rows that have the same in `same`."""
    stretches: list[list[int]] = []
    for n, (kind, *limits) in enumerate(like):
        if n and same[n] == same[n - 1]:
            stretches[-1][END] = n + 1
        else:
            stretches.append([n, n + 1, kind, groups[n], *limits])
    return np.array(stretches, np.int64).reshape(-1, 6)


def alike(point: Point, leaf: Leaf) -> Alike:
    """What all rows of a stretch have in common. Raises ValueError as `kind_of` does."""
    return kind_of(point, leaf), *point.wire.limits


def kind_of(point: Point, leaf: Leaf) -> Kind:
    """Raises ValueError where a tag of this type cannot be joined to a point of this width."""
    tag = leaf.field.kind
    if tag is bool and point.wire is Wire.BOOL:
        return Kind.BOOL
    if tag is float and point.wire.is_float:
        return Kind.REAL32 if point.wire is Wire.F32 else Kind.REAL
    if tag is float and point.wire is not Wire.BOOL:
        return Kind.SCALED
    if tag is int and not point.wire.is_float and point.scale == 1.0 and point.offset == 0.0:
        return Kind.INT
    raise ValueError(
        f"{leaf.path} is {tag.__name__} but {point.name} at {point.address} is {point.wire.value}"
        f"{'' if point.scale == 1.0 else ' scaled'}"
    )


class Views(NamedTuple):
    """One buffer seen three ways, so that compiled code needs no pointers."""

    words: Ints
    reals: Floats
    bytes: npt.NDArray[np.uint8]


def views(buffer: Any) -> Views:
    """Views of a writable buffer whose length is a whole number of words."""
    return Views(
        np.frombuffer(buffer, np.int64),
        np.frombuffer(buffer, np.float64),
        np.frombuffer(buffer, np.uint8),
    )


@inlined
def scatter(wires: Wiring, stretch: Ints, raw: Ints, raw_reals: Floats, image: Views) -> None:
    """Raw values of the rows of a stretch into their tags. `raw_reals` is `raw` seen as float64."""
    tags, raws, kind = wires.tags, wires.raws, stretch[KIND]
    if kind == 0:
        for n in range(stretch[FIRST], stretch[END]):
            image.bytes[tags[n]] = 1 if raw[raws[n]] != 0 else 0
    elif kind == 1:
        for n in range(stretch[FIRST], stretch[END]):
            image.words[tags[n]] = raw[raws[n]]
    elif kind == 2:
        for n in range(stretch[FIRST], stretch[END]):
            image.reals[tags[n]] = raw[raws[n]] * wires.scales[n] + wires.offsets[n]
    else:
        for n in range(stretch[FIRST], stretch[END]):
            image.reals[tags[n]] = raw_reals[raws[n]]


@inlined
def gather(wires: Wiring, stretch: Ints, raw: Ints, raw_reals: Floats, image: Views) -> None:
    """The tags of the rows of a stretch into their raw values, within what the wire can carry."""
    tags, raws, kind = wires.tags, wires.raws, stretch[KIND]
    low, high = stretch[LOW], stretch[HIGH]
    if kind == 0:
        for n in range(stretch[FIRST], stretch[END]):
            raw[raws[n]] = 1 if image.bytes[tags[n]] != 0 else 0
    elif kind == 1:
        for n in range(stretch[FIRST], stretch[END]):
            raw[raws[n]] = min(max(image.words[tags[n]], low), high)
    elif kind == 2:
        for n in range(stretch[FIRST], stretch[END]):
            exact = (image.reals[tags[n]] - wires.offsets[n]) / wires.scales[n]
            raw[raws[n]] = counts(exact, low, high)
    elif kind == 3:
        for n in range(stretch[FIRST], stretch[END]):
            raw_reals[raws[n]] = image.reals[tags[n]]
    else:
        for n in range(stretch[FIRST], stretch[END]):
            raw_reals[raws[n]] = np.float32(image.reals[tags[n]])


@inlined
def counts(exact: float, low: int, high: int) -> int:
    """The nearest integer to `exact` that a wire from `low` to `high` can carry."""
    if exact >= high:
        return high
    return int(np.floor(exact + 0.5)) if exact > low else low  # NaN too
