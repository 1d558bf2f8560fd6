"""The store: what must outlive the process. One method, one transaction, one fact of the business.

Whatever changes a subscription, its endpoint's health or makes a dead letter publishes the
lifecycle event that tells of it, in the same transaction (`tidings.core.lifecycle`).

Every method raises `StoreUnavailable` when the database cannot be used, and then nothing is known
about whether a write took effect; all writes may be repeated safely. Times are milliseconds since
1970. Methods that change something take `now_ms`; none reads a clock.

Where shards have owners, what an owner writes (results, settled and held deliveries, steps of
replays) is fenced by its session: it raises `SessionLost` when that is gone.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from tidings.core.attempt import Attempt
from tidings.core.audit import NOBODY, AuditRecord
from tidings.core.catalogue import CataloguedType
from tidings.core.content_filter import FilterOutcome
from tidings.core.delivery import Delivery, Ending
from tidings.core.event import AcceptResult, Event, NewEvent
from tidings.core.event_span import EventSpan
from tidings.core.health import Health
from tidings.core.roll_up import RollUp
from tidings.core.subscription import DisabledReason, Subscription
from tidings.ports.catalogue import CatalogueStore
from tidings.ports.configuration import ConfigurationStore
from tidings.ports.records import (
    ApiKey,
    DeliveryFilter,
    DeliveryRecord,
    EventFilter,
    EventPage,
    EventRecord,
    LifecycleFact,
    QueuePage,
    Replay,
    ReplayScope,
    StoredBody,
)
from tidings.ports.statistics import StatisticsStore


class StoreUnavailable(Exception):
    """The database cannot be used at the moment; its cause is chained."""


class StoreFull(StoreUnavailable):
    """Nothing more is accepted, so that the results of what was accepted find room."""


class SessionLost(Exception):
    """The session that fences this process's writes is gone; nothing was written."""


class Disabling(msgspec.Struct, frozen=True, gc=False):
    """That a subscription is to be switched off, unless it has another callback URL by now."""

    reason: DisabledReason
    callback_url: str


class Result(msgspec.Struct, frozen=True, gc=False):
    """What an attempt leads to: its record, and the row afterwards or how it ended.

    `delivery` is the row after the attempt; it applies only if the stored row has the same `seq`
    and has seen one attempt less. `health` is set when it is worth writing. `disabling` is
    done in the same transaction.
    """

    attempt: Attempt
    delivery: Delivery
    ending: Ending | None
    health: Health | None = None
    disabling: Disabling | None = None


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """What became of a result: `applied`, or the row was ended by somebody else.

    `next_in_lane` is the row that may go now because this one ended.
    """

    applied: bool
    next_in_lane: Delivery | None = None


class Committed(msgspec.Struct, frozen=True, gc=False):
    """What a transaction changed, for those who keep it in memory; told in the order of commits.

    Within one of these, apply the members in the order in which they stand here. `ended` are rows
    that were ended by something else than a result, `unparked` those that became heads of their
    lanes by that. `bodies` are those of new events, by their `seq`, so that nobody has to read
    them back. A step of a replay in bulk has its rows in `arrived` and itself in `replays`.
    `filter_outcomes` counts what content filters said to new events. `newest_event_seq` is that of
    the last new event, 0 if there is none. `has_erased`: bodies of events were erased on request,
    and whoever holds any for others to see forgets them. `audited` are the audit records that were
    written with it. `event_types` are new or changed ones of the catalogue; those that were deleted
    from it stand in `forgotten_event_types`, as tenant and event type.
    """

    subscriptions: Sequence[Subscription] = ()
    keys: Sequence[ApiKey] = ()
    revoked_key_ids: Sequence[str] = ()
    ended: Sequence[Delivery] = ()
    recorded: Sequence[tuple[Result, Recorded]] = ()
    unparked: Sequence[Delivery] = ()
    arrived: Sequence[Delivery] = ()
    bodies: Mapping[int, StoredBody] = {}
    replays: Sequence[Replay] = ()
    filter_outcomes: Mapping[FilterOutcome, int] = {}
    newest_event_seq: int = 0
    has_erased: bool = False
    audited: Sequence[AuditRecord] = ()
    event_types: Sequence[CataloguedType] = ()
    forgotten_event_types: Sequence[tuple[str, str]] = ()

    @property
    def has_configuration(self) -> bool:
        """Whether the configuration has changed."""
        return bool(
            self.subscriptions
            or self.keys
            or self.revoked_key_ids
            or self.event_types
            or self.forgotten_event_types
        )


