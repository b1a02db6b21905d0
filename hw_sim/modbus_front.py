"""Modbus TCP server of a simulated device.

Frames and requests are `cellrt.modbus`'s, which the line's driver does not use: the two ends of a
test cannot share an error.
"""

from __future__ import annotations

from cellrt.image import Image
from cellrt.modbus.frames import DIRECT, Server
from hw_sim.device import SimDevice
from hw_sim.registers import Registers


class ModbusFront:
    """Serves one device on 127.0.0.1."""

    def __init__(self, device: type[SimDevice], name: str, image: Image) -> None:
        self.registers = Registers(device, name, image)
        units = (*DIRECT, device.device_map.unit_id)
        self._server = Server(lambda pdu, _: self.registers.answer(pdu), units)

    async def build(self) -> None:
        """Nothing: the registers are there."""

    async def start(self, port: int) -> str:
        """Listen on `port`, or a free one for 0; the address. Raises OSError."""
        return f"127.0.0.1:{await self._server.start('127.0.0.1', port)}"

    async def publish(self) -> None:
        """The device was scanned: what is read next is made up anew."""
        self.registers.stale = True

    async def stop(self) -> None:
        """Close the port and every connection."""
        await self._server.stop()
