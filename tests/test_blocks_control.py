"""PID, RAMP, LAG and the functions: what they promise, in both modes at once."""

from __future__ import annotations

import math
import sys

import pytest
from both_modes import Both, bits, into_machine_code
from hypothesis import given, settings
from hypothesis import strategies as st

from cellrt.blocks import DIV, LAG, LIMIT, PID, RAMP, SQRT

DT_S = 0.1
NAN, INF = math.nan, math.inf
percent = st.floats(0.0, 100.0)


class Heater:
    """A process of first order: 2 degC for each percent of output, in 20 s."""

    def __init__(self, degC: float = 0.0) -> None:
        self.degC = degC

    def run(self, percent: float) -> float:
        self.degC += (2.0 * percent - self.degC) * DT_S / 20.0
        return self.degC


def control(pid: Both[PID], heater: Heater, setpoint: float, seconds: float) -> list[float]:
    """Automatic for so long; returns the outputs."""
    outs = []
    for _ in range(round(seconds / DT_S)):
        outs.append(pid.update(True, setpoint, heater.degC, 0.0, DT_S))
        heater.run(outs[-1])
    return outs


def test_pid_constant_error_gives_the_sum_by_hand() -> None:
    pid = Both(PID, kp=2.0, ti_s=4.0, out_high=4.0)
    outs = [pid.update(True, 1.0, 0.0, 0.0, 1.0) for _ in range(6)]
    assert outs == [2.5, 3.0, 3.5, 4.0, 4.0, 4.0]
    assert pid.tag.integral == 2.0


def test_pid_step_of_measured_kicks_the_derivative_once_and_the_filter_lets_it_decay() -> None:
    pid = Both(PID, kp=2.0, td_s=1.0, filter_n=4.0, out_low=-100.0)
    pid.update(True, 0.0, 0.0, 0.0, 0.25)
    assert pid.update(True, 0.0, 1.0, 0.0, 0.25) == -2.0 - 4.0
    assert pid.tag.derivative == -2.0 * 1.0 * 4.0 / (1.0 + 4.0 * 0.25)
    pid.update(True, 0.0, 1.0, 0.0, 0.25)
    assert pid.tag.derivative == -2.0
    for _ in range(60):
        pid.update(True, 0.0, 1.0, 0.0, 0.25)
    assert pid.tag.derivative == 0.0


def test_pid_measured_that_rises_evenly_gives_the_slope_as_derivative() -> None:
    pid = Both(PID, kp=3.0, td_s=2.0, out_low=-1000.0)
    for scan in range(200):
        pid.update(True, 0.0, 5.0 * DT_S * scan, 0.0, DT_S)
    assert pid.tag.derivative == pytest.approx(-3.0 * 2.0 * 5.0)


def test_pid_step_of_setpoint_leaves_the_derivative_alone() -> None:
    pid = Both(PID, td_s=5.0)
    for setpoint in (0.0, 50.0, 20.0):
        pid.update(True, setpoint, 10.0, 0.0, DT_S)
        assert pid.tag.derivative == 0.0


def test_pid_first_call_with_a_high_measured_has_no_derivative() -> None:
    pid = Both(PID, td_s=5.0)
    assert pid.update(True, 260.0, 250.0, 0.0, DT_S) == 10.0


@pytest.mark.parametrize("setpoint", [20.0, 120.0, 199.0])
def test_pid_automatic_settles_on_the_setpoint(setpoint: float) -> None:
    heater = Heater()
    control(Both(PID, kp=2.0, ti_s=15.0, td_s=1.0), heater, setpoint, 600.0)
    assert heater.degC == pytest.approx(setpoint, abs=1e-6)


def test_pid_negative_gain_settles_on_the_setpoint_by_cooling() -> None:
    pid, degC = Both(PID, kp=-2.0, ti_s=15.0), 200.0
    for _ in range(6000):
        cooling = pid.update(True, 80.0, degC, 0.0, DT_S)
        degC += (200.0 - 2.0 * cooling - degC) * DT_S / 20.0
    assert degC == pytest.approx(80.0, abs=1e-6)


