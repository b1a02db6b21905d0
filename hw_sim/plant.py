"""The plant: simulated devices, the belts between them, and the power that the safety PLC gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from zlib import crc32

from cellrt.assembly import Assembly, Pace, Schedule
from cellrt.chance import draw
from cellrt.compiler.cache import cached_njit
from cellrt.compiler.entry import Progress, addresses
from cellrt.image import Image
from cellrt.scan.solve import solve
from cellrt.tags import Record, Scalar, find, places
from cellrt.wire import Ints, Views
from hw_sim.belt import Belt, Joint
from hw_sim.census import MOST_DEVICES, Census, Counts
from hw_sim.device import SimDevice


def assemble(
    devices: Mapping[str, type[SimDevice]],
    belts: Sequence[tuple[str, str]],
    power: str | None,
    wires: Sequence[tuple[str, str]] = (),
) -> Assembly:
    """Devices by name, joined where their belts meet, powered by the safety PLC called `power`.

    `belts` are pairs of paths, ("coupler.infeed", "printer.belt"), in the direction of travel; a
    device declares the joints inside it. `wires` are pairs of tags, ("robot.x_mm", "gripper.x_mm"):
    what one device senses of another, one scan late. Raises ValueError, with the belts that there
    are, for a path that is no belt, a belt joined twice at one end, a wire that joins nothing, or a
    `power` that gives none.
    """
    inside = [(f"{n}.{a}", f"{n}.{b}") for n, kind in devices.items() for a, b in kind.joints]
    pairs = [*inside, *(tuple(p) for p in belts)]
    known = list(belt_paths(devices))
    _check(pairs, known, devices, power, wires)
    links: dict[str, type[Record]] = {}
    hear: list[tuple[str, str]] = []
    tell: list[tuple[str, str]] = []
    for behind, ahead in pairs:
        name = f"{behind}>{ahead}".replace(".", "_")
        links[name] = Joint
        hear += Joint.hears(behind, ahead, name)
        tell += [(f"{name}.exit", f"{behind}.exit"), (f"{name}.entry", f"{ahead}.entry")]
    counting = [n for n, kind in devices.items() if "census" in kind.fields]
    if counting:
        links["census"] = Census
        hear += [(f"{name}.tally", f"census.tallies.{n}") for n, name in enumerate(devices)]
        tell += [("census.total", f"{name}.census") for name in counting]
    if power is not None:
        tell += [(f"{power}.drives_enabled", f"{n}.powered") for n in devices if n != power]
    tell += wires
    return Assembly(dict(devices), links, tuple(hear), tuple(tell))


def belt_paths(devices: Mapping[str, type[Record]]) -> Iterator[str]:
    """Every belt of every device, as `device.belt` or `device.zones.0.belt`."""
    for name, kind in devices.items():
        for declared in (f for f in kind.fields.values() if f.is_record):
            for place in places(declared):
                if declared.kind is Belt:
                    yield f"{name}.{place}"
                else:
                    yield from belt_paths({f"{name}.{place}": declared.kind})


def sow(image: Image, seed: int) -> None:
    """Give each device a seed of its own, from the line's seed and the device's name."""
    for name in _devices(image):
        own = draw(seed, crc32(name.encode()), 0, 0)
        image.write(image.layout.find(f"{name}.seed"), own)


def set_out(image: Image, values: Mapping[str, Scalar]) -> None:
    """Set tags as they are found at power-up. Raises ValueError for one that cannot be so."""
    for tag, value in values.items():
        try:
            image[tag] = value
        except KeyError:
            raise ValueError(f"{tag!r} is no tag of a simulated device") from None


def boards(image: Image) -> list[int]:
    """Ids of the boards on belts, belt by belt."""
    ids = (image[f"{b}.board.id"] for b in belt_paths(_devices(image)))
    return [int(i) for i in ids if i != 0]


def census(image: Image) -> dict[str, int]:
    """`census.Counts` of the plant, physically, at this moment."""
    names = _devices(image)
    return {c: sum(int(image[f"{n}.tally.{c}"]) for n in names) for c in Counts.fields}


class Plant:
    """A plant in memory, compiled. Time is moved by whoever owns it."""

    def __init__(
        self,
        assembly: Assembly,
        image: Image | None = None,
        seed: int = 1,
        progress: Progress | None = None,
    ) -> None:
        """`image` is the assembly's memory, sown; without one it is made and sown with `seed`."""
        self.assembly = assembly
        self.image = image or Image(assembly.layout)
        self.scan = 0
        entries = addresses(assembly.types(), progress)
        self._scanned = assembly.schedule(), assembly.pace(), entries
        if image is None:
            sow(self.image, seed)

    def tick(self, now_ns: int, dt_s: float) -> None:
        """One scan of everything at logical time `now_ns`."""
        image = self.image
        _tick(*self._scanned, image.address, image.views, now_ns, self.scan, dt_s)
        self.scan += 1

    def read(self, tag: str) -> Scalar:
        """A tag's value, by `device.tag`. Raises KeyError."""
        return self.image[tag]

    def write(self, tag: str, value: Scalar) -> None:
        """Set a tag. Raises KeyError."""
        self.image.write(self.image.layout.find(tag), value)


@cached_njit
def _tick(
    schedule: Schedule,
    pace: Pace,
    entries: Ints,
    address: int,
    image: Views,
    now_ns: int,
    scan: int,
    dt_s: float,
) -> None:
    solve(schedule, pace, entries, address, image, now_ns, scan, dt_s, None)


def _devices(image: Image) -> dict[str, type[SimDevice]]:
    """The devices in an image; joints and the census hold copies only."""
    return {n: k for n, k in image.layout.instances.items() if issubclass(k, SimDevice)}


def _check(
    pairs: Sequence[tuple[str, ...]],
    known: Sequence[str],
    devices: Mapping[str, type[SimDevice]],
    power: str | None,
    wires: Sequence[tuple[str, str]],
) -> None:
    for end, paths in (("end", [p[0] for p in pairs]), ("beginning", [p[-1] for p in pairs])):
        for path in paths:
            if path not in known:
                raise ValueError(f"{path!r} is no belt; belts are {', '.join(known)}")
            if paths.count(path) > 1:
                raise ValueError(f"two belts meet at the {end} of {path!r}")
    if power is not None and "drives_enabled" not in getattr(devices.get(power), "fields", {}):
        raise ValueError(f"{power!r} is no device that gives power")
    if len(devices) > MOST_DEVICES:
        raise ValueError(f"{len(devices)} devices, but a census counts at most {MOST_DEVICES}")
    for source, target in wires:
        kinds = [_tag_kind(devices, path) for path in (source, target)]
        if kinds[0] is None or kinds[0] is not kinds[1]:
            raise ValueError(f"wire {source!r} -> {target!r}: joins no two tags of one type")


def _tag_kind(devices: Mapping[str, type[SimDevice]], path: str) -> type | None:
    """The type of a tag, `device.tag`; None where there is none."""
    name, _, tag = path.partition(".")
    try:
        return find(devices[name], tag).field.kind
    except KeyError:
        return None
