"""Typed tags: how a cell, a function block or a simulated device declares the memory it lives in.

A `Record` subclass is an ordinary Python class whose annotations are its tags. It becomes one numpy
structured dtype, so that an image is a plain array of records and a scan is arithmetic on it:

>>> class Motor(Record):
...     run: bool = Var()
...     speed_mm_s: float = Var(200.0, unit="mm/s", low=0.0, high=400.0)
>>> Motor.dtype["speed_mm_s"]
dtype('float64')
>>> Motor.fields["speed_mm_s"].high
400.0

Only bool, int (int64), float (float64), other records and arrays of them are allowed: narrower types
give other results compiled than in plain Python. Widths on the wire belong to the device map.
"""

from __future__ import annotations

import enum
import inspect
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from cellrt.compiled import copy_record, erase_record

if typing.TYPE_CHECKING:
    from cellrt.interlock import Reactions

WORD = 8
"""Bytes of an int64 and a float64; every record is a whole number of words."""

Scalar = bool | int | float
T = TypeVar("T", bound="Record")


class DeclarationError(TypeError):
    """A class declares tags, steps or interlocks in a way that cannot be built; names the mend."""


class Role(enum.Enum):
    """Who writes a tag (IEC 61131-3: VAR, VAR_INPUT, VAR_OUTPUT); parameters: commands do."""

    VAR = "var"
    INPUT = "input"
    OUTPUT = "output"
    PARAMETER = "parameter"


@dataclass(frozen=True)
class Field:
    """What is declared of one tag. `kind` is bool, int, float or a `Record` subclass.

    `count` is the length of an array of records, 0 for a single one. `recipe`: a parameter that each
    recipe sets. `jog`: an output that a person may move by hand. `told`: every change is an event.
    """

    role: Role
    default: Scalar | None = None
    unit: str = ""
    low: float | None = None
    high: float | None = None
    retain: bool = False
    safe: Reactions | None = None
    doc: str = ""
    name: str = ""
    kind: type[Any] = object
    count: int = 0
    recipe: bool = False
    jog: bool = False
    told: bool = False

    @property
    def is_record(self) -> bool:
        return issubclass(self.kind, Record)


def Var(
    default: Scalar | None = None,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    retain: bool = False,
    told: bool = False,
    doc: str = "",
) -> Any:
    """A tag that only the logic writes. With `retain` its value outlives a crash and power cut.

    With `told` every change of it is an event, for the journal; a bool or an int.
    """
    return Field(Role.VAR, default, unit, low, high, retain, doc=doc, told=told)


def Input(
    *, unit: str = "", low: float | None = None, high: float | None = None, doc: str = ""
) -> Any:
    """A tag that a field device writes; `low`..`high` is the range it can show, in `unit`."""
    return Field(Role.INPUT, None, unit, low, high, doc=doc)


def Output(
    *,
    safe: Reactions | None = None,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    jog: bool = False,
    told: bool = False,
    doc: str = "",
) -> Any:
    """A tag that goes to a field device; `safe`: what becomes of it for each cause of a stop.

    With `jog` it may be moved by hand in Manual, the cell at rest and its interlocks well. With `told`
    every change of what the logic wants is an event, for the journal; a bool or an int.
    """
    return Field(Role.OUTPUT, None, unit, low, high, safe=safe, doc=doc, jog=jog, told=told)


def Parameter(
    default: Scalar,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    recipe: bool = False,
    doc: str = "",
) -> Any:
    """A tag that the line file sets and an operator may change within `low`..`high`; retained.

    With `recipe` it depends on the product: every recipe has a value for it.
    """
    return Field(Role.PARAMETER, default, unit, low, high, True, doc=doc, recipe=recipe)


class Array(Generic[T]):
    """Equal records in a row: `zones: Array[Zone] = array(8)` are `zones[0]` to `zones[7]`.

    Their tags are called `zones.0.heat`. An index that logic computes must lie within the array.
    """

    def __init__(self, records: Sequence[T]) -> None:
        self._records = records

    def __getitem__(self, index: int) -> T:
        return self._records[index]

    def __len__(self) -> int:
        return len(self._records)


def array(count: int) -> Any:
    """Declares the length of an `Array`."""
    return Field(Role.VAR, count=count)


