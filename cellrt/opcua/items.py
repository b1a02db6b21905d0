"""Monitored items with deadbands as the standard means them."""

from __future__ import annotations

from typing import Any

from asyncua import ua
from asyncua.server.address_space import AddressSpace
from asyncua.server.monitored_item_service import MonitoredItemService
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaprotocol_auto import DataChangeFilter  # what is made of a client's bytes

from cellrt.opcua.nodes import name_of


class LineItems(MonitoredItemService):
    """A subscription's items.

    asyncua measures a deadband from the last value, told or not, so that a slow drift is never told.
    Here it is measured from the value that the client has (Part 4, 7.22.2).
    """

    def _is_deadband_exceeded(self, values: Any, flt: DataChangeFilter) -> bool:
        try:
            exceeded = bool(super()._is_deadband_exceeded(values, flt))
        except TypeError:
            return True  # a text has no deadband
        if not exceeded:
            values.current_dvalue = values.old_dvalue
        return exceeded


def make_absolute(aspace: AddressSpace, item: ua.MonitoredItemCreateRequest) -> None:
    """Turn a deadband in percent of a tag's range (Part 8, 7.2) into an absolute one.

    Of a tag without a range every change is told.
    """
    given = item.RequestedParameters.Filter
    percent = ua.DeadbandType.Percent
    if not isinstance(given, DataChangeFilter) or given.DeadbandType != percent:
        return
    node = item.ItemToMonitor.NodeId
    limits = ua.NodeId(ua.String(f"{name_of(node)}.EURange"), node.NamespaceIndex)
    value = aspace.read_attribute_value(limits, AttributeIds.Value).Value
    if value is None or value.Value is None:
        given.DeadbandType = ua.UInt32(ua.DeadbandType.None_)
        return
    given.DeadbandType = ua.UInt32(ua.DeadbandType.Absolute)
    span = value.Value.High - value.Value.Low
    given.DeadbandValue = ua.Double(given.DeadbandValue * span / 100)
