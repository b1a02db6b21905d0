"""The shape of a line file and of a device map: which keys there are, of what type, in what range.

Each table is checked by itself, so that one out of shape hides nothing that is wrong in the others.
What the names mean is checked afterwards.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from cellrt.line.problem import choose
from cellrt.line.source import Keys, Source

CLASS = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
LINE_NAME = r"^[A-Za-z][A-Za-z0-9_-]*$"
INT64_MAX = 2**63 - 1
DAY_S = 86_400.0

Width = Literal["bool", "i16", "u16", "i32", "u32", "i64", "f32", "f64"]
Address = Annotated[int | None, Field(ge=0, le=65535, examples=["0"])]


class Shape(BaseModel):
    """Base of every table: no key too many, no type near enough, no number without an end."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class LineFile(Shape):
    """The tables of a line file; what is in them is checked table by table."""

    line: dict[str, Any]
    devices: dict[str, Any] = {}
    cells: dict[str, Any]
    io: dict[str, Any] = {}
    tasks: dict[str, Any] = {}
    modbus: dict[str, Any] = {}
    sim: dict[str, Any] = {}
    opcua: dict[str, Any] = {}


class CopiesFile(Shape):
    """The tables of a file whose line is made of copies of another."""

    line: dict[str, Any]
    copies: dict[str, Any]


class CopiesTable(Shape):
    """`[copies]`: the file of the line, how many there are of it, and parameters of its cells that all
    copies have otherwise."""

    file: str = Field(min_length=1, examples=['"smt_line.toml"'])
    count: int = Field(ge=1, le=99, examples=["20"])
    params: dict[str, dict[str, Any]] = Field({}, examples=["{ loader = { product = 2 } }"])


class LineTable(Shape):
    """`[line]`. `period_ms` is the base scan period, `takt_s` what the line is planned for."""

    name: str = Field(pattern=LINE_NAME, examples=['"print-station"'])
    period_ms: float = Field(ge=0.2, le=1000, examples=["10"])
    seed: int = Field(1, ge=0, le=INT64_MAX, examples=["1"])
    takt_s: float = Field(0.0, ge=0, le=86_400, examples=["22.0"])
    unattended: bool = Field(False, examples=["false"])
    recipes: str = Field("", examples=['"recipes"'])
    safety: list[str] = Field([], examples=['["safety"]'])


class DeviceTable(Shape):
    """`[devices.NAME]`."""

    map: str = Field(min_length=1, examples=['"coupler.toml"'])
    address: str = Field(examples=['"192.168.1.20:502"'])
    poll_ms: float = Field(10.0, ge=1, le=60_000, examples=["10"])
    stale_ms: float = Field(200.0, ge=1, le=600_000, examples=["200"])
    recover_ms: float = Field(500.0, ge=0, le=600_000, examples=["500"])
    sim: str | None = Field(None, pattern=CLASS, examples=['"hw_sim.coupler:Coupler"'])


class CellTable(Shape):
    """`[cells.NAME]`. Values in `params` and `safe` take their type from the tag they are for."""

    type: str = Field(pattern=CLASS, examples=['"cells.conveyor:Conveyor"'])
    device: str | None = Field(None, examples=['"coupler"'])
    io: dict[str, str] = Field({}, examples=['{ run = "coupler.infeed_run" }'])
    params: dict[str, Any] = Field({}, examples=["{ speed_mm_s = 200.0 }"])
    safe: dict[str, Any] = Field({}, examples=["{ run = false }"])
    to: str | None = Field(None, examples=['"printer"'])


class RecipeHead(Shape):
    """What stands before the cells' tables in a recipe."""

    number: int = Field(ge=1, le=9999, examples=["1"])
    name: str = Field(min_length=1, examples=['"Plain board"'])
    version: int = Field(ge=1, le=9999, examples=["1"])


class IoTable(Shape):
    """`[io]`: tags that many cells have."""

    io: dict[str, str] = Field({}, examples=['{ estop_released = "safety.estop_released" }'])


class TaskTable(Shape):
    """`[tasks.NAME]`: the cells of one period. Without `period_ms` those of the base period."""

    period_ms: float | None = Field(None, ge=0.2, le=DAY_S * 1e3, examples=["100"])
    policy: Literal["skip", "degrade", "safe_stop"] | None = Field(None, examples=['"skip"'])
    budget_us: float | None = Field(None, ge=1, le=DAY_S * 1e6, examples=["500"])
    after: int | None = Field(None, ge=1, le=1_000_000, examples=["3"])


class ModbusTable(Shape):
    """`[modbus]`: the line as a Modbus TCP server; without this table there is none."""

    host: str = Field("127.0.0.1", examples=['"127.0.0.1"'])
    port: int = Field(502, ge=1, le=65535, examples=["502"])
    tags: list[str] = Field(["*.*"], examples=['["printer.*", "infeed.run"]'])
    write: list[str] = Field([], examples=['["printer.pressure_N_wanted", "printer.CntrlCmd"]'])


