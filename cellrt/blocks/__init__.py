"""Function blocks: IEC 61131-3's timers, counters, edges and bistables, and blocks for control.

A block is a record with one method, `update`, called once a scan. A cell declares it like a tag:

>>> from cellrt import MS, Record, Var
>>> class Clamp(Record):
...     settled: TON
...     closed: bool = Var()
...
...     def scan(self, now_ns: int) -> bool:
...         return self.settled.update(self.closed, 300 * MS, now_ns)

Names are the standard's in lower case (`in_` where Python has a keyword); times are in nanoseconds and
carry it in their names. DIV, LIMIT and SQRT are functions: they have no memory.
"""

from cellrt.blocks.arithmetic import DIV, LIMIT, SQRT
from cellrt.blocks.bistable import RS, SR
from cellrt.blocks.control import HYSTERESIS, LAG, PID, RAMP
from cellrt.blocks.counters import CTD, CTU, CTUD
from cellrt.blocks.edges import F_TRIG, R_TRIG
from cellrt.blocks.timers import TOF, TON, TP

__all__ = [
    "CTD",
    "CTU",
    "CTUD",
    "DIV",
    "F_TRIG",
    "HYSTERESIS",
    "LAG",
    "LIMIT",
    "PID",
    "RAMP",
    "RS",
    "R_TRIG",
    "SQRT",
    "SR",
    "TOF",
    "TON",
    "TP",
]