@settings(deadline=None)
@given(percent, st.floats(-300, 300), st.floats(-300, 300), st.floats(0.1, 50.0), st.floats(1, 100))
def test_pid_manual_to_automatic_goes_on_from_the_manual_output(
    manual: float, setpoint: float, measured: float, kp: float, ti_s: float
) -> None:
    pid = Both(PID, kp=kp, ti_s=ti_s, td_s=2.0)
    for _ in range(3):
        assert pid.update(False, setpoint, measured, manual, DT_S) == manual
    one_scan_of_integral = abs(kp * (setpoint - measured) * DT_S / ti_s)
    first = pid.update(True, setpoint, measured, manual, DT_S)
    assert abs(first - manual) <= one_scan_of_integral * (1 + 1e-9) + 1e-9


def test_pid_manual_to_automatic_in_steady_state_is_without_any_step() -> None:
    pid, heater = Both(PID, kp=2.0, ti_s=15.0, td_s=1.0), Heater(80.0)
    for _ in range(10):
        pid.update(False, 80.0, heater.degC, 40.0, DT_S)
    assert control(pid, heater, 80.0, 60.0) == pytest.approx([40.0] * 600)


def test_pid_second_transfer_forgets_the_integral_of_the_first() -> None:
    pid, heater = Both(PID, kp=2.0, ti_s=15.0), Heater(80.0)
    control(pid, heater, 150.0, 30.0)
    pid.update(False, 150.0, 80.0, 25.0, DT_S)
    assert pid.update(True, 80.0, 80.0, 0.0, DT_S) == pytest.approx(25.0)


def test_pid_automatic_to_manual_that_followed_is_without_any_step() -> None:
    pid, heater = Both(PID, kp=2.0, ti_s=15.0), Heater()
    before = control(pid, heater, 150.0, 30.0)[-1]
    assert pid.update(False, 150.0, heater.degC, pid.tag.out, DT_S) == before


def test_pid_without_integral_keeps_the_bias_of_the_transfer() -> None:
    pid = Both(PID, kp=2.0)
    pid.update(False, 50.0, 45.0, 30.0, DT_S)
    assert pid.update(True, 50.0, 45.0, 0.0, DT_S) == 30.0
    assert pid.update(True, 50.0, 46.0, 0.0, DT_S) == 28.0


@pytest.mark.parametrize("manual,expected", [(140.0, 100.0), (-3.0, 0.0), (NAN, 0.0), (INF, 100.0)])
def test_pid_manual_beyond_the_limits_stands_at_them(manual: float, expected: float) -> None:
    pid = Both(PID)
    assert pid.update(False, 0.0, 0.0, manual, DT_S) == expected
    assert pid.update(True, 0.0, 0.0, 0.0, DT_S) == expected


@pytest.mark.parametrize("measured,limit", [(10.0, 100.0), (90.0, 0.0)])
def test_pid_saturated_error_changes_sign_leaves_the_limit_at_once(
    measured: float, limit: float
) -> None:
    recoveries = []
    for seconds in (1.0, 10.0, 1000.0):
        pid = Both(PID, kp=1.0, ti_s=0.2)
        for _ in range(round(seconds / DT_S)):
            out = pid.update(True, 50.0, measured, 0.0, DT_S)
        assert out == limit
        other_side = 100.0 - measured
        recoveries.append([pid.update(True, 50.0, other_side, 0.0, DT_S) for _ in range(5)])
        assert recoveries[-1][0] != limit
    assert recoveries[0] == recoveries[1] == recoveries[2]


@pytest.mark.parametrize("setpoint", [200.0, -200.0])
def test_pid_saturated_by_the_proportional_term_keeps_its_integral(setpoint: float) -> None:
    pid = Both(PID, kp=1.0, ti_s=10.0)
    pid.update(False, 50.0, 50.0, 40.0, DT_S)
    assert pid.update(True, 50.0, 50.0, 0.0, DT_S) == 40.0
    pid.update(True, setpoint, 50.0, 0.0, DT_S)
    assert pid.update(True, 50.0, 50.0, 0.0, DT_S) == 40.0


