"""A bounded block ends in time and says so, whatever a library makes of the cancellation."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from cellrt.drivers.base import bounded


class Own(asyncio.CancelledError):
    """A library's own kind of cancellation, as asyncua's when a result came along with it."""


async def never() -> None:
    await asyncio.get_running_loop().create_future()


async def never_as(own: bool) -> None:
    try:
        await never()
    except asyncio.CancelledError:
        raise (Own() if own else asyncio.CancelledError()) from None


@pytest.mark.parametrize("own", [False, True], ids=["plain", "own kind"])
async def test_time_is_up_is_a_timeout(own: bool) -> None:
    with pytest.raises(TimeoutError):
        async with bounded(0.0):
            await never_as(own)


async def test_time_is_up_and_the_cancellation_was_lost_is_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with bounded(0.0):
            with contextlib.suppress(asyncio.CancelledError):
                await never()  # as asyncio.wait_for before Python 3.12, when the result is there


@pytest.mark.parametrize("own", [False, True], ids=["plain", "own kind"])
async def test_cancelled_from_outside_is_cancelled(own: bool) -> None:
    began = asyncio.Event()

    async def work() -> None:
        async with bounded(3600.0):
            began.set()
            await never_as(own)

    task = asyncio.create_task(work())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_block_that_ends_in_time_is_left_alone() -> None:
    async with bounded(3600.0) as limit:
        await asyncio.sleep(0)
    assert not limit.expired()
