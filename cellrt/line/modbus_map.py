"""The Modbus map of a line: which value lies at which address. Everything follows from the line file.

* There is one table of registers, read by functions 3 and 4 alike, and one of bits, read by 1 and 2.
  What may be written is written by 6, 16, 5 and 15, each value whole. Units are 0, 1 and 255.
* The line has the first block of both, each cell the next in the order of the file. A block is as
  many hundreds of addresses as it needs, the same in both tables; what is reserved reads as 0.
* A cell's block begins with what every cell has, always at the same places. Its own tags follow in
  the order of `tags` in `[modbus]`, else as the class declares them. So a cell at the end of the file
  and a tag at the end of its class, within its hundred, move nothing. The checksum is of every name,
  type and address, and of what may be written: another one, another map.
* f32: IEEE 754 single precision. i32, i64, u16, u32: whole numbers; an i64's last two registers alone
  are its lower 32 bits. High word first.
* What is read is of one scan, `line.age_ms` old. An input whose device is bad (`io_good` of its cell,
  bits of `devices`) shows what it showed last. A written value shows in the next snapshot.

Exceptions:

* 1, 2, 3 (function, address, value): nothing was changed, and asking again will not help. 2 also for
  what may not be written and for a part of a value; 3 also for a value out of its limits and for a
  command that the cell does not take in its present state.
* 4, of a read: no scan is heard of, and only the line's block can be read. Of a write: the scan did
  not answer; it may or may not have been carried out.
* 6: a write was not carried out and may be tried again: no scan is heard of, it was started anew, or
  it was asked too much at once.
* 11: another unit.

A write of several values is judged as a whole before anything is asked of the scan. When the scan
refuses one of them nevertheless, the others stand.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from cellrt.cell import Cell
from cellrt.declared import rules
from cellrt.line.spec import LineSpec, ModbusSpec
from cellrt.line.values import bounds
from cellrt.packml import Command, Mode, State
from cellrt.tags import Field, find
from cellrt.wire import Wire

ADDRESSES = 65_536
HUNDRED = 100

LINE = "line"
STATUS, CELLS, CHECKSUM, SCAN, EPOCH, AGE_MS, DEVICES_BAD, TIME_MS = 0, 1, 2, 4, 8, 10, 11, 12
LINE_WORDS = (
    (STATUS, "status", Wire.U16, "1: scanned; 0: no scan is heard of, and only this block is read"),
    (CELLS, "cells", Wire.U16, "number of cells"),
    (CHECKSUM, "checksum", Wire.U32, "of this map: another one, other addresses"),
    (SCAN, "scan", Wire.I64, "number of the scan that is shown"),
    (EPOCH, "epoch", Wire.U32, "starts of the scan process"),
    (AGE_MS, "age_ms", Wire.U16, "time since that scan began; 65535: that or longer"),
    (DEVICES_BAD, "devices_bad", Wire.U16, "devices that are not fresh and well"),
    (TIME_MS, "time_ms", Wire.I64, "time of that scan, ms since 1970-01-01 UTC"),
)
FIRST_DEVICE = 16
"""The line's bits: its status, and from here on whether each device is fresh and well."""


def _numbered(names: Iterable[tuple[int, str]]) -> str:
    return ", ".join(f"{number} {name}" for number, name in names)


def _numbers(kind: type[State] | type[Mode] | type[Command]) -> str:
    return _numbered((member.value, member.name.capitalize()) for member in kind)


UNIT_WORDS = (
    (0, "StateCurrent", Wire.U16, "state", _numbers(State)),
    (1, "UnitModeCurrent", Wire.U16, "mode", _numbers(Mode)),
    (2, "step", Wire.U16, "step", "step of the sequence inside Execute"),
    (3, "StopReason", Wire.U16, "first_out", "the interlock that tripped first"),
    (4, "cause", Wire.U16, "cause", "why the outputs are safe: 0 not, 1 stop .. 5 e-stop"),
    (5, "io_good", Wire.U16, "io_good", "1: every device the cell reads is fresh and well"),
    (6, "tripped", Wire.I64, "tripped", "bits of the interlocks tripped since the last Clear"),
    (10, "boards_in", Wire.U32, "boards_in", "boards taken over"),
    (12, "ProdProcessedCount", Wire.U32, "boards_out", "boards handed on"),
    (14, "ProdDefectiveCount", Wire.U32, "defective_out", "of these, failed ones"),
)
CNTRL_CMD, UNIT_MODE = "CntrlCmd", "UnitMode"
COMMANDS = (
    (16, CNTRL_CMD, Wire.U16, _numbers(Command)),
    (17, UNIT_MODE, Wire.U16, _numbers(Mode)),
)
COMMAND_NAMES = tuple(name for _, name, _, _ in COMMANDS)
UNIT_BITS = (
    (0, "io_good", "io_good", "every device the cell reads is fresh and well"),
    (1, "EquipmentStarved", "starved", "waits for a board"),
    (2, "EquipmentBlocked", "blocked", "waits to hand a board on"),
)
OWN_WORDS, OWN_BITS = 20, 10
"""Where a cell's own tags begin in its block."""


