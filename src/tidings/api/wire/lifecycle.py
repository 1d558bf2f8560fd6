"""The data of lifecycle events on the wire."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidings.api.wire.base import Shown, ShownMoment
from tidings.api.wire.deliveries import Delivery, shown_delivery
from tidings.api.wire.subscriptions import WebhookSubscription, shown_subscription
from tidings.core.lifecycle import LifecycleType
from tidings.ports.records import LifecycleFact


class LifecycleData(Shown):
    """What a lifecycle event says: the subscription, and what happened to it."""

    subscription: Annotated[WebhookSubscription, Meta(description="As it can be looked up.")]
    reason: (
        Annotated[str, Meta(description="The `disabledReason` or the `deadLetterReason`.")]
        | UnsetType
    ) = UNSET
    delivery: Annotated[Delivery, Meta(description="The dead letter.")] | UnsetType = UNSET
    dead_lettered: (
        Annotated[
            int,
            Meta(
                description="How many deliveries became dead letters together; counted to 10,000."
            ),
        ]
        | UnsetType
    ) = UNSET


class LifecycleEvent(Shown):
    """What is sent of a lifecycle event to those who subscribe to `tidings.…`."""

    event_id: str
    event_type: LifecycleType
    occurred_at: ShownMoment
    data: LifecycleData


def lifecycle_data(fact: LifecycleFact) -> bytes:
    """The `data` of a lifecycle event, as JSON. Pure."""
    return msgspec.json.encode(
        LifecycleData(
            subscription=shown_subscription(fact.subscription, fact.health),
            reason=UNSET if fact.reason is None else fact.reason,
            delivery=UNSET if fact.delivery is None else shown_delivery(fact.delivery),
            dead_lettered=UNSET if fact.dead_lettered is None else fact.dead_lettered,
        )
    )
