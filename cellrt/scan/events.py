"""Events: what a scan changed, as fixed-size records.

An event is eight words: its number in the ring, logical time in ns, `Event`, the subject's number, and
four values whose meaning the kind gives. They are found by comparing the image with what was last
reported, so logic neither sends nor formats anything.
"""

from __future__ import annotations

from enum import IntEnum, unique

from cellrt.compiled import compiled, inlined, lowest_set_bit
from cellrt.packml import Unit
from cellrt.scan.tables import Tables, Work
from cellrt.tags import WORD, find
from cellrt.wire import Ints


@unique
class Event(IntEnum):
    """Kinds of events: subject; values."""

    STARTED = 1  # epoch; 0, 0, 0, 0
    STATE = 2  # cell; from, to, cause, first-out
    STEP = 3  # cell; from, to, 0, 0
    BOARD_IN = 4  # cell; board, result, product, route
    BOARD_OUT = 5  # cell; board, result, product, route
    TRIPPED = 6  # cell; rule, first-out, 0, 0
    HANDOVER = 7  # handover; from, to, board, 0
    COMMAND = 8  # origin; command's number, target, operation, Refusal
    PARAMETER = 9  # parameter; raw bits before, after, command's number, 0
    DEVICE = 10  # device; good 0 or 1, 0, 0, 0
    OVERRUN = 11  # 0; scans skipped, lateness ns, 0, 0
    LOST = 12  # 0; events lost, 0, 0, 0
    BOARD_LEFT = 13  # cell; board, result, product, route: given to no other cell, it left the line
    FORCED = 14  # terminal; raw value, until ns, command's number, 0
    UNFORCED = 15  # terminal; raw value, command's number or 0: it expired, 0, 0
    MODE = 16  # cell; from, to, 0, 0
    COMMANDER = 17  # cell; from, to (packml.Control), 0, 0
    CHANGED = 18  # told tag; from, to, 0, 0
    RECORDING = 19  # 0; 1 it is put to disk again, 0 it cannot be, 0, 0, 0
    RECORDING_LOST = 20  # 0; bytes, first and last of their scans (-1: not known), 0
    TASK = 21  # task; times slower than declared before, and now (0: stopped safely), 0, 0


STATE, STEP, BOARD_IN, BOARD_OUT, TRIPPED, HANDOVER, DEVICE, LOST = 2, 3, 4, 5, 6, 7, 10, 12
BOARD_LEFT, CHANGED = 13, 18


def _word(tag: str) -> int:
    return find(Unit, tag).offset // WORD


U_STATE, U_STEP, U_CAUSE, U_FIRST_OUT, U_TRIPPED = (
    _word("state"),
    _word("step"),
    _word("cause"),
    _word("first_out"),
    _word("tripped"),
)
U_REQUESTS, U_MODE, U_COMMANDER = _word("requests"), _word("mode"), _word("commander")
U_WELL, U_STEP_ASKED = find(Unit, "well").offset, find(Unit, "step_asked").offset
"""Bytes in the unit."""

U_IN, U_OUT, U_DEFECTIVE = _word("boards_in"), _word("boards_out"), _word("defective_out")
B_ID, B_PRODUCT, B_RESULT, B_ROUTE = 1, 2, 3, 4
FAILED = 2


@compiled
def emit(work: Work, now_ns: int, kind: int, subject: int, a: int, b: int, c: int, d: int) -> None:
    """Append an event of this scan. The last place is kept for saying that more were lost."""
    n, room = work.event_count[0], work.events.shape[0]
    if n >= room - 1:
        lost = work.events[room - 1, 4] if n == room else 0
        n, kind, subject, a, b, c, d = room - 1, LOST, 0, lost + 1, 0, 0, 0
    event = work.events[n]
    event[1], event[2], event[3] = now_ns, kind, subject
    event[4], event[5], event[6], event[7] = a, b, c, d
    work.event_count[0] = n + 1


