"""The step: one scan as a function of state, inputs, commands and time. Three lines: read, solve, write."""

from __future__ import annotations

from cellrt.compiled import compiled
from cellrt.interlock import Cause, Kind
from cellrt.scan.commands import obey
from cellrt.scan.events import DEVICE, emit, report
from cellrt.scan.force import force_inputs
from cellrt.scan.jog import jogs
from cellrt.scan.solve import solve
from cellrt.scan.tables import Tables, Work
from cellrt.wire import Floats, Ints, gather, scatter

STOP = int(Cause.STOP)
TO, RUN_OUT, KEEP, STAY = int(Kind.TO), int(Kind.RUN_OUT), int(Kind.KEEP), int(Kind.STAY)


@compiled
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
) -> None:
    """Scan number `scan` of the line at logical time `now_ns`.

    `inputs` are samples and commands, untouched; the image, the outputs and this scan's events in `work`
    are what comes out. `entries` and `base_address` say where the machine code and the image lie.
    """
    read(tables, work, inputs, input_reals, now_ns, epoch)
    solve(tables.schedule, entries, base_address, work.image, now_ns, scan, tables.dt_s)
    write(tables, work, now_ns, scan, epoch)


@compiled
def read(
    tables: Tables, work: Work, inputs: Ints, input_reals: Floats, now_ns: int, epoch: int
) -> None:
    """Fresh samples into their tags, the devices' health into the cells, commands into requests."""
    work.event_count[0] = 0
    for n in range(tables.units.shape[0]):
        work.image.bytes[tables.units[n, 2]] = 1
    for n in range(tables.sources.shape[0]):
        base, good = tables.sources[n, 0], inputs[tables.sources[n, 0] + 1]
        if inputs[base] != work.seen[n] >> 1:
            first, last = tables.sources[n, 1], tables.sources[n, 2]
            scatter(tables.inputs, first, last, inputs, input_reals, work.image)
        if good != work.seen[n] & 1:
            emit(work, now_ns, DEVICE, n, good, 0, 0, 0)
        work.seen[n] = inputs[base] << 1 | good
    for n in range(tables.trust.shape[0]):
        if inputs[tables.trust[n, 1] + 1] == 0:
            work.image.bytes[tables.trust[n, 0]] = 0
    obey(tables, work, inputs, input_reals, now_ns, epoch)
    force_inputs(tables, work, inputs, input_reals, now_ns)


@compiled
def write(tables: Tables, work: Work, now_ns: int, scan: int, epoch: int) -> None:
    """Outputs through their gates, then the heartbeat; events for what this scan changed.

    A gated output's tag shows what is sent, not what the logic wanted. A forced one's goes on showing
    what the logic wants, so that nothing of a force stays behind.
    """
    image, outputs = work.image, work.outputs
    for n in range(tables.gates.shape[0]):
        gate = tables.gates[n]
        cause, raw = image.words[gate[0]], gate[2]
        if cause == 0:
            send(tables, work, n, raw)
            continue
        for_ns, at = now_ns - image.words[gate[1]], 3 * cause
        kind, after_ns = gate[at], gate[at + 1]
        if cause == STOP and jogs(tables, work, tables.output_terminals[n], now_ns):
            outputs[raw] = work.jogged[tables.output_terminals[n]]
        elif kind == KEEP or (kind == RUN_OUT and for_ns < after_ns):
            send(tables, work, n, raw)
            continue
        elif kind == TO or (kind != STAY and for_ns >= after_ns):
            outputs[raw] = gate[at + 2]
        scatter(tables.outputs, n, n + 1, outputs, work.output_reals, image)
    outputs[0], outputs[1] = scan, epoch
    report(tables, work, now_ns)


@compiled
def send(tables: Tables, work: Work, n: int, raw: int) -> None:
    """Output row `n` goes out as it is forced, else as the logic wants it."""
    terminal = tables.output_terminals[n]
    if work.forced_until_ns[terminal] != 0:
        work.outputs[raw] = work.forced[terminal]
    else:
        gather(tables.outputs, n, work.outputs, work.output_reals, work.image)
