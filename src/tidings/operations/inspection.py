"""Looking things up: one by its id, or many, newest first."""

from dataclasses import dataclass

from tidings.core import limits
from tidings.core.attempt import Attempt
from tidings.core.event import Event
from tidings.core.pattern import patterns_fault
from tidings.core.refusals import Fault, ValidationFailed
from tidings.ports.records import (
    DeliveryFilter,
    DeliveryRecord,
    EventFilter,
    EventRecord,
    Replay,
    SubscriptionFilter,
    SubscriptionRecord,
)
from tidings.ports.store import Store


@dataclass(frozen=True, slots=True)
class DeliveryHistory:
    """A delivery with every attempt ever made for it, oldest first."""

    delivery: DeliveryRecord
    attempts: list[Attempt]


class Inspection:
    """Reads only. What belongs to another tenant is not found."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def subscription(self, tenant_id: str, subscription_id: str) -> SubscriptionRecord:
        """A subscription that is not deleted. Raises `NotFound`."""
        return await self._store.get_subscription(tenant_id, subscription_id)

    async def subscriptions(
        self, wanted: SubscriptionFilter, *, before: str | None, limit: int
    ) -> list[SubscriptionRecord]:
        """Subscriptions with an id below `before`."""
        return await self._store.list_subscriptions(wanted, before=before, limit=limit)

    async def event(self, tenant_id: str, event_id: str) -> Event:
        """An event with its body. Raises `NotFound`."""
        return await self._store.get_event(tenant_id, event_id)

    async def events(
        self, wanted: EventFilter, *, before: int | None, limit: int
    ) -> tuple[list[EventRecord], int | None]:
        """Events with a `seq` below `before`, and where to go on if there are fewer than `limit`.

        Whatever the types that are asked for, a bounded number of events is looked at. Raises
        `ValidationFailed` for bad patterns.
        """
        check_patterns(wanted.patterns)
        end = None
        if wanted.patterns is not None:
            end = await self._store.find_end_of_look(
                wanted, before=before, events=limits.EVENTS_LOOKED_AT_MAX
            )
        found = await self._store.list_events(wanted, before=before, limit=limit, not_below=end)
        return found, end

    async def delivery(self, tenant_id: str, delivery_id: str) -> DeliveryHistory:
        """A delivery and its attempts. Raises `NotFound`."""
        record = await self._store.get_delivery(tenant_id, delivery_id)
        return DeliveryHistory(record, await self._store.list_attempts(delivery_id))

    async def deliveries(
        self, wanted: DeliveryFilter, *, before: str | None, limit: int
    ) -> list[DeliveryRecord]:
        """Deliveries with an id below `before`."""
        return await self._store.list_deliveries(wanted, before=before, limit=limit)

    async def replay(self, tenant_id: str, replay_id: str) -> Replay:
        """How far a replay in bulk has come. Raises `NotFound`."""
        return await self._store.get_replay(tenant_id, replay_id)


def check_patterns(patterns: str | None) -> None:
    """Raise `ValidationFailed` unless these are event type patterns, or none at all."""
    fault = None if patterns is None else patterns_fault(patterns)
    if fault is not None:
        raise ValidationFailed(
            "the event type pattern is not valid", faults=[Fault("/eventType", fault)]
        )
