"""Which protocol a device speaks is said by its map, and known nowhere else."""

from __future__ import annotations

from cellrt.drivers.base import Driver
from cellrt.wire import DeviceMap


def open_driver(name: str, address: str, device_map: DeviceMap, timeout_s: float) -> Driver:
    """A driver for the device, not yet connected; every exchange takes at most `timeout_s`.

    Raises ValueError, naming the mend, where protocol, address or map cannot be. Only the protocol
    that is asked for is imported: the OPC UA library alone takes a second.
    """
    if device_map.protocol == "modbus":
        from cellrt.drivers.modbus import ModbusDriver

        return ModbusDriver(name, address, device_map, timeout_s)
    if device_map.protocol == "opcua":
        from cellrt.drivers.opcua import OpcUaDriver

        return OpcUaDriver(name, address, device_map, timeout_s)
    raise ValueError(
        f"{device_map.path or name}: protocol {device_map.protocol!r} is unknown; "
        'write "modbus" or "opcua"'
    )
