"""Latching: each device's newest sample is numbered, and its device found good or bad, before a scan takes it in.

This is the one place that knows how old a sample is. What it decides (good or bad) is an input of the step and
recorded as such; the step itself never sees a clock.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cellrt.compiled import compiled
from cellrt.scan.histogram import BINS, count
from cellrt.scan.plan import SAMPLE_HEAD, Plan
from cellrt.wire import Ints

ARRIVED, COUNTER, ADVANCED, ALIVE_SINCE, GOOD, NUMBER = 0, 1, 2, 3, 4, 5
"""Columns of `Latch.health`: arrival of the last sample, its counter, when the counter last advanced, since when it
advances again (0: it does not), 1 when the device is good, number of the last sample. Times are monotonic, in ns."""


class Latch(NamedTuple):
    """`places` int64[devices, 4]: base of the sample, stale ns, recover ns, 1 when the device has a counter of its
    own. `health` int64[devices, 6]: see above. `ages` int64[devices, BINS]: histograms of the samples' age at latch
    in ns, while the device counts as good."""

    places: Ints
    health: Ints
    ages: Ints


def latch(plan: Plan, ages: Ints) -> Latch:
    """The tables of a plan; `ages` int64[devices, BINS] is kept where others may read it."""
    places = [
        [
            s.base,
            round(s.device.stale_ms * 1e6),
            round(s.device.recover_ms * 1e6),
            s.device.map.counter is not None,
        ]
        for s in plan.samples
    ]
    health = np.zeros((len(plan.samples), NUMBER + 1), np.int64)
    return Latch(np.array(places, np.int64).reshape(-1, 4), health, ages.reshape(-1, BINS))


@compiled
def judge(latch: Latch, samples: Ints, came: bool, now_ns: int) -> None:
    """Number the samples, and say of each device whether it is good, at monotonic time `now_ns`.

    `samples` have the inputs' layout; where they `came` from io just now, each has the time of its arrival (0:
    there was none) in the place of its number.

    * A sample counts as life only when the device's own counter has moved: a device that answers with
      frozen data is stale.
    * Bad after `stale_ns` without life; good again after `recover_ns` of it.
    """
    for d in range(latch.places.shape[0]):
        place, health = latch.places[d], latch.health[d]
        base, stale_ns, arrived_ns = place[0], place[1], health[ARRIVED]
        if came and samples[base] != 0:
            arrived_ns = samples[base]
        if health[GOOD] != 0:
            count(latch.ages[d], now_ns - arrived_ns)
        if arrived_ns != health[ARRIVED]:
            health[ARRIVED] = arrived_ns
            health[NUMBER] += 1
            counter = samples[base + SAMPLE_HEAD]
            if counter != health[COUNTER] or place[3] == 0 or health[ADVANCED] == 0:
                if health[ALIVE_SINCE] == 0 or arrived_ns - health[ADVANCED] > stale_ns:
                    health[ALIVE_SINCE] = arrived_ns
                health[COUNTER], health[ADVANCED] = counter, arrived_ns
        alive = health[ADVANCED] != 0 and now_ns - health[ADVANCED] <= stale_ns
        if not alive:
            health[ALIVE_SINCE] = health[GOOD] = 0
        elif now_ns - health[ALIVE_SINCE] >= place[2]:
            health[GOOD] = 1
        samples[base], samples[base + 1] = health[NUMBER], health[GOOD]
