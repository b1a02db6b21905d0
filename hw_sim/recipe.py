"""The recipe that a simulated machine works by."""

from __future__ import annotations

from cellrt.tags import Record, Var


class Recipe(Record):
    """Number and version are taken over together with the settings that came with them, or refused.

    * A machine takes settings over while it is not at work, and never ones beyond its own limits: it
      goes on with those that it has.
    * Number 0 is no recipe: settings sent with it count, and what is active keeps its name.
    """

    number: int = Var(doc="of the recipe that the settings sent belong to; 0 none")
    version: int = Var(doc="of the recipe that the settings sent belong to")
    active: int = Var(doc="number of the recipe that the machine works by; 0 none yet")
    version_active: int = Var(doc="version of the recipe that the machine works by")
    refused: bool = Var(doc="settings sent are beyond the machine's limits; it keeps its own")

    def offer(self, well: bool, idle: bool) -> bool:
        """True while what is sent is taken over; `well`: within limits, `idle`: not at work."""
        self.refused = self.number != 0 and not well
        taken = well and idle
        if taken and self.number != 0:
            self.active = self.number
            self.version_active = self.version
        return taken
