"""The simulated devices of a line as a process of their own: `cellrt devices LINE`, and under `run --sim`.

It stands for hardware: it shares no memory with the line and speaks with it over sockets only. Under
`--python` it looks at one thing more, how many scans there were, so as to stand still with the scan.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cellrt.app.simulate import simulated_plant
from cellrt.lifeline import die_with_parent
from cellrt.line.load import load_line
from cellrt.runtime.child import Order
from cellrt.runtime.realtime import DEVICES_PRIORITY, become_prompt
from cellrt.shared.memory import Role, attach
from hw_sim.plant import Plant, census
from hw_sim.serve import serve

COMPILING_NICENESS = 10
"""Until they serve, simulated devices leave the processor to the scan, which compiles at the same time."""


async def serve_devices(
    path: Path,
    *,
    seed: int,
    base_port: int,
    speed: float,
    census_at: Path | None = None,
    clock_ns: Callable[[], int] = time.monotonic_ns,
) -> None:
    """Serve until SIGTERM or SIGINT; then write the plant's count of boards to `census_at`."""
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    gc.disable()  # a start makes no garbage, but is half as long without looking for it
    line = load_line(path)
    assembly, image = simulated_plant(line, seed)
    plant = Plant(assembly, image)
    await serve(
        plant,
        period_ns=line.period_ns,
        stop=stop,
        base_port=base_port,
        speed=speed,
        clock_ns=clock_ns,
        built=_become_prompt,
        ready=_tell,
    )
    if census_at is not None:
        fresh = census_at.with_suffix(".new")
        fresh.write_text(json.dumps(census(image)))
        fresh.replace(census_at)


def _become_prompt() -> None:
    """Before a client can come: it is answered in time from its first request on."""
    become_prompt(DEVICES_PRIORITY)
    gc.enable()


def _tell(addresses: Mapping[str, str]) -> None:
    for name, address in addresses.items():
        print(f"{name:<16} {address}", flush=True)


def scan_clock(order: Order) -> Callable[[], int]:
    """A clock that goes one period on with every scan, and stands while a person holds the scan."""
    region = attach(order.fd, order.plan_hash)
    period_ns = round(load_line(Path(order.line)).period_ns / order.speed)
    return lambda: region.heartbeat(Role.SCAN) * period_ns


def main() -> None:
    """Under a watcher: the order is the command line's argument."""
    order = Order(**json.loads(sys.argv[1]))
    die_with_parent(order.watcher_pid)
    os.nice(COMPILING_NICENESS)
    try:
        asyncio.run(
            serve_devices(
                Path(order.line),
                seed=order.seed,
                base_port=order.base_port,
                speed=order.speed,
                census_at=Path(order.run_dir) / "census.json",
                clock_ns=scan_clock(order) if order.plain else time.monotonic_ns,
            )
        )
    except OSError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
