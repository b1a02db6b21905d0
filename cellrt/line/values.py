"""Values that a line file sets in a cell: parameters and safe reactions.

```toml
params = { speed_mm_s = 200.0 }
params."lanes" = [{ part = 101 }, { part = 102 }]        # `lanes.0.part`, `lanes.1.part`
safe.run = false                                         # at once, whatever the cause
safe.run = { run_out_s = 30.0, value = false }           # later, whatever the cause
safe.run = { stop = { hold_s = 2.0, value = false } }    # by cause; the class's for the others
```
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cellrt.interlock import CAUSES, Cause, Reaction, Reactions, always, hold, run_out, to
from cellrt.line.model import DAY_S, INT64_MAX, CellTable, ReactionTable, shaped, shown
from cellrt.line.problem import choose
from cellrt.line.source import Keys, Source
from cellrt.tags import Field, Record, Role, Scalar, leaves

NOUNS = {bool: "true or false", int: "a whole number", float: "a number"}
FLOAT_MAX = sys.float_info.max
CAUSE_NAMES = {c.name.lower(): c for c in CAUSES}


@dataclass(frozen=True)
class Values:
    """The values of one cell under check."""

    name: str
    kind: type[Record]
    table: CellTable
    source: Source

    def params(self) -> dict[str, Scalar]:
        """The parameters that the file sets, each of its tag's type and within its range."""
        tags = self._tags(Role.PARAMETER)
        set_: dict[str, Scalar] = {}
        for keys, tag, data in unfolded(self.table.params):
            at = ("params", *keys)
            if self._is_known(at, tag, "parameter", tags) and not self._is_twice(at, tag, set_):
                value = self._value(at, tag, data, tags[tag])
                if value is not None:
                    set_[tag] = value
        return set_

    def safe(self) -> dict[str, Reactions]:
        """Every output's reaction to every cause: the file's where it has one, else the class's."""
        tags = self._tags(Role.OUTPUT)
        own = {
            tag: data
            for tag, data in self.table.safe.items()
            if self._is_known(("safe", tag), tag, "output", tags)
        }
        return {
            tag: self._reactions(tag, field, own[tag]) if tag in own else self._declared(tag, field)
            for tag, field in tags.items()
        }

    def _tags(self, role: Role) -> dict[str, Field]:
        return {path: field for path, field in leaves(self.kind) if field.role is role}

    def _is_known(self, at: Keys, tag: str, what: str, tags: Mapping[str, Field]) -> bool:
        """There is such a tag; else the problem is noted."""
        if tag not in tags:
            self._fault(at, f"{self.name} has no {what} {tag!r}", choose(tag, tags))
        return tag in tags

    def _is_twice(self, at: Keys, tag: str, set_: Mapping[str, Scalar]) -> bool:
        """It was set before, in another notation; then the problem is noted."""
        if tag in set_:
            self._fault(at, f"{self.name}.{tag} is set twice", "drop one of the two")
        return tag in set_

    def _declared(self, tag: str, field: Field) -> Reactions:
        """The class's own reactions, all of them of the output's type."""
        safe = _own(field)
        missing = [c.name.lower() for c in CAUSES if c not in safe]
        if missing:
            to_what = "" if len(missing) == len(CAUSES) else f" to {', '.join(missing)}"
            what = f"output {self.name}.{tag} has no safe reaction{to_what}"
            zero = "false" if field.kind is bool else "0"
            key = f'"{tag}"' if "." in tag else tag
            mend = f"declare `Output(safe=...)` or add `safe.{key} = {zero}` to [cells.{self.name}]"
            self._fault((), what, mend)
        for cause, reaction in safe.items():
            if not isinstance(reaction, Reaction) or not fits(reaction.value, field):
                value = shown(getattr(reaction, "value", reaction))
                what = f"{self.kind.type_name()}.{tag} cannot react to {cause.name} with {value}"
                self._fault(("type",), what, f"give it `to(...)` {takes(field)}, in the class")
            elif not 0 <= reaction.after_s <= DAY_S:
                after = f"{cause.name} after {reaction.after_s:g} s"
                what = f"{self.kind.type_name()}.{tag} cannot react to {after}"
                self._fault(("type",), what, f"give it 0 to {DAY_S:g} s, in the class")
        return safe

    def _reactions(self, tag: str, field: Field, data: object) -> Reactions:
        at: Keys = ("safe", tag)
        if not isinstance(data, dict) or not data.keys().isdisjoint(ReactionTable.model_fields):
            reaction = self._reaction(at, tag, data, field)
            return always(reaction) if reaction else {}
        reactions = _own(field)
        unknown = [name for name in data if name not in CAUSE_NAMES]
        for name in unknown:
            self._fault((*at, name), f"unknown cause {name!r}", choose(name, CAUSE_NAMES))
        if unknown:
            return {}
        for name, each in data.items():
            if reaction := self._reaction((*at, name), tag, each, field):
                reactions[CAUSE_NAMES[name]] = reaction
        given = {CAUSE_NAMES[name] for name in data}
        missing = [c.name.lower() for c in CAUSES if c not in reactions and c not in given]
        if missing:
            what = f"output {self.name}.{tag} has no safe reaction to {', '.join(missing)}"
            self._fault(at, what, f"add `{missing[0]} = ...` to it, or one value for every cause")
        return reactions

    def _reaction(self, at: Keys, tag: str, data: object, field: Field) -> Reaction | None:
        if not isinstance(data, dict):
            value = self._value(at, tag, data, field)
            return None if value is None else to(value)
        keys = ("cells", self.name, *at)
        table = shaped(ReactionTable, data, keys, self.source)
        if table is None:
            return None
        value = self._value((*at, "value"), tag, table.value, field)
        if table.hold_s is not None and table.run_out_s is not None:
            self._fault(
                at, f"{self.name}.{tag} both holds and runs out", "keep `hold_s` or `run_out_s`"
            )
        if value is None:
            return None
        if table.hold_s is not None:
            return hold(table.hold_s, value)
        return to(value) if table.run_out_s is None else run_out(table.run_out_s, value)

    def _value(self, at: Keys, tag: str, data: object, field: Field) -> Scalar | None:
        """A value of the tag's type, or None with the problem noted."""
        if not fits(data, field):
            what = f"{self.name}.{tag} cannot be {shown(data)}"
            self._fault(at, what, f"give {takes(field)}")
            return None
        value: Scalar = field.kind(data)
        return value

    def _fault(self, keys: Keys, what: str, mend: str) -> None:
        self.source.fault(("cells", self.name, *keys), what, mend)


