"""Events on the wire: how they are published, answered, shown, and what receivers get."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidings.api.wire.base import (
    Body,
    EventType,
    JsonObject,
    Moment,
    Page,
    PublicId,
    Shown,
    ShownMoment,
    TenantBody,
)
from tidings.api.wire.problems import Problem
from tidings.core import limits
from tidings.core.event import Accepted, Event
from tidings.core.identifier import seq_drawn_at_ms
from tidings.core.timestamp import format_timestamp
from tidings.ports.records import EventRecord

_OrderingKey = Annotated[
    str,
    Meta(
        max_length=limits.ORDERING_KEY_LENGTH_MAX,
        description="Events with the same key reach a subscription that asks for order in order.",
        extra_json_schema={"minLength": 1, "pattern": r"^[\x20-\x7e]+$"},
    ),
]
_EventId = Annotated[PublicId, Meta(description="A repeat with the same id is not a new event.")]


class PublishEventRequest(Body):
    """An event. `data` reaches the receivers byte for byte."""

    event_type: EventType
    data: JsonObject
    event_id: _EventId | None = None
    occurred_at: Annotated[
        Moment | None, Meta(description="When it happened; now, unless told.")
    ] = None
    ordering_key: _OrderingKey | None = None
    tenant_id: PublicId | None = None


class PublishEventsRequest(Body):
    """Many events, each accepted or refused by itself."""

    events: Annotated[
        list[msgspec.Raw],
        Meta(
            min_length=1,
            max_length=limits.BATCH_EVENTS_MAX,
            extra_json_schema={"items": {"$ref": "#/components/schemas/PublishEventRequest"}},
        ),
    ]


class AcceptedEvent(Shown):
    """An event that is stored for good, with the number of deliveries it caused."""

    event_id: str
    event_type: str
    occurred_at: ShownMoment
    deliveries: int


class PublishedItem(Shown):
    """What became of one event of many: either `event` or `problem`."""

    status: int
    event: AcceptedEvent | UnsetType = UNSET
    problem: Problem | UnsetType = UNSET


class PublishedItems(Shown):
    """What became of each event, in the order of the request."""

    items: list[PublishedItem]


class ListedEvent(Shown):
    """An event without its data."""

    event_id: str
    tenant_id: str
    event_type: str
    occurred_at: ShownMoment
    ordering_key: str | None
    created_at: ShownMoment


class ListedEventPage(Page[ListedEvent]):
    """Events, newest first."""


class ShownEvent(ListedEvent):
    """An event. `data` is null once it was erased."""

    data: Annotated[msgspec.Raw, Meta(extra_json_schema={"type": ["object", "null"]})]


class ReplayEventRequest(TenantBody):
    """To whom the event is delivered again: one subscription, or all that match."""

    subscription_id: PublicId | None = None


class ReplayedEvent(Shown):
    """How many deliveries began."""

    event_id: str
    deliveries: int


class WebhookEvent(Shown):
    """What is sent to a subscription's `callbackUrl`."""

    event_id: str
    event_type: str
    occurred_at: ShownMoment
    data: dict[str, Any]
    data_url: (
        Annotated[str, Meta(description="Where the data are, in a thin delivery.")] | UnsetType
    ) = UNSET


def accepted_event(accepted: Accepted) -> AcceptedEvent:
    """The answer to a publish."""
    return AcceptedEvent(
        event_id=accepted.event_id,
        event_type=accepted.event_type,
        occurred_at=accepted.occurred_at,
        deliveries=accepted.deliveries,
    )


def listed_event(record: EventRecord) -> ListedEvent:
    """An event in a list."""
    return ListedEvent(
        event_id=record.event_id,
        tenant_id=record.tenant_id,
        event_type=record.event_type,
        occurred_at=record.occurred_at,
        ordering_key=record.ordering_key,
        created_at=format_timestamp(seq_drawn_at_ms(record.seq)),
    )


def shown_event(event: Event) -> ShownEvent:
    """An event with its data as the publisher wrote it."""
    return ShownEvent(
        event_id=event.event_id,
        tenant_id=event.tenant_id,
        event_type=event.event_type,
        occurred_at=event.occurred_at,
        ordering_key=event.ordering_key,
        created_at=format_timestamp(seq_drawn_at_ms(event.seq)),
        data=msgspec.Raw(event.data or b"null"),
    )
