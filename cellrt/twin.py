"""The twin: a line and its simulated plant in one compiled loop, as fast as the machine can.

The very step that runs the line runs here; the plant's registers are joined to the line's inputs and
outputs directly, at the width and scale of the wire. Samples arrive in every scan, so a twin knows no
late network; everything else is the same, and a seed decides all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from cellrt.assembly import Assembly, Pace, Schedule
from cellrt.compiled import inlined
from cellrt.compiler.cache import cached_njit
from cellrt.compiler.entry import Progress, addresses
from cellrt.image import Image
from cellrt.scan.plan import Plan
from cellrt.scan.runner import Command, Runner
from cellrt.scan.solve import solve
from cellrt.scan.step import step
from cellrt.scan.tables import EVENT_WORDS, Tables, Work
from cellrt.scan.watch import Watch, moved
from cellrt.tags import WORD, Leaf
from cellrt.wire import (
    DeviceMap,
    Floats,
    Ints,
    Point,
    Views,
    Wiring,
    alike,
    gather,
    scatter,
    wiring,
)

SCANS_OF_EVENTS = 16
"""A run ends at the latest when so many scans have had as many events as a scan can have."""

LOOK_EVERY = 10
"""What is watched is looked at every so many scans."""

NOTHING = Watch(np.zeros((0, 4), np.int64))


class Plant(NamedTuple):
    """The plant's side: how it is scanned, what it says (`sensors`) and what it hears (`actuators`).

    `samples` int64[devices]: base of each device's sample in the line's inputs. `heartbeats` is the
    line's scan count for every device, wrapped as the wire wraps it: int64[n, 2] of word and mask.
    """

    schedule: Schedule
    pace: Pace
    entries: Ints
    address: int
    image: Views
    sensors: Wiring
    actuators: Wiring
    heartbeats: Ints
    samples: Ints


@inlined
def exchange_in(plant: Plant, inputs: Ints, input_reals: Floats, scan: int) -> None:
    """Every device's registers as a fresh, good sample."""
    for n in range(plant.sensors.whole.shape[0]):
        gather(plant.sensors, plant.sensors.whole[n], inputs, input_reals, plant.image)
    for n in range(plant.samples.shape[0]):
        inputs[plant.samples[n]] = scan + 1
        inputs[plant.samples[n] + 1] = 1


@inlined
def exchange_out(plant: Plant, outputs: Ints, output_reals: Floats) -> None:
    """The line's outputs and heartbeat into the devices' registers."""
    for n in range(plant.actuators.whole.shape[0]):
        scatter(plant.actuators, plant.actuators.whole[n], outputs, output_reals, plant.image)
    for n in range(plant.heartbeats.shape[0]):
        plant.image.words[plant.heartbeats[n, 0]] = outputs[0] & plant.heartbeats[n, 1]


@inlined
def solve_plant(plant: Plant, now_ns: int, scan: int, dt_s: float) -> None:
    """One scan of the devices."""
    schedule, pace, entries = plant.schedule, plant.pace, plant.entries
    solve(schedule, pace, entries, plant.address, plant.image, now_ns, scan, dt_s, None)


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
    watched: Watch,
    look_in: int,
) -> tuple[int, int, bool]:
    """Up to `scans` scans of line and plant from number `scan`; (scans done, events written, a tag moved).

    Stops early when `events` has no room for another scan's, or when a watched tag has moved: it is looked
    for after `look_in` scans and then every `LOOK_EVERY`. Commands count for the first scan only.
    """
    count, done = 0, 0
    while done < scans and count + w.events.shape[0] <= events.shape[0]:
        now_ns = (scan + done) * period_ns
        exchange_in(plant, inputs, input_reals, scan + done)
        step(t, w, entries, base, inputs, input_reals, now_ns, scan + done, epoch, None)
        inputs[t.commands_base] = 0
        for n in range(w.event_count[0]):
            for k in range(EVENT_WORDS):
                events[count, k] = w.events[n, k]
            count += 1
        exchange_out(plant, w.outputs, w.output_reals)
        solve_plant(plant, now_ns, scan + done, t.dt_s)
        done += 1
        if done >= look_in and (done - look_in) % LOOK_EVERY == 0 and moved(watched, w.image):
            return done, count, True
    return done, count, False


class TwinError(Exception):
    """Line and simulated devices do not fit together; names device and point."""


