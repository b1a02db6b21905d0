"""Material that a cell asks for: a reel, paste. The request stands until it is answered."""

from __future__ import annotations

from cellrt import Input, Output, Record, always, keep


class Supply(Record):
    """A request and its answer, both levels: each waits for the other.

    * `asked` on, until the stock says `supplied`; `asked` off, until it says so no more.
    * A request that is no longer needed is taken back, whatever became of it.
    """

    supplied: bool = Input(doc="what was asked for was brought; until the request is taken back")
    asked: int = Output(
        safe=always(keep(0)), told=True, doc="number of what is to be brought; 0 nothing"
    )

    def ask(self, item: int, needed: bool) -> None:
        """Ask for `item` while it is needed."""
        self.asked = item if needed and not self.supplied else 0
