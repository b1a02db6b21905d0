"""A trace: tags of a line as a table that a person can read, and a file can keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cellrt.tags import Scalar


@dataclass
class Trace:
    """`rows` are (logical time in ns, what each of `tags` shows), one for each scan that changed any.

    As text its time begins with it, so that what came before does not matter.
    """

    tags: Sequence[str]
    rows: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)

    def note(self, now_ns: int, shown: tuple[str, ...]) -> None:
        """What the tags show after the scan at `now_ns`."""
        if not self.rows or self.rows[-1][1] != shown:
            self.rows.append((now_ns, shown))

    def __str__(self) -> str:
        """The table; each cell's name stands over the first of its columns."""
        cells, tags = zip(*(t.split(".", 1) for t in self.tags), strict=True)
        above = [c if n == 0 or c != cells[n - 1] else "" for n, c in enumerate(cells)]
        below = [t.removeprefix("unit.") for t in tags]
        rows = [["", *above], ["t_ms", *below]]
        start_ns = self.rows[0][0] if self.rows else 0
        rows += [[f"{(now_ns - start_ns) / 1e6:.9g}", *shown] for now_ns, shown in self.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(map(str.rjust, row, widths)).rstrip() for row in rows)
        return "\n".join(lines) + "\n"


def shown(value: Scalar) -> str:
    """A tag's value in a trace: `.` and `1` for a bool, four digits of a float."""
    if isinstance(value, bool):
        return "1" if value else "."
    return f"{value:.4g}" if isinstance(value, float) else str(value)
