"""A device that is two arrays in the same process: no network, no time, nothing that can fail."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cellrt.wire import DeviceMap, Ints


def count(outputs: Ints, inputs: Ints) -> None:
    """The device that does nothing but count its samples."""
    inputs[0] += 1


class MemoryDriver:
    """What the line wrote last is in `outputs`; what it reads next is in `inputs`.

    `react(outputs, inputs)` is the device: called in each exchange between the writing and the
    reading, it may set inputs, and counts `inputs[0]` up for as long as the device lives.
    """

    def __init__(self, device_map: DeviceMap, react: Callable[[Ints, Ints], None] = count) -> None:
        self.outputs = np.zeros(1 + len(device_map.outputs), np.int64)
        self.inputs = np.zeros(1 + len(device_map.inputs), np.int64)
        self._react = react

    async def connect(self) -> None:
        """Nothing to open."""

    async def exchange(self, outputs: Ints, inputs: Ints) -> None:
        """Copy both ways."""
        self.outputs[:] = outputs
        self._react(self.outputs, self.inputs)
        inputs[:] = self.inputs

    async def write(self, outputs: Ints) -> None:
        """Copy one way; the device does not react before it is read."""
        self.outputs[:] = outputs

    async def close(self) -> None:
        """Nothing to release."""