@dataclass(frozen=True)
class Entry:
    """One value: `name` in the line, where it lies, and the `tag` that it shows ("" for none).

    `field` is what the class declares of a cell's own tag.
    """

    address: int
    name: str
    wire: Wire
    meaning: str
    tag: str = ""
    writable: bool = False
    field: Field | None = None

    @property
    def width(self) -> int:
        """Registers, or bits."""
        return max(1, self.wire.bits // 16)

    @property
    def range(self) -> str:
        """Range and unit, `30..150 N`."""
        return f"{bounds(self.field)} {self.field.unit}".strip() if self.field else ""


@dataclass(frozen=True)
class ModbusMap:
    """Both tables, each in the order of addresses; `size` is how many addresses each has."""

    registers: tuple[Entry, ...]
    bits: tuple[Entry, ...]
    first_cell: int
    size: int

    @cached_property
    def checksum(self) -> int:
        """CRC-32 of every name, type and address, and of what may be written."""
        rows = (
            (e.address, e.name, e.wire.value, e.writable) for e in (*self.registers, *self.bits)
        )
        return zlib.crc32(repr(tuple(rows)).encode())

    def markdown(self) -> str:
        """The map for who is to connect to it."""
        parts = [(__doc__ or "").strip(), f"Checksum of this map: {self.checksum}"]
        for title, rows in (("Registers", self.registers), ("Bits", self.bits)):
            parts += [f"## {title}", _markdown(rows)]
        return "\n\n".join(parts)


def modbus_map(line: LineSpec) -> ModbusMap:
    """The map of a line that has one. Raises ValueError for one without `[modbus]`."""
    if line.modbus is None:
        raise ValueError(f"{line.path} has no Modbus server; add `[modbus]` with `port = 502`")
    cells = {name: cell.type for name, cell in line.cells.items()}
    return make_map(cells, tuple(line.devices), line.modbus)


def make_map(
    cells: Mapping[str, type[Cell]], devices: tuple[str, ...], spec: ModbusSpec
) -> ModbusMap:
    """The map of these cells and devices; it may be too long for Modbus."""
    words = [Entry(at, f"{LINE}.{name}", wire, doc) for at, name, wire, doc in LINE_WORDS]
    bits = [Entry(STATUS, f"{LINE}.status", Wire.BOOL, "as the register")]
    for number, device in enumerate(devices):
        name = f"devices.{device}"
        bits.append(Entry(FIRST_DEVICE + number, name, Wire.BOOL, "fresh and well"))
    first_cell = base = _hundreds(words, bits, 0)
    for cell, kind in cells.items():
        own = [tag for tag in spec.tags if tag.partition(".")[0] == cell]
        its_words = [*_unit_words(cell, kind, base, spec)]
        its_bits = [
            Entry(base + at, f"{cell}.{name}", Wire.BOOL, doc, f"{cell}.unit.{tag}")
            for at, name, tag, doc in UNIT_BITS
        ]
        fields = {tag: find(kind, tag.partition(".")[2]).field for tag in own}
        its_words += _own(
            base + OWN_WORDS, (t for t in own if fields[t].kind is not bool), fields, spec
        )
        its_bits += _own(base + OWN_BITS, (t for t in own if fields[t].kind is bool), fields, spec)
        words += its_words
        bits += its_bits
        base = _hundreds(its_words, its_bits, base)
    return ModbusMap(tuple(words), tuple(bits), first_cell, base)


def _unit_words(cell: str, kind: type[Cell], base: int, spec: ModbusSpec) -> Iterator[Entry]:
    """What every cell has; the class names its steps and interlocks."""
    named = {
        "step": _numbered(enumerate(kind.sequence.names)),
        "first_out": _numbered(enumerate(("none", *rules(kind)))),
    }
    for at, name, wire, tag, doc in UNIT_WORDS:
        full = f"{doc}: {named[tag]}" if named.get(tag) else doc
        yield Entry(base + at, f"{cell}.{name}", wire, full, f"{cell}.unit.{tag}")
    for at, name, wire, doc in COMMANDS:
        full = f"{cell}.{name}"
        yield Entry(base + at, full, wire, f"reads as 0; {doc}", writable=full in spec.write)


def _own(
    at: int, tags: Iterable[str], fields: Mapping[str, Field], spec: ModbusSpec
) -> Iterator[Entry]:
    """Tags one after another."""
    for tag in tags:
        field = fields[tag]
        entry = Entry(at, tag, wire_of(field), field.doc, tag, tag in spec.write, field)
        at += entry.width
        yield entry


def wire_of(field: Field) -> Wire:
    """How a tag is carried."""
    if field.kind is bool:
        return Wire.BOOL
    if field.kind is float:
        return Wire.F32
    low, high = field.low, field.high
    fits = low is not None and high is not None and Wire.I32.low <= low and high <= Wire.I32.high
    return Wire.I32 if fits else Wire.I64


def _hundreds(words: list[Entry], bits: list[Entry], base: int) -> int:
    """Where the next block begins."""
    end = max(entry.address + entry.width for entry in (*words, *bits))
    return base + -(-(end - base) // HUNDRED) * HUNDRED


def _markdown(rows: Iterable[Entry]) -> str:
    lines = [
        "| address | name | type | write | range | meaning |",
        "|---|---|---|---|---|---|",
    ]
    for entry in rows:
        last = entry.address + entry.width - 1
        where = f"{entry.address}" if entry.width == 1 else f"{entry.address}..{last}"
        what = (where, entry.name, entry.wire.value, "yes" if entry.writable else "")
        cells = (*what, entry.range, entry.meaning)
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)
