"""The header of a recording: which line, which code, and what each recorded word is."""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import json
import mmap
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from itertools import zip_longest
from pathlib import Path

import numpy as np

from cellrt.compiler.fingerprint import environment, fingerprint
from cellrt.line.load import load_line
from cellrt.line.resolve import search_beside
from cellrt.line.spec import LineSpec
from cellrt.scan.plan import COMMAND_WORDS, Plan
from cellrt.scan.recorder import samples, state_words
from cellrt.scan.tables import TOLD_OF_CELL
from cellrt.tags import WORD, Role
from cellrt.wire import Ints

FORMAT = 4
MAGIC = b"cellrec\n"
_LENGTH_BYTES, _HASH_BYTES = 8, 32
_LONGEST = 1 << 28
HANDS = "a force, a jog, a sample's number or a task's pace"
"""What lies behind the image in a keyframe."""


class RecordingError(Exception):
    """A recording cannot be read, or not with this line; the message names the file and the reason."""


@dataclass(frozen=True)
class Header:
    """What a recording is of.

    `text` is the line file and `maps` its device maps and recipes, by their paths as seen from its
    folder; `modules` are the sources of its cells, by path. `code` is the fingerprint of each record
    type, made in this `environment`. `inputs` names the words of the samples, `results` those of a
    scan's results, `tags` is (name, type, byte offset) of every tag in the image. What commands and
    forces go by: `cells` with the names of their steps, `parameters`, `terminals`, `tasks` by their
    periods in scans. `samples` are the recorder's rows. `start` is the number of the first byte that
    the recording has of its ring.
    """

    format: int
    cellrt: str
    line: str
    path: str
    text: str
    maps: Mapping[str, str]
    modules: Mapping[str, str]
    plan_hash: str
    code: Mapping[str, str]
    environment: str
    seed: int
    period_ns: int
    input_words: int
    state_words: int
    image_bytes: int
    inputs: list[str]
    results: list[str]
    tags: list[tuple[str, str, int]]
    cells: Mapping[str, list[str]]
    parameters: list[str]
    terminals: list[str]
    tasks: list[int]
    samples: list[list[int]]
    start: int = 0

    @property
    def commands_base(self) -> int:
        """Where the commands begin in the inputs."""
        return len(self.inputs)

    @property
    def image_base(self) -> int:
        """Where the image begins in a keyframe, in words."""
        return self.input_words + len(self.results)

    def name(self, word: int) -> str:
        """What a word of a keyframe (inputs, results, the rest of the state) or of a scan's changes is."""
        if word < self.commands_base:
            return f"input {self.inputs[word]}"
        if word < self.input_words:
            return f"command {max(word - self.commands_base - 1, 0) // COMMAND_WORDS + 1}"
        if word < self.image_base:
            return self.results[word - self.input_words]
        at = (word - self.image_base) * WORD
        if at < self.image_bytes:
            tags = [name for name, _, offset in self.tags if at <= offset < at + WORD]
            return "tag " + " or ".join(tags) if tags else "the image"
        return HANDS

    def differing(self, ours: Ints, told: Ints) -> tuple[str, ...]:
        """Names of what differs between two states, as keyframes hold them behind the inputs."""
        first, last = len(self.results), len(self.results) + self.image_bytes // WORD
        words = ours != told
        octets = (ours.view(np.uint8) != told.view(np.uint8))[first * WORD :]
        sizes = {"bool": 1, "int": WORD, "float": WORD}
        names = [f"tag {n}" for n, kind, at in self.tags if octets[at : at + sizes[kind]].any()]
        names += [name for name, differs in zip(self.results, words, strict=False) if differs]
        names += [HANDS] if words[last:].any() else []
        return tuple(names)


