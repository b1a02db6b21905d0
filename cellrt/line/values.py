"""Values that a line file sets in a cell: parameters and safe reactions.

```toml
params = { speed_mm_s = 200.0 }
safe.run = false                                         # at once, whatever the cause
safe.run = { run_out_s = 30.0, value = false }           # later, whatever the cause
safe.run = { stop = { hold_s = 2.0, value = false } }    # by cause; the class's for the others
```
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cellrt.interlock import CAUSES, Reaction, Reactions, always, hold, run_out, to
from cellrt.line.model import CellTable, ReactionTable, shaped, shown
from cellrt.line.problem import choose
from cellrt.line.source import Keys, Source
from cellrt.tags import Field, Record, Role, Scalar, leaves

NOUNS = {bool: "true or false", int: "a whole number", float: "a number"}
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
        for tag, data in self._known("params", self.table.params, tags):
            value = self._value(("params", tag), data, tags[tag])
            if value is not None:
                set_[tag] = value
        return set_

    def safe(self) -> dict[str, Reactions]:
        """Every output's reaction to every cause: the file's where it has one, else the class's."""
        tags = self._tags(Role.OUTPUT)
        own = dict(self._known("safe", self.table.safe, tags))
        return {
            tag: self._reactions(tag, field, own[tag]) if tag in own else self._declared(tag, field)
            for tag, field in tags.items()
        }

    def _tags(self, role: Role) -> dict[str, Field]:
        return {path: field for path, field in leaves(self.kind) if field.role is role}

    def _known(
        self, section: str, data: Mapping[str, object], tags: Mapping[str, Field]
    ) -> Iterator[tuple[str, object]]:
        """What is set for tags that there are; a problem for what is set for others."""
        what = "parameter" if section == "params" else "output"
        for tag, value in data.items():
            if tag in tags:
                yield tag, value
            else:
                self._fault((section, tag), f"{self.name} has no {what} {tag!r}", choose(tag, tags))

    def _declared(self, tag: str, field: Field) -> Reactions:
        """The class's own reactions, all of them of the output's type."""
        safe = field.safe
        if safe is None:
            what = f"output {self.name}.{tag} has no safe reaction"
            zero = "false" if field.kind is bool else "0"
            mend = f"declare `Output(safe=...)` or add `safe.{tag} = {zero}` to [cells.{self.name}]"
            self._fault((), what, mend)
            return {}
        for cause, reaction in safe.items():
            wrong = why_not(getattr(reaction, "value", None), field)
            if not isinstance(reaction, Reaction) or wrong:
                what = f"{self.kind.type_name()}.{tag}: safe reaction to {cause.name}"
                self._fault(
                    ("type",), f"{what} must be {wrong or 'a reaction'}", "mend it in the class"
                )
        return safe

    def _reactions(self, tag: str, field: Field, data: object) -> Reactions:
        at: Keys = ("safe", tag)
        if not isinstance(data, dict) or not data.keys().isdisjoint(ReactionTable.model_fields):
            reaction = self._reaction(at, data, field)
            return always(reaction) if reaction else {}
        reactions = dict(field.safe or {})
        for name, each in data.items():
            if name not in CAUSE_NAMES:
                self._fault((*at, name), f"unknown cause {name!r}", choose(name, CAUSE_NAMES))
            elif reaction := self._reaction((*at, name), each, field):
                reactions[CAUSE_NAMES[name]] = reaction
        given = {CAUSE_NAMES.get(name) for name in data}
        missing = [c.name.lower() for c in CAUSES if c not in reactions and c not in given]
        if missing:
            what = f"output {self.name}.{tag} has no safe reaction to {', '.join(missing)}"
            self._fault(at, what, f"add `{missing[0]} = ...` to it, or one value for every cause")
        return reactions

    def _reaction(self, at: Keys, data: object, field: Field) -> Reaction | None:
        if not isinstance(data, dict):
            value = self._value(at, data, field)
            return None if value is None else to(value)
        keys = ("cells", self.name, *at)
        table = shaped(ReactionTable, data, keys, self.source)
        if table is None:
            return None
        value = self._value((*at, "value"), table.value, field)
        if table.hold_s is not None and table.run_out_s is not None:
            self._fault(at, "both holds and runs out", "keep `hold_s` or `run_out_s`")
        if value is None:
            return None
        if table.hold_s is not None:
            return hold(table.hold_s, value)
        return to(value) if table.run_out_s is None else run_out(table.run_out_s, value)

    def _value(self, at: Keys, data: object, field: Field) -> Scalar | None:
        """A value of the tag's type, or None with the problem noted."""
        wrong = why_not(data, field)
        if wrong:
            what = f"{self.name}.{at[1]} is {shown(data)} but must be {wrong}"
            self._fault(at, what, f"{at[1]!r} takes {NOUNS[field.kind]}{_range(field)}")
            return None
        value: Scalar = field.kind(data)
        return value

    def _fault(self, keys: Keys, what: str, mend: str) -> None:
        self.source.fault(("cells", self.name, *keys), what, mend)


def why_not(data: object, field: Field) -> str:
    """What a value for this tag must be, when `data` is not that; "" when it is."""
    if field.kind is bool:
        return "" if isinstance(data, bool) else "true or false"
    if isinstance(data, bool) or not isinstance(data, int | float):
        return "a number" if field.kind is float else "a whole number"
    if field.kind is int and (not isinstance(data, int) or not -(2**63) <= data < 2**63):
        return "a whole number of 64 bits"
    if field.kind is float and (abs(data) > 1e308 or not math.isfinite(data)):
        return "a finite number"
    if field.low is not None and data < field.low:
        return f"{field.low:g} or more"
    if field.high is not None and data > field.high:
        return f"{field.high:g} or less"
    return ""


def _range(field: Field) -> str:
    unit = f" {field.unit}" if field.unit else ""
    if field.low is None and field.high is None:
        return f" of{unit}" if unit else ""
    low = "" if field.low is None else f"{field.low:g}"
    high = "" if field.high is None else f"{field.high:g}"
    return f", {low}..{high}{unit}"
