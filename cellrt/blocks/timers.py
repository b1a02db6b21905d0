"""Timers (IEC 61131-3:2013, table 46 and its timing diagrams).

Time counts from the call at which a timer starts, and runs out at the first call at which `pt_ns` or more
has passed. The standard leaves open what a change of PT does to a timer that runs. Here it counts at
once, while time that has run out stays so. A `pt_ns` below 0 is 0.
"""

from __future__ import annotations

from cellrt.tags import Record, Var


class TON(Record):
    """On-delay.

    * `q` becomes true when `in_` has been true for `pt_ns`; at once when that is 0.
    * `q` becomes false, and `et_ns` 0, with `in_`.
    * `et_ns` grows from 0 to `pt_ns` while `in_` is true, and stays there.
    """

    q: bool = Var()
    et_ns: int = Var(unit="ns", doc="elapsed time")
    since_ns: int = Var(unit="ns", doc="when in_ became true")
    timing: bool = Var(doc="in_ was true at the last call")

    def update(self, in_: bool, pt_ns: int, now_ns: int) -> bool:
        """Call once a scan. Returns `q`."""
        if in_ and not self.timing:
            self.since_ns = now_ns
        self.timing = in_
        if not in_:
            self.q = False
            self.et_ns = 0
        elif not self.q:
            self.et_ns = min(now_ns - self.since_ns, max(pt_ns, 0))
            self.q = self.et_ns >= pt_ns
        return self.q


class TOF(Record):
    """Off-delay.

    * `q` becomes true, and `et_ns` 0, with `in_`.
    * `q` becomes false when `in_` has been false for `pt_ns`; at once when that is 0.
    * `et_ns` grows from 0 to `pt_ns` while `in_` is false, and stays there.
    * Before `in_` was first true nothing runs: `q` is false and `et_ns` 0.
    """

    q: bool = Var()
    et_ns: int = Var(unit="ns", doc="elapsed time")
    since_ns: int = Var(unit="ns", doc="when in_ became false")
    timing: bool = Var(doc="in_ was false at the last call")

    def update(self, in_: bool, pt_ns: int, now_ns: int) -> bool:
        """Call once a scan. Returns `q`."""
        if not in_ and not self.timing:
            self.since_ns = now_ns
        self.timing = not in_
        if in_:
            self.q = True
            self.et_ns = 0
        elif self.q:
            self.et_ns = min(now_ns - self.since_ns, max(pt_ns, 0))
            self.q = self.et_ns < pt_ns
        return self.q


class TP(Record):
    """Pulse.

    * A rising edge of `in_` makes `q` true for `pt_ns`; not at all when that is 0.
    * While `q` is true `in_` is not looked at: nothing lengthens, shortens or repeats a pulse.
    * `et_ns` grows from 0 to `pt_ns` with the pulse, stays there while `in_` is true, and is 0 after.
    * An `in_` that rises in a pulse, or at the call that ends it, has no pulse of its own.
    """

    q: bool = Var()
    et_ns: int = Var(unit="ns", doc="elapsed time")
    since_ns: int = Var(unit="ns", doc="when the pulse began")
    spent: bool = Var(doc="in_ has had its pulse; it must fall before the next")

    def update(self, in_: bool, pt_ns: int, now_ns: int) -> bool:
        """Call once a scan. Returns `q`."""
        if in_ and not self.spent:
            self.q = True
            self.spent = True
            self.since_ns = now_ns
        if self.q:
            self.et_ns = min(now_ns - self.since_ns, max(pt_ns, 0))
            self.q = self.et_ns < pt_ns
        if not (self.q or in_):
            self.spent = False
            self.et_ns = 0
        return self.q
