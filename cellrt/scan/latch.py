"""Latching: the newest samples become the inputs of a scan, and each device good or bad.

This is the one place that knows how old a sample is. What it decides (good or bad, and the values) is an
input of the step and recorded as such; the step itself never sees a clock.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cellrt.compiled import compiled
from cellrt.scan.histogram import BINS, count
from cellrt.scan.plan import Plan
from cellrt.wire import Ints

IO_HEAD = 4
"""Words before a device's raw values in a frame from io: when the sample arrived (monotonic ns, 0 never),
1 when the last exchange was confirmed, exchanges that failed, the last round trip in ns."""


class Latch(NamedTuple):
    """`places` int64[devices, 6]: base in the frame, base in the inputs, raw values, stale ns, recover ns,
    1 when the device has a counter of its own. `health` int64[devices, 5]: arrival of the last sample, its
    counter, when the counter last advanced, since when it advances again (0: it does not), good. `ages` int64[devices,
    BINS]: histograms of the samples' age at latch in ns, while the device counts as good."""

    places: Ints
    health: Ints
    ages: Ints


def frame_words(plan: Plan) -> int:
    """Length of a frame from io."""
    return sum(IO_HEAD + s.raw for s in plan.samples)


def latch(plan: Plan, ages: Ints) -> Latch:
    """The tables of a plan; `ages` int64[devices, BINS] is kept where others may read it."""
    places, at = np.zeros((len(plan.samples), 6), np.int64), 0
    for row, s in enumerate(plan.samples):
        stale_ns, recover_ns = round(s.device.stale_ms * 1e6), round(s.device.recover_ms * 1e6)
        places[row] = at, s.base, s.raw, stale_ns, recover_ns, s.device.map.counter is not None
        at += IO_HEAD + s.raw
    return Latch(places, np.zeros((len(plan.samples), 5), np.int64), ages.reshape(-1, BINS))


@compiled
def take_in(latch: Latch, frame: Ints, inputs: Ints, now_ns: int) -> None:
    """A frame into the inputs, at monotonic time `now_ns`.

    * A sample counts as life only when the device's own counter has moved: a device that answers with
      frozen data is stale.
    * Bad after `stale_ns` without life; good again after `recover_ns` of it.
    """
    for d in range(latch.places.shape[0]):
        place, health = latch.places[d], latch.health[d]
        at, base, raw, arrived_ns = place[0], place[1], place[2], frame[place[0]]
        if health[4] != 0:
            count(latch.ages[d], now_ns - arrived_ns)
        if arrived_ns != 0 and arrived_ns != health[0]:
            health[0] = arrived_ns
            for k in range(raw):
                inputs[base + 2 + k] = frame[at + IO_HEAD + k]
            inputs[base] += 1
            counter = frame[at + IO_HEAD]
            if counter != health[1] or place[5] == 0 or health[2] == 0:
                if health[3] == 0 or arrived_ns - health[2] > place[3]:
                    health[3] = arrived_ns
                health[1], health[2] = counter, arrived_ns
        alive = health[2] != 0 and now_ns - health[2] <= place[3]
        if not alive:
            health[3] = health[4] = 0
        elif now_ns - health[3] >= place[4]:
            health[4] = 1
        inputs[base + 1] = health[4]
