"""A plan as arrays: everything that the compiled step looks up, and the state that it carries on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cellrt.assembly import Pace, Schedule
from cellrt.image import Image
from cellrt.interlock import CAUSES, Cause
from cellrt.scan.plan import Plan, Terminal
from cellrt.tags import WORD, Leaf, Role, Scalar
from cellrt.wire import (
    Floats,
    Ints,
    Point,
    Views,
    Wiring,
    alike,
    gather,
    views,
    wiring,
)

EVENT_WORDS = 8
EVENTS_A_SCAN = 256
"""Least room for the events of one scan."""

EVENTS_A_CELL = 8
"""A stop of everything is a rule that trips, a state, a step, a handover, for each cell; and its device."""
TOLD_OF_CELL = ("state", "step", "board", "trips", "board that goes")
"""Words of a cell in `Work.cells`."""
FLOAT_MAX = float(np.finfo(np.float64).max)


class Tables(NamedTuple):
    """What does not change while a line runs.

    `sources` int64[devices]: base of the device's sample in the inputs. `inputs` in groups by device,
    `outputs` in groups by cell.
    `trust` int64[n, 2]: byte of a cell's `io_good`, base of a sample that this cell depends on.
    `gates` int64[outputs, 3 + 3 * causes]: words of the cell's `cause` and `cause_since_ns`, raw index,
    then for each cause: `interlock.Kind`, delay in ns, safe raw value.
    `forcing` are the rows of `inputs`, the index of the raw value being the terminal's number.
    `terminals` int64[n, 4]: 1 where it may be forced, 1 where its raw value is a float's bits, 1 where
    it is an output that may be jogged, word of the unit whose output it is; `carried` float64[n, 2]: the
    lowest and highest raw value that it may be forced or jogged to.
    `output_terminals` int64[outputs]: the terminal of each row of `outputs`.
    `units` int64[cells, 7]: word of the unit's first tag, of the board that comes in, byte of `io_good`,
    word of the board that goes out, word where the next cell says what it holds (-1: there is none), byte
    of `overrun`, number of the cell's task.
    `states` int64[handovers, 2]: words of a handover's state and of its offered board's id.
    `told` int64[n, 2]: byte offset of a tag whose changes are events, 0 bool 1 int.
    `parameters` int64[n, 2]: byte offset, 0 bool 1 int 2 float; `limits` float64[n, 2]: low, high.
    """

    schedule: Schedule
    sources: Ints
    inputs: Wiring
    trust: Ints
    outputs: Wiring
    gates: Ints
    forcing: Wiring
    terminals: Ints
    carried: Floats
    output_terminals: Ints
    units: Ints
    states: Ints
    told: Ints
    parameters: Ints
    limits: Floats
    commands_base: int
    dt_s: float


class Work(NamedTuple):
    """What one process's scan owns: the image, its outputs, its tasks' pace, and what it remembers to see
    changes.

    `forced` int64[terminals]: raw values of those whose `forced_until_ns` is not 0; `forces[0]` counts
    them. `jogged` and `jogged_until_ns` int64[terminals] are the like for jogs. `seen` int64[devices]:
    number of the last sample taken in. `cells` int64[cells, 5] (TOLD_OF_CELL), `links` int64[handovers]
    and `told` int64[told tags]: what was last reported of each; `outputs`, `cells`, `links` and `told` lie
    in this order in `results`, a scan's results as others see them. `changed[0]` is 1 when one of the latter
    three did in this scan. `events` int64[room, EVENT_WORDS] with their number in `event_count[0]`.
    """

    image: Views
    results: Ints
    outputs: Ints
    output_reals: Floats
    forced: Ints
    forced_reals: Floats
    forced_until_ns: Ints
    forces: Ints
    jogged: Ints
    jogged_until_ns: Ints
    seen: Ints
    cells: Ints
    links: Ints
    told: Ints
    pace: Pace
    changed: Ints
    events: Ints
    event_count: Ints


def tables(plan: Plan) -> Tables:
    """The tables of a plan."""
    cells = {name: n for n, name in enumerate(plan.cells)}
    joined_in = sorted(plan.joined(Role.INPUT), key=lambda j: (alike(j[2], j[4]), j[0]))
    joined_out = sorted(plan.joined(Role.OUTPUT), key=lambda j: (alike(j[2], j[4]), cells[j[1]]))
    inputs = wiring(
        [(p, t) for *_, p, _, t in joined_in],
        [raw for *_, raw, _ in joined_in],
        [n for n, *_ in joined_in],
    )
    outputs = wiring(
        [(p, t) for *_, p, _, t in joined_out],
        [raw for *_, raw, _ in joined_out],
        [cells[c] for _, c, *_ in joined_out],
    )
    trust = sorted({(c, n) for n, c, *_ in (*joined_in, *joined_out)})
    number = {(t.role, t.raw): n for n, t in enumerate(plan.terminals)}
    word = {t: plan.layout.place(t)[0] // WORD for t in _watched(plan)}
    return Tables(
        plan.assembly.schedule(),
        np.array([s.base for s in plan.samples], np.int64),
        inputs,
        _ints([[_io_good(plan, c), plan.samples[n].base] for c, n in trust], 2),
        outputs,
        _ints([_gate(plan, c, p, raw, t) for _, c, p, raw, t in joined_out], 3 + 3 * len(CAUSES)),
        wiring(
            [(p, t) for *_, p, _, t in joined_in],
            [number[Role.INPUT, raw] for *_, raw, _ in joined_in],
        ),
        _ints([_terminal(plan, n) for n in range(len(plan.terminals))], 4),
        np.array([carried(t) for t in plan.terminals], np.float64).reshape(-1, 2),
        np.array([number[Role.OUTPUT, raw] for *_, raw, _ in joined_out], np.int64),
        _ints([_unit(plan, c) for c in plan.cells], 7),
        _ints([[word[f"{h}.state"], word[f"{h}.up.board.id"]] for h in plan.handovers], 2),
        _ints([_typed(t) for t in plan.told], 2),
        _ints([_typed(t) for t in plan.parameters], 2),
        np.array([_limits(t) for t in plan.parameters], np.float64).reshape(-1, 2),
        plan.commands_base,
        plan.line.period_ns * 1e-9,
    )


def work(plan: Plan, image: Image) -> Work:
    """Fresh working memory around an image."""
    results = np.zeros(result_words(plan), np.int64)
    outputs, cells, links, told = np.split(results, _parts(plan))
    outputs[:] = _outputs_at_rest(plan)
    forced = np.zeros(len(plan.terminals), np.int64)
    return Work(
        image.views,
        results,
        outputs,
        outputs.view(np.float64),
        forced,
        forced.view(np.float64),
        np.zeros(len(plan.terminals), np.int64),
        np.zeros(1, np.int64),
        np.zeros(len(plan.terminals), np.int64),
        np.zeros(len(plan.terminals), np.int64),
        np.zeros(len(plan.devices), np.int64),
        cells.reshape(-1, len(TOLD_OF_CELL)),
        links,
        told,
        plan.assembly.pace(),
        np.zeros(1, np.int64),
        np.zeros((max(EVENTS_A_SCAN, EVENTS_A_CELL * len(plan.cells)), EVENT_WORDS), np.int64),
        np.zeros(1, np.int64),
    )


def result_words(plan: Plan) -> int:
    """Length of `Work.results`."""
    return _parts(plan)[-1] + len(plan.told)


def _parts(plan: Plan) -> list[int]:
    """Where the cells, the handovers and the told tags begin in `Work.results`."""
    links = plan.output_words + len(TOLD_OF_CELL) * len(plan.cells)
    return [plan.output_words, links, links + len(plan.handovers)]


def initial_image(plan: Plan) -> Image:
    """Every tag at its default, every cell's outputs gated, then the line file's parameters."""
    image = Image(plan.layout)
    for cell in plan.line.cells.values():
        image.write(plan.layout.find(f"{cell.name}.unit.cause"), int(Cause.STOP))
        for tag, value in cell.params.items():
            image.write(plan.layout.find(f"{cell.name}.{tag}"), value)
    return image


def _outputs_at_rest(plan: Plan) -> Ints:
    """What an output that is to hold its last value holds, before it had one."""
    outputs = np.zeros(plan.output_words, np.int64)
    for _, cell, point, raw, tag in plan.joined(Role.OUTPUT):
        reactions = plan.line.cells[cell].safe[tag.path.partition(".")[2]]
        outputs[raw] = raw_value(point, tag, reactions[Cause.STOP].value)
    return outputs


def _io_good(plan: Plan, cell: str) -> int:
    return plan.layout.place(f"{cell}.unit.io_good")[0]


def _watched(plan: Plan) -> list[str]:
    return [f"{h}.{part}" for h in plan.handovers for part in ("state", "up.board.id")]


def _unit(plan: Plan, cell: str) -> list[int]:
    def word(path: str) -> int:
        return plan.layout.place(f"{cell}.{path}")[0] // WORD

    kind = plan.line.cells[cell].type
    ahead = next((h.upstream for h in plan.line.handovers if h.upstream.startswith(f"{cell}.")), "")
    holds = word(f"{ahead.partition('.')[2]}.hears.holds") if ahead else -1
    boards = [word("unit"), word("board"), _io_good(plan, cell), word(kind.gives), holds]
    return [*boards, plan.layout.place(f"{cell}.unit.overrun")[0], plan.task_of(cell)]


def _gate(plan: Plan, cell: str, point: Point, raw: int, tag: Leaf) -> list[int]:
    place = plan.layout.place
    row = [
        place(f"{cell}.unit.cause")[0] // WORD,
        place(f"{cell}.unit.cause_since_ns")[0] // WORD,
        raw,
    ]
    reactions = plan.line.cells[cell].safe[tag.path.partition(".")[2]]
    for cause in CAUSES:
        reaction = reactions[cause]
        row += [reaction.kind, round(reaction.after_s * 1e9), raw_value(point, tag, reaction.value)]
    return row


def raw_value(point: Point, tag: Leaf, value: Scalar) -> int:
    """The raw value that stands for a tag's `value` at a point."""
    scratch = np.zeros(1, np.int64)
    reals = scratch.view(np.float64)
    kind = tag.field.kind
    memory = bytearray(WORD)
    single = views(memory)
    if kind is bool:
        single.bytes[0] = bool(value)
    elif kind is int:
        single.words[0] = int(value)
    else:
        single.reals[0] = float(value)
    wires = wiring([(point, Leaf(tag.path, 0, tag.field))])
    gather(wires, wires.rows[0], scratch, reals, single)
    return int(scratch[0])


