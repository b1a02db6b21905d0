"""Drivers without a network: memory, recorded, and the faults that wrap any driver."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
import pytest

from cellrt.drivers.base import DeviceError, Driver
from cellrt.drivers.faults import Fault, FaultyDriver, Kind, draw
from cellrt.drivers.memory import MemoryDriver
from cellrt.drivers.recorded import RecordedDriver
from cellrt.wire import DeviceMap, Ints, Point, Wire

MAP = DeviceMap(
    "modbus",
    (Point("at_stop", "discrete:0", Wire.BOOL), Point("level", "input:1", Wire.I16)),
    (Point("clamp", "coil:0", Wire.BOOL),),
)
FAILED = -1


async def run(driver: Driver, exchanges: int) -> list[int]:
    """The counter of each exchange, FAILED where not confirmed; connects again as io does."""
    counters, connected = [], False
    for number in range(exchanges):
        inputs = np.full(3, FAILED, np.int64)
        with contextlib.suppress(DeviceError):
            if not connected:
                await driver.connect()
            connected = False
            await driver.exchange(np.array([number, 1], np.int64), inputs)
            connected = True
        counters.append(int(inputs[0]))
    return counters


def faulty(*faults: Fault, seed: int = 1, inner: Driver | None = None) -> FaultyDriver:
    return FaultyDriver("printer", inner or MemoryDriver(MAP), MAP, faults, seed)


async def test_memory_device_reacts_between_write_and_read() -> None:
    def react(outputs: Ints, inputs: Ints) -> None:
        inputs[0], inputs[1] = outputs[0], 1 - outputs[1]

    driver = MemoryDriver(MAP, react)
    inputs = np.zeros(3, np.int64)
    await driver.connect()
    await driver.exchange(np.array([7, 1], np.int64), inputs)
    await driver.close()
    assert inputs.tolist() == [7, 0, 0]
    assert driver.outputs.tolist() == [7, 1]


async def test_recording_is_played_back_and_then_over() -> None:
    samples = [np.array([1, 0, 5]), None, np.array([3, 1, -5])]
    driver = RecordedDriver("printer", samples)
    assert await run(driver, 5) == [1, FAILED, 3, FAILED, FAILED]
    with pytest.raises(DeviceError, match="printer: the recording is over"):
        await driver.exchange(np.zeros(2, np.int64), np.zeros(3, np.int64))


async def test_without_faults_nothing_changes() -> None:
    assert await run(faulty(), 4) == [1, 2, 3, 4]


async def test_dropped_request_never_reaches_the_device() -> None:
    device = MemoryDriver(MAP)
    driver = faulty(Fault(Kind.DROP, at=1, lasts=2), inner=device)
    assert await run(driver, 3) == [1, FAILED, FAILED]
    assert device.outputs[0] == 0
    assert await run(driver, 1) == [2]


async def test_exception_comes_after_the_device_took_the_outputs() -> None:
    device = MemoryDriver(MAP)
    assert await run(faulty(Fault(Kind.EXCEPTION, at=1), inner=device), 2) == [1, FAILED]
    assert device.outputs[0] == 1


async def test_write_meets_what_is_in_the_way_and_no_fault_of_samples() -> None:
    device, outputs = MemoryDriver(MAP), np.array([9, 1], np.int64)
    faults = [Fault(kind, at=n) for n, kind in enumerate((Kind.DROP, Kind.EXCEPTION, Kind.FREEZE))]
    driver = faulty(*faults, inner=device)
    with pytest.raises(DeviceError, match="printer: no answer"):
        await driver.write(outputs)
    assert device.outputs.tolist() == [0, 0]
    with pytest.raises(DeviceError, match="printer: exception response"):
        await driver.write(outputs)
    assert device.outputs.tolist() == [9, 1]
    await driver.write(-outputs)
    assert device.outputs.tolist() == [-9, -1]
    assert [kind for _, kind in driver.begun] == [fault.kind for fault in faults]
    assert await run(driver, 2) == [1, 2]


async def test_frozen_device_answers_with_its_last_counter() -> None:
    device = MemoryDriver(MAP)
    assert await run(faulty(Fault(Kind.FREEZE, at=2, lasts=3), inner=device), 7) == [
        1,
        2,
        2,
        2,
        2,
        6,
        7,
    ]
    assert device.outputs[0] == 6


async def test_delayed_samples_are_so_many_exchanges_old() -> None:
    delay = Fault(Kind.DELAY, at=4, lasts=3, late=2)
    assert await run(faulty(delay), 8) == [1, 2, 3, 4, 3, 4, 5, 8]


async def test_delayed_from_the_first_gives_the_oldest_there_is() -> None:
    assert await run(faulty(Fault(Kind.DELAY, at=0, lasts=4, late=2)), 5) == [1, 1, 1, 2, 5]


async def test_disconnected_no_connection_is_to_be_had_until_it_is_over() -> None:
    driver = faulty(Fault(Kind.DISCONNECT, at=1, lasts=3))
    assert await run(driver, 6) == [1, FAILED, FAILED, FAILED, 2, 3]
    with pytest.raises(DeviceError, match="printer: disconnected"):
        await faulty(Fault(Kind.DISCONNECT, at=0)).exchange(
            np.zeros(2, np.int64), np.zeros(3, np.int64)
        )


async def test_corrupt_sample_has_one_wrong_bit_and_a_right_counter() -> None:
    driver = faulty(Fault(Kind.CORRUPT, chance=1.0))
    await driver.connect()
    seen = set()
    for number in range(200):
        inputs = np.zeros(3, np.int64)
        await driver.exchange(np.zeros(2, np.int64), inputs)
        assert inputs[0] == number + 1
        at_stop, level = int(inputs[1]), int(inputs[2])
        assert at_stop in (0, 1) and -32768 <= level <= 32767
        assert at_stop + (level & 0xFFFF).bit_count() == 1
        seen.add((at_stop, level))
    assert seen == {(1, 0), *((0, 1 << bit) for bit in range(15)), (0, -32768)}


async def test_corrupt_float_differs() -> None:
    real = DeviceMap("opcua", (Point("oven_degC", "T", Wire.F64),), ())
    driver = FaultyDriver("oven", MemoryDriver(real), real, [Fault(Kind.CORRUPT, at=0)], 1)
    inputs = np.zeros(2, np.int64)
    await driver.exchange(np.zeros(1, np.int64), inputs)
    assert int(inputs.view(np.uint64)[1]).bit_count() == 1


async def begun(faults: Sequence[Fault], seed: int, exchanges: int = 400) -> list[tuple[int, Kind]]:
    driver = faulty(*faults, seed=seed)
    await run(driver, exchanges)
    return driver.begun


async def test_same_seed_same_faults_another_seed_others() -> None:
    faults = [Fault(kind, chance=0.05) for kind in (Kind.DROP, Kind.FREEZE)]
    first = await begun(faults, seed=1)
    assert first == await begun(faults, seed=1)
    assert first != await begun(faults, seed=2)
    assert 10 < len(first) < 80


async def test_a_fault_added_moves_none_of_the_others() -> None:
    drops = await begun([Fault(Kind.DROP, chance=0.05)], seed=1)
    both = await begun([Fault(Kind.FREEZE, chance=0.5), Fault(Kind.DROP, chance=0.05)], seed=1)
    assert [b for b in both if b[1] is Kind.DROP] == drops


def test_draw_depends_on_every_argument_and_on_nothing_else() -> None:
    """The value is written down: a change of it would change every seeded run there is."""
    base = draw(1, "printer", 2, "drop")
    assert base == 12312314500269644898
    others = {draw(2, "printer", 2, "drop"), draw(1, "coupler", 2, "drop")}
    others |= {draw(1, "printer", 3, "drop"), draw(1, "printer", 2, "freeze")}
    assert len(others) == 4 and base not in others
