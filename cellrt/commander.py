"""Who sends commands to a scan: it numbers them, and says until when each is meant."""

from __future__ import annotations

from dataclasses import dataclass

from cellrt.scan.commands import Operation, Origin

EXPIRES_AFTER_NS = 5_000_000_000
"""A command that no scan has taken by then is no longer meant."""


@dataclass
class Commander:
    """Numbers commands. `number` is the last one given."""

    epoch: int
    origin: Origin
    number: int = 0
    last_event: int = 0

    def command(
        self,
        operation: Operation,
        target: int,
        argument: int,
        now_ns: int,
        for_ns: int = EXPIRES_AFTER_NS,
    ) -> list[int]:
        """The eight words of a command that holds for `for_ns`."""
        self.number += 1
        expires_ns = now_ns + for_ns
        return [
            self.number,
            self.origin,
            operation,
            target,
            argument,
            expires_ns,
            self.last_event,
            self.epoch,
        ]
