"""Delivering again: one delivery, one event, or in bulk; and cancelling and discarding."""

from collections.abc import Callable
from dataclasses import dataclass

from tidings.core.audit import NOBODY
from tidings.core.delivery import DeliveryStatus
from tidings.core.refusals import AttemptInFlight, NotFound
from tidings.core.subscription import takes_no_events
from tidings.operations.inspection import check_patterns
from tidings.ports.clock import Chance, Clock
from tidings.ports.records import DeliveryRecord, Replay, ReplayScope
from tidings.ports.store import Store


@dataclass(frozen=True, slots=True)
class Begun:
    """A replay in bulk: its id, None after a dry run, and how many deliveries it covers."""

    replay_id: str | None
    deliveries: int


class Replays:
    """The verbs that begin deliveries anew or end them. They know only the tenant given.

    `is_in_flight` says of a delivery id whether an attempt for it is on its way.
    """

    def __init__(
        self, store: Store, clock: Clock, chance: Chance, is_in_flight: Callable[[str], bool]
    ) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self._is_in_flight = is_in_flight

    async def retry(self, tenant_id: str, delivery_id: str, *, by: str = NOBODY) -> DeliveryRecord:
        """Make one attempt now, besides the schedule if there is one.

        Raises `NotFound`, `AttemptInFlight`, and `InvalidState` where nothing may be sent.
        """
        await self._store.get_delivery(tenant_id, delivery_id)
        self._check_not_in_flight(delivery_id)
        now_ms = self._clock.now_ms()
        await self._store.retry_delivery(tenant_id, delivery_id, now_ms=now_ms, by=by)
        return await self._store.get_delivery(tenant_id, delivery_id)

    async def cancel(self, tenant_id: str, delivery_id: str, *, by: str = NOBODY) -> DeliveryRecord:
        """End a pending delivery. Raises `NotFound` and `InvalidState`.

        An attempt that is on its way finishes and is recorded, and changes nothing any more.
        """
        now_ms = self._clock.now_ms()
        await self._store.cancel_delivery(tenant_id, delivery_id, now_ms=now_ms, by=by)
        return await self._store.get_delivery(tenant_id, delivery_id)

    async def discard(self, tenant_id: str, delivery_id: str, *, by: str = NOBODY) -> None:
        """Give up a dead letter for good; its history stays. Raises `NotFound`."""
        now_ms = self._clock.now_ms()
        await self._store.discard_dead_letter(tenant_id, delivery_id, now_ms=now_ms, by=by)

    async def replay_dead_letter(
        self, tenant_id: str, delivery_id: str, *, by: str = NOBODY
    ) -> DeliveryRecord:
        """Begin a new round of a dead letter, with the whole schedule.

        Raises `NotFound`, also for a delivery that is no dead letter, and `InvalidState`.
        """
        found = await self._store.get_delivery(tenant_id, delivery_id)
        if found.status is not DeliveryStatus.DEAD_LETTERED:
            raise NotFound("there is no such dead letter")
        now_ms = self._clock.now_ms()
        await self._store.replay_delivery(tenant_id, delivery_id, now_ms=now_ms, by=by)
        return await self._store.get_delivery(tenant_id, delivery_id)

    async def replay_event(
        self,
        tenant_id: str,
        event_id: str,
        *,
        subscription_id: str | None = None,
        by: str = NOBODY,
    ) -> int:
        """Deliver an event again to one subscription or all matching; answers how many began.

        Raises `NotFound`, and `InvalidState` when the data is gone or the one subscription takes
        no events.
        """
        return await self._store.replay_event(
            tenant_id,
            event_id,
            subscription_id=subscription_id,
            now_ms=self._clock.now_ms(),
            by=by,
        )

    async def replay_many(
        self, scope: ReplayScope, *, is_dry_run: bool = False, by: str = NOBODY
    ) -> Begun:
        """Begin a replay in bulk, which the engine carries out; or only count what it would do.

        Raises `ValidationFailed` for bad patterns, `NotFound` for an unknown subscription, and
        `InvalidState` for one that takes no events.
        """
        check_patterns(scope.patterns)
        if scope.subscription_id is not None:
            record = await self._store.get_subscription(scope.tenant_id, scope.subscription_id)
            if not record.subscription.takes_events:
                raise takes_no_events(record.subscription.status)
        total = await self._store.count_replay(scope)
        if is_dry_run:
            return Begun(None, total)
        now_ms = self._clock.now_ms()
        replay_id = self._chance.new_id("rpl", now_ms)
        await self._store.start_replay(Replay(replay_id, scope, total, now_ms), by=by)
        return Begun(replay_id, total)

    async def erase_event_data(self, tenant_id: str, event_id: str, *, by: str = NOBODY) -> None:
        """Erase an event's body for good and cancel what is unfinished. Raises `NotFound`."""
        now_ms = self._clock.now_ms()
        await self._store.erase_event_data(tenant_id, event_id, now_ms=now_ms, by=by)

    def _check_not_in_flight(self, delivery_id: str) -> None:
        if self._is_in_flight(delivery_id):
            raise AttemptInFlight("an attempt of this delivery is on its way; wait for its end")
