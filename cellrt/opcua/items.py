"""Monitored items: what may be watched, and deadbands as the standard means them."""

from __future__ import annotations

from typing import Any

from asyncua import ua
from asyncua.server.address_space import AddressSpace
from asyncua.server.monitored_item_service import MonitoredItemService
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaprotocol_auto import DataChangeFilter  # what is made of a client's bytes

from cellrt.opcua.nodes import name_of
from cellrt.opcua.status import Codes, status


class LineItems(MonitoredItemService):
    """A subscription's items.

    asyncua measures a deadband from the last value, told or not, so that a slow drift is never told.
    Here it is measured from the value that the client has (Part 4, 7.22.2). asyncua also looks for an
    item through all of them, which takes a subscription of thousands minutes to be changed or deleted.
    """

    async def create_monitored_items(
        self, params: ua.CreateMonitoredItemsParameters
    ) -> list[ua.MonitoredItemCreateResult]:
        results = []
        for item in params.ItemsToCreate:
            code = unfit(item)
            if code is None:
                results.append(await self._create_data_change_monitored_item(item))
            else:
                results.append(ua.MonitoredItemCreateResult(status(code)))
        return results

    def _modify_monitored_item(
        self, params: ua.MonitoredItemModifyRequest
    ) -> ua.MonitoredItemModifyResult:
        result, wanted = ua.MonitoredItemModifyResult(), params.RequestedParameters
        item = self._monitored_items.get(params.MonitoredItemId)
        if item is None or item.read_value_id is None:
            result.StatusCode = status(Codes.BadMonitoredItemIdInvalid)
        elif wanted.Filter is not None and not fits(wanted.Filter):
            result.StatusCode = status(Codes.BadMonitoredItemFilterUnsupported)
        else:
            make_absolute(self.aspace, item.read_value_id, wanted)
            item.filter = plain(wanted.Filter)
            item.queue_size = result.RevisedQueueSize = wanted.QueueSize
            item.client_handle = wanted.ClientHandle
            result.RevisedSamplingInterval = self.isub.data.RevisedPublishingInterval
        return result

    def _delete_monitored_items(self, mid: int) -> ua.StatusCode:
        item = self._monitored_items.pop(mid, None)
        if item is None:
            return status(Codes.BadMonitoredItemIdInvalid)
        if item.callback_handle is not None:
            self.aspace.delete_datachange_callback(item.callback_handle)
            self._monitored_datachange.pop(item.callback_handle)
        return ua.StatusCode()

    def _is_deadband_exceeded(self, values: Any, flt: DataChangeFilter) -> bool:
        try:
            exceeded = bool(super()._is_deadband_exceeded(values, flt))
        except TypeError:
            return True  # a text has no deadband
        if not exceeded:
            values.current_dvalue = values.old_dvalue
        return exceeded


def unfit(item: ua.MonitoredItemCreateRequest) -> int | None:
    """Why an item cannot be watched. Whatever it has of a client's own making is kept as long as it is
    watched, so that it must be small.
    """
    what = item.ItemToMonitor
    if what.AttributeId == AttributeIds.EventNotifier:
        return Codes.BadNotSupported
    if what.IndexRange:
        return Codes.BadIndexRangeInvalid
    if what.DataEncoding.Name not in (None, "", "Default Binary"):
        return Codes.BadDataEncodingUnsupported
    if not fits(item.RequestedParameters.Filter):
        return Codes.BadMonitoredItemFilterUnsupported
    item.RequestedParameters.Filter = plain(item.RequestedParameters.Filter)
    return None


def fits(given: Any) -> bool:
    """A filter of values, or none."""
    return isinstance(given, DataChangeFilter) or plain(given) is None


def plain(given: Any) -> Any:
    """A filter; None for an extension object with nothing in it."""
    empty = isinstance(given, ua.ExtensionObject) and not given.Body and given.TypeId.is_null()
    return None if empty else given


def make_absolute(
    aspace: AddressSpace, what: ua.ReadValueId, wanted: ua.MonitoringParameters
) -> None:
    """Turn a deadband in percent of a tag's range (Part 8, 7.2) into an absolute one.

    Of a tag without a range every change is told.
    """
    given, node = wanted.Filter, what.NodeId
    if not isinstance(given, DataChangeFilter) or given.DeadbandType != ua.DeadbandType.Percent:
        return
    limits = ua.NodeId(ua.String(f"{name_of(node)}.EURange"), node.NamespaceIndex)
    value = aspace.read_attribute_value(limits, AttributeIds.Value).Value
    if value is None or value.Value is None:
        given.DeadbandType = ua.UInt32(ua.DeadbandType.None_)
        return
    given.DeadbandType = ua.UInt32(ua.DeadbandType.Absolute)
    span = value.Value.High - value.Value.Low
    given.DeadbandValue = ua.Double(given.DeadbandValue * span / 100)
