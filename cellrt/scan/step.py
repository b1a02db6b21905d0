"""The step: one scan as a function of state, inputs, commands and time. Three lines: read, solve, write."""

from __future__ import annotations

from cellrt.compiled import inlined
from cellrt.interlock import Cause, Kind
from cellrt.scan.commands import obey
from cellrt.scan.events import DEVICE, U_CAUSE, emit, report
from cellrt.scan.force import force_inputs
from cellrt.scan.jog import jogs
from cellrt.scan.meter import Meter
from cellrt.scan.solve import solve
from cellrt.scan.tables import Tables, Work
from cellrt.wire import END, FIRST, GROUP, Floats, Ints, gather, scatter

STOP = int(Cause.STOP)
TO, RUN_OUT, KEEP, STAY = int(Kind.TO), int(Kind.RUN_OUT), int(Kind.KEEP), int(Kind.STAY)


@inlined
def step(
    tables: Tables,
    work: Work,
    entries: Ints,
    base_address: int,
    inputs: Ints,
    input_reals: Floats,
    now_ns: int,
    scan: int,
    epoch: int,
    meter: Meter | None,
) -> None:
    """Scan number `scan` of the line at logical time `now_ns`.

    `inputs` are samples and commands, untouched; the image, the outputs and this scan's events in `work`
    are what comes out. `entries` and `base_address` say where the machine code and the image lie. `meter`
    watches what it costs; None where nobody does.
    """
    read(tables, work, inputs, input_reals, now_ns, epoch)
    schedule, pace = tables.schedule, work.pace
    solve(schedule, pace, entries, base_address, work.image, now_ns, scan, tables.dt_s, meter)
    write(tables, work, now_ns, scan, epoch)


@inlined
def read(
    tables: Tables, work: Work, inputs: Ints, input_reals: Floats, now_ns: int, epoch: int
) -> None:
    """Fresh samples into their tags, the devices' health into the cells, commands into requests."""
    work.event_count[0] = 0
    for n in range(tables.units.shape[0]):
        work.image.bytes[tables.units[n, 2]] = 1
        work.image.bytes[tables.units[n, 5]] = 0
    take_in(tables, work, inputs, input_reals)
    for n in range(tables.sources.shape[0]):
        base = tables.sources[n]
        good = inputs[base + 1]
        if good != work.seen[n] & 1:
            emit(work, now_ns, DEVICE, n, good, 0, 0, 0)
        work.seen[n] = inputs[base] << 1 | good
    for n in range(tables.trust.shape[0]):
        if inputs[tables.trust[n, 1] + 1] == 0:
            work.image.bytes[tables.trust[n, 0]] = 0
    if inputs[tables.commands_base] > 0:
        obey(tables, work, inputs, input_reals, now_ns, epoch)
    if work.forces[0] > 0:
        force_inputs(tables, work, inputs, input_reals, now_ns)


@inlined
def take_in(tables: Tables, work: Work, inputs: Ints, input_reals: Floats) -> None:
    """What the fresh samples say into the tags."""
    fresh = 0
    for n in range(tables.sources.shape[0]):
        fresh += inputs[tables.sources[n]] != work.seen[n] >> 1
    if fresh == tables.sources.shape[0]:
        for n in range(tables.inputs.whole.shape[0]):
            scatter(tables.inputs, tables.inputs.whole[n], inputs, input_reals, work.image)
    elif fresh > 0:
        for n in range(tables.inputs.runs.shape[0]):
            device = tables.inputs.runs[n, GROUP]
            if inputs[tables.sources[device]] != work.seen[device] >> 1:
                scatter(tables.inputs, tables.inputs.runs[n], inputs, input_reals, work.image)


@inlined
def write(tables: Tables, work: Work, now_ns: int, scan: int, epoch: int) -> None:
    """Outputs through their gates, then the heartbeat; events for what this scan changed.

    A gated output's tag shows what is sent, not what the logic wanted. A forced one's goes on showing
    what the logic wants, so that nothing of a force stays behind.
    """
    if all_free(tables, work):
        for n in range(tables.outputs.whole.shape[0]):
            send(tables, work, tables.outputs.whole[n])
    else:
        for n in range(tables.outputs.runs.shape[0]):
            write_run(tables, work, tables.outputs.runs[n], now_ns)
    work.outputs[0], work.outputs[1] = scan, epoch
    report(tables, work, now_ns)


@inlined
def all_free(tables: Tables, work: Work) -> bool:
    """No cell's outputs are gated, and nothing is forced."""
    held = work.forces[0]
    for k in range(tables.units.shape[0]):
        held |= work.image.words[tables.units[k, 0] + U_CAUSE]
    return bool(held == 0)


@inlined
def write_run(tables: Tables, work: Work, run: Ints, now_ns: int) -> None:
    """Outputs of one cell."""
    cause = work.image.words[tables.units[run[GROUP], 0] + U_CAUSE]
    if cause == 0 and work.forces[0] == 0:
        send(tables, work, run)
    else:
        for n in range(run[FIRST], run[END]):
            write_row(tables, work, n, now_ns)


@inlined
def write_row(tables: Tables, work: Work, n: int, now_ns: int) -> None:
    """Output row `n` as its gate wants it, or whoever forces or jogs it."""
    gate, terminal = tables.gates[n], tables.output_terminals[n]
    cause, raw = work.image.words[gate[0]], gate[2]
    if cause == 0:
        send_row(tables, work, n, raw)
        return
    for_ns, at = now_ns - work.image.words[gate[1]], 3 * cause
    kind, after_ns = gate[at], gate[at + 1]
    if cause == STOP and jogs(tables, work, terminal, now_ns):
        work.outputs[raw] = work.jogged[terminal]
    elif kind == KEEP or (kind == RUN_OUT and for_ns < after_ns):
        send_row(tables, work, n, raw)
        return
    elif kind == TO or (kind != STAY and for_ns >= after_ns):
        work.outputs[raw] = gate[at + 2]
    scatter(tables.outputs, tables.outputs.rows[n], work.outputs, work.output_reals, work.image)


@inlined
def send_row(tables: Tables, work: Work, n: int, raw: int) -> None:
    """Output row `n` goes out as it is forced, else as the logic wants it."""
    terminal = tables.output_terminals[n]
    if work.forced_until_ns[terminal] != 0:
        work.outputs[raw] = work.forced[terminal]
    else:
        send(tables, work, tables.outputs.rows[n])


@inlined
def send(tables: Tables, work: Work, stretch: Ints) -> None:
    """A stretch of outputs goes out as the logic wants it."""
    gather(tables.outputs, stretch, work.outputs, work.output_reals, work.image)
