"""An inspection station: looks at each board, and takes nothing from it."""

from __future__ import annotations

from cellrt import Input, Output, State, always, to
from cells.station import Station
from cells.work import SETTLED_NS

UNHOLDING = int(State.UNHOLDING)
FILLING = 1
"""The step `filling` of every inspection's sequence; with `empty` before it, the belt is free."""


class Inspection(Station):
    """Has a machine that looks when it is told to, and says of which board its result is.

    * A board that has failed passes through. One that cannot be read, or is another than was
      announced, is failed and leaves by removal.
    * A look begins when the machine has seen the last one's start go off, and counts from when it has
      heard its own. One that was interrupted is done again.
    * What its heir counts to tell bad luck from a bad process begins anew when somebody unholds or
      resets the cell.
    """

    standing: bool = Input(doc="the belt stands")
    busy: bool = Input(doc="a look is under way")
    look_heard: bool = Input(doc="look_start, as the machine has it")
    done: bool = Input(doc="a look ended well")
    looked: int = Input(doc="board that the result is of")
    recipe_refused: bool = Input(doc="settings are beyond the machine's own limits")

    run: bool = Output(safe=always(to(False)), doc="belt motor")
    look_start: bool = Output(safe=always(to(False)), doc="starts one look on its rising edge")

    def ready_to_look(self) -> bool:
        return self.barcode == self.board.id and self.standing and not self.look_heard

    def seen(self) -> bool:
        """The machine has looked at this board, since it heard that it shall."""
        return self.look_heard and self.done and self.looked == self.board.id

    def settled(self) -> bool:
        """All values of the result are there."""
        return self.step_ns() >= SETTLED_NS

    def set_up(self) -> bool:
        """The machine has said that it works by the recipe, with the settings that it was sent."""
        return self.recipe_verified()

    def count_anew(self) -> None:
        """Somebody has seen to what went wrong."""

    def unholding(self) -> bool:
        self.count_anew()
        return True

    def resetting(self) -> bool:
        self.count_anew()
        return True

    def tend(self, delivers: bool) -> None:
        """Recipe, belt and ports; a look is switched on by its step."""
        self.send_recipe()
        free = self.board_gone() and self.unit.step <= FILLING and self.set_up()
        self.run = self.convey(free, delivers)
        self.look_start = False

    def looking(self) -> None:
        self.look_start = True
