"""From a line's description to its simulated plant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cellrt.assembly import Assembly
from cellrt.chronicle import Chronicle
from cellrt.commander import Commander
from cellrt.compiler.entry import Progress
from cellrt.image import Image
from cellrt.line.resolve import resolve
from cellrt.line.spec import LineSpec
from cellrt.scan.commands import Origin
from cellrt.scan.plan import Plan
from cellrt.scan.watch import news, watch
from cellrt.supervisor import Goal, Supervisor
from cellrt.tags import Scalar
from cellrt.twin import LOOK_EVERY, Twin
from cellrt.wire import Ints
from hw_sim.device import SimDevice
from hw_sim.plant import assemble, census, set_out, sow


def simulated_devices(line: LineSpec) -> dict[str, type[SimDevice]]:
    """The simulation of each device that has one."""
    return {name: resolve(d.sim) for name, d in line.devices.items() if d.sim}


def simulated_plant(line: LineSpec, seed: int) -> tuple[Assembly, Image]:
    """The plant of a line, its memory sown with `seed`."""
    sim, first = line.sim, line.sim.prefixes[0]
    devices = {
        name.removeprefix(first): kind
        for name, kind in simulated_devices(line).items()
        if name.startswith(first)
    }
    assembly = assemble(devices, sim.belts, sim.power, sim.wires).side_by_side(sim.prefixes)
    image = Image(assembly.layout)
    sow(image, seed)
    set_out(image, {p + tag: value for p in sim.prefixes for tag, value in sim.start.items()})
    return assembly, image


class VirtualLine:
    """A line, its plant, its supervisor and its journal in virtual time."""

    def __init__(
        self,
        line: LineSpec,
        *,
        seed: int | None = None,
        compiled: bool = True,
        progress: Progress | None = None,
    ) -> None:
        self.plan = Plan(line)
        assembly, image = simulated_plant(line, line.seed if seed is None else seed)
        maps = {name: kind.device_map for name, kind in simulated_devices(line).items()}
        self.twin = Twin(self.plan, assembly, image, maps, compiled=compiled, progress=progress)
        self.journal = Chronicle(self.plan)
        self.supervisor = Supervisor(self.plan, Commander(1, Origin.SUPERVISOR))
        looks = [(c, tag) for c in self.plan.cells for tag in self.supervisor.looks_at(c)]
        self._watched = watch(self.plan.layout, [tag for _, tag in looks])
        self._watched_cells = [cell for cell, _ in looks]
        self._asked = False
        self._commands: Sequence[list[int]] = ()
        self._leaves = {leaf.path: leaf for leaf in self.plan.layout.tags()}

    @property
    def now_ns(self) -> int:
        """Logical time of the next scan."""
        return self.twin.runner.now_ns

    @property
    def plant(self) -> Image:
        """The plant as it truly is, by `device.tag`."""
        return self.twin.plant_image

    def read(self, tag: str) -> Scalar:
        """A tag of the line. Raises KeyError."""
        return self.twin.runner.image.read(self._leaves[tag])

    def census(self) -> dict[str, int]:
        """The plant's own count of boards."""
        return census(self.plant)

    def pursue(self, goal: Goal) -> None:
        """What the operator wants."""
        self.supervisor.pursue(goal)
        self._asked = True

    def run(self, for_ns: int) -> Iterator[Ints]:
        """Run for so much logical time; yields the events, written to the journal already.

        The supervisor is asked at every look of the twin's, but not where it could only say nothing.
        """
        last = self.twin.runner.scan + for_ns // self.plan.line.period_ns
        while (left := last - self.twin.runner.scan) > 0:
            if self._asked or self.supervisor.waits:
                left = min(left, LOOK_EVERY)
            for events in self.twin.run(left, self._commands, self._watched):
                if len(events):
                    self.journal.append(events)
                    yield events
            changed = {self._watched_cells[place] for place in news(self._watched)}
            everything = self._asked or self.supervisor.waits or self.twin.runner.scan == last
            self._commands = self.supervisor.decide(
                self.now_ns, self.read, None if everything else changed
            )
            self._asked = False