@inlined
def report(tables: Tables, work: Work, now_ns: int) -> None:
    """Events for everything that changed since the last scan, and the boards' counts."""
    words, changed = work.image.words, False
    for k in range(tables.units.shape[0]):
        if has_changed(work, k, tables.units[k]):
            changed = True
            report_unit(work, now_ns, k, tables.units[k])
    for k in range(tables.states.shape[0]):
        state = words[tables.states[k, 0]]
        if state != work.links[k]:
            emit(work, now_ns, HANDOVER, k, work.links[k], state, words[tables.states[k, 1]], 0)
            work.links[k] = state
            changed = True
    told, octets = tables.told, work.image.bytes
    for k in range(told.shape[0]):
        at = told[k, 0]
        value = int(octets[at]) if told[k, 1] == 0 else int(words[at >> 3])
        if value != work.told[k]:
            emit(work, now_ns, CHANGED, k, work.told[k], value, 0, 0)
            work.told[k] = value
            changed = True
    work.changed[0] = changed


@inlined
def has_changed(work: Work, k: int, places: Ints) -> bool:
    """Whether there is anything to report of cell `k`."""
    words, before, unit = work.image.words, work.cells[k], places[0]
    differ = (
        words[unit + U_STATE] ^ before[0]
        | words[unit + U_STEP] ^ before[1]
        | words[places[1] + B_ID] ^ before[2]
        | words[unit + U_TRIPPED] ^ before[3]
        | words[places[3] + B_ID] ^ before[4]
    )
    return bool(differ != 0)


@compiled
def report_unit(work: Work, now_ns: int, k: int, places: Ints) -> None:
    """What changed in cell `k`; `places` is its row of `Tables.units`."""
    words, before, unit = work.image.words, work.cells[k], places[0]
    fresh = words[unit + U_TRIPPED] & ~before[3]
    while fresh != 0:
        emit(work, now_ns, TRIPPED, k, lowest_set_bit(fresh), words[unit + U_FIRST_OUT], 0, 0)
        fresh &= fresh - 1
    before[3] = words[unit + U_TRIPPED]
    report_boards(work, now_ns, k, places)
    if words[unit + U_STEP] != before[1]:
        emit(work, now_ns, STEP, k, before[1], words[unit + U_STEP], 0, 0)
        before[1] = words[unit + U_STEP]
    if words[unit + U_STATE] != before[0]:
        cause, first_out = words[unit + U_CAUSE], words[unit + U_FIRST_OUT]
        emit(work, now_ns, STATE, k, before[0], words[unit + U_STATE], cause, first_out)
        before[0] = words[unit + U_STATE]


@compiled
def report_boards(work: Work, now_ns: int, k: int, places: Ints) -> None:
    """Boards that left cell `k` and boards that came, in this order."""
    words, before, unit = work.image.words, work.cells[k], places[0]
    coming, going = words[places[1] + B_ID], words[places[3] + B_ID]
    if going != before[4]:
        if before[4] != 0:
            words[unit + U_OUT] += 1
            if words[places[3] + B_RESULT] == FAILED:
                words[unit + U_DEFECTIVE] += 1
            tell_board(work, now_ns, BOARD_OUT, k, before[4], places[3])
            if places[4] < 0 or words[places[4]] != before[4]:
                tell_board(work, now_ns, BOARD_LEFT, k, before[4], places[3])
        before[4] = going
    if coming != before[2]:
        if coming != 0:
            words[unit + U_IN] += 1
            tell_board(work, now_ns, BOARD_IN, k, coming, places[1])
        before[2] = coming


@compiled
def tell_board(work: Work, now_ns: int, kind: int, k: int, board_id: int, board: int) -> None:
    """An event of cell `k` about a board whose record begins, or began, at word `board`."""
    words = work.image.words
    product, result, route = (
        words[board + B_PRODUCT],
        words[board + B_RESULT],
        words[board + B_ROUTE],
    )
    emit(work, now_ns, kind, k, board_id, result, product, route)
