"""`python -m hw_sim`: the register maps and node trees of the shipped devices, as tables."""

from __future__ import annotations

from hw_sim.aoi import Aoi
from hw_sim.buffer import Buffer
from hw_sim.coupler import Coupler
from hw_sim.document import document
from hw_sim.placer import Placer
from hw_sim.printer import Printer
from hw_sim.reflow import Reflow
from hw_sim.robot import Robot
from hw_sim.safety_plc import SafetyPlc
from hw_sim.spi import Spi
from hw_sim.unloader import Unloader

DEVICES = (Coupler, Printer, Spi, Placer, Reflow, Buffer, Aoi, SafetyPlc, Robot, Unloader)

if __name__ == "__main__":
    print("\n\n".join(document(device) for device in DEVICES))
