"""Bistables (IEC 61131-3:2013, table 43). The input with the 1 in its name dominates."""

from __future__ import annotations

from cellrt.tags import Record, Var


class SR(Record):
    """Set dominates.

    * `s1` sets `q1`, whatever `r` says.
    * `r` resets it; with neither it stays as it is.
    """

    q1: bool = Var()

    def update(self, s1: bool, r: bool) -> bool:
        """Call once a scan. Returns `q1`."""
        self.q1 = s1 or (self.q1 and not r)
        return self.q1


class RS(Record):
    """Reset dominates.

    * `r1` resets `q1`, whatever `s` says.
    * `s` sets it; with neither it stays as it is.
    """

    q1: bool = Var()

    def update(self, s: bool, r1: bool) -> bool:
        """Call once a scan. Returns `q1`."""
        self.q1 = not r1 and (s or self.q1)
        return self.q1
