"""What a driver sends: values as wide as the wire, and only those that the device may not have."""

from __future__ import annotations

import math
import struct
from collections.abc import Collection

import numpy as np

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
    """Outputs that the device is known to have: what it confirmed, on this connection.

    Row 0, the heartbeat, is none of them: it is always written.
    """

    def __init__(self, refresh_s: float) -> None:
        self._refresh_s = refresh_s
        self._known = self._asked = b""
        self._is_whole = False
        self.forget()

    def forget(self) -> None:
        """Nothing is known of the device, as after a connect."""
        self._whole_s = -math.inf

    def due(self, outputs: Ints, now_s: float) -> Collection[int]:
        """Rows to write: those that changed; all, after a connect and once in a while."""
        self._asked = outputs[1:].tobytes()
        self._is_whole = now_s - self._whole_s >= self._refresh_s
        if self._is_whole:
            return range(1, len(outputs))
        if self._asked == self._known:
            return ()
        changed = outputs[1:] != np.frombuffer(self._known, np.int64)
        rows: list[int] = (1 + np.flatnonzero(changed)).tolist()
        return rows

    def confirm(self, now_s: float) -> None:
        """The device confirmed the outputs that were due last."""
        self._known = self._asked
        if self._is_whole:
            self._whole_s = now_s
