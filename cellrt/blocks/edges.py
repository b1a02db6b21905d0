"""Edge detection (IEC 61131-3:2013, table 44)."""

from __future__ import annotations

from cellrt.tags import Record, Var


class R_TRIG(Record):
    """Rising edge.

    * `q` is true for the one call at which `clk` has become true.
    * A `clk` that is true at the first call after a cold start counts as an edge, as the standard has it.
    """

    q: bool = Var()
    m: bool = Var(doc="clk at the last call")

    def update(self, clk: bool) -> bool:
        """Call once a scan. Returns `q`."""
        self.q = clk and not self.m
        self.m = clk
        return self.q


class F_TRIG(Record):
    """Falling edge.

    * `q` is true for the one call at which `clk` has become false.
    * A `clk` that is false at the first call after a cold start counts as an edge, as the standard has it.
    """

    q: bool = Var()
    m: bool = Var(doc="clk was false at the last call")

    def update(self, clk: bool) -> bool:
        """Call once a scan. Returns `q`."""
        self.q = not clk and not self.m
        self.m = not clk
        return self.q
