"""Forces: inputs and outputs held at a value for a while, whatever the field or the logic says.

* An input is forced between the sample and the logic: every tag joined to its point shows it. A device
  that is not well is not made well by it.
* An output is forced between the logic and the gates, so that a safe reaction always wins: what a cause
  has taken from the logic, nobody's force gives back.
* What safety relies on is never forced (`Plan.safety_terminals`).
* A force ends when its command expires, by logical time, and with its scan process: a new one has none.
"""

from __future__ import annotations

from cellrt.compiled import compiled
from cellrt.scan.events import emit
from cellrt.scan.tables import Tables, Work
from cellrt.wire import Floats, Ints, scatter

FORCED, UNFORCED = 14, 15


@compiled
def force(
    tables: Tables,
    work: Work,
    target: int,
    raw: int,
    real: float,
    now_ns: int,
    until_ns: int,
    number: int,
) -> int:
    """Force terminal `target` to a raw value, `real` where that is a float's bits; a `Refusal`."""
    if target < 0 or target >= tables.terminals.shape[0]:
        return 3
    if tables.terminals[target, 0] == 0:
        return 9
    value = real if tables.terminals[target, 1] != 0 else float(raw)
    if not (tables.carried[target, 0] <= value <= tables.carried[target, 1]):
        return 5
    if until_ns <= now_ns:
        return 1
    if work.forced_until_ns[target] == 0:
        work.forces[0] += 1
    work.forced[target], work.forced_until_ns[target] = raw, until_ns
    emit(work, now_ns, FORCED, target, raw, until_ns, number, 0)
    return 0


@compiled
def unforce(
    tables: Tables,
    work: Work,
    target: int,
    inputs: Ints,
    input_reals: Floats,
    now_ns: int,
    number: int,
) -> int:
    """End the force on terminal `target`, or every one for -1; a `Refusal`."""
    if target < -1 or target >= tables.terminals.shape[0]:
        return 3
    for k in range(tables.terminals.shape[0]):
        if (target == k or target == -1) and work.forced_until_ns[k] != 0:
            end_force(tables, work, k, inputs, input_reals, now_ns, number)
    return 0


@compiled
def end_force(
    tables: Tables,
    work: Work,
    k: int,
    inputs: Ints,
    input_reals: Floats,
    now_ns: int,
    number: int,
) -> None:
    """Terminal `k` is forced no more: its tags show the last sample again."""
    for n in range(tables.forcing.raws.shape[0]):
        if tables.forcing.raws[n] == k:
            scatter(tables.inputs, tables.inputs.rows[n], inputs, input_reals, work.image)
    emit(work, now_ns, UNFORCED, k, work.forced[k], number, 0, 0)
    work.forced[k] = work.forced_until_ns[k] = 0
    work.forces[0] -= 1


@compiled
def force_inputs(
    tables: Tables, work: Work, inputs: Ints, input_reals: Floats, now_ns: int
) -> None:
    """End what has expired, then put forced values over what the samples brought."""
    for k in range(tables.terminals.shape[0]):
        if work.forced_until_ns[k] != 0 and now_ns > work.forced_until_ns[k]:
            end_force(tables, work, k, inputs, input_reals, now_ns, 0)
    for n in range(tables.forcing.raws.shape[0]):
        if work.forced_until_ns[tables.forcing.raws[n]] != 0:
            scatter(
                tables.forcing, tables.forcing.rows[n], work.forced, work.forced_reals, work.image
            )
