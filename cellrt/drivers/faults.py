"""Faults on purpose, round any driver: the same seed, the same faults in the same exchanges.

Whether a fault begins is a hash of (seed, device, exchange number, purpose), never a generator's
next number, so that a fault added or an exchange more changes nothing about the others. Nothing
here waits: late means late by so many exchanges.
"""

from __future__ import annotations

import enum
import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from cellrt.drivers.base import DeviceError, Driver, NotThere
from cellrt.wire import DeviceMap, Ints, Point


class Kind(enum.Enum):
    """What goes wrong."""

    DROP = "drop"
    """The request is lost: the device learns nothing, the line hears nothing."""

    EXCEPTION = "exception"
    """The device takes the outputs, and then the answer is an error."""

    DISCONNECT = "disconnect"
    """The connection breaks, and no new one is to be had while the fault lasts."""

    FREEZE = "freeze"
    """The device takes the outputs but answers with its last sample, the counter with it."""

    DELAY = "delay"
    """Samples are `late` exchanges old."""

    CORRUPT = "corrupt"
    """One bit of one input is wrong; the counter is right."""


@dataclass(frozen=True)
class Fault:
    """A fault that begins in any exchange with probability `chance`, and surely in exchange `at`.

    It lasts `lasts` exchanges, of which a refused connect counts as one.
    """

    kind: Kind
    chance: float = 0.0
    at: int | None = None
    lasts: int = 1
    late: int = 1


def draw(seed: int, device: str, exchange: int, purpose: str) -> int:
    """64 bits that depend on nothing but the arguments."""
    key = f"{seed}/{device}/{exchange}/{purpose}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")


class FaultyDriver:
    """`inner` with faults. Exchanges count from 0, writes alone among them.

    `begun` lists (exchange, kind) of what began.
    """

    def __init__(
        self, name: str, inner: Driver, device_map: DeviceMap, faults: Sequence[Fault], seed: int
    ) -> None:
        self.name = name
        self.begun: list[tuple[int, Kind]] = []
        self._inner = inner
        self._inputs: tuple[Point, ...] = device_map.inputs
        self._faults = tuple(faults)
        self._seed = seed
        self._exchange = 0
        self._left = [0] * len(self._faults)
        self._past: deque[Ints] = deque(maxlen=1 + max((f.late for f in faults), default=0))

    async def connect(self) -> None:
        """Raises NotThere while a disconnect lasts."""
        if Kind.DISCONNECT in self._active(Kind.DISCONNECT):
            raise NotThere(f"{self.name}: connection refused (injected)")
        await self._inner.connect()

    async def exchange(self, outputs: Ints, inputs: Ints) -> None:
        """As `inner`, but for the faults. Raises DeviceError, injected or inner's own."""
        number = self._exchange
        active = await self._reach(*Kind)
        sample = inputs.copy()
        await self._inner.exchange(outputs, sample)
        if Kind.EXCEPTION in active:
            raise DeviceError(f"{self.name}: exception response (injected)")
        if Kind.FREEZE not in active or not self._past:
            self._past.append(sample)
        late = active.get(Kind.DELAY)
        inputs[:] = self._past[max(-1 - (late.late if late else 0), -len(self._past))]
        if Kind.CORRUPT in active and self._inputs:
            self._corrupt(inputs, number)

    async def write(self, outputs: Ints) -> None:
        """As `inner`, but for the faults; those of samples are not felt. Raises DeviceError."""
        active = await self._reach(Kind.DISCONNECT, Kind.DROP, Kind.EXCEPTION)
        await self._inner.write(outputs)
        if Kind.EXCEPTION in active:
            raise DeviceError(f"{self.name}: exception response (injected)")

    async def close(self) -> None:
        """Release the device. Never raises."""
        await self._inner.close()

    async def _reach(self, *kinds: Kind) -> dict[Kind, Fault]:
        """Begin an exchange; faults at work in it among these kinds.

        Raises DeviceError where one of them is in the way to the device.
        """
        self._begin(self._exchange)
        self._exchange += 1
        active = self._active(*kinds)
        if Kind.DISCONNECT in active:
            await self._inner.close()
            raise DeviceError(f"{self.name}: disconnected (injected)")
        if Kind.DROP in active:
            raise DeviceError(f"{self.name}: no answer (injected)")
        return active

    def _begin(self, number: int) -> None:
        for n, fault in enumerate(self._faults):
            chance = draw(self._seed, self.name, number, fault.kind.value) / 2**64
            if self._left[n] == 0 and (number == fault.at or chance < fault.chance):
                self._left[n] = fault.lasts
                self.begun.append((number, fault.kind))

    def _active(self, *kinds: Kind) -> dict[Kind, Fault]:
        """Faults at work among these kinds; each has one exchange less to go."""
        active = {}
        for n, fault in enumerate(self._faults):
            if fault.kind in kinds and self._left[n] > 0:
                self._left[n] -= 1
                active[fault.kind] = fault
        return active

    def _corrupt(self, inputs: Ints, number: int) -> None:
        """Flip a bit that the wire has, so that the value is wrong but possible."""
        bits = draw(self._seed, self.name, number, "which bit")
        row = bits % len(self._inputs)
        wire = self._inputs[row].wire
        width, low = (64, 0) if wire.is_float else (wire.bits, wire.low)
        flip = 1 << (bits >> 32) % width
        if width == 64:
            inputs.view("u8")[1 + row] ^= flip
        else:
            inputs[1 + row] = ((int(inputs[1 + row]) - low) ^ flip) + low