class Twin:
    """A line with its simulated plant. `runner` is the line; `plant_image` the devices' memory."""

    def __init__(
        self,
        plan: Plan,
        plant: Assembly,
        plant_image: Image,
        maps: Mapping[str, DeviceMap],
        *,
        compiled: bool = True,
        progress: Progress | None = None,
    ) -> None:
        """`maps` are the simulated devices' own: what they have on their networks, by device.

        Raises TwinError where the line's device map and the device's own do not fit.
        """
        self.runner = Runner(plan, compiled=compiled, progress=progress)
        self.plant_image = plant_image
        self.plant = join(plan, plant, plant_image, maps, addresses(plant.types(), progress))
        self.forced: dict[int, int] = {}
        self._waiting: list[Command] = []
        room = self.runner.work.events.shape[0]
        self._events = np.zeros((SCANS_OF_EVENTS * room, EVENT_WORDS), np.int64)

    def run(
        self, scans: int, commands: Sequence[Command] = (), watched: Watch = NOTHING
    ) -> Iterator[Ints]:
        """Run `scans` scans, or fewer: up to the look at which one of the `watched` tags has moved.

        Yields the events in batches, as copies. `commands` enter the first scan, those that find no room
        in it the next ones, if need be of the next run.
        """
        r = self.runner
        self._waiting += commands
        first, stop = r.scan, False
        while not stop and (left := first + scans - r.scan) > 0:
            self._waiting = self._waiting[r.set_commands(self._waiting) :]
            look_in = LOOK_EVERY - (r.scan - first) % LOOK_EVERY
            if r.compiled:
                scans_now = 1 if self._waiting else left
                events, stop = self._run_compiled(scans_now, watched, look_in)
            else:
                events = self.step()
                stop = look_in == 1 and moved(watched, r.work.image)
            yield events

    def _run_compiled(self, scans: int, watched: Watch, look_in: int) -> tuple[Ints, bool]:
        """Up to `scans` scans; their events, and whether what is watched has moved."""
        r = self.runner
        done, count, stop = run(
            r.tables,
            r.work,
            self.plant,
            r.entries,
            r.image.address,
            r.inputs,
            r.input_reals,
            r.plan.line.period_ns,
            r.scan,
            scans,
            r.epoch,
            self._events,
            watched,
            look_in,
        )
        r.scan += done
        return self._events[:count].copy(), stop

    def step(self) -> Ints:
        """One scan, in the mode that the runner has; its events.

        `forced` raw values (index: value) stand in for what the plant says.
        """
        r, now_ns, scan = self.runner, self.runner.now_ns, self.runner.scan
        one_exchange_in(self.plant, r.inputs, r.input_reals, scan)
        for index, raw in self.forced.items():
            r.inputs[index] = raw
        events = r.step().copy()
        one_plant_scan(self.plant, r.work.outputs, r.work.output_reals, now_ns, scan, r.tables.dt_s)
        return events


def join(
    plan: Plan, plant: Assembly, image: Image, maps: Mapping[str, DeviceMap], entries: Ints
) -> Plant:
    """Join the line's raw values to the devices' registers, by address."""
    sensors: list[tuple[Point, Leaf, int]] = []
    actuators: list[tuple[Point, Leaf, int]] = []
    heartbeats = []
    for sample in plan.samples:
        name, wanted = sample.device.name, sample.device.map
        if name not in maps:
            raise TwinError(f"device {name!r} has no simulation; give it `sim` in the line file")
        has = {p.address: p for p in _points(maps[name])}
        for n, point in enumerate((wanted.counter, *wanted.inputs)):
            if point is not None:
                own = _own(name, point, has)
                sensors.append((own, plant.layout.find(f"{name}.{own.name}"), sample.first_raw + n))
        for n, point in enumerate(wanted.outputs):
            own = _own(name, point, has)
            leaf = plant.layout.find(f"{name}.{own.name}")
            actuators.append((own, leaf, sample.output_base + n))
        if wanted.heartbeat is not None:
            own = _own(name, wanted.heartbeat, has)
            word = plant.layout.find(f"{name}.{own.name}").offset // WORD
            heartbeats.append([word, own.wire.high])
    return Plant(
        plant.schedule(),
        plant.pace(),
        entries,
        image.address,
        image.views,
        _in_stretches(sensors),
        _in_stretches(actuators),
        np.array(heartbeats, np.int64).reshape(-1, 2),
        np.array([s.base for s in plan.samples], np.int64),
    )


def _in_stretches(joined: Sequence[tuple[Point, Leaf, int]]) -> Wiring:
    """Points, tags and indices of raw values as tables."""
    rows = sorted(joined, key=lambda j: alike(j[0], j[1]))
    return wiring([(p, t) for p, t, _ in rows], [raw for *_, raw in rows])


def _points(device_map: DeviceMap) -> Iterator[Point]:
    for point in (device_map.heartbeat, device_map.counter):
        if point is not None:
            yield point
    yield from (*device_map.inputs, *device_map.outputs)


def _own(device: str, wanted: Point, has: Mapping[str, Point]) -> Point:
    """The device's own point at the address where the line expects one."""
    own = has.get(wanted.address)
    if own is None:
        raise TwinError(
            f"{device}: the simulated device has nothing at {wanted.address} ({wanted.name})"
        )
    if own.wire is not wanted.wire:
        raise TwinError(
            f"{device}: {wanted.address} is {own.wire.value} in the device, "
            f"but {wanted.wire.value} in the line's map ({wanted.name})"
        )
    return own


@cached_njit
def one_exchange_in(plant: Plant, inputs: Ints, input_reals: Floats, scan: int) -> None:
    exchange_in(plant, inputs, input_reals, scan)


@cached_njit
def one_plant_scan(
    plant: Plant, outputs: Ints, reals: Floats, now_ns: int, scan: int, dt_s: float
) -> None:
    exchange_out(plant, outputs, reals)
    solve_plant(plant, now_ns, scan, dt_s)