LifecycleData = Callable[[LifecycleFact], bytes]
"""Writes the `data` of a lifecycle event, a JSON object. Pure: it runs inside transactions."""


class EventStore(Protocol):
    """What publishers told us."""

    async def accept_events(
        self, events: Sequence[NewEvent], *, now_ms: int, backlog_max: int | None = None
    ) -> list[AcceptResult]:
        """Make a prefix of the events durable, each with a delivery for everybody who wants it.

        Takes at least one event, and stops early when a transaction would grow too large. Repeats,
        also those within the batch, are answered with the first result, whatever the quotas. A new
        event gets `OverQuota` when it is over the rate, or when somebody wants it and its tenant
        has `backlog_max` unfinished deliveries or more, counted exactly.
        """
        ...

    async def get_event(self, tenant_id: str, event_id: str) -> Event:
        """Raises `NotFound`."""
        ...

    async def list_events(
        self, wanted: EventFilter, *, before: int | None, limit: int, not_below: int | None = None
    ) -> list[EventRecord]:
        """Newest first, those with a `seq` below `before`, and not below `not_below`."""
        ...

    async def find_end_of_look(
        self, wanted: EventFilter, *, before: int | None, events: int
    ) -> int | None:
        """The `seq` at which so many events have been looked at, of whatever type.

        None when there are fewer.
        """
        ...

    async def erase_event_data(
        self, tenant_id: str, event_id: str, *, now_ms: int, by: str = NOBODY
    ) -> None:
        """Erase the body for good and cancel what is unfinished. Raises `NotFound`."""
        ...

    async def read_bodies(self, event_seqs: Collection[int]) -> dict[int, StoredBody]:
        """The bodies of these events; erased or expired ones are missing."""
        ...

    async def read_event_span(self) -> EventSpan:
        """Where the log of events begins and ends at the moment."""
        ...

    async def read_events_after(
        self,
        after_seq: int,
        *,
        tenant_id: str | None,
        patterns: str | None,
        limit: int,
        bytes_max: int,
    ) -> EventPage:
        """The events behind a place, oldest first, of one tenant or of all, that fit the patterns.

        Looks at up to `limit` events, and stops once those that fit have more than `bytes_max`
        bytes, after at least one. Events whose data was erased are left out.
        """
        ...


class QueueStore(Protocol):
    """The unfinished deliveries."""

    async def list_subscriptions_with_deliveries(
        self, shards: Collection[int] | None = None
    ) -> list[str]:
        """The ids of all subscriptions, or those of some shards, with unfinished deliveries."""
        ...

    async def read_page(self, subscription_id: str, *, after_seq: int, limit: int) -> QueuePage:
        """Rows above `after_seq` that have no due time, and the waiting heads of lanes.

        Of rows with an ordering key only the first of its lane is answered, also if it waits.
        """
        ...

    async def read_due(
        self,
        *,
        after: tuple[int, int],
        until_ms: int,
        limit: int,
        shards: Collection[int] | None = None,
    ) -> list[Delivery]:
        """Rows due up to `until_ms`, in the order of (due time, `seq`), above `after`.

        Of some shards, where they have owners, or of all.
        """
        ...

    async def read_due_of_subscription(
        self, subscription_id: str, *, until_ms: int, limit: int
    ) -> list[Delivery]:
        """Rows of one subscription that are due, earliest first."""
        ...

    async def record_results(
        self, results: Sequence[Result], *, roll_ups: Sequence[RollUp] = ()
    ) -> list[Recorded]:
        """Record attempts and what they lead to, and put roll-ups; all or nothing.

        A roll-up takes the place of the one that its writer has put before for the same span.
        """
        ...

    async def settle_deliveries(
        self, subscription_id: str, *, excluding: Collection[int], now_ms: int, limit: int
    ) -> int:
        """End up to `limit` rows of a disabled or deleted subscription; answers how many.

        Disabled: dead letters (`subscription_disabled`). Deleted: cancelled. Any other status: 0.
        Rows in `excluding` are in flight and left alone.
        """
        ...

    async def end_held_deliveries(
        self,
        subscription_id: str,
        *,
        queued_before_ms: int,
        excluding: Collection[int],
        now_ms: int,
        limit: int,
    ) -> int:
        """Dead-letter (`endpoint_unavailable`) rows queued before a moment; answers how many."""
        ...

    async def expire_deliveries(self, *, accepted_before_ms: int, now_ms: int, limit: int) -> int:
        """Dead-letter (`expired`) rows of events accepted before a moment; answers how many."""
        ...

    async def retain_days(self, *, accepted_before_ms: int, now_ms: int) -> bool:
        """Have room for the days to come, and drop those that are wholly older than a moment.

        Answers whether that is all there is to do; else what is left of the oldest day is deleted
        by `delete_expired`, as everything is where the log knows no days.
        """
        ...

    async def delete_expired(self, *, accepted_before_ms: int, limit: int) -> int:
        """Delete events accepted before a moment with all that hangs on them; answers how many."""
        ...


