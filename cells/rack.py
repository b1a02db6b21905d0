"""A magazine or a stand for finished boards, as a cell sees it."""

from __future__ import annotations

from cellrt import Input, Output, Record, Var, always, keep


class Rack(Record):
    """A magazine or the rework stand. One that was away comes back empty."""

    here: bool = Input(doc="one stands in its place")
    request: bool = Output(
        safe=always(keep(False)), told=True, doc="fetch it and bring an empty one"
    )
    filled: int = Var(retain=True, doc="slots used, from the first on")

    def has_room(self, slots: int) -> bool:
        """Its next slot is free, as far as is known."""
        return self.here and self.filled < slots

    def watch(self, slots: int) -> None:
        """Empty after it was away; a full one is to be fetched."""
        if not self.here:
            self.filled = 0
        self.request = self.here and self.filled >= slots