def test_pid_saturated_heater_hardly_overshoots() -> None:
    heater, peak = Heater(), 0.0
    pid = Both(PID, kp=2.0, ti_s=15.0)
    outs = control(pid, heater, 190.0, 30.0)
    assert set(outs) == {100.0}
    for _ in range(3000):
        heater.run(pid.update(True, 190.0, heater.degC, 0.0, DT_S))
        peak = max(peak, heater.degC)
    assert peak < 191.0


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), percent)),
    st.floats(-50.0, 50.0),
    st.floats(0.0, 20.0),
    st.floats(0.0, 20.0),
)
def test_pid_any_input_never_leaves_the_limits(
    calls: list[tuple[bool, float, float, float]], kp: float, ti_s: float, td_s: float
) -> None:
    pid = Both(PID, kp=kp, ti_s=ti_s, td_s=td_s, out_low=20.0, out_high=60.0)
    for call in calls:
        assert 20.0 <= pid.update(*call, DT_S) <= 60.0


@pytest.mark.parametrize("broken", [NAN, INF, -INF])
def test_pid_measured_is_no_number_holds_and_goes_on_without_a_kick(broken: float) -> None:
    pid = Both(PID, kp=1.0, ti_s=10.0, td_s=5.0)
    before = pid.update(True, 50.0, 20.0, 0.0, DT_S)
    integral = pid.tag.integral
    for _ in range(3):
        assert pid.update(True, 50.0, broken, 0.0, DT_S) == before
    assert pid.tag.integral == integral
    assert pid.update(False, 50.0, broken, 70.0, DT_S) == 70.0
    assert pid.update(True, 50.0, 40.0, 0.0, DT_S) == pytest.approx(70.0, abs=0.1001)
    assert pid.tag.derivative == 0.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1, 50.0), st.floats(0, 2.0))))
def test_ramp_any_target_never_exceeds_the_rate_nor_the_target(
    calls: list[tuple[float, float, float]],
) -> None:
    ramp, before = Both(RAMP), 0.0
    for target, rate, dt_s in calls:
        out = ramp.update(target, rate, dt_s)
        assert abs(out - before) <= max(0.0, rate * dt_s) + math.ulp(1e3)
        assert min(before, target) <= out <= max(before, target)
        before = out


@pytest.mark.parametrize("target", [1.0, -1.0])
def test_ramp_within_reach_lands_on_the_target_exactly(target: float) -> None:
    ramp = Both(RAMP)
    outs = [ramp.update(target, 3.0, 0.1) for _ in range(5)]
    assert outs == pytest.approx([0.3 * target, 0.6 * target, 0.9 * target, target, target])
    assert outs[3:] == [target, target]


def test_ramp_assigned_out_starts_from_there() -> None:
    ramp = Both(RAMP, out=150.0)
    assert ramp.update(200.0, 2.0, 0.5) == 151.0


@pytest.mark.parametrize(
    "call", [(NAN, 1.0, 1.0), (INF, 1.0, 1.0), (9.0, NAN, 1.0), (9.0, INF, 0.0)]
)
def test_ramp_given_no_number_holds(call: tuple[float, float, float]) -> None:
    ramp = Both(RAMP, out=5.0)
    assert ramp.update(*call) == 5.0


def test_lag_first_call_takes_the_value_over() -> None:
    assert Both(LAG).update(25.0, 4.0, DT_S) == 25.0


def test_lag_step_follows_the_exponential() -> None:
    lag = Both(LAG)
    lag.update(0.0, 2.0, 0.001)
    for scan in range(1, 6001):
        out = lag.update(10.0, 2.0, 0.001)
        assert out == pytest.approx(10.0 * (1 - math.exp(-scan * 0.001 / 2.0)), abs=0.002)


@pytest.mark.parametrize("start", [1.0, -300.0])
def test_lag_decaying_to_zero_snaps_and_is_never_subnormal(start: float) -> None:
    lag, outs = Both(LAG), []
    lag.update(start, 1.0, DT_S)
    for _ in range(400):
        outs.append(abs(lag.update(0.0, 1.0, DT_S)))
    assert bits(lag.tag.out) == bits(0.0)
    assert all(out == 0.0 or out >= 1e-9 for out in outs)
    assert min(out for out in outs if out) < 1.2e-9


