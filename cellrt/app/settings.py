"""`cellrt params` and `cellrt recipe`: what a line's cells are set to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cellrt.app.shell import LineFile, LineName, app, refusals, socket_of
from cellrt.line.load import load_line
from cellrt.line.spec import RecipeSpec
from cellrt.runtime.control import ask

params = typer.Typer(help="A line's parameters against its file.", no_args_is_help=True)
recipe = typer.Typer(help="Recipes of a line.", no_args_is_help=True)
app.add_typer(params, name="params")
app.add_typer(recipe, name="recipe")


@params.command("diff")
def params_diff(line: LineFile) -> None:
    """Where the running (else the retained) parameters differ from line file, recipe and defaults."""
    from cellrt.app.params import lines

    with refusals():
        for text in lines(load_line(line)):
            print(text)


@params.command("save")
def params_save(line: LineFile) -> None:
    """Write the running (else the retained) parameters into the line file; comments stay."""
    from cellrt.app.params import save

    with refusals():
        for tag in save(line):
            print(tag)


@recipe.command("check")
def recipe_check(line: LineFile) -> None:
    """Check every recipe of a line."""
    with refusals():
        print(f"{len(_recipes(line))} recipes, well")


@recipe.command("list")
def recipe_list(line: LineFile) -> None:
    """Recipes of a line: number, version, name, file."""
    with refusals():
        for each in _recipes(line).values():
            print(f"{each.number:>4}  version {each.version}  {each.name}  {each.path}")


@recipe.command("download")
def recipe_download(
    number: Annotated[int, typer.Argument(help="of the recipe")],
    cell: Annotated[str, typer.Option(help="one cell only")] = "",
    line: LineName = "",
) -> None:
    """Send a recipe to the cells of a running line, read it back and compare."""
    with refusals():
        told = ask(
            socket_of(line), {"do": "download", "number": number, "cell": cell or None}, 60.0
        )
    print(f"recipe {number} version {told['version']}, {told['name']}: {', '.join(told['cells'])}")


def _recipes(path: Path) -> dict[int, RecipeSpec]:
    from cellrt.app.refusals import UsageError
    from cellrt.line.recipes import recipes_of

    spec = load_line(path)
    if not spec.recipes:
        raise UsageError(f'{path} names no recipes; add `recipes = "recipes"` to [line]')
    return recipes_of(spec)
