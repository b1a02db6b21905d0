"""Watchdogs, power and what may move again by itself: nothing."""

from __future__ import annotations

import pytest
from sim_bench import Bench

from hw_sim.device import WATCHDOG_MS

RUNNING = {
    "coupler.infeed_run": True,
    "coupler.outfeed_run": True,
    "coupler.magazine_run": True,
    "printer.belt_run": True,
    "printer.clamp": False,
}
BELTS = ("coupler.infeed", "coupler.outfeed", "coupler.magazine", "printer.belt")


def running() -> Bench:
    """A plant whose belts all run."""
    bench = Bench()
    bench.set(RUNNING)
    bench.run(1.0)
    assert all(bench.read(f"{belt}.speed_mm_s") == 200.0 for belt in BELTS)
    return bench


def still(bench: Bench, *belts: str) -> bool:
    return all(bench.read(f"{belt}.speed_mm_s") == 0.0 for belt in belts or BELTS)


def test_power_up_without_heartbeat_moves_nothing() -> None:
    bench = Bench()
    bench.beating = set()
    bench.run(1.0)
    bench.set(RUNNING, push=True)
    bench.run(2.0)
    assert still(bench)
    assert bench.read("coupler.pusher_home")


def test_running_heartbeat_lost_goes_safe_after_the_watchdogs_time() -> None:
    bench = running()
    bench.beating = {"printer", "safety"}
    bench.run(WATCHDOG_MS * 1e-3 - 0.02)
    assert not bench.read("coupler.watchdog.safe")
    assert not still(bench, "coupler.infeed")
    bench.run(0.3)
    assert bench.read("coupler.watchdog.safe")
    assert bench.read("coupler.watchdog.trips") == 1 and bench.read("printer.watchdog.trips") == 0
    assert bench.read("coupler.watchdog.tripped_ms") == WATCHDOG_MS
    assert still(bench, "coupler.infeed", "coupler.outfeed", "coupler.magazine")
    assert bench.read("printer.belt.speed_mm_s") == 200.0


def test_watchdog_counts_the_wall_clock_where_there_is_one() -> None:
    bench = running()
    bench.beating = set()
    for k in range(1000):
        bench.write("coupler.wall_ns", 1 + k * 100_000)
        bench.step()
    assert not bench.read("coupler.watchdog.safe")
    assert bench.read("printer.watchdog.safe")


@pytest.mark.parametrize("cause", ["heartbeat", "power"])
def test_safe_device_back_moves_nothing_before_a_new_command(cause: str) -> None:
    bench = running()
    if cause == "heartbeat":
        bench.beating = {"safety"}
        bench.run(1.0)
        bench.beating = {"coupler", "printer", "safety"}
    else:
        bench.set({"safety.panel_guard_open": True})
        bench.run(1.0)
        bench.set({"safety.panel_guard_open": False})
        bench.press_reset()
    bench.run(2.0)
    assert bench.read("coupler.power_on")
    assert not bench.read("coupler.watchdog.safe")
    assert still(bench)

    bench.set(dict.fromkeys(RUNNING, False))
    bench.step()
    bench.set(RUNNING)
    bench.run(1.0)
    assert not still(bench, *BELTS)
    assert bench.read("coupler.infeed.speed_mm_s") == 200.0


def test_command_dropped_while_dead_and_given_in_the_first_live_scan_is_not_new() -> None:
    bench = running()
    bench.beating = {"safety"}
    bench.run(1.0)
    bench.set(infeed_run=False)
    bench.run(0.1)
    bench.set(infeed_run=True)
    bench.beating = {"coupler", "printer", "safety"}
    bench.run(1.0)
    assert still(bench, "coupler.infeed")


def test_running_power_cut_stops_every_belt_whatever_is_commanded() -> None:
    bench = running()
    bench.set({"safety.panel_estop_pressed": True})
    for _ in range(100):
        bench.set({**RUNNING, "coupler.push": True})
        bench.step()
    assert still(bench)
    assert bench.read("coupler.pusher_home")
    assert not bench.read("coupler.power_on")
    assert not bench.read("printer.power_on")
    assert bench.read("coupler.counter") != 0


@pytest.mark.parametrize("closing_s", [0.2, 1.0])
def test_clamp_without_power_stays_where_it_is_and_with_it_again_too(closing_s: float) -> None:
    bench = Bench()
    bench.set({"printer.clamp": True})
    bench.run(closing_s)
    bench.set({"safety.panel_estop_pressed": True})
    bench.step()
    where = bench.read("printer.clamp_jaw.closed")
    assert where == pytest.approx(min(closing_s / 0.4, 1.0), abs=0.1)
    for command in (True, False, True):
        bench.set({"printer.clamp": command})
        bench.run(1.0)
        assert bench.read("printer.clamp_jaw.closed") == where
    bench.set({"safety.panel_estop_pressed": False})
    bench.press_reset()
    bench.run(1.0)
    assert bench.read("printer.clamp_jaw.closed") == where
    bench.set({"printer.clamp": False})
    bench.run(1.0)
    assert bench.read("printer.unclamped")
    bench.clamp()


def test_counter_wraps_at_one_register() -> None:
    bench = Bench()
    bench.write("printer.counter", 0xFFFF)
    bench.step()
    assert bench.read("printer.counter") == 0
