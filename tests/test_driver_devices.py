"""The drivers against the simulated devices, over sockets, by the device maps that are shipped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from sim_bench import PERIOD_NS, station

from cellrt.drivers.open import open_driver
from cellrt.line.device_map import load_map
from hw_sim.plant import Plant
from hw_sim.serve import serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

CELLS = Path(__file__).parents[1] / "cells"
LIMIT_S = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def addresses() -> AsyncIterator[Mapping[str, str]]:
    """Where the plant's devices listen."""
    stop = asyncio.Event()
    ready: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(Plant(station()), period_ns=PERIOD_NS, stop=stop, ready=ready.set_result)
    )
    await asyncio.wait({serving, ready}, timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
    yield ready.result()
    stop.set()
    await asyncio.wait_for(serving, LIMIT_S)


async def test_devices_connected_give_advancing_samples(addresses: Mapping[str, str]) -> None:
    """Each device has every point of its map, takes every output, and counts."""
    for device, address in addresses.items():
        device_map = load_map(CELLS / f"{device}.toml").map
        driver = open_driver(device, address, device_map, LIMIT_S)
        outputs = np.zeros(1 + len(device_map.outputs), np.int64)
        inputs = np.zeros(1 + len(device_map.inputs), np.int64)
        counters = set()
        await driver.connect()
        async with asyncio.timeout(LIMIT_S):
            while len(counters) < 3:
                outputs[0] += 1
                await driver.exchange(outputs, inputs)
                counters.add(int(inputs[0]))
        await driver.close()


async def test_safety_plc_at_rest_reads_as_the_plant_is(addresses: Mapping[str, str]) -> None:
    device_map = load_map(CELLS / "safety.toml").map
    names = [point.name for point in device_map.inputs]
    driver = open_driver("safety", addresses["safety"], device_map, LIMIT_S)
    inputs = np.zeros(1 + len(names), np.int64)
    await driver.connect()
    await driver.exchange(np.zeros(1 + len(device_map.outputs), np.int64), inputs)
    await driver.close()
    sample = dict(zip(names, inputs[1:].tolist(), strict=True))
    assert sample["estop_released"] == 1
    assert sample["guards_closed"] == 1
