"""The print station's plant in virtual time, with a pair of hands on its commands and its panel."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cellrt.assembly import Assembly
from cellrt.tags import Scalar
from hw_sim.coupler import Coupler
from hw_sim.plant import Plant, assemble, census
from hw_sim.printer import Printer
from hw_sim.safety_plc import SafetyPlc

PERIOD_NS = 10_000_000
BELTS = (("coupler.infeed", "printer.belt"), ("printer.belt", "coupler.outfeed"))


def station() -> Assembly:
    """The plant of the print station."""
    devices = {"coupler": Coupler, "printer": Printer, "safety": SafetyPlc}
    return assemble(devices, BELTS, "safety")


class Bench(Plant):
    """`run` moves time; the heartbeats of the devices in `beating` advance in every scan."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(station(), seed=seed)
        self.now_ns = 0
        self.beating = {"coupler", "printer", "safety"}
        self.run(0.05)

    def set(self, values: Mapping[str, Scalar] | None = None, **coupler: Scalar) -> None:
        """Write tags, by path, or by name those of the coupler."""
        for tag, value in (values or {}).items():
            self.write(tag, value)
        for name, value in coupler.items():
            self.write(f"coupler.{name}", value)

    def step(self) -> None:
        """One scan."""
        for name in self.beating:
            tag = f"{name}.heartbeat"
            self.write(tag, int(self.read(tag)) + 1)
        self.now_ns += PERIOD_NS
        self.tick(self.now_ns, PERIOD_NS * 1e-9)

    def run(self, time_s: float) -> None:
        """So much logical time."""
        for _ in range(round(time_s * 1e9 / PERIOD_NS)):
            self.step()

    def counted(self) -> dict[str, int]:
        """The plant's count of boards, without what it counts none of."""
        return {name: count for name, count in census(self.image).items() if count}

    def until(self, condition: str | Callable[[], bool], within_s: float = 30.0) -> float:
        """Step until a bool tag or a condition is true; how long it took."""
        began_ns = self.now_ns
        while not (self.read(condition) if isinstance(condition, str) else condition()):
            assert self.now_ns - began_ns < within_s * 1e9, f"{condition} within {within_s} s"
            self.step()
        return (self.now_ns - began_ns) * 1e-9

    def load(self) -> None:
        """A new board to the infeed's exit."""
        self.set(push=True, infeed_run=True)
        self.until("coupler.pusher_out")
        self.set(push=False)
        self.until("coupler.infeed_exit")
        self.set(infeed_run=False)
        self.run(0.3)
        self.until("coupler.pusher_home")

    def to_printer(self) -> None:
        """The board at the infeed's exit to the printer's stop."""
        self.set({"printer.belt_run": True}, infeed_run=True)
        self.until("printer.board_at_stop")
        self.set({"printer.belt_run": False}, infeed_run=False)
        self.run(0.1)

    def clamp(self) -> None:
        """Close the printer's clamp."""
        self.set({"printer.clamp": True})
        self.until("printer.clamped")

    def print_board(self) -> float:
        """Clamp, print, release; how long the print took."""
        self.clamp()
        self.set({"printer.print_start": True})
        took_s = self.until("printer.print_done")
        self.set({"printer.print_start": False, "printer.clamp": False})
        self.until("printer.unclamped")
        return took_s

    def to_outfeed(self) -> None:
        """The board at the printer's stop to the outfeed's exit."""
        self.set({"printer.belt_run": True}, outfeed_run=True)
        self.until("coupler.outfeed_exit")
        self.set({"printer.belt_run": False}, outfeed_run=False)
        self.run(0.1)

    def to_magazine(self) -> None:
        """The board at the outfeed's exit into the slot."""
        self.set(outfeed_run=True, magazine_run=True)
        self.until("coupler.magazine_loaded")
        self.set(outfeed_run=False, magazine_run=False)
        self.run(0.1)

    def index(self) -> None:
        """The magazine to its next slot."""
        self.set(magazine_index=True)
        self.step()
        self.set(magazine_index=False)
        self.until("coupler.magazine_in_position")

    def press_reset(self, held_s: float = 0.5) -> None:
        """The reset button, held and released."""
        self.set({"safety.panel_reset_pressed": True})
        self.run(held_s)
        self.set({"safety.panel_reset_pressed": False})
        self.step()
