"""The print station with a recipe for each of two products, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

from cellrt.line.load import load_line
from cellrt.line.recipes import settings_of
from cellrt.tags import Scalar

STATION = Path(__file__).parents[1] / "cells" / "print_station.toml"


def station_with_recipes(folder: Path) -> Path:
    """The line file; recipe 2 presses harder than recipe 1."""
    folder.mkdir(parents=True, exist_ok=True)
    line = folder / "station.toml"
    line.write_text(STATION.read_text().replace("seed = 1\n", 'seed = 1\nrecipes = "recipes"\n'))
    (folder / "recipes").mkdir()
    (folder / "recipes" / "one.toml").write_text(recipe(1, "Plain board", 3))
    (folder / "recipes" / "two.toml").write_text(
        recipe(2, "Thick board", 7, pressure_N_wanted=95.0, wipe_after=9)
    )
    return line


def recipe(number: int, name: str, version: int, **printer: Scalar) -> str:
    """A recipe whose settings are the printer's defaults, but for these."""
    tags = settings_of(load_line(STATION).cells["printer"])
    settings = {tag: field.default for tag, field in tags.items()} | printer
    rows = [f"{tag} = {value}" for tag, value in settings.items()]
    head = f'number = {number}\nname = "{name}"\nversion = {version}\n'
    return "\n".join([head, "[printer]", *rows, ""])
