"""A recipe's way into a running line: version 0, the settings, number and version, read back and compared.

Cells are sent theirs side by side. A cell that is sent version 0 asks for no board; so a download that fails half-way leaves a machine that
waits, and not one that works by two recipes.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from cellrt.line.problem import LineError, choose
from cellrt.line.recipes import given, recipes_of, record_of, settings_of
from cellrt.line.spec import CellSpec, RecipeSpec
from cellrt.narrate import words
from cellrt.scan.commands import Operation, Refusal, raw_bits
from cellrt.tags import Scalar

if TYPE_CHECKING:
    from cellrt.runtime.brain import Brain

SHOWN_WITHIN_S = 2.0
LOOK_EVERY_S = 0.02


class DownloadError(Exception):
    """A recipe that cannot be had, or that a cell did not take; names cell and tag."""


async def download(brain: Brain, number: int, cell: str | None) -> dict[str, Any]:
    """Send recipe `number` to every cell that works by recipes, or to one. Raises DownloadError.

    The recipe is read from its file now, and all of it is checked before any of it is sent.
    """
    line = brain.plan.line
    if not line.recipes:
        raise DownloadError(f'{line.name} has no recipes; add `recipes = "recipes"` to [line]')
    try:
        recipes = recipes_of(line)
    except LineError as error:
        raise DownloadError(str(error)) from None
    if number not in recipes:
        mend = choose(str(number), map(str, recipes))
        raise DownloadError(f"no recipe {number}; {mend}")
    taking = [name for name, spec in line.cells.items() if settings_of(spec)]
    if cell is not None and cell not in taking:
        raise DownloadError(f"no cell {cell!r} that works by recipes; {choose(cell, taking)}")
    recipe, cells = recipes[number], taking if cell is None else [cell]
    sent = (_send(brain, line.cells[name], recipe) for name in cells)
    for failure in await asyncio.gather(*sent, return_exceptions=True):
        if failure is not None:
            raise failure
    return {"name": recipe.name, "version": recipe.version, "cells": cells}


async def _send(brain: Brain, cell: CellSpec, recipe: RecipeSpec) -> None:
    """One cell's settings, in order, and what it then shows of them."""
    settings = given(cell, recipe)
    if record := record_of(cell):
        await _write(brain, f"{cell.name}.{record}.version", 0)
    for tag, value in settings.items():
        await _write(brain, f"{cell.name}.{tag}", value)
    wanted = {f"{cell.name}.{tag}": value for tag, value in settings.items()}
    until_s = time.monotonic() + SHOWN_WITHIN_S
    while other := [tag for tag, value in wanted.items() if brain.read(tag) != value]:
        if time.monotonic() > until_s:
            shown = ", ".join(f"{tag} is {brain.read(tag)}, not {wanted[tag]}" for tag in other)
            raise DownloadError(f"recipe {recipe.number}: read back, {shown}; download it again")
        await asyncio.sleep(LOOK_EVERY_S)


async def _write(brain: Brain, tag: str, value: Scalar) -> None:
    numbers = [leaf.path for leaf in brain.plan.parameters]
    kind = brain.plan.layout.find(tag).field.kind
    bits = raw_bits(kind, value)
    answer = await brain.send(Operation.PARAMETER, numbers.index(tag), bits, fits=True)
    if answer is not Refusal.ACCEPTED:
        raise DownloadError(f"{tag} = {value}: refused, {words(answer)}; download it again")
