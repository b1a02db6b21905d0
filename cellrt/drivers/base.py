"""What a driver is."""

from __future__ import annotations

from typing import Protocol

from cellrt.wire import Ints


class DeviceError(Exception):
    """An exchange that was not confirmed, whatever the reason; the message names device and reason."""


class Driver(Protocol):
    """One device. Real, simulated, recorded and faulty ones are the same to whoever calls.

    Raw values as `cellrt.wire` defines them. `outputs` is the heartbeat, then the device map's outputs;
    `inputs` the device's counter, then the map's inputs. A map without one of the two counters leaves
    its place unused (0).
    """

    async def connect(self) -> None:
        """Open the connection and check that every point of the map exists. Raises DeviceError."""

    async def exchange(self, outputs: Ints, inputs: Ints) -> None:
        """Write `outputs`, then read all of `inputs`, a whole sample or none.

        Raises DeviceError when either was not confirmed; `inputs` is then untouched.
        """

    async def close(self) -> None:
        """Release the device. Never raises."""
