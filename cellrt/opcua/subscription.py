"""Subscriptions whose notifications are bytes from the moment of a change.

asyncua keeps every notification as objects and encodes it field by field when it is published, which takes
25 us each. Here a change is encoded once, for all who watch it, and a publication joins what is there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.address_space import AddressSpace
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.server.subscription_service import SubscriptionService
from asyncua.ua.object_ids import ObjectIds

from cellrt.opcua.items import LineItems
from cellrt.opcua.status import Codes

DATA_CHANGE = ua.FourByteNodeId(ua.Int32(ObjectIds.DataChangeNotification_Encoding_DefaultBinary))
COUNT = struct.Struct("<i")
NO_DIAGNOSTICS = COUNT.pack(-1)


class LineSubscription(InternalSubscription):
    """A client's subscription. What waits for its publication is the bytes of MonitoredItemNotifications."""

    def __init__(
        self,
        data: ua.CreateSubscriptionResult,
        aspace: AddressSpace,
        callback: Callable[..., Any],
        session_id: ua.NodeId,
        **options: Any,
    ) -> None:
        super().__init__(data, aspace, callback, session_id, **options)
        self.monitored_item_srv = LineItems(self, aspace)
        self.waiting: dict[int, list[bytes]] = {}
        self._triggered_datachanges: Any = self.waiting

    def put(self, item: int, told: bytes, most: int) -> None:
        """Another notification of an item, of which at most `most` wait: the oldest makes room."""
        queue = self.waiting.get(item)
        if queue is None:
            self.waiting[item] = [told]
            return
        if len(queue) >= most:
            queue.pop(0)
        queue.append(told)

    def _pop_triggered_datachanges(self, result: ua.PublishResult) -> None:
        """All that waits as one DataChangeNotification (Part 4, 7.25.2)."""
        if not self.waiting:
            return
        told = [each for queue in self.waiting.values() for each in queue]
        self.waiting.clear()
        body = b"".join((COUNT.pack(len(told)), *told, NO_DIAGNOSTICS))
        notification = ua.ExtensionObject(DATA_CHANGE, Body=ua.ByteString(body))
        result.NotificationMessage.NotificationData.append(notification)


class LineSubscriptions(SubscriptionService):
    """asyncua's service, for subscriptions of our own; limits are its host's."""

    async def create_subscription(
        self,
        params: ua.CreateSubscriptionParameters,
        callback: Callable[..., Any],
        session_id: ua.NodeId,
        request_callback: Callable[..., Any] | None = None,
    ) -> ua.CreateSubscriptionResult:
        host = self.iserver
        assert host is not None
        if len(self.subscriptions) >= host.max_subscriptions:
            raise ServiceError(Codes.BadTooManySubscriptions)
        self._sub_id_counter += 1
        result = ua.CreateSubscriptionResult(SubscriptionId=ua.IntegerId(self._sub_id_counter))
        result.RevisedPublishingInterval = params.RequestedPublishingInterval
        lifetime, silent = params.RequestedLifetimeCount, params.RequestedMaxKeepAliveCount
        result.RevisedLifetimeCount = self._clamp_lifetime_count(lifetime)
        result.RevisedMaxKeepAliveCount = self._clamp_keep_alive_count(silent)
        made = LineSubscription(
            result,
            self.aspace,
            callback,
            session_id,
            request_callback=request_callback,
            delete_callback=lambda: self.subscriptions.pop(result.SubscriptionId, None),
            no_acks_limit=host.max_unacked_messages_per_subscription,
            max_queue_size=host.max_monitored_item_queue_size,
            publishing_enabled=params.PublishingEnabled,
        )
        await made.start()
        self.subscriptions[result.SubscriptionId] = made
        return result