def describe(plan: Plan, seed: int | None = None) -> Header:
    """The header for recording a plan; `seed` where it is not the line's own."""
    line = plan.line
    return Header(
        FORMAT,
        _version(),
        line.name,
        str(line.path),
        line.text,
        _map_texts(line),
        _module_texts(plan),
        plan.hash,
        {kind.type_name(): fingerprint(kind) for kind in plan.assembly.types()},
        _environment(),
        line.seed if seed is None else seed,
        line.period_ns,
        plan.input_words,
        state_words(plan),
        plan.layout.nbytes,
        _input_names(plan),
        _result_names(plan),
        [(t.path, t.field.kind.__name__, t.offset) for t in plan.layout.tags()],
        {name: list(cell.type.sequence.names) for name, cell in plan.line.cells.items()},
        [parameter.path for parameter in plan.parameters],
        [f"{terminal.device}.{terminal.point.name}" for terminal in plan.terminals],
        list(plan.assembly.periods),
        samples(plan).tolist(),
    )


def pack(header: Header) -> bytes:
    """A header as the first bytes of a file: magic, length, sha256, canonical JSON."""
    text = json.dumps(asdict(header), sort_keys=True, separators=(",", ":")).encode()
    return (
        MAGIC + len(text).to_bytes(_LENGTH_BYTES, "little") + hashlib.sha256(text).digest() + text
    )


def unpack(data: bytes | mmap.mmap, path: Path) -> tuple[Header, int]:
    """The header at the beginning of a file, and where it ends. Raises RecordingError."""
    begin = len(MAGIC) + _LENGTH_BYTES + _HASH_BYTES
    if data[: len(MAGIC)] != MAGIC:
        raise RecordingError(f"{path} is not a recording")
    length = int.from_bytes(data[len(MAGIC) : len(MAGIC) + _LENGTH_BYTES], "little")
    if length <= _LONGEST and begin + length > len(data):
        raise RecordingError(f"{path} was cut short inside its header; nothing can be read")
    text = data[begin : begin + length]
    if hashlib.sha256(text).digest() != data[begin - _HASH_BYTES : begin]:
        raise RecordingError(f"{path} has a damaged header; nothing can be read")
    told = json.loads(text)
    if told["format"] != FORMAT:
        raise RecordingError(
            f"{path} has format {told['format']} (written by cellrt {told['cellrt']}); this cellrt "
            f"{_version()} reads format {FORMAT}"
        )
    told["tags"] = [tuple(tag) for tag in told["tags"]]
    return Header(**told), begin + length


def recorded_line(header: Header) -> LineSpec:
    """The line as it was recorded, from the header's own texts; its cells are today's, and where there are
    none here, the recorded ones.

    Raises RecordingError where the header has no line file, LineError where it cannot be loaded here.
    """
    if not header.text:
        raise RecordingError(f"the recording of {header.line} holds no line file; name the line")
    path = Path(header.path)
    search_beside(path)
    up = max((Path(name).parts.count("..") for name in header.maps), default=0)
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top, *["line"] * up)  # so deep that all of it stays below `top`
        for name, text in {path.name: header.text, **header.maps}.items():
            _write(folder / name, text)
        _bring_modules(header)
        try:
            return replace(load_line(folder / path.name), path=path)
        finally:
            sys.path[:] = [p for p in sys.path if p != str(folder.resolve())]


def _bring_modules(header: Header) -> None:
    """Recorded sources of modules that are not here, where they can be imported as long as this process lives:
    the compiler reads them."""
    gone = [
        name
        for name in header.modules
        if importlib.util.find_spec(name.partition("/")[0].removesuffix(".py")) is None
    ]
    if gone:
        folder = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        sys.path.append(folder)
        for name in gone:
            _write(Path(folder, name), header.modules[name])


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def planned(header: Header, line: LineSpec | None, *, exactly: bool = False) -> Plan:
    """The plan to replay with: of `line`, or of the line as recorded.

    Raises RecordingError for another line or period; `exactly`, also where the layout has changed.
    """
    plan = Plan(recorded_line(header) if line is None else line)
    if plan.line.name != header.line:
        raise RecordingError(
            f"a recording of line {header.line}, not of {plan.line.name}; name the file of {header.line}"
        )
    if plan.line.period_ns != header.period_ns:
        then_ms, now_ms = header.period_ns / 1e6, plan.line.period_ns / 1e6
        raise RecordingError(
            f"line {header.line} has changed since it was recorded: its period was {then_ms:g} ms and is "
            f"{now_ms:g} ms now; replay it with the line file as it was"
        )
    if exactly and plan.hash != header.plan_hash:
        raise RecordingError(
            f"line {header.line} has changed since it was recorded: {_change(header, plan)}; replay it "
            "without --verify, to see it mapped by name"
        )
    return plan


