"""The twin: a line and its simulated plant in one compiled loop, as fast as the machine can.

The very step that runs the line runs here; the plant's registers are joined to the line's inputs and
outputs directly, at the width and scale of the wire. Samples arrive in every scan, so a twin knows no
late network; everything else is the same, and a seed decides all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from cellrt.assembly import Assembly, Schedule
from cellrt.compiled import compiled
from cellrt.compiler.cache import cached_njit
from cellrt.compiler.entry import Progress, addresses
from cellrt.image import Image
from cellrt.scan.plan import Plan
from cellrt.scan.runner import Command, Runner
from cellrt.scan.solve import solve
from cellrt.scan.step import step
from cellrt.scan.tables import EVENT_WORDS, EVENTS_A_SCAN, Tables, Work
from cellrt.wire import Floats, Ints, Views, Wiring, gather, scatter, wiring

EVENTS_A_RUN = 16 * EVENTS_A_SCAN


class Plant(NamedTuple):
    """The plant's side: how it is scanned, what it says (`sensors`) and what it hears (`actuators`).

    `samples` int64[devices]: base of each device's sample in the line's inputs. `heartbeats` is the
    line's scan count for every device, wrapped as the wire wraps it: int64[n, 2] of word and mask.
    """

    schedule: Schedule
    entries: Ints
    address: int
    image: Views
    sensors: Wiring
    actuators: Wiring
    heartbeats: Ints
    samples: Ints


@compiled
def exchange_in(plant: Plant, inputs: Ints, input_reals: Floats, scan: int) -> None:
    """Every device's registers as a fresh, good sample."""
    for n in range(plant.sensors.places.shape[0]):
        gather(plant.sensors, n, inputs, input_reals, plant.image)
    for n in range(plant.samples.shape[0]):
        inputs[plant.samples[n]] = scan + 1
        inputs[plant.samples[n] + 1] = 1


@compiled
def exchange_out(plant: Plant, outputs: Ints, output_reals: Floats) -> None:
    """The line's outputs and heartbeat into the devices' registers."""
    scatter(plant.actuators, 0, plant.actuators.places.shape[0], outputs, output_reals, plant.image)
    for n in range(plant.heartbeats.shape[0]):
        plant.image.words[plant.heartbeats[n, 0]] = outputs[0] & plant.heartbeats[n, 1]


@cached_njit
def run(
    t: Tables,
    w: Work,
    plant: Plant,
    entries: Ints,
    base: int,
    inputs: Ints,
    input_reals: Floats,
    period_ns: int,
    scan: int,
    scans: int,
    epoch: int,
    events: Ints,
) -> tuple[int, int]:
    """Up to `scans` scans of line and plant from number `scan`; (scans done, events written).

    Stops early when `events` has no room for another scan's. Commands count for the first scan only.
    """
    count, done = 0, 0
    while done < scans and count + EVENTS_A_SCAN <= events.shape[0]:
        now_ns = (scan + done) * period_ns
        exchange_in(plant, inputs, input_reals, scan + done)
        step(t, w, entries, base, inputs, input_reals, now_ns, scan + done, epoch)
        inputs[t.commands_base] = 0
        for n in range(w.event_count[0]):
            events[count] = w.events[n]
            count += 1
        exchange_out(plant, w.outputs, w.output_reals)
        solve(plant.schedule, plant.entries, plant.address, plant.image, now_ns, scan + done, t.dt_s)
        done += 1
    return done, count


class Twin:
    """A line with its simulated plant. `runner` is the line; `plant_image` the devices' memory."""

    def __init__(
        self,
        plan: Plan,
        plant: Assembly,
        devices: Any,
        *,
        seed: int,
        compiled: bool = True,
        progress: Progress | None = None,
    ) -> None:
        self.runner = Runner(plan, compiled=compiled, progress=progress)
        self.plant_image = Image(plant.layout)
        for name in plant.members:
            self.plant_image.write(plant.layout.find(f"{name}.seed"), seed)
        self.plant = _join(plan, plant, devices, self.plant_image, addresses(plant.types(), progress))
        self._events = np.zeros((EVENTS_A_RUN, EVENT_WORDS), np.int64)

    def run(self, scans: int, commands: Sequence[Command] = ()) -> Iterator[Ints]:
        """Run `scans` scans; yields their events in batches, as copies. `commands` enter the first."""
        r, last = self.runner, self.runner.scan + scans
        r.set_commands(commands)
        while r.scan < last:
            if not r.compiled:
                yield self.step()
                continue
            done, count = run(
                r.tables,
                r.work,
                self.plant,
                r.entries,
                r.image.address,
                r.inputs,
                r.input_reals,
                r.plan.line.period_ns,
                r.scan,
                last - r.scan,
                r.epoch,
                self._events,
            )
            r.scan += done
            yield self._events[:count].copy()

    def step(self) -> Ints:
        """One scan, in the mode that the runner has; its events."""
        r, now_ns, scan = self.runner, self.runner.now_ns, self.runner.scan
        one_exchange_in(self.plant, r.inputs, r.input_reals, scan)
        events = r.step().copy()
        one_plant_scan(self.plant, r.work.outputs, r.work.output_reals, now_ns, scan, r.tables.dt_s)
        return events


@cached_njit
def one_exchange_in(plant: Plant, inputs: Ints, input_reals: Floats, scan: int) -> None:
    exchange_in(plant, inputs, input_reals, scan)


@cached_njit
def one_plant_scan(
    plant: Plant, outputs: Ints, reals: Floats, now_ns: int, scan: int, dt_s: float
) -> None:
    exchange_out(plant, outputs, reals)
    solve(plant.schedule, plant.entries, plant.address, plant.image, now_ns, scan, dt_s)
