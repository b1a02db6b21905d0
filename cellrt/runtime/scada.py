"""The process `scada`: strangers' clients. What they do to it costs neither control nor history."""

from __future__ import annotations

import asyncio
import signal

from cellrt.runtime.child import take_station
from cellrt.shared.memory import Role


async def serve() -> None:
    station = take_station(Role.SCADA)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    while not stop.is_set():
        station.region.beat(Role.SCADA)
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(serve())