def check_carried(point: Point, tag: Leaf, value: Scalar) -> None:
    """Raises ValueError for a value that the tag or the wire cannot carry."""
    kind, wire = tag.field.kind, point.wire
    if isinstance(value, bool) != (kind is bool) or (kind is int and not isinstance(value, int)):
        raise ValueError(f"{tag.path} is {kind.__name__} and cannot be {value!r}")
    low, high = sorted(raw * point.scale + point.offset for raw in wire.limits)
    if not (np.isfinite(value) if wire.is_float else low <= value <= high):
        carries = "finite numbers" if wire.is_float else f"{low:g} to {high:g}"
        raise ValueError(f"{tag.path} cannot be {value}: {wire.value} carries {carries}")


def carried(terminal: Terminal) -> tuple[float, float]:
    """The lowest and highest raw value that may be forced: what the wire carries, within an output's range."""
    point = terminal.point
    low, high = (-FLOAT_MAX, FLOAT_MAX) if point.wire.is_float else point.wire.limits
    if terminal.role is Role.INPUT or not terminal.tags:
        return low, high
    tag = terminal.tags[0]
    ends = [low, high]
    for n, end in enumerate((tag.field.low, tag.field.high)):
        if end is not None:
            ends[n] = end if point.wire.is_float else raw_value(point, tag, end)
    return min(ends), max(ends)


def _terminal(plan: Plan, number: int) -> list[int]:
    terminal = plan.terminals[number]
    free = bool(terminal.tags) and number not in plan.safety_terminals
    row = [free, terminal.point.wire.is_float, False, 0]
    if terminal.role is Role.OUTPUT and terminal.tags:
        tag = terminal.tags[0]
        unit = plan.layout.place(f"{tag.path.partition('.')[0]}.unit")[0] // WORD
        row[2:] = free and tag.field.jog, unit
    return row


def _typed(tag: Leaf) -> list[int]:
    return [tag.offset, (bool, int, float).index(tag.field.kind)]


def _limits(tag: Leaf) -> tuple[float, float]:
    low, high = tag.field.low, tag.field.high
    return (-np.inf if low is None else low, np.inf if high is None else high)


def _ints(rows: list[list[int]], width: int) -> Ints:
    return np.array(rows, np.int64).reshape(len(rows), width)
