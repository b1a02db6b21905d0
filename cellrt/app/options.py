"""What `cellrt run` was asked for, and whether this machine can do it."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SHORTEST_WALL_PERIOD_NS = 200_000
ASSUMED_IO_AGE_S = 0.02
SHORTEST_HANDSHAKE_S = 3.0


class RunError(Exception):
    """The line cannot be run as asked; names the thing and the mend."""


@dataclass
class Options:
    """What `cellrt run` was asked for."""

    line: Path
    sim: bool = False
    plain: bool = False
    speed: float = 1.0
    duration_s: float | None = None
    report_at: Path | None = None
    strict: bool = False
    opcua_port: int = 4840
    modbus_port: int | None = None
    base_port: int = 0
    start: bool = True
    spin: bool = True


def check_speed(speed: float, period_ns: int) -> None:
    """Raises RunError where a line of this period cannot be simulated so fast."""
    if not 0.01 <= speed <= 1000.0:
        raise RunError(f"--speed {speed:g} is outside 0.01 to 1000")
    if period_ns / speed < SHORTEST_WALL_PERIOD_NS:
        most = period_ns / SHORTEST_WALL_PERIOD_NS
        raise RunError(f"--speed {speed:g} makes the period shorter than 200 us; at most {most:g}")
    if speed * ASSUMED_IO_AGE_S > SHORTEST_HANDSHAKE_S / 4:
        most = SHORTEST_HANDSHAKE_S / 4 / ASSUMED_IO_AGE_S
        raise RunError(
            f"--speed {speed:g}: samples would be older than a quarter of the shortest "
            f"handshake ({SHORTEST_HANDSHAKE_S:g} s); at most {most:g}"
        )


def free_port(port: int, who: str, host: str = "127.0.0.1") -> None:
    """Raises RunError when `port` is taken, or cannot be had."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise RunError(f"port {port} for {who}: {error}; choose another") from None


def free_range(count: int) -> int:
    """The first of `count` successive free ports."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = int(probe.getsockname()[1])
        with suppress(RunError):
            for port in range(first, first + count):
                free_port(port, "")
            return first
