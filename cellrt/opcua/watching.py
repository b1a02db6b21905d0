"""What a client's session may watch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.internal_session import InternalSession
from asyncua.server.internal_subscription import InternalSubscription

from cellrt.opcua.burden import limit, portions
from cellrt.opcua.items import make_absolute
from cellrt.opcua.status import Codes, status

MAX_SUBSCRIPTIONS = 8
"""Of one session."""

MAX_MONITORED_ITEMS = 50_000
"""Of all clients together; those without a name have none of the last half. A watched item takes 2 kB."""

MAX_QUEUE = 10
"""Values kept for an item between two publications."""

MIN_PUBLISHING_MS, MAX_PUBLISHING_MS = 50.0, 10_000.0
"""A subscription's interval. asyncua takes 0 to mean a message of its own for every change; what comes
together in a longer one is a message of its own size.
"""


class WatchingSession(InternalSession):
    """Subscriptions are their session's alone; asyncua lets anyone change and delete everybody's."""

    @property
    def named(self) -> bool:
        """The client came in as a user."""
        return False

    async def create_subscription(
        self,
        params: ua.CreateSubscriptionParameters,
        callback: Callable[..., Any],
        request_callback: Callable[..., Any] | None = None,
    ) -> ua.CreateSubscriptionResult:
        if sum(map(self._has, self.subscription_service.subscriptions)) >= MAX_SUBSCRIPTIONS:
            raise ServiceError(Codes.BadTooManySubscriptions)
        # max() with the limit first, so that a NaN becomes the limit
        interval_ms = max(MIN_PUBLISHING_MS, params.RequestedPublishingInterval)
        params.RequestedPublishingInterval = min(MAX_PUBLISHING_MS, interval_ms)
        return await super().create_subscription(params, callback, request_callback)

    async def create_monitored_items(
        self, params: ua.CreateMonitoredItemsParameters
    ) -> list[ua.MonitoredItemCreateResult]:
        limit(params.ItemsToCreate)
        self._own(params.SubscriptionId)
        watched = sum(
            len(made.monitored_item_srv._monitored_items)
            for made in self.subscription_service.subscriptions.values()
        )
        most = MAX_MONITORED_ITEMS if self.named else MAX_MONITORED_ITEMS // 2
        if watched + len(params.ItemsToCreate) > most:
            raise ServiceError(Codes.BadTooManyMonitoredItems)
        results: list[ua.MonitoredItemCreateResult] = []
        for some in portions(params.ItemsToCreate):
            for item in some:
                make_absolute(self.aspace, item.ItemToMonitor, item.RequestedParameters)
            params.ItemsToCreate = some
            results += await super().create_monitored_items(params)
            await asyncio.sleep(0)
        return results

    async def modify_monitored_items(
        self, params: ua.ModifyMonitoredItemsParameters
    ) -> list[ua.MonitoredItemModifyResult]:
        limit(params.ItemsToModify)
        self._own(params.SubscriptionId)
        for item in params.ItemsToModify:  # 0 is without limit, and asyncua takes it at its word
            asked = item.RequestedParameters
            asked.QueueSize = min(max(1, asked.QueueSize), MAX_QUEUE)
        return await super().modify_monitored_items(params)

    async def delete_monitored_items(
        self, params: ua.DeleteMonitoredItemsParameters
    ) -> list[ua.StatusCode]:
        self._own(params.SubscriptionId)
        return await super().delete_monitored_items(params)

    async def set_monitoring_mode(
        self, params: ua.SetMonitoringModeParameters
    ) -> list[ua.StatusCode]:
        limit(params.MonitoredItemIds)
        self._own(params.SubscriptionId)
        return await super().set_monitoring_mode(params)

    def modify_subscription(self, params: ua.ModifySubscriptionParameters) -> Any:
        self._own(params.SubscriptionId)
        return super().modify_subscription(params)

    def republish(self, params: ua.RepublishParameters) -> ua.NotificationMessage:
        self._own(params.SubscriptionId)
        return super().republish(params)

    async def delete_subscriptions(self, ids: list[int]) -> list[ua.StatusCode]:
        own = [i for i in dict.fromkeys(ids) if self._has(i)]
        answers = dict(zip(own, await super().delete_subscriptions(own), strict=True))
        missing = status(Codes.BadSubscriptionIdInvalid)
        return [answers.get(i, missing) for i in ids]

    async def set_publishing_mode(
        self, params: ua.SetPublishingModeParameters
    ) -> list[ua.StatusCode]:
        for number in params.SubscriptionIds:
            self._own(number)
        return await super().set_publishing_mode(params)

    def publish(self, acks: Any = None) -> Any:
        """Acknowledge publications. Raises ServiceError for a session that has no subscription."""
        given = list(acks or ())
        own = [self._has(ack.SubscriptionId) for ack in given]
        count, answers = super().publish([a for a, mine in zip(given, own, strict=True) if mine])
        answer, missing = iter(answers), status(Codes.BadSubscriptionIdInvalid)
        return count, [next(answer) if mine else missing for mine in own]

    async def transfer_subscriptions(  # type: ignore[override]
        self, params: ua.TransferSubscriptionsParameters, callback: Callable[..., Any]
    ) -> list[ua.TransferResult]:
        """None outlives its session, so there is never one to be taken over."""
        raise ServiceError(Codes.BadServiceUnsupported)

    def _has(self, number: int) -> bool:
        found = self.subscription_service.subscriptions.get(number)
        return isinstance(found, InternalSubscription) and found.session_id == self.session_id

    def _own(self, number: int) -> None:
        """Raises ServiceError for a subscription that is not this session's."""
        if not self._has(number):
            raise ServiceError(Codes.BadSubscriptionIdInvalid)