class SimTable(Shape):
    """`[sim]`."""

    belts: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(
        default=[], examples=['[["coupler.infeed", "printer.belt"]]']
    )
    power: str | None = Field(default=None, examples=['"safety"'])
    wires: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(
        default=[], examples=['[["robot.x_mm", "gripper.x_mm"]]']
    )
    start: dict[str, bool | int | float] = Field(
        default={}, examples=['{ "reflow.zones.0.degC" = 150.0 }']
    )


class OpcuaTable(Shape):
    """`[opcua]`: the server for SCADA."""

    listen: str = Field(default="127.0.0.1", min_length=1, examples=['"127.0.0.1"'])
    anonymous: Literal["none", "viewer", "operator", "engineer"] = Field(
        default="viewer", examples=['"viewer"']
    )
    history: list[str] = Field(default=[], examples=['["printer.offset_x_um"]'])


class ReactionTable(Shape):
    """A safe reaction that is not at once: `{ hold_s = 2.0, value = false }`."""

    value: Any = Field(examples=["false"])
    hold_s: float | None = Field(None, ge=0, le=DAY_S, examples=["2.0"])
    run_out_s: float | None = Field(None, ge=0, le=DAY_S, examples=["30.0"])


class MapFile(Shape):
    """A device map; its points are checked one by one."""

    protocol: Literal["modbus", "opcua"] = Field(examples=['"modbus"'])
    unit_id: int = Field(1, ge=0, le=255, examples=["1"])
    namespace: str = Field("", examples=['"urn:vendor:device"'])
    watchdog_ms: float = Field(500.0, ge=1, le=600_000, examples=["500"])
    heartbeat: Any = None
    counter: Any = None
    inputs: dict[str, Any] = Field({}, examples=["{ at_stop = { discrete = 1 } }"])
    outputs: dict[str, Any] = Field({}, examples=["{ clamp = { coil = 0 } }"])


class PointTable(Shape):
    """One point: where it is, how wide, and `value = raw * scale + offset`."""

    coil: Address = None
    discrete: Address = None
    holding: Address = None
    input: Address = None
    node: str | None = Field(None, min_length=1, examples=['"Safety.EStopReleased"'])
    type: Width | None = Field(None, examples=['"u16"'])
    scale: float = Field(1.0, examples=["0.1"])
    offset: float = Field(0.0, examples=["0.0"])


M = TypeVar("M", bound=Shape)

WANTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "dict_type": "a table",
    "model_type": "a table",
    "list_type": "a list",
    "too_short": "two strings",
    "too_long": "two strings",
    "string_too_short": "no empty string",
    "literal_error": "{expected}",
    "greater_than_equal": "{ge:g} or more",
    "less_than_equal": "{le:.12g} or less",
}
PATTERNS = {
    CLASS: "`module:Class`",
    LINE_NAME: "a name of letters, digits, `-` and `_`, the first a letter",
}


def shaped(model: type[M], data: object, at: Keys, source: Source) -> M | None:
    """`data`, the table at `at`, as a model; else None, and its problems noted."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            _note(model, each, at, source)
        return None


def shown(value: object) -> str:
    """A value as it stands in the file, cut short."""
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= 40 else f"{text[:37]}..."


def table(at: Keys) -> str:
    """What a table is called in a message."""
    return f"[{'.'.join(map(str, at))}]" if at else "the file"


def _note(model: type[Shape], error: ErrorDetails, at: Keys, source: Source) -> None:
    """Note pydantic's finding in the words of the file, with an example of what would be right."""
    loc: Keys = tuple(error["loc"])
    key = str(loc[0]) if loc else ""
    field = model.model_fields.get(key)
    example = f"{key} = {field.examples[0]}" if field and field.examples else f"[{key}]"
    if error["type"] == "extra_forbidden":
        mend = choose(key, model.model_fields)
        return source.fault((*at, *loc), f"unknown key {key!r} in {table(at)}", mend)
    if error["type"] == "missing":
        return source.fault(at, f"{table(at)} has no {key!r}", f"add `{example}`")
    wanted = PATTERNS.get(error.get("ctx", {}).get("pattern", ""), WANTED.get(error["type"], ""))
    wanted = wanted.format(**error.get("ctx", {})) or error["msg"]
    name = ".".join(map(str, (*at, *loc)))
    mend = f"write `{example}`" if loc else f"write it as a table, {table(at)}"
    if error["type"] == "string_type" and isinstance(error["input"], dict):
        mend = 'put a name with a dot in quotes: `"valve.open" = ...`'
    source.fault((*at, *loc), f"{name} is {shown(error['input'])} but must be {wanted}", mend)
