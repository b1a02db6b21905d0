"""A station: a machine that stops each board, does its work on it by a recipe, and gives it on."""

from __future__ import annotations

from typing import ClassVar

from cellrt import Cause, Input, Interlock, Output, Recipe, always, to
from cells.machine import Machine
from cells.work import READ_WITHIN_NS, identify, passes_through


class Station(Machine):
    """Knows the board at its stop by its barcode, and the recipe that its machine works by.

    * A board that has failed passes through.
    * A board that cannot be read within half a second, or is another than was announced, is failed
      and leaves by removal, unless the station judges otherwise.
    """

    recipe: Recipe
    board_at_entry: bool = Input(doc="light barrier at the belt's beginning")
    board_at_stop: bool = Input(doc="light barrier at the stop")
    barcode: int = Input(doc="board under the scanner; 0 none")
    fault: bool = Input(doc="the machine refused an order, or cut its work short")
    recipe_active: int = Input(doc="recipe that the machine works by")
    version_active: int = Input(doc="version of the recipe that the machine works by")

    recipe_number: int = Output(safe=always(to(0)))
    recipe_version: int = Output(safe=always(to(0)))

    interlocks: ClassVar[tuple[Interlock, ...]] = (
        *Machine.interlocks,
        Interlock("machine_well", Cause.PROCESS),
    )

    def work_here(self) -> int:
        """The bit of `Board.work_done` that this station sets."""
        return 0

    def done_with(self) -> bool:
        """Nothing is left to do here."""
        return self.board.work_done & self.work_here() != 0 or passes_through(self.board)

    def machine_well(self) -> bool:
        return not self.fault

    def recipe_verified(self) -> bool:
        """The machine has said that it works by the recipe."""
        return self.recipe.verified(self.recipe_active, self.version_active)

    def send_recipe(self) -> None:
        """Which recipe the machine is to work by."""
        self.recipe_number = self.recipe.number
        self.recipe_version = self.recipe.version

    def convey(self, asks: bool, offers: bool) -> bool:
        """Boards to the stop and on from there; true while the belt has to run."""
        filling = self.infeed.take(self.board, asks, self.board_at_stop, self.board_at_entry)
        emptying = self.outfeed.give(self.board, offers, not self.board_at_stop)
        return filling or emptying

    def judging(self) -> None:
        """Is it the board that was announced?"""
        if not self.done_with() and self.step_ns() >= READ_WITHIN_NS:
            identify(self.board, self.barcode)
