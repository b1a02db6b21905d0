"""What a driver is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

from cellrt.wire import Ints


class DeviceError(Exception):
    """An exchange that was not confirmed; the message names the device and the reason."""


class NotThere(DeviceError):
    """Nobody takes a connection at the device's address: it is off, still booting, or elsewhere."""


class Driver(Protocol):
    """One device. Real, simulated, recorded and faulty ones are the same to whoever calls.

    Raw values as `cellrt.wire` defines them. `outputs` is the heartbeat, then the device map's
    outputs; `inputs` the device's counter, then the map's inputs. A map without one of the two
    counters leaves its place unused (0).

    A driver never connects again by itself: after a DeviceError its device is unknown until the
    caller, who alone decides how long to wait, has called `connect`. One call at a time; any may be
    cancelled.
    """

    async def connect(self) -> None:
        """Open the connection and check the map's points, as far as can be done without writing.

        Leaves no trace of an earlier connection. Energises nothing. Raises DeviceError, which is
        NotThere when there was nobody to speak with.
        """

    async def exchange(self, outputs: Ints, inputs: Ints) -> None:
        """Write `outputs`, the heartbeat last, then read all of `inputs`, a whole sample or none.

        Raises DeviceError when either was not confirmed in time; `inputs` is then untouched.
        """

    async def write(self, outputs: Ints) -> None:
        """Write `outputs`, the heartbeat last, and read nothing.

        Raises DeviceError when that was not confirmed in time.
        """

    async def close(self) -> None:
        """Release the device, within a bounded time. Never raises."""


@contextlib.asynccontextmanager
async def bounded(timeout_s: float) -> AsyncIterator[asyncio.Timeout]:
    """Run a block for at most `timeout_s`. Raises TimeoutError.

    The limit that it yields ends the block earlier when it is rescheduled.
    A cancellation that meets the very result waited for is lost in `asyncio.wait_for` of Python
    3.11, which asyncua uses; here it comes out again. asyncua also makes it an exception of its own
    kind, which `asyncio.timeout` does not take for the one that it sent; here it is that one again.
    """
    task = asyncio.current_task()
    assert task is not None
    cancellations = task.cancelling()
    async with asyncio.timeout(timeout_s) as limit:
        try:
            yield limit
        except asyncio.CancelledError:
            raise asyncio.CancelledError from None
        if task.cancelling() > cancellations:
            raise asyncio.CancelledError
