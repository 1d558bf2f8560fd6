"""What the store answers to those who look things up, and how they say what they want."""

from typing import Literal

import msgspec

from tidings.core.delivery import DeadLetterReason, Delivery, DeliveryStatus
from tidings.core.event import CommittedEvent
from tidings.core.event_span import EventSpan
from tidings.core.health import Health
from tidings.core.lifecycle import LifecycleType
from tidings.core.payload import Form
from tidings.core.roll_up import RollUp
from tidings.core.subscription import Subscription

ReplayChoice = Literal["dead", "missed", "all"]


class ApiKey(msgspec.Struct, frozen=True):
    """An API key without the key itself, of which only `key_hash` (SHA-256) is stored."""

    key_id: str
    key_hash: bytes
    name: str
    scopes: tuple[str, ...]
    tenant_id: str | None
    created_at_ms: int
    expires_at_ms: int | None = None


class SubscriptionRecord(msgspec.Struct, frozen=True):
    """A subscription together with its endpoint's health."""

    subscription: Subscription
    health: Health


class DeliveryRecord(msgspec.Struct, frozen=True):
    """A delivery as people look at it, pending or finished. `replay_count` is its round.

    `hops` are those of its event, `form` is what it sends.
    """

    delivery_id: str
    tenant_id: str
    subscription_id: str
    event_id: str
    event_type: str
    status: DeliveryStatus
    attempt_count: int
    replay_count: int
    next_attempt_at_ms: int | None
    finished_at_ms: int | None
    reason: DeadLetterReason | None
    hops: int = 0
    form: Form = Form.TIDINGS


class LifecycleFact(msgspec.Struct, frozen=True):
    """Something that a lifecycle event tells: what happened, and to which subscription.

    `reason` is that of the subscription's or the delivery's end. `delivery` is the one dead letter
    that this is about; where many ended at once there is none, and `dead_lettered` counts them.
    """

    type: LifecycleType
    subscription: Subscription
    health: Health
    reason: str | None = None
    delivery: DeliveryRecord | None = None
    dead_lettered: int | None = None


class SchemaVersion(msgspec.Struct, frozen=True):
    """A schema that an event type has, or had; None where it had none."""

    version: int
    schema: str | None
    created_at_ms: int


class EventRecord(msgspec.Struct, frozen=True):
    """An event without its body."""

    seq: int
    event_id: str
    tenant_id: str
    event_type: str
    occurred_at: str
    ordering_key: str | None


class SubscriptionFilter(msgspec.Struct, frozen=True):
    """Which subscriptions to list; `tenant_id` None means of all tenants."""

    tenant_id: str | None
    event_type: str | None = None
    status: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


class EventFilter(msgspec.Struct, frozen=True):
    """Which events to list; `patterns` as in a subscription's `eventType`."""

    tenant_id: str | None
    patterns: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


class DeliveryFilter(msgspec.Struct, frozen=True):
    """Which deliveries to list. `since_ms` is inclusive, `until_ms` exclusive, on creation."""

    tenant_id: str | None
    status: DeliveryStatus | None = None
    subscription_id: str | None = None
    event_id: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


class ReplayScope(msgspec.Struct, frozen=True):
    """What a replay in bulk covers. `patterns` select event types; None selects all."""

    tenant_id: str
    only: ReplayChoice
    subscription_id: str | None = None
    patterns: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


class Replay(msgspec.Struct, frozen=True):
    """A replay in bulk. `cursor` is how far it has come, `done` how many rows it has made."""

    replay_id: str
    scope: ReplayScope
    total: int
    created_at_ms: int
    done: int = 0
    cursor: str = ""
    finished_at_ms: int | None = None


class IdempotentAnswer(msgspec.Struct, frozen=True):
    """What was answered to a request with an Idempotency-Key, kept for 24 hours."""

    fingerprint: bytes
    answer: bytes


class Backlog(msgspec.Struct, frozen=True):
    """Unfinished deliveries, counted to a limit; `is_more` says that there are more.

    `oldest_at_ms` is when the one was created that has waited for longest.
    """

    pending: int
    is_more: bool
    oldest_at_ms: int | None


class StatisticsRecord(msgspec.Struct, frozen=True):
    """What the store knows of attempts in a span of time, and the backlog."""

    roll_ups: list[RollUp]
    backlog: Backlog


class QueuePage(msgspec.Struct, frozen=True):
    """Rows of one subscription in the order of `seq`.

    `last_seq` is the highest `seq` looked at; `is_last` says that nothing lay behind it.
    """

    rows: list[Delivery]
    last_seq: int
    is_last: bool


class EventPage(msgspec.Struct, frozen=True):
    """Events in the order of commits.

    `through_seq` is the place up to which everything was looked at; `is_last` says that nothing
    lay behind it at that moment. `span` is that of the same moment.
    """

    events: list[CommittedEvent]
    through_seq: int
    is_last: bool
    span: EventSpan


class StoredBody(msgspec.Struct, frozen=True, gc=False):
    """The frozen body of an event, with what goes into `webhook-id` and `webhook-hops`."""

    event_id: str
    body: bytes
    hops: int = 0
