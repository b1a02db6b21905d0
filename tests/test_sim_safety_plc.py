"""The safety PLC: e-stop, guards, reset, first-out, the unattended key."""

from __future__ import annotations

import pytest
from sim_bench import Bench

from hw_sim.safety_plc import FirstOut


def enabled(bench: Bench) -> bool:
    return bool(bench.read("safety.drives_enabled"))


def first_out(bench: Bench) -> FirstOut:
    return FirstOut(int(bench.read("safety.first_out")))


def tripped(tag: str) -> Bench:
    """A plant in which a person pressed the e-stop or opened a guard, and mended it."""
    bench = Bench()
    bench.set({tag: True})
    bench.run(0.5)
    bench.set({tag: False})
    bench.run(0.5)
    return bench


def test_power_up_with_everything_well_needs_no_reset() -> None:
    bench = Bench()
    assert enabled(bench)
    assert first_out(bench) is FirstOut.NONE


def test_power_up_with_estop_pressed_needs_a_reset() -> None:
    bench = Bench()
    bench.write("safety.panel_estop_pressed", True)
    bench.step()
    bench.write("safety.panel_estop_pressed", False)
    bench.run(1.0)
    assert not enabled(bench)


@pytest.mark.parametrize(
    ("tag", "cause"),
    [
        ("safety.panel_estop_pressed", FirstOut.ESTOP),
        ("safety.panel_guard_open", FirstOut.GUARD),
    ],
)
def test_tripped_reset_released_enables(tag: str, cause: FirstOut) -> None:
    bench = tripped(tag)
    assert not enabled(bench)
    assert first_out(bench) is cause
    bench.press_reset(0.5)
    assert enabled(bench)
    assert first_out(bench) is FirstOut.NONE


@pytest.mark.parametrize("held_s", [0.05, 0.3, 2.1, 10.0])
def test_tripped_reset_held_too_short_or_too_long_does_nothing(held_s: float) -> None:
    bench = tripped("safety.panel_estop_pressed")
    bench.press_reset(held_s)
    bench.run(1.0)
    assert not enabled(bench)


@pytest.mark.parametrize("held_s", [0.36, 1.9])
def test_tripped_reset_at_the_ends_of_its_window_counts(held_s: float) -> None:
    bench = tripped("safety.panel_guard_open")
    bench.press_reset(held_s)
    assert enabled(bench)


def test_tripped_reset_still_held_does_nothing() -> None:
    bench = tripped("safety.panel_estop_pressed")
    bench.set({"safety.panel_reset_pressed": True})
    bench.run(1.0)
    assert not enabled(bench)


def test_estop_still_pressed_reset_does_nothing() -> None:
    bench = Bench()
    bench.set({"safety.panel_estop_pressed": True})
    bench.run(0.5)
    bench.press_reset()
    bench.set({"safety.panel_estop_pressed": False})
    bench.run(1.0)
    assert not enabled(bench)


def test_estop_then_guard_first_out_stays_estop() -> None:
    bench = Bench()
    bench.set({"safety.panel_estop_pressed": True})
    bench.run(0.5)
    bench.set({"safety.panel_guard_open": True})
    bench.run(0.5)
    assert first_out(bench) is FirstOut.ESTOP


def test_heartbeat_lost_cuts_the_drives_and_its_return_gives_them_back() -> None:
    bench = Bench()
    bench.beating = {"coupler", "printer"}
    bench.run(1.0)
    assert not enabled(bench)
    assert first_out(bench) is FirstOut.WATCHDOG
    bench.beating.add("safety")
    bench.run(0.05)
    assert enabled(bench)
    assert first_out(bench) is FirstOut.WATCHDOG


def test_heartbeat_lost_then_estop_needs_the_reset_and_is_named() -> None:
    bench = Bench()
    bench.beating = {"coupler", "printer"}
    bench.run(1.0)
    bench.set({"safety.panel_estop_pressed": True})
    bench.run(0.1)
    assert first_out(bench) is FirstOut.ESTOP
    bench.set({"safety.panel_estop_pressed": False})
    bench.beating.add("safety")
    bench.run(0.5)
    assert not enabled(bench)
    bench.press_reset()
    assert enabled(bench)


def test_key_turned_arms_and_turned_back_disarms() -> None:
    bench = Bench()
    bench.set({"safety.panel_unattended_key": True})
    bench.step()
    assert bench.read("safety.unattended_armed")
    assert bench.read("safety.guards_unbroken")
    bench.set({"safety.panel_unattended_key": False})
    bench.step()
    assert not bench.read("safety.unattended_armed")


def test_armed_guard_opened_and_closed_is_not_forgotten_until_the_key_is_turned_anew() -> None:
    bench = Bench()
    bench.set({"safety.panel_unattended_key": True})
    bench.step()
    bench.set({"safety.panel_guard_open": True})
    bench.step()
    bench.set({"safety.panel_guard_open": False})
    bench.press_reset()
    assert enabled(bench)
    assert not bench.read("safety.guards_unbroken")
    bench.set({"safety.panel_unattended_key": False})
    bench.step()
    bench.set({"safety.panel_unattended_key": True})
    bench.step()
    assert bench.read("safety.guards_unbroken")


def test_armed_estop_disarms_until_the_key_is_turned_anew() -> None:
    bench = Bench()
    bench.set({"safety.panel_unattended_key": True})
    bench.step()
    bench.set({"safety.panel_estop_pressed": True})
    bench.step()
    bench.set({"safety.panel_estop_pressed": False})
    bench.press_reset()
    assert not bench.read("safety.unattended_armed")


def test_key_turned_while_tripped_does_not_arm() -> None:
    bench = tripped("safety.panel_guard_open")
    bench.set({"safety.panel_unattended_key": True})
    bench.press_reset()
    assert enabled(bench)
    assert not bench.read("safety.unattended_armed")


def test_unattended_armed_heartbeat_lost_stays_armed() -> None:
    bench = Bench()
    bench.set({"safety.panel_unattended_key": True})
    bench.step()
    bench.beating = set()
    bench.run(2.0)
    bench.beating = {"safety"}
    bench.run(0.1)
    assert bench.read("safety.unattended_armed")
    assert bench.read("safety.guards_unbroken")