class DeliveryStore(Protocol):
    """Deliveries as people look at them and act on them, and replays."""

    async def get_delivery(self, tenant_id: str, delivery_id: str) -> DeliveryRecord:
        """Raises `NotFound`."""
        ...

    async def list_deliveries(
        self, wanted: DeliveryFilter, *, before: str | None, limit: int
    ) -> list[DeliveryRecord]:
        """Newest first, those with an id below `before`."""
        ...

    async def list_attempts(self, delivery_id: str) -> list[Attempt]:
        """All attempts of a delivery, oldest first, over all rounds."""
        ...

    async def retry_delivery(
        self, tenant_id: str, delivery_id: str, *, now_ms: int, by: str = NOBODY
    ) -> Delivery:
        """Ask for one attempt now: besides the schedule if pending, as a single-attempt round else.

        Raises `NotFound`; `InvalidState` for a cancelled one, one whose subscription is not
        active (a finished one: neither active nor paused) or whose data is gone, and for one that
        waits behind another of its ordering key.
        """
        ...

    async def replay_delivery(
        self, tenant_id: str, delivery_id: str, *, now_ms: int, by: str = NOBODY
    ) -> Delivery:
        """Begin a new round of a delivered or dead-lettered delivery. Raises as a retry does."""
        ...

    async def cancel_delivery(
        self, tenant_id: str, delivery_id: str, *, now_ms: int, by: str = NOBODY
    ) -> None:
        """Cancel a pending delivery. Raises `NotFound`, and `InvalidState` for a finished one."""
        ...

    async def discard_dead_letter(
        self, tenant_id: str, delivery_id: str, *, now_ms: int, by: str = NOBODY
    ) -> None:
        """Make a dead letter cancelled. Raises `NotFound` for everything that is none."""
        ...

    async def replay_event(
        self,
        tenant_id: str,
        event_id: str,
        *,
        subscription_id: str | None,
        now_ms: int,
        by: str = NOBODY,
    ) -> int:
        """Deliver an event again: to one subscription, even if it never matched, or to all.

        Unfinished ones are skipped. Answers how many deliveries began. Raises `NotFound`, and
        `InvalidState` when the data is gone or the one subscription takes no events.
        """
        ...

    async def count_replay(self, scope: ReplayScope) -> int:
        """How many deliveries a replay would begin."""
        ...

    async def start_replay(self, replay: Replay, *, by: str = NOBODY) -> None:
        """Store a replay in bulk, to be carried out in steps."""
        ...

    async def advance_replay(self, replay_id: str, *, now_ms: int, limit: int) -> Replay:
        """Begin up to `limit` deliveries of a replay and move its cursor, in one transaction."""
        ...

    async def get_replay(self, tenant_id: str, replay_id: str) -> Replay:
        """Raises `NotFound`."""
        ...

    async def load_replays(self) -> list[Replay]:
        """The replays that are not finished."""
        ...


class Store(
    ConfigurationStore,
    CatalogueStore,
    EventStore,
    QueueStore,
    DeliveryStore,
    StatisticsStore,
    Protocol,
):
    """Everything that must outlive the process."""

    def on_commit(self, listener: Callable[[Committed], None]) -> None:
        """Tell every change to `listener`, in the order of commits and before its caller hears."""
        ...

    async def check(self) -> None:
        """Raises `StoreUnavailable` unless the database can be read and take in events."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of the database."""
        ...
