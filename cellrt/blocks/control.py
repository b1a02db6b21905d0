"""Continuous control: PID, RAMP, LAG and HYSTERESIS, after the examples of IEC 61131-3:2003, annex F.

A measured value, setpoint or target that is no number (NaN) leaves them as they are.
"""

from __future__ import annotations

import math

from cellrt.blocks.arithmetic import LIMIT, snapped
from cellrt.tags import Parameter, Record, Var


class PID(Record):
    """PID controller in the standard (ISA) form: kp (e + 1/ti ∫e dt - td dy/dt), e = setpoint - measured.

    * Automatic: `out` is the sum of the three terms, between `out_low` and `out_high`.
    * Manual: `out` is `manual`, between the same limits; for no number it is `out_low`.
    * Manual to automatic is bumpless: the integral is set so that `out` goes on from where it stood.
    * A first call that is automatic begins with an integral of 0.
    * Automatic to manual is bumpless where the operator's station follows `out` meanwhile.
    * The integral never takes the sum beyond a limit (anti-windup): at the limit it waits, and `out`
      comes back as soon as the other terms let it, however long that was.
    * The derivative acts on `measured`, so a step of the setpoint does not kick it; a lag of
      `td_s / filter_n` smooths it.
    * While `setpoint` or `measured` is no finite number the automatic `out` holds.

    `kp` is negative where more `out` lowers `measured` (cooling). With `ti_s` 0 nothing is integrated,
    and the integral is the bias that the last transfer left; with `td_s` 0 there is no derivative. A class
    of your own gives other defaults: `class Zone(PID): kp: float = Parameter(4.0)`.

    Source: Åström and Hägglund, "PID Controllers", 2nd ed., 1995, chapter 3; the derivative by backward
    difference, the integral by a rectangle a call.
    """

    kp: float = Parameter(1.0, doc="proportional gain, out per measured")
    ti_s: float = Parameter(0.0, unit="s", low=0.0, doc="integral time; 0 for none")
    td_s: float = Parameter(0.0, unit="s", low=0.0, doc="derivative time; 0 for none")
    filter_n: float = Parameter(10.0, low=1.0, doc="derivative time over the time of its filter")
    out_low: float = Parameter(0.0)
    out_high: float = Parameter(100.0)
    out: float = Var()
    integral: float = Var(doc="integral term, in units of out")
    derivative: float = Var(doc="derivative term, in units of out")
    last_measured: float = Var()
    measuring: bool = Var(doc="last_measured is of the last call")
    by_hand: bool = Var(doc="out was manual when it was last set")

    def update(
        self, auto: bool, setpoint: float, measured: float, manual: float, dt_s: float
    ) -> float:
        """Call once a scan, `dt_s` after the last. Returns `out`."""
        error = setpoint - measured
        usable = math.isfinite(error)
        if usable:
            if not self.measuring:
                self.last_measured = measured
            rise = measured - self.last_measured
            self.last_measured = measured
            self.derivative = self._derived(rise, dt_s)
        self.measuring = usable
        if not auto:
            self.out = LIMIT(self.out_low, manual, self.out_high)
            self.by_hand = True
        elif usable:
            self.out = self._controlled(error, dt_s)
            self.by_hand = False
        return self.out

    def _derived(self, rise: float, dt_s: float) -> float:
        """The derivative term after `measured` rose by `rise`."""
        if self.td_s <= 0.0:
            return 0.0
        kick = self.kp * self.td_s * self.filter_n * rise
        return snapped((self.td_s * self.derivative - kick) / (self.td_s + self.filter_n * dt_s))

    def _controlled(self, error: float, dt_s: float) -> float:
        """The automatic output."""
        others = self.kp * error + self.derivative
        if self.by_hand:
            self.integral = self.out - others
        total = others + self.integral
        step = self.kp * error * dt_s / self.ti_s if self.ti_s > 0.0 else 0.0
        room_below, room_above = min(self.out_low - total, 0.0), max(self.out_high - total, 0.0)
        self.integral += LIMIT(room_below, step, room_above)
        return LIMIT(self.out_low, others + self.integral, self.out_high)


class RAMP(Record):
    """Goes to a target no faster than a rate.

    * `out` moves towards `target` by at most `rate_per_s * dt_s` a call, lands on it exactly, and stays.
    * A rate or `dt_s` of 0 or less holds `out`.
    * It starts from 0; assign `out` to start from elsewhere.
    """

    out: float = Var()

    def update(self, target: float, rate_per_s: float, dt_s: float) -> float:
        """Call once a scan, `dt_s` after the last. Returns `out`."""
        step = max(0.0, rate_per_s * dt_s)
        if math.isfinite(target):
            if target > self.out:
                self.out = min(self.out + step, target)
            else:
                self.out = max(self.out - step, target)
        return self.out


class LAG(Record):
    """First-order lag, as LAG1 of annex F: out += (value - out) dt / (tau + dt).

    * The first call takes `value` over as it is; so does every call with a `tau_s` of 0.
    * `out` is 0 when it comes within 1e-9 of it, else a lag's tail would become subnormal, and slow.
    """

    out: float = Var()
    started: bool = Var()

    def update(self, value: float, tau_s: float, dt_s: float) -> float:
        """Call once a scan, `dt_s` after the last. Returns `out`."""
        if math.isfinite(value):
            follows = self.started and tau_s > 0.0
            change = (value - self.out) * (dt_s / (tau_s + dt_s)) if follows else 0.0
            self.out = snapped(self.out + change if follows else value)
            self.started = True
        return self.out


class HYSTERESIS(Record):
    """Two-point switch (annex F).

    * `q` becomes true when `value` is above `threshold + eps`.
    * `q` becomes false when `value` is below `threshold - eps`.
    """

    q: bool = Var()

    def update(self, value: float, threshold: float, eps: float) -> bool:
        """Call once a scan. Returns `q`."""
        if value > threshold + eps:
            self.q = True
        elif value < threshold - eps:
            self.q = False
        return self.q
