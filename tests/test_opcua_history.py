"""History of chosen tags: what is kept, what a client reads of it, and what is let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st
from scada_line import PERIOD_NS, WALL_START_NS, Desk, press_line, serving

from cellrt.opcua.history import TRIM_EVERY, History
from cellrt.opcua.mirror import START, Reading, timestamp
from cellrt.opcua.status import Codes, status

Double, Int64, Boolean = ua.VariantType.Double, ua.VariantType.Int64, ua.VariantType.Boolean
KINDS = {"press.attempts": Int64, "press.armed": Boolean}
TAG = "press.attempts"


def at(t_us: int) -> datetime:
    return START + timedelta(microseconds=t_us)


def reading(t_us: int, value: int, kind: ua.VariantType = Int64) -> Reading:
    return Reading(ua.Variant(value, kind), status(Codes.Good), timestamp(at(t_us)))


def span(start: int | None, end: int | None, count: int = 0) -> ua.ReadRawModifiedDetails:
    """What is asked for; asyncua's own beginning of one asks for bounds and for modifications."""
    return ua.ReadRawModifiedDetails(
        IsReadModified=False,
        StartTime=timestamp(ua.get_win_epoch() if start is None else at(start)),
        EndTime=timestamp(ua.get_win_epoch() if end is None else at(end)),
        NumValuesPerNode=ua.Counter(count),
        ReturnBounds=False,
    )


def ask(
    history: History,
    start: int | None,
    end: int | None,
    count: int = 0,
    most: int = 1000,
    details: ua.ReadRawModifiedDetails | None = None,
) -> list[int]:
    """Values of every answer up to the last, each asked for by the continuation point before."""
    asked, values = ua.HistoryReadValueId(), []
    while True:
        result = history.read(asked, details or span(start, end, count), TAG, most)
        found = [data.Value.Value for data in result.HistoryData.DataValues]
        assert len(found) <= min(count or most, most)
        values += found
        asked.ContinuationPoint = result.ContinuationPoint
        if not asked.ContinuationPoint:
            return values


times = st.integers(0, 40)


@given(
    st.lists(times, unique=True),
    st.none() | times,
    st.none() | times,
    st.integers(0, 5),
    st.integers(1, 4),
)
def test_what_is_read_in_pages_is_what_was_kept_between_start_and_end(
    kept: list[int], start: int | None, end: int | None, count: int, most: int
) -> None:
    history = History(None, KINDS)
    history.add((TAG, reading(t_us, 100 + t_us)) for t_us in kept)
    low = min(t for t in (start, end) if t is not None) if (start, end) != (None, None) else 0
    high = max(t for t in (start, end) if t is not None) if (start, end) != (None, None) else 0
    if (start is None) + (end is None) + (count == 0) > 1:
        answer = history.read(ua.HistoryReadValueId(), span(start, end, count), TAG, most)
        assert answer.StatusCode.name == "BadInvalidArgument"
        return
    backwards = start is None or (end is not None and end < start)
    low = -1 if start is None else 100 if end is None and backwards else low
    high = 100 if end is None else high
    expected = sorted((100 + t for t in kept if low <= t <= high), reverse=backwards)
    assert ask(history, start, end, count, most) == expected
    history.close()


@pytest.mark.parametrize(
    ("start", "end", "values"),
    [(12, 28, [10, 20, 30]), (20, 20, [20]), (1, 5, [10]), (35, 45, [30]), (28, 12, [30, 20, 10])],
)
def test_bounds_are_the_nearest_values_outside_in_pages_too(
    start: int, end: int, values: list[int]
) -> None:
    history = History(None, KINDS)
    history.add((TAG, reading(t_us, t_us)) for t_us in (10, 20, 30))
    asked = span(start, end)
    asked.ReturnBounds = True
    for most in (1, 2, 100):
        assert ask(history, start, end, 0, most, asked) == values


def test_more_values_than_are_kept_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellrt.opcua.history.MAX_VALUES", 100)
    history = History(None, KINDS)
    for t_us in range(3 * TRIM_EVERY):
        history.add([(TAG, reading(t_us, t_us))])
    assert ask(history, 0, 10**6) == list(range(3 * TRIM_EVERY - 100, 3 * TRIM_EVERY))


