"""Recipes: what the cells of a line work by for one product, a TOML file each.

```toml
number = 1                # of the product
name = "Plain board"
version = 3

[printer]                 # a table for each cell that has parameters with `recipe=True`; all of them
pressure_N_wanted = 80.0
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cellrt.line.model import RecipeHead, shaped, shown
from cellrt.line.problem import LineError, Problem, choose
from cellrt.line.source import Source, read
from cellrt.line.spec import CellSpec, LineSpec, RecipeSpec
from cellrt.line.values import fits, takes, unfolded
from cellrt.recipe import Recipe
from cellrt.tags import Field, Scalar, leaves

Cells = Mapping[str, CellSpec]


def recipes_of(line: LineSpec) -> dict[int, RecipeSpec]:
    """The recipes of a line that has a folder of them, by number; a factory's are for each of its copies.

    Read from their files now. Raises LineError.
    """
    copies = line.sim.prefixes
    first = {
        name.removeprefix(copies[0]): replace(cell, name=name.removeprefix(copies[0]))
        for name, cell in line.cells.items()
        if name.startswith(copies[0])
    }
    found = load_recipes(line.path.parent / line.recipes, first)
    return {
        number: replace(
            recipe,
            settings={p + cell: tags for p in copies for cell, tags in recipe.settings.items()},
        )
        for number, recipe in found.items()
    }


def load_recipes(folder: Path, cells: Cells) -> dict[int, RecipeSpec]:
    """The recipes in a folder by number. Raises LineError with every problem in them."""
    problems: list[Problem] = []
    found: dict[int, RecipeSpec] = {}
    files = sorted(folder.glob("*.toml"))
    if not files:
        problems.append(Problem(str(folder), 1, "has no recipe", "put `NAME.toml` there"))
    for path in files:
        try:
            source = read(path)
        except LineError as error:
            problems += error.problems
            continue
        recipe = _recipe(source, cells)
        if recipe and recipe.number in found:
            other = found[recipe.number].path
            mend = f"give it a number of its own: {other} has that one"
            source.fault(("number",), f"recipe {recipe.number} is there twice", mend)
        problems += source.problems
        if recipe:
            found[recipe.number] = recipe
    if problems:
        raise LineError(problems)
    return found


def begin_with_recipe(folder: Path, cells: Cells, source: Source) -> dict[str, CellSpec]:
    """The cells with the settings of the recipe whose number is the product that the line begins with."""
    try:
        recipes = load_recipes(folder, cells)
    except LineError as error:
        source.problems.extend(error.problems)
        return dict(cells)
    first = next((n for n, c in cells.items() if "product" in c.parameters), None)
    number = int(cells[first].parameters["product"]) if first else min(recipes)
    if number not in recipes:
        mend = choose(str(number), map(str, recipes))
        source.fault(("cells", first or ""), f"no recipe for product {number}", mend)
        return dict(cells)
    for name, cell in cells.items():
        for tag in set(cell.params) & set(settings_of(cell)):
            what = f"{name}.{tag} is set by recipes"
            source.fault(("cells", name, "params", tag), what, "take it out of the line file")
    chosen = recipes[number]
    return {name: replace(c, params={**c.params, **given(c, chosen)}) for name, c in cells.items()}


def settings_of(cell: CellSpec) -> dict[str, Field]:
    """The parameters of a cell that each recipe sets, by tag."""
    return {tag: field for tag, field in leaves(cell.type) if field.recipe}


def record_of(cell: CellSpec) -> str | None:
    """Name of the cell's `Recipe`, if it has one."""
    return next((name for name, f in cell.type.fields.items() if f.kind is Recipe), None)


def given(cell: CellSpec, recipe: RecipeSpec) -> dict[str, Scalar]:
    """What a recipe gives a cell, by tag and in order: settings, then number, then version."""
    record = record_of(cell)
    which = (
        {f"{record}.number": recipe.number, f"{record}.version": recipe.version} if record else {}
    )
    return {**recipe.settings.get(cell.name, {}), **which}


def _recipe(source: Source, cells: Cells) -> RecipeSpec | None:
    """A file's recipe; None, and its problems noted, where it has no sound head."""
    tables = {k: v for k, v in source.data.items() if isinstance(v, dict)}
    head = shaped(RecipeHead, {k: v for k, v in source.data.items() if k not in tables}, (), source)
    wanted = {name: settings_of(cell) for name, cell in cells.items()}
    wanted = {name: tags for name, tags in wanted.items() if tags}
    for name in tables:
        if name not in wanted:
            what = f"{name!r} is no cell of the line with settings of a recipe"
            source.fault((name,), what, choose(name, wanted))
    settings = {
        name: _settings(name, tags, tables.get(name), source) for name, tags in wanted.items()
    }
    if head is None:
        return None
    recipe = RecipeSpec(head.number, head.name, head.version, source.path, settings)
    for name in wanted if not source.problems else ():
        parameters = cells[name].parameters | given(cells[name], recipe)
        if why := cells[name].type.unfit(parameters):
            source.fault((name,), f"{name}: {why}", "change its settings")
    return recipe


def _settings(
    cell: str, tags: Mapping[str, Field], table: object, source: Source
) -> dict[str, Scalar]:
    """The settings of one cell; a problem for each that is unknown, missing or out of limits."""
    there = list(unfolded(table)) if isinstance(table, dict) else []
    for tag in tags.keys() - {tag for _, tag, _ in there}:
        example = f"`{tag} = {shown(tags[tag].default)}`"
        source.fault((cell,), f"[{cell}] lacks {tag!r}", f"add {example}")
    settings: dict[str, Scalar] = {}
    for keys, tag, value in there:
        at = (cell, *keys)
        if tag not in tags:
            what = f"{cell} has no setting {tag!r} of a recipe"
            source.fault(at, what, choose(tag, tags))
        elif tag in settings:
            source.fault(at, f"{cell}.{tag} is set twice", "drop one of the two")
        elif fits(value, tags[tag]):
            settings[tag] = tags[tag].kind(value)
        else:
            what = f"{cell}.{tag} cannot be {shown(value)}"
            source.fault(at, what, f"give {takes(tags[tag])}")
    return settings
