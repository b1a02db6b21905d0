"""What a client's session may do, and how much of it at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.ua.attribute_ids import AttributeIds

from cellrt.opcua.commands import Write
from cellrt.opcua.gate import MAX_REQUEST_BYTES
from cellrt.opcua.items import LineItems, make_absolute
from cellrt.opcua.status import Codes, status

MAX_OPERATIONS = 10_000
"""Nodes in one request; what the server's OperationLimits say."""

MAX_MONITORED_ITEMS = 50_000
"""Of all clients together. A watched item takes 2 kB."""

MAX_QUEUE = 10
"""Values kept for an item between two publications."""

MIN_PUBLISHING_MS, MAX_PUBLISHING_MS = 50.0, 60_000.0
"""A subscription's interval. asyncua takes 0 to mean a message of its own for every change."""


class LineSession(InternalSession):
    """A client's session.

    Everything that a client asks passes here; the server's own writes do not. Only `writes` may be
    written to, each by its own rule, whatever the nodes' access levels say.
    """

    def __init__(
        self, server: InternalServer, name: str, writes: Mapping[ua.NodeId, Write]
    ) -> None:
        super().__init__(server, server.aspace, server.subscription_service, name, external=True)
        self._writes = writes

    async def create_session(
        self, params: ua.CreateSessionParameters, sockname: tuple[str, int] | None = None
    ) -> ua.CreateSessionResult:
        result = await super().create_session(params, sockname)
        result.MaxRequestMessageSize = MAX_REQUEST_BYTES
        self._start_timeout_watchdog()  # asyncua keeps sessions that are never activated for ever
        return result

    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        """One after the other, as the client listed them: a command's number, then its request."""
        limit(params.NodesToWrite)
        return [await self._write(each) for each in params.NodesToWrite]

    async def _write(self, asked: ua.WriteValue) -> ua.StatusCode:
        if asked.NodeId not in self.aspace:
            return status(Codes.BadNodeIdUnknown)
        write, value = self._writes.get(asked.NodeId), asked.Value
        if write is None or asked.AttributeId != AttributeIds.Value:
            return status(Codes.BadNotWritable)
        with_status = value.StatusCode is not None and value.StatusCode.value != Codes.Good
        if asked.IndexRange or with_status or value.Value is None:
            return status(Codes.BadWriteNotSupported)
        return await write(value.Value)

    async def read(self, params: ua.ReadParameters) -> list[ua.DataValue]:
        limit(params.NodesToRead)
        return await super().read(params)

    async def browse(self, params: ua.BrowseParameters) -> list[ua.BrowseResult]:
        limit(params.NodesToBrowse)
        return await super().browse(params)

    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        limit(params)
        return await super().call(params)

    async def create_subscription(
        self,
        params: ua.CreateSubscriptionParameters,
        callback: Callable[..., Any],
        request_callback: Callable[..., Any] | None = None,
    ) -> ua.CreateSubscriptionResult:
        # max() with the limit first, so that a NaN becomes the limit
        interval_ms = max(MIN_PUBLISHING_MS, params.RequestedPublishingInterval)
        params.RequestedPublishingInterval = min(MAX_PUBLISHING_MS, interval_ms)
        result = await super().create_subscription(params, callback, request_callback)
        made = self.subscription_service.subscriptions[result.SubscriptionId]
        made.monitored_item_srv = LineItems(made, self.aspace)
        return result

    async def create_monitored_items(
        self, params: ua.CreateMonitoredItemsParameters
    ) -> list[ua.MonitoredItemCreateResult]:
        limit(params.ItemsToCreate)
        watched = len(self.aspace._handle_to_attribute_map)
        if watched + len(params.ItemsToCreate) > MAX_MONITORED_ITEMS:
            raise ServiceError(Codes.BadTooManyMonitoredItems)
        for item in params.ItemsToCreate:
            make_absolute(self.aspace, item)
        return await super().create_monitored_items(params)

    async def modify_monitored_items(
        self, params: ua.ModifyMonitoredItemsParameters
    ) -> list[ua.MonitoredItemModifyResult]:
        for item in params.ItemsToModify:  # 0 is without limit, and asyncua takes it at its word
            asked = item.RequestedParameters
            asked.QueueSize = min(max(1, asked.QueueSize), MAX_QUEUE)
        return await super().modify_monitored_items(params)


def limit(operations: list[Any]) -> None:
    """Raises ServiceError for a request of too many operations."""
    if len(operations) > MAX_OPERATIONS:
        raise ServiceError(Codes.BadTooManyOperations)
