"""Jogging: a person at the machine moves one output, by hand and in sight.

* Only an output declared with `jog`, of a cell that a person has taken, in Manual, at rest (Stopped or
  Idle), with every interlock well, those for running included; looked at anew in every scan.
* Hold-to-run: a jog ends when its command expires, a fraction of a second later, unless the next one has
  come. The output is then at its safe value, as that of a cell at rest is.
"""

from __future__ import annotations

from cellrt.compiled import compiled, inlined
from cellrt.interlock import Cause
from cellrt.packml import Control, Mode
from cellrt.scan.events import U_CAUSE, U_COMMANDER, U_MODE, U_TRIPPED, U_WELL
from cellrt.scan.tables import Tables, Work
from cellrt.tags import WORD

LOCAL, MANUAL, STOP = int(Control.LOCAL), int(Mode.MANUAL), int(Cause.STOP)


@compiled
def may_jog(work: Work, unit: int) -> int:
    """Whether the cell whose unit begins at word `unit` may be jogged; a `Refusal`."""
    words = work.image.words
    if words[unit + U_COMMANDER] != LOCAL:
        return 10
    if words[unit + U_MODE] != MANUAL:
        return 11
    if words[unit + U_CAUSE] != STOP:
        return 4
    if words[unit + U_TRIPPED] != 0 or work.image.bytes[unit * WORD + U_WELL] == 0:
        return 12
    return 0


@compiled
def jog(
    tables: Tables, work: Work, target: int, raw: int, real: float, until_ns: int, origin: int
) -> int:
    """Hold terminal `target` at a raw value, `real` where that is a float's bits; a `Refusal`."""
    if target < 0 or target >= tables.terminals.shape[0] or tables.terminals[target, 2] == 0:
        return 3
    refusal = may_jog(work, tables.terminals[target, 3])
    if refusal == 0 and origin != 1:
        refusal = 10
    value = real if tables.terminals[target, 1] != 0 else float(raw)
    if refusal == 0 and not (tables.carried[target, 0] <= value <= tables.carried[target, 1]):
        refusal = 5
    if refusal == 0:
        work.jogged[target], work.jogged_until_ns[target] = raw, until_ns
    return refusal


@inlined
def jogs(tables: Tables, work: Work, terminal: int, now_ns: int) -> bool:
    """An output is being jogged. A forced one is not."""
    if work.jogged_until_ns[terminal] < now_ns or work.forced_until_ns[terminal] != 0:
        return False
    return work.jogged_until_ns[terminal] != 0 and may_jog(work, tables.terminals[terminal, 3]) == 0