def unfolded(table: Mapping[str, object]) -> Iterator[tuple[Keys, str, object]]:
    """Every value of a table, (the way to it, its tag, itself).

    Tables in it, which TOML makes of dotted keys too, stand for records; a list of tables for an array of
    records, from its first one on.

    >>> list(unfolded({"lanes": [{"part": 101}, {"part": 102}]}))
    [(('lanes', 0, 'part'), 'lanes.0.part', 101), (('lanes', 1, 'part'), 'lanes.1.part', 102)]
    """
    for key, value in table.items():
        yield from _unfolded((key,), value)


def _unfolded(keys: Keys, value: object) -> Iterator[tuple[Keys, str, object]]:
    below: Iterable[tuple[str | int, object]]
    if isinstance(value, dict):
        below = value.items()
    elif isinstance(value, list) and all(isinstance(each, dict) for each in value):
        below = enumerate(value)
    else:
        yield keys, ".".join(map(str, keys)), value
        return
    for key, each in below:
        yield from _unfolded((*keys, key), each)


def _own(field: Field) -> dict[Cause, Reaction]:
    """What the class itself says, as far as it is by cause."""
    said = field.safe if isinstance(field.safe, Mapping) else {}
    return {cause: said[cause] for cause in CAUSES if cause in said}


def fits(data: object, field: Field) -> bool:
    """A value of the tag's type, within its range and what 64 bits hold."""
    if isinstance(data, bool) or field.kind is bool:
        return isinstance(data, bool) and field.kind is bool
    if not isinstance(data, int | float) or (field.kind is int and not isinstance(data, int)):
        return False
    low = -INT64_MAX if field.kind is int else -FLOAT_MAX
    high = -low
    low = low if field.low is None else max(low, field.low)
    high = high if field.high is None else min(high, field.high)
    return low <= data <= high


def takes(field: Field) -> str:
    """What values a tag takes, in words: "a number 10..400 N"."""
    return " ".join(word for word in (NOUNS[field.kind], bounds(field), field.unit) if word)


def bounds(field: Field) -> str:
    """A tag's range, "10..400"; "" when it has none."""
    low = "" if field.low is None else f"{field.low:g}"
    high = "" if field.high is None else f"{field.high:g}"
    return f"{low}..{high}" if low or high else ""
