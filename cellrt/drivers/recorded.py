"""A device that says again what it said before."""

from __future__ import annotations

from collections.abc import Iterable

from cellrt.drivers.base import DeviceError
from cellrt.wire import Ints


class RecordedDriver:
    """Gives one recorded sample an exchange, and takes outputs without heeding them.

    `samples` are the rows of an int64 array or any iterable of them; None stands for an exchange
    that failed. When they are over every exchange fails, as with a device that has gone.
    """

    def __init__(self, name: str, samples: Iterable[Ints | None]) -> None:
        self.name = name
        self._samples = iter(samples)

    async def connect(self) -> None:
        """Nothing to open; the recording goes on where it was."""

    async def exchange(self, outputs: Ints, inputs: Ints) -> None:
        """The next sample. Raises DeviceError where the recording has none."""
        try:
            sample = next(self._samples)
        except StopIteration:
            raise DeviceError(f"{self.name}: the recording is over") from None
        if sample is None:
            raise DeviceError(f"{self.name}: this exchange failed when it was recorded")
        inputs[:] = sample

    async def write(self, outputs: Ints) -> None:
        """Nobody heeds it."""

    async def close(self) -> None:
        """Nothing to release."""
