"""The simulated devices served: time, ports, and a watchdog that a real client keeps quiet."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
from asyncua import Client, ua
from pymodbus.client import AsyncModbusTcpClient
from sim_bench import PERIOD_NS, station

from hw_sim.plant import Plant
from hw_sim.serve import LONGEST_STALL_NS, Clock, serve

LIMIT_S = 30.0
MS = 1_000_000


@asynccontextmanager
async def served(plant: Plant, base_port: int = 0) -> AsyncIterator[Mapping[str, str]]:
    """The plant's devices on the network; their addresses."""
    stop = asyncio.Event()
    ready: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(plant, period_ns=PERIOD_NS, stop=stop, base_port=base_port, ready=ready.set_result)
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
            yield await ready if ready.done() else await failed(task)
    finally:
        stop.set()
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(task, return_exceptions=True)


async def failed(task: asyncio.Task[None]) -> Mapping[str, str]:
    await task
    raise AssertionError("served without being ready")


async def modbus(address: str) -> AsyncModbusTcpClient:
    host, _, port = address.partition(":")
    client = AsyncModbusTcpClient(
        host, port=int(port), timeout=LIMIT_S, retries=0, reconnect_delay=0
    )
    assert await client.connect()
    return client


async def test_line_that_beats_and_falls_silent_device_runs_and_goes_safe() -> None:
    plant = Plant(station())
    async with served(plant) as addresses, Client(addresses["safety"], timeout=LIMIT_S) as safety:
        coupler = await modbus(addresses["coupler"])
        index = await safety.get_namespace_index("urn:hw-sim:safety-plc")
        heartbeat = safety.get_node(f"ns={index};s=Heartbeat")

        async def beat_until(condition: Callable[[], bool]) -> None:
            for beat in itertools.count(1):
                await heartbeat.write_value(ua.Variant(beat, ua.VariantType.UInt32))
                await coupler.write_register(0, beat & 0xFFFF, device_id=1)
                if condition():
                    return

        await beat_until(lambda: bool(plant.read("coupler.power_on")))
        await coupler.write_coil(1, True, device_id=1)
        await beat_until(lambda: plant.read("coupler.infeed_actual_mm_s") == 200.0)
        power_on = await coupler.read_discrete_inputs(11, count=1, device_id=1)
        assert power_on.bits[0]
        while plant.read("coupler.infeed_actual_mm_s") != 0.0:  # nobody writes a heartbeat now
            await coupler.read_input_registers(10, count=1, device_id=1)
        assert plant.read("coupler.watchdog.safe") or plant.read("safety.watchdog.safe")
        coil = await coupler.read_coils(1, count=1, device_id=1)
        assert coil.bits[0]
        coupler.close()


async def test_base_port_given_devices_take_it_and_the_next_and_count() -> None:
    base = free_run_of_ports(3)
    async with served(Plant(station()), base) as addresses:
        assert addresses == {
            "coupler": f"127.0.0.1:{base}",
            "printer": f"127.0.0.1:{base + 1}",
            "safety": f"opc.tcp://127.0.0.1:{base + 2}",
        }
        client = await modbus(addresses["printer"])
        first = (await client.read_input_registers(0, count=1, device_id=1)).registers
        while (await client.read_input_registers(0, count=1, device_id=1)).registers == first:
            pass
        client.close()
    for port in range(base, base + 3):
        socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize("taken", [0, 2], ids=["modbus", "opcua"])
async def test_port_in_use_is_named_with_who_wanted_it(taken: int) -> None:
    base = free_run_of_ports(3)
    name = ("coupler", "printer", "safety")[taken]
    refusal = pytest.raises(OSError, match=f"port {base + taken} .*{name}.*in use")
    with socket.create_server(("127.0.0.1", base + taken)), refusal:
        async with served(Plant(station()), base):
            pass
    socket.create_server(("127.0.0.1", base)).close()  # what was opened before is closed again


def free_run_of_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            first = int(probe.getsockname()[1])
        try:
            for port in range(first, first + count):
                socket.create_server(("127.0.0.1", port)).close()
        except (OSError, OverflowError):
            continue
        return first


@pytest.mark.parametrize("speed", [1.0, 10.0, 0.5])
def test_clock_ticks_on_a_grid_of_logical_time(speed: float) -> None:
    plant = Plant(station())
    clock = Clock(plant, PERIOD_NS, speed, start_ns=1000, now_ns=1000)
    for wall_ms in range(0, 1000, 7):
        clock.catch_up(1000 + wall_ms * MS)
        assert plant.read("coupler.now_ns") == int(wall_ms * speed) // 10 * PERIOD_NS
        assert plant.scan == int(wall_ms * speed) // 10 + 1
        assert plant.read("coupler.wall_ns") == 1 + wall_ms * MS


def test_clock_after_a_stall_makes_up_for_a_bounded_time() -> None:
    plant = Plant(station())
    clock = Clock(plant, PERIOD_NS, 1.0, start_ns=0, now_ns=0)
    clock.catch_up(0)
    before = plant.scan
    clock.catch_up(10_000 * MS)
    assert plant.scan - before == LONGEST_STALL_NS // PERIOD_NS
    assert plant.read("coupler.now_ns") == 10_000 * MS
    assert plant.read("coupler.wall_ns") == 1 + LONGEST_STALL_NS


def test_clock_started_late_begins_at_the_present() -> None:
    plant = Plant(station())
    clock = Clock(plant, PERIOD_NS, 1.0, start_ns=0, now_ns=5_000 * MS)
    clock.catch_up(5_000 * MS)
    assert plant.scan == 1
    assert plant.read("coupler.now_ns") == 5_000 * MS
    assert clock.until_next_s(5_000 * MS) == pytest.approx(0.010)