class Record:
    """Base of everything that lives in an image. Instances exist only in plain mode, as proxies."""

    dtype: ClassVar[np.dtype[np.void]]
    looks_between: ClassVar[bool] = False
    """Scanned with a `dt_s` of 0 between its own scans, see `cellrt.assembly`."""

    fields: ClassVar[Mapping[str, Field]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.fields = _declared(cls)
        cls.dtype = _dtype(cls)

    def become(self: T, other: T) -> None:
        """Copy all tags of `other`."""
        copy_record(self, other)

    def erase(self) -> None:
        """Every tag to 0."""
        erase_record(self)

    @classmethod
    def type_name(cls) -> str:
        """`module:Class`, the name by which a line file refers to this type."""
        return f"{cls.__module__}:{cls.__qualname__}"

    @classmethod
    def zeros(cls, count: int = 1) -> np.ndarray[Any, np.dtype[np.void]]:
        """An array of `count` records at their declared defaults."""
        records = np.zeros(count, cls.dtype)
        for path, leaf in leaves(cls):
            if leaf.default is not None:
                view: Any = records
                for part in path.split("."):
                    view = view[:, int(part)] if part.isdecimal() else view[part]
                view[...] = leaf.default
        return records


@dataclass(frozen=True)
class Leaf:
    """One scalar tag inside a record: its dotted `path`, its `offset` from the start in bytes."""

    path: str
    offset: int
    field: Field = field(repr=False)


def leaves(cls: type[Record]) -> Iterator[tuple[str, Field]]:
    """Every scalar of a record, nested ones by dotted path, in the order of declaration."""
    for name, declared in cls.fields.items():
        if declared.is_record:
            below = list(leaves(declared.kind))
            for place in places(declared):
                yield from ((f"{place}.{path}", leaf) for path, leaf in below)
        else:
            yield name, declared


def places(declared: Field) -> Iterator[str]:
    """Names by which a record, or each record of an array, is found in the one around it."""
    if declared.count:
        yield from (f"{declared.name}.{n}" for n in range(declared.count))
    else:
        yield declared.name


def find(cls: type[Record], path: str) -> Leaf:
    """The scalar tag at a dotted `path`. Raises KeyError with what is no tag of its record."""
    offset, declared = reach(cls, path)
    if declared.is_record:
        raise KeyError(path)
    return Leaf(path, offset, declared)


def reach(cls: type[Record], path: str) -> tuple[int, Field]:
    """Offset and declaration of a tag or a record at a dotted `path`. Raises KeyError.

    Of an array only its records can be reached, `zones.0`; what is then declared has no `count`.
    """
    parts, offset = path.split("."), 0
    declared = Field(Role.VAR, kind=cls)
    while parts:
        name = parts.pop(0)
        if not declared.is_record or name not in declared.kind.fields:
            raise KeyError(name)
        offset += declared.kind.dtype.fields[name][1]
        declared = declared.kind.fields[name]
        if declared.count:
            number = parts.pop(0) if parts else ""
            if not (number.isdecimal() and int(number) < declared.count):
                raise KeyError(f"{name}.{number}")
            offset += int(number) * declared.kind.dtype.itemsize
            declared = replace(declared, count=0)
    return offset, declared


def _declared(cls: type[Record]) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for base in reversed(cls.__mro__[1:]):
        fields.update(base.__dict__.get("fields", {}) if issubclass(base, Record) else {})
    own = inspect.get_annotations(cls)
    for name, kind in typing.get_type_hints(cls).items():
        if typing.get_origin(kind) is ClassVar or name not in own:
            continue
        if name not in fields and hasattr(cls.__mro__[1], name):
            raise DeclarationError(f"{cls.type_name()}.{name}: every record has a {name} already")
        declared = cls.__dict__.get(name)
        if isinstance(kind, type) and issubclass(kind, Record) and declared is None:
            fields[name] = Field(Role.VAR, name=name, kind=kind)
        elif typing.get_origin(kind) is Array and isinstance(declared, Field):
            (each,) = typing.get_args(kind)
            if not (isinstance(each, type) and issubclass(each, Record) and declared.count > 0):
                raise DeclarationError(
                    f"{cls.type_name()}.{name}: an array is of records, `Array[Zone] = array(8)`"
                )
            fields[name] = replace(declared, name=name, kind=each)
        elif kind in (bool, int, float) and isinstance(declared, Field):
            if declared.told and kind is float:
                raise DeclarationError(
                    f"{cls.type_name()}.{name} is float and changes all the time; tell a bool or an int"
                )
            _check_default(f"{cls.type_name()}.{name}", kind, declared)
            fields[name] = replace(declared, name=name, kind=kind)
        else:
            raise DeclarationError(
                f"{cls.type_name()}.{name}: a tag is `name: bool | int | float = Var(...)`, "
                "Input(), Output() or Parameter(), a record without a value, or an Array"
            )
    return fields


def _check_default(where: str, kind: type[Any], declared: Field) -> None:
    value = declared.default
    if value is None:
        return
    fits: Any = (int, float) if kind is float else kind
    if not isinstance(value, fits) or (kind is not bool and isinstance(value, bool)):
        raise DeclarationError(f"{where} is {kind.__name__} but its default is {value!r}")
    low = -np.inf if declared.low is None else declared.low
    high = np.inf if declared.high is None else declared.high
    if not low <= value <= high:
        raise DeclarationError(f"{where}: its default {value} is outside {low}..{high}")


def _dtype(cls: type[Record]) -> np.dtype[np.void]:
    """Words first, then bools, then padding to a whole word: no gap whose bytes could differ.

    The first word's name is the type's own. Nothing is stored in it; it makes two types with the
    same tags two types, so that the compiler cannot take one's methods for the other's.
    """
    words = [f for f in cls.fields.values() if f.kind is not bool]
    bools = [f for f in cls.fields.values() if f.kind is bool]
    names, formats, offsets, at = [cls.type_name()], ["i8"], [0], WORD
    formats_any: list[Any] = [*formats]
    for each in (*words, *bools):
        form = each.kind.dtype if each.is_record else np.dtype(each.kind)
        if each.count:
            form = np.dtype((form, (each.count,)))
        names.append(each.name)
        formats_any.append(form)
        offsets.append(at)
        at += form.itemsize
    size = -(-at // WORD) * WORD
    return np.dtype({"names": names, "formats": formats_any, "offsets": offsets, "itemsize": size})
