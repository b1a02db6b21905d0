"""Simulated devices as servers: the plant runs by the wall clock, its fronts answer the network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Protocol

import numpy as np

from cellrt.image import Image
from cellrt.tags import WORD
from hw_sim.device import SimDevice
from hw_sim.modbus_front import ModbusFront
from hw_sim.opcua_front import OpcUaFront
from hw_sim.plant import Plant

LONGEST_STALL_NS = 50_000_000
"""What a longer stall of this process takes from the plant is not made up for: boards would run on
that nobody could have stopped. Nor do watchdogs count it: the devices could not hear."""
SHORTEST_SLEEP_S = 0.001


class Front(Protocol):
    """A device's side on the network."""

    async def build(self) -> None:
        """All that takes its time before anybody may come."""

    async def start(self, port: int) -> str:
        """Listen; the address."""

    async def publish(self) -> None:
        """The device was scanned."""

    async def stop(self) -> None:
        """Close the port and every connection."""


FRONTS: Mapping[str, Callable[[type[SimDevice], str, Image], Front]] = {
    "modbus": ModbusFront,
    "opcua": OpcUaFront,
}


async def serve(
    plant: Plant,
    *,
    period_ns: int,
    stop: asyncio.Event,
    base_port: int = 0,
    speed: float = 1.0,
    start_ns: int | None = None,
    clock_ns: Callable[[], int] = time.monotonic_ns,
    built: Callable[[], None] = lambda: None,
    ready: Callable[[Mapping[str, str]], None] = lambda addresses: None,
) -> None:
    """Serve every device of `plant` until `stop` is set, looked at once a tick.

    Devices listen on 127.0.0.1 at `base_port` and up, in order of declaration; 0 takes free
    ports. `built` is called before the first one listens, `ready` is told each device's address. Logical time is `(clock_ns() - start_ns) *
    speed`, in steps of `period_ns`; `start_ns` is now unless given. While `clock_ns` stands, so do
    the devices, their watchdogs too. Raises OSError, naming device and port, when one is taken.
    """
    async with AsyncExitStack() as stack:
        addresses, fronts = {}, {}
        for name, kind in plant.assembly.members.items():
            if not issubclass(kind, SimDevice):
                raise TypeError(f"{name}: {kind.type_name()} is no simulated device")
            fronts[name] = FRONTS[kind.device_map.protocol](kind, name, plant.image)
            await fronts[name].build()
        built()
        for number, (name, front) in enumerate(fronts.items()):  # who can connect is answered
            stack.push_async_callback(front.stop)
            port = base_port + number if base_port else 0
            try:
                addresses[name] = await front.start(port)
            except OSError as error:
                raise OSError(
                    error.errno, f"port {port} on 127.0.0.1, wanted for {name}: {error.strerror}"
                ) from None
        ready(addresses)
        now_ns = clock_ns()
        clock = Clock(plant, period_ns, speed, now_ns if start_ns is None else start_ns, now_ns)
        while not stop.is_set():
            clock.catch_up(clock_ns())
            for front in fronts.values():
                await front.publish()
            await asyncio.sleep(clock.until_next_s(clock_ns()))


class Clock:
    """Moves a plant along a clock, on a grid; `now_ns` is what the clock shows, throughout."""

    def __init__(
        self, plant: Plant, period_ns: int, speed: float, start_ns: int, now_ns: int
    ) -> None:
        self._plant = plant
        walls = (plant.image.layout.find(f"{n}.wall_ns") for n in plant.assembly.members)
        self._walls = np.array([leaf.offset // WORD for leaf in walls])
        self._period_ns, self._speed, self._start_ns = period_ns, speed, start_ns
        self._most_ticks = max(1, round(LONGEST_STALL_NS * speed / period_ns))
        self._seen_ns = now_ns
        self._wall_ns = 1
        self._next = self._due(now_ns)

    def catch_up(self, now_ns: int) -> None:
        """Every tick that is due."""
        due = self._due(now_ns)
        self._next = max(self._next, due + 1 - self._most_ticks)
        self._wall_ns += min(now_ns - self._seen_ns, LONGEST_STALL_NS)
        self._seen_ns = now_ns
        self._plant.image.views.words[self._walls] = self._wall_ns
        while self._next <= due:
            self._plant.tick(self._next * self._period_ns, self._period_ns * 1e-9)
            self._next += 1

    def _due(self, now_ns: int) -> int:
        """Number of the last tick whose time has come."""
        return int((now_ns - self._start_ns) * self._speed) // self._period_ns

    def until_next_s(self, now_ns: int) -> float:
        """Wall time until the next tick is due."""
        next_ns = self._start_ns + self._next * self._period_ns / self._speed
        return max((next_ns - now_ns) * 1e-9, SHORTEST_SLEEP_S)
