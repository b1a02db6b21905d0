"""What a driver sends: values as wide as the wire, and only those that the device may not have."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from cellrt.wire import Ints, Wire

REFRESH_S = 1.0
"""A value that has not changed is written again after this, in case the device lost it."""

F32_MAX: float = struct.unpack(">f", b"\x7f\x7f\xff\xff")[0]


def value_of(wire: Wire, raw: Ints, row: int) -> int | float:
    """A raw value as the number to send. Integers keep the wire's bits: a counter wraps."""
    if wire.is_float:
        real = float(raw.view(np.float64)[row])
        return min(max(real, -F32_MAX), F32_MAX) if wire is Wire.F32 else real
    number = int(raw[row])
    if wire is Wire.BOOL:
        return int(number != 0)
    return ((number - wire.low) & ((1 << wire.bits) - 1)) + wire.low


class Confirmed:
    """Outputs that the device is known to have: what it confirmed, on this connection."""

    def __init__(self, count: int, refresh_s: float) -> None:
        self._values = np.zeros(count, np.int64)
        self._refresh_s = refresh_s
        self.forget()

    def forget(self) -> None:
        """Nothing is known of the device, as after a connect."""
        self._whole_s = -np.inf

    def due(self, outputs: Ints, now_s: float) -> npt.NDArray[np.bool_]:
        """Which to write: those that changed; all, after a connect and once in a while."""
        if now_s - self._whole_s >= self._refresh_s:
            return np.ones(len(outputs), np.bool_)
        changed: npt.NDArray[np.bool_] = outputs != self._values
        return changed

    def confirm(self, outputs: Ints, due: npt.NDArray[np.bool_], now_s: float) -> None:
        """The device confirmed the outputs that were due."""
        self._values[:] = outputs
        if due.all():
            self._whole_s = now_s
