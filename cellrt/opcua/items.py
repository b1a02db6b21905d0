"""Monitored items: what may be watched, and deadbands as the standard means them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from asyncua import ua
from asyncua.server.address_space import AddressSpace
from asyncua.server.monitored_item_service import (
    MonitoredItemData,
    MonitoredItemService,
    MonitoredItemValues,
)
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.ua_binary import struct_to_binary
from asyncua.ua.uaprotocol_auto import DataChangeFilter  # what is made of a client's bytes

from cellrt.opcua.mirror import TIMES_BYTES, Change, Reading
from cellrt.opcua.nodes import name_of
from cellrt.opcua.status import Codes, status

if TYPE_CHECKING:
    from cellrt.opcua.subscription import LineSubscription

HANDLE = struct.Struct("<I")


class LineItems(MonitoredItemService):
    """A subscription's items.

    asyncua measures a deadband from the last value, told or not, so that a slow drift is never told.
    Here it is measured from the value that the client has (Part 4, 7.22.2). asyncua also looks for an
    item through all of them, which takes a subscription of thousands minutes to be changed or deleted.
    """

    isub: LineSubscription

    def __init__(self, subscription: LineSubscription, aspace: AddressSpace) -> None:
        super().__init__(subscription, aspace)
        self._told: dict[int, bytes] = {}
        """What each item's client was told last, without its times."""

    async def datachange_callback(
        self, handle: int, value: ua.DataValue | Change, error: ua.StatusCode | None = None
    ) -> None:
        """A change from the mirror; or a value that it did not tell: an item's first one, and those of the
        server's own nodes."""
        if error is not None:
            await self.trigger_statuschange(error)
            return
        number = self._monitored_datachange[handle]
        item = self._monitored_items[number]
        if item.mode == ua.MonitoringMode.Disabled:
            return
        if isinstance(value, Change):
            self._tell(number, item, value)
        elif isinstance(value, Reading):
            self._tell(number, item, Change(struct_to_binary(value), lambda: value))
        else:
            self._weigh(number, item, value, struct_to_binary(value))

    def _tell(self, number: int, item: MonitoredItemData, change: Change) -> None:
        """Tell a change, if it is one to this client."""
        if item.filter is not None and not every_value(item.filter):
            self._weigh(number, item, change.reading(), change.encoded)
            return
        told = change.encoded[:-TIMES_BYTES]
        if self._told.get(number) != told:
            self._told[number] = told
            self.isub.put(number, HANDLE.pack(item.client_handle) + change.encoded, item.queue_size)

    def _weigh(
        self, number: int, item: MonitoredItemData, value: ua.DataValue, encoded: bytes
    ) -> None:
        """Tell a value if the item's filter lets it through."""
        item.mvalue.set_current_datavalue(value)
        trigger = item.filter.Trigger if item.filter else ua.DataChangeTrigger.StatusValue
        if not self._is_data_changed(item.mvalue, trigger):
            return
        if item.filter and not self._is_deadband_exceeded(item.mvalue, item.filter):
            return
        self._told[number] = encoded[:-TIMES_BYTES]
        self.isub.put(number, HANDLE.pack(item.client_handle) + encoded, item.queue_size)

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
            item.mvalue = MonitoredItemValues()  # a deadband begins with the next value
            item.queue_size = result.RevisedQueueSize = wanted.QueueSize
            item.client_handle = wanted.ClientHandle
            result.RevisedSamplingInterval = self.isub.data.RevisedPublishingInterval
        return result

    def _delete_monitored_items(self, mid: int) -> ua.StatusCode:
        item = self._monitored_items.pop(mid, None)
        if item is None:
            return status(Codes.BadMonitoredItemIdInvalid)
        self._told.pop(mid, None)
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


def every_value(given: DataChangeFilter) -> bool:
    """A filter that lets every change of value or status through, as no filter does."""
    whole = given.Trigger == ua.DataChangeTrigger.StatusValue
    return bool(whole and given.DeadbandType == ua.DeadbandType.None_)


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
