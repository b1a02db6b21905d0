"""The recipe that a machine works by: which one, which version of it, and whether the machine has it."""

from __future__ import annotations

from cellrt.tags import Parameter, Record


class Recipe(Record):
    """A cell with a `recipe: Recipe` is given settings by recipes: its parameters with `recipe=True`.

    A download sets `version` to 0, then every setting, then `version` to what it is. The cell sends
    number and version to its machine, hears from it which it works by, and asks for no board before
    the two are the same.
    """

    number: int = Parameter(1, low=1, high=9999, doc="of the recipe, as the product's")
    version: int = Parameter(1, low=0, high=9999, doc="of the recipe; 0: it is being changed")

    def verified(self, number: int, version: int) -> bool:
        """The machine says that it works by `number` and `version`: is that what it shall?"""
        return self.version != 0 and number == self.number and version == self.version