@pytest.mark.parametrize("tau_s", [0.0, -1.0])
def test_lag_without_time_constant_passes_the_value_on(tau_s: float) -> None:
    lag = Both(LAG)
    assert [lag.update(v, tau_s, 0.0) for v in (3.0, 7.0, 1e-12)] == [3.0, 7.0, 0.0]


@pytest.mark.parametrize("broken", [NAN, INF])
def test_lag_given_no_number_holds(broken: float) -> None:
    lag = Both(LAG)
    assert lag.update(broken, 1.0, DT_S) == 0.0
    assert lag.update(5.0, 1.0, DT_S) == 5.0
    assert lag.update(broken, 1.0, DT_S) == 5.0


@into_machine_code
def divided(dividend: float, divisor: float, otherwise: float) -> float:
    return DIV(dividend, divisor, otherwise)


@into_machine_code
def rooted(x: float, otherwise: float) -> float:
    return SQRT(x, otherwise)


@into_machine_code
def limited(mn: float, in_: float, mx: float) -> float:
    return LIMIT(mn, in_, mx)


BIG, TINY = sys.float_info.max, 5e-324
DIVISIONS = [
    (1.0, 4.0, 0.25),
    (-1.0, 3.0, -1.0 / 3.0),
    (1.0, 0.0, 7.0),
    (0.0, 0.0, 7.0),
    (1.0, -0.0, 7.0),
    (BIG, 0.5, 7.0),
    (1.0, TINY, 7.0),
    (NAN, 1.0, 7.0),
    (1.0, NAN, 7.0),
    (INF, INF, 7.0),
    (1.0, INF, 0.0),
]
ROOTS = [(9.0, 3.0), (0.0, 0.0), (-0.0, -0.0), (-TINY, 7.0), (-4.0, 7.0), (NAN, 7.0), (INF, 7.0)]
LIMITS = [
    (0.0, 5.0, 10.0, 5.0),
    (0.0, -5.0, 10.0, 0.0),
    (0.0, 15.0, 10.0, 10.0),
    (0.0, NAN, 10.0, 0.0),
    (0.0, -INF, 10.0, 0.0),
    (8.0, 5.0, 2.0, 2.0),
    (8.0, 9.0, 2.0, 2.0),
]


@pytest.mark.parametrize("dividend,divisor,expected", DIVISIONS)
def test_div_has_its_declared_result(dividend: float, divisor: float, expected: float) -> None:
    for div in (DIV, divided):
        assert bits(div(dividend, divisor, 7.0)) == bits(expected)


@pytest.mark.parametrize("x,expected", ROOTS)
def test_sqrt_has_its_declared_result(x: float, expected: float) -> None:
    for sqrt in (SQRT, rooted):
        assert bits(sqrt(x, 7.0)) == bits(expected)


@pytest.mark.parametrize("mn,in_,mx,expected", LIMITS)
def test_limit_keeps_between(mn: float, in_: float, mx: float, expected: float) -> None:
    for limit in (LIMIT, limited):
        assert bits(limit(mn, in_, mx)) == bits(expected)


def test_functions_of_integers_beyond_a_float_agree_in_both_modes() -> None:
    big = 2**62 + 128
    assert bits(divided(big, 3, 0)) == bits(DIV(big, 3, 0))
    assert bits(divided(1, 0, 7)) == bits(DIV(1, 0, 7)) == bits(7.0)
    assert bits(rooted(big, 0)) == bits(SQRT(big, 0))
    assert limited(0, big, big + 1) == LIMIT(0, big, big + 1) == big


@settings(deadline=None)
@given(st.floats(), st.floats(), st.floats())
def test_functions_of_any_floats_agree_in_both_modes(a: float, b: float, c: float) -> None:
    assert bits(divided(a, b, c)) == bits(DIV(a, b, c))
    assert bits(rooted(a, c)) == bits(SQRT(a, c))
    assert bits(limited(a, b, c)) == bits(LIMIT(a, b, c))
