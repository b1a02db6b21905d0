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

from cellrt.compiled import compiled
from cellrt.tags import Leaf

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


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


class Wiring(NamedTuple):
    """Points joined to tags, as tables for compiled code.

    `places` int64[n, 5]: byte offset of the tag in the image, `Kind`, lowest and highest raw value, and
    the index of the raw value (the row's own number unless said otherwise; a point may have many tags).
    `factors` float64[n, 2]: scale and offset.
    """

    places: Ints
    factors: Floats


def wiring(joined: Sequence[tuple[Point, Leaf]], raw: Sequence[int] | None = None) -> Wiring:
    """Tables for points and the tags (offsets from the image's start) that they are joined to.

    `raw[n]` is the index of row n's raw value. Raises ValueError where tag and point do not fit.
    """
    places = np.zeros((len(joined), 5), np.int64)
    factors = np.ones((len(joined), 2), np.float64)
    for row, (point, leaf) in enumerate(joined):
        index = row if raw is None else raw[row]
        places[row] = leaf.offset, kind_of(point, leaf), *point.wire.limits, index
        factors[row] = point.scale, point.offset
    return Wiring(places, factors)


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


@compiled
def scatter(
    wires: Wiring, first: int, last: int, raw: Ints, raw_reals: Floats, image: Views
) -> None:
    """Raw values of rows first..last-1 into their tags. `raw_reals` is `raw` seen as float64."""
    for n in range(first, last):
        at, kind, source = wires.places[n, 0], wires.places[n, 1], wires.places[n, 4]
        if kind == 0:
            image.bytes[at] = 1 if raw[source] != 0 else 0
        elif kind == 1:
            image.words[at >> 3] = raw[source]
        elif kind == 2:
            image.reals[at >> 3] = raw[source] * wires.factors[n, 0] + wires.factors[n, 1]
        else:
            image.reals[at >> 3] = raw_reals[source]


@compiled
def gather(wires: Wiring, n: int, raw: Ints, raw_reals: Floats, image: Views) -> None:
    """The tag of row n into its raw value, within what the wire can carry."""
    at, kind, target = wires.places[n, 0], wires.places[n, 1], wires.places[n, 4]
    low, high = wires.places[n, 2], wires.places[n, 3]
    if kind == 0:
        raw[target] = 1 if image.bytes[at] != 0 else 0
    elif kind == 1:
        raw[target] = min(max(image.words[at >> 3], low), high)
    elif kind == 2:
        counts = (image.reals[at >> 3] - wires.factors[n, 1]) / wires.factors[n, 0]
        if counts >= high:
            raw[target] = high
        elif counts > low:
            raw[target] = int(np.floor(counts + 0.5))
        else:  # NaN comes here too
            raw[target] = low
    elif kind == 3:
        raw_reals[target] = image.reals[at >> 3]
    else:
        raw_reals[target] = np.float32(image.reals[at >> 3])