def edited(header: Header, plan: Plan) -> tuple[str, ...]:
    """What is not as it was when the recording was made: the line file, the compiler, or types' code."""
    names = ["the line file"] if plan.line.text != header.text else []
    if header.environment != _environment():
        return (*names, "the compiler, its options or the processor")
    types = {kind.type_name(): kind for kind in plan.assembly.types()}
    return (*names, *(n for n, kind in types.items() if fingerprint(kind) != header.code.get(n)))


def _change(then: Header, plan: Plan) -> str:
    """The first thing that differs between a recording and a plan."""
    now = describe(plan)
    tables: list[tuple[str, Sequence[object], Sequence[object]]] = [
        ("tag", then.tags, now.tags),
        ("input", then.inputs, now.inputs),
        ("result", then.results, now.results),
    ]
    for what, old, new in tables:
        for was, is_ in zip_longest(old, new, fillvalue="nothing"):
            if str(was) != str(is_):
                return f"{what} {was} is {is_} now"
    return "its devices or joins"


def _environment() -> str:
    return hashlib.sha256(environment().encode()).hexdigest()


def _version() -> str:
    try:
        return metadata.version("cellrt")
    except metadata.PackageNotFoundError:
        return "from source"


def _map_texts(line: LineSpec) -> dict[str, str]:
    if not line.text:
        return {}
    text = (line.path.parent / line.copied).read_text() if line.copied else line.text
    devices, first = tomllib.loads(text).get("devices", {}), line.sim.prefixes[0]
    beside = Path(line.copied).parent
    files = {
        str(beside / t["map"]): Path(line.devices[first + n].map.path).read_text()
        for n, t in devices.items()
    }
    if line.copied:
        files[line.copied] = text
    paths = sorted((line.path.parent / line.recipes).glob("*.toml")) if line.recipes else []
    return files | {f"{line.recipes}/{path.name}": path.read_text() for path in paths}


def _module_texts(plan: Plan) -> dict[str, str]:
    """Sources of the packages and modules that the line's cells are from, as far as they are loaded."""
    if not plan.line.text:
        return {}
    tops = {cell.type.__module__.partition(".")[0] for cell in plan.line.cells.values()}
    texts = {}
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        beside = file and Path(file).parent == plan.line.path.resolve().parent
        ours = beside or name.partition(".")[0] in tops
        if file and file.endswith(".py") and ours and name != "__main__":
            path = name.replace(".", "/") + (
                "/__init__.py" if hasattr(module, "__path__") else ".py"
            )
            texts[path] = Path(file).read_text()
    return texts


def _input_names(plan: Plan) -> list[str]:
    names: list[str] = []
    for sample in plan.samples:
        device = sample.device.name
        points = [f"{device}.{point.name}" for point in sample.device.map.inputs]
        names += [
            f"{device}: number of its sample",
            f"{device}: good",
            f"{device}.counter",
            *points,
        ]
    return _with_tags(plan, names, Role.INPUT)


def _result_names(plan: Plan) -> list[str]:
    outputs = ["scan", "epoch"]
    for sample in plan.samples:
        outputs += [f"{sample.device.name}.{point.name}" for point in sample.device.map.outputs]
    names = [f"output {name}" for name in _with_tags(plan, outputs, Role.OUTPUT)]
    names += [f"{cell} {what}" for cell in plan.cells for what in TOLD_OF_CELL]
    names += [f"{handover} state" for handover in plan.handovers]
    return [*names, *(f"{tag.path} told" for tag in plan.told)]


def _with_tags(plan: Plan, names: list[str], role: Role) -> list[str]:
    tags: dict[int, list[str]] = {}
    for *_, raw, leaf in plan.joined(role):
        tags.setdefault(raw, []).append(leaf.path)
    return [f"{n} ({', '.join(tags[k])})" if k in tags else n for k, n in enumerate(names)]
