"""A recipe's way into a running line: version 0, the settings, number and version, read back and compared.

Cells are sent theirs side by side, AT_ONCE of them. A cell that is sent version 0 asks for no board;
so a download that fails half-way leaves a machine that waits, and not one that works by two recipes.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from cellrt.line.problem import LineError, choose
from cellrt.line.recipes import given, recipes_of, record_of, settings_of
from cellrt.line.spec import CellSpec, RecipeSpec
from cellrt.narrate import words
from cellrt.runtime.region import QUEUE
from cellrt.scan.commands import Operation, Refusal, raw_bits
from cellrt.tags import Scalar

if TYPE_CHECKING:
    from cellrt.runtime.brain import Brain

AT_ONCE = QUEUE // 4
"""Cells, and so commands on their way: operators and the supervisor send by the same queue."""
SHOWN_WITHIN_S = 2.0
LOOK_EVERY_S = 0.02


class DownloadError(Exception):
    """A recipe that cannot be had, or that cells did not take; names each of them, and a tag of it."""


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
    room = asyncio.Semaphore(AT_ONCE)
    told = await asyncio.gather(*(_send(brain, line.cells[n], recipe, room) for n in cells))
    if failed := [f"{name}: {why}" for name, why in zip(cells, told, strict=True) if why]:
        what = f"recipe {number} is not in {len(failed)} of {len(cells)} cells; download it again"
        raise DownloadError("\n".join([what, *failed]))
    return {"name": recipe.name, "version": recipe.version, "cells": cells}


async def _send(
    brain: Brain, cell: CellSpec, recipe: RecipeSpec, room: asyncio.Semaphore
) -> str | None:
    """One cell's settings, in order, and what it then shows of them; why it did not take them, or None."""
    settings = given(cell, recipe)
    record = record_of(cell)
    first = [(f"{record}.version", 0)] if record else []
    async with room:
        for tag, value in (*first, *settings.items()):
            answer = await _write(brain, f"{cell.name}.{tag}", value)
            if answer is not Refusal.ACCEPTED:
                return f"{tag} = {value}: refused, {words(answer)}"
    wanted = {f"{cell.name}.{tag}": value for tag, value in settings.items()}
    until_s = time.monotonic() + SHOWN_WITHIN_S
    while other := [tag for tag, value in wanted.items() if brain.read(tag) != value]:
        if time.monotonic() > until_s:
            shown = ", ".join(f"{tag} is {brain.read(tag)}, not {wanted[tag]}" for tag in other)
            return f"read back, {shown}"
        await asyncio.sleep(LOOK_EVERY_S)
    return None


async def _write(brain: Brain, tag: str, value: Scalar) -> Refusal:
    number = brain.plan.parameter_of[tag]
    bits = raw_bits(brain.plan.parameters[number].field.kind, value)
    return await brain.send(Operation.PARAMETER, number, bits, fits=True)