def test_values_that_are_too_old_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellrt.opcua.history.TRIM_EVERY", 2)
    monkeypatch.setattr("cellrt.opcua.history.MAX_AGE_US", 10)
    history = History(None, KINDS)
    for t_us in (1, 2, 8, 15):
        history.add([(TAG, reading(t_us, t_us))])
    assert ask(history, 0, 100) == [8, 15]


def test_history_outlives_its_process_that_of_a_tag_no_longer_kept_does_not(
    tmp_path: Path,
) -> None:
    first = History(tmp_path / "history.sqlite", KINDS)
    first.add([(TAG, reading(5, 7)), ("press.armed", reading(5, 1, Boolean))])
    first.close()
    second = History(tmp_path / "history.sqlite", {TAG: Int64})
    assert ask(second, 0, 10) == [7]
    second.close()
    third = History(tmp_path / "history.sqlite", {"press.armed": Boolean})
    answer = third.read(ua.HistoryReadValueId(), span(0, 10), "press.armed", 10)
    assert answer.StatusCode.name == "GoodNoData"
    third.close()


# Through a client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk() -> AsyncIterator[Desk]:
    async with serving(press_line("press.spread_mm", "press.pressure_N", "press.armed")) as desk:
        yield desk


@pytest.mark.asyncio(loop_scope="module")
async def test_changes_of_a_chosen_tag_are_read_with_source_time_and_status(desk: Desk) -> None:
    first = desk.scan.scan
    for pressure_N in (1.5, 1.5, 2.5):
        desk.scan.set("press.pressure_N", pressure_N)
        await desk.publish()
    desk.scan.set_good("gauge", False)
    await desk.publish()
    await desk.server.lose()
    desk.scan.set_good("gauge", True)
    start = datetime.fromtimestamp(WALL_START_NS // 10**9, UTC)
    node = desk.node("press.pressure_N")
    found = await node.read_raw_history(start, start + timedelta(seconds=60))
    told = [(d.Value.Value if d.Value else None, d.StatusCode.name) for d in found[1:]]
    assert told[:2] == [(1.5, "Good"), (2.5, "Good")]
    assert told[2][1] == "BadOutOfService"  # of one scan's time the last that was known
    scans = [(d.SourceTimestamp - start) / timedelta(microseconds=PERIOD_NS / 1000) for d in found]
    assert scans == [first, first + 1, first + 3, first + 4]
    backwards = await node.read_raw_history(start + timedelta(seconds=60), start)
    assert backwards == found[::-1]
    await desk.publish()


@pytest.mark.asyncio(loop_scope="module")
async def test_only_chosen_tags_have_a_history_and_say_so(desk: Desk) -> None:
    kept, other = desk.node("press.armed"), desk.node("press.attempts")
    assert ua.AccessLevel.HistoryRead in await kept.get_access_level()
    assert ua.AccessLevel.HistoryRead not in await other.get_access_level()
    historizing = [
        (await node.read_attribute(ua.AttributeIds.Historizing)).Value.Value
        for node in (kept, other)
    ]
    assert historizing == [True, False]
    with pytest.raises(ua.uaerrors.BadHistoryOperationUnsupported):
        await other.read_raw_history(datetime.now(UTC), datetime.now(UTC))


@pytest.mark.asyncio(loop_scope="module")
async def test_history_that_is_asked_for_wrongly_refused(desk: Desk) -> None:
    session = desk.client.uaclient.session
    kept = desk.node("press.armed").nodeid

    async def answer(details: object, asked: ua.HistoryReadValueId) -> str:
        params = ua.HistoryReadParameters(
            HistoryReadDetails=details, ReleaseContinuationPoints=False, NodesToRead=[asked]
        )
        (result,) = await asyncio.wait_for(session.history_read(params), 10.0)
        return str(result.StatusCode.name)

    modified = span(1, 2)
    modified.IsReadModified = True
    refused = "BadHistoryOperationUnsupported"
    assert await answer(modified, ua.HistoryReadValueId(kept)) == refused
    assert await answer(ua.ReadEventDetails(), ua.HistoryReadValueId(kept)) == refused
    nowhere = ua.HistoryReadValueId(desk.node("press.nothing").nodeid)
    assert await answer(span(1, 2), nowhere) == "BadNodeIdUnknown"
    torn = ua.HistoryReadValueId(kept, ContinuationPoint=b"torn")
    assert await answer(span(1, 2), torn) == "BadContinuationPointInvalid"
    with pytest.raises(ua.uaerrors.BadUserAccessDenied):
        await session.history_update(ua.HistoryUpdateParameters())
