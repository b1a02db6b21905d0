"""What stands in for the machines before the robot."""

from __future__ import annotations

from cellrt import Parameter
from cells.conveyor import Conveyor


class Judge(Conveyor):
    """A conveyor that gives each board a result and a route."""

    result: int = Parameter(1, low=0, high=2)
    route: int = Parameter(0, low=0, high=999)

    def always(self) -> None:
        if not self.outfeed.moving():
            self.board.result = self.result
            self.board.route = self.route
