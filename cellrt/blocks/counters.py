"""Counters (IEC 61131-3:2013, table 45).

They count rising edges, each seen by an R_TRIG: an input that is true at the first call after a cold
start is one. An edge is spent at its call even when reset or load overrules it. `cv` stops at the ends of
an int64. (It is worked on in a local and stored once: the compiler, which cannot tell that the outputs lie
elsewhere, would load and store it at every step, and a counter would take half as long again.)
"""

from __future__ import annotations

from cellrt.blocks.edges import R_TRIG
from cellrt.tags import Record, Var

CV_MAX = 2**63 - 1
"""The standard's PVmax: where counting up stops."""
CV_MIN = -(2**63)
"""The standard's PVmin: where counting down stops."""


class CTU(Record):
    """Up counter.

    * `r` sets `cv` to 0 and dominates.
    * A rising edge of `cu` adds 1.
    * `q` says that `cv` has reached `pv`.
    """

    cu_edge: R_TRIG
    q: bool = Var()
    cv: int = Var()

    def update(self, cu: bool, r: bool, pv: int) -> bool:
        """Call once a scan. Returns `q`."""
        rising, cv = self.cu_edge.update(cu), self.cv
        if r:
            cv = 0
        elif rising and cv < CV_MAX:
            cv += 1
        self.cv, self.q = cv, cv >= pv
        return self.q


class CTD(Record):
    """Down counter.

    * `ld` sets `cv` to `pv` and dominates.
    * A rising edge of `cd` takes 1 off.
    * `q` says that `cv` is 0 or less.
    """

    cd_edge: R_TRIG
    q: bool = Var()
    cv: int = Var()

    def update(self, cd: bool, ld: bool, pv: int) -> bool:
        """Call once a scan. Returns `q`."""
        rising, cv = self.cd_edge.update(cd), self.cv
        if ld:
            cv = pv
        elif rising and cv > CV_MIN:
            cv -= 1
        self.cv, self.q = cv, cv <= 0
        return self.q


class CTUD(Record):
    """Up and down counter.

    * `r` sets `cv` to 0 and dominates; after it `ld` sets `cv` to `pv`.
    * A rising edge of `cu` adds 1, one of `cd` takes 1 off; both at once change nothing.
    * `qu` says that `cv` has reached `pv`, `qd` that it is 0 or less.
    """

    cu_edge: R_TRIG
    cd_edge: R_TRIG
    qu: bool = Var()
    qd: bool = Var()
    cv: int = Var()

    def update(self, cu: bool, cd: bool, r: bool, ld: bool, pv: int) -> int:
        """Call once a scan. Returns `cv`."""
        up, down, cv = self.cu_edge.update(cu), self.cd_edge.update(cd), self.cv
        if r:
            cv = 0
        elif ld:
            cv = pv
        elif up and not down and cv < CV_MAX:
            cv += 1
        elif down and not up and cv > CV_MIN:
            cv -= 1
        self.cv, self.qu, self.qd = cv, cv >= pv, cv <= 0
        return cv
