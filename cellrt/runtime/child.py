"""What every process under the watcher begins with."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from cellrt.lifeline import die_with_parent
from cellrt.line.load import load_line
from cellrt.runtime.region import Status
from cellrt.scan.plan import Plan
from cellrt.shared.memory import Region, Role, attach
from cellrt.wire import Ints

EXIT_REFUSED = 3
"""The region or the code is not what this process was started for; a restart will not mend that."""


@dataclass(frozen=True)
class Order:
    """What the watcher tells a process: where the line is and how it is to be run."""

    line: str
    fd: int
    plan_hash: str
    code_hash: str
    watcher_pid: int
    run_dir: str
    ring: str
    seed: int
    addresses: dict[str, str]
    opcua_port: int = 4840
    modbus_port: int = 0
    plain: bool = False
    base_port: int = 0
    speed: float = 1.0
    spin: bool = True

    def argument(self) -> str:
        """As one command-line argument."""
        return json.dumps(asdict(self))


class Refused(Exception):
    """This process cannot serve the running line."""


@dataclass(frozen=True)
class Station:
    """A process in its place: its order, the line's plan and the shared region."""

    order: Order
    plan: Plan
    region: Region

    @property
    def speed(self) -> float:
        """Logical time per wall time."""
        return int(self.status[Status.SPEED_PPM]) / 1e6

    @property
    def wall_period_ns(self) -> int:
        """Wall time from one scan to the next."""
        return round(self.plan.line.period_ns / self.speed)

    @property
    def status(self) -> Ints:
        """Words of the section `status`."""
        return self.region.section("status").words

    def logical_ns(self, monotonic_ns: int) -> int:
        """Logical time at a moment of the monotonic clock."""
        return round((monotonic_ns - int(self.status[Status.START_NS])) * self.speed)


def take_station(role: Role) -> Station:
    """Read the order from the command line, die with the watcher, attach to the line's memory.

    Exits with EXIT_REFUSED when the line on disk is no longer the one that runs.
    """
    order = Order(**json.loads(sys.argv[1]))
    die_with_parent(order.watcher_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the watcher alone answers the keyboard
    try:
        plan = Plan(load_line(Path(order.line)))
        if plan.hash != order.plan_hash:
            raise Refused(f"{order.line} was edited since the line was started; restart the line")
        region = attach(order.fd, order.plan_hash)
    except Exception as error:
        refuse(role.name.lower(), str(error))
    region.join(role)
    return Station(order, plan, region)


def refuse(process: str, reason: str) -> NoReturn:
    """End this process in a way that says: starting it again will not help."""
    to_stderr()
    import structlog

    structlog.get_logger().error("refused", process=process, reason=reason)
    sys.exit(EXIT_REFUSED)


def to_stderr() -> None:
    """Log lines of JSON to standard error, which the watcher keeps in a file.

    Imported late: the scan, which says nothing, is there a tenth of a second sooner.
    """
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
