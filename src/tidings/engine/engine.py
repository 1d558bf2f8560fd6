"""The engine as a whole: what is restored at the start, what runs, and how it comes to rest.

It has the store to itself, or works on a share of it: then the shards that are its own change while
it runs.
"""

import asyncio
from contextlib import suppress

from tidings.core.health import HEALTHY
from tidings.engine.dispatcher import Dispatcher
from tidings.engine.maintenance import Beats, Maintenance
from tidings.engine.open_figures import OpenFigures
from tidings.engine.replaying import Replaying
from tidings.engine.sending import Sender
from tidings.engine.sharing import Sharing
from tidings.engine.telemetry import Telemetry
from tidings.ports.clock import Chance, Clock
from tidings.ports.cluster import ClusterStore
from tidings.ports.store import Store, StoreUnavailable

DRAIN_SECONDS = 10.0
"""How long requests in flight may take to finish when the engine is asked to stop."""
_FIRST_SHARD = 0
_BEATS = Beats()


class Engine:
    """Brings deliveries to receivers from `start` to `stop`."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        clock: Clock,
        chance: Chance,
        *,
        concurrency_max: int,
        disable_after_days: float,
        retention_days: float,
        beats: Beats = _BEATS,
    ) -> None:
        self.telemetry = Telemetry()
        self.dispatcher = Dispatcher(
            store,
            sender,
            clock,
            chance,
            self.telemetry,
            concurrency_max=concurrency_max,
            disable_after_days=disable_after_days,
        )
        self._store = store
        self._clock = clock
        self._chance = chance
        self._sharing: Sharing | None = None
        self._replaying = Replaying(store, clock)
        self.figures = OpenFigures(store, clock)
        self.maintenance = Maintenance(
            store,
            self.dispatcher,
            clock,
            self.figures,
            retention_days=retention_days,
            beats=beats,
            is_first=self._is_first,
        )
        self._running: list[asyncio.Task[None]] = []
        self._show_gauges()

    def share(self, store: ClusterStore) -> None:
        """Work on a share only of the store, which other processes use, too. Before `start`."""
        self._sharing = Sharing(store, self.dispatcher, self._clock, self._chance)
        self._sharing.show_gauges(self.telemetry)
        self._replaying = self._sharing.replaying

    async def start(self) -> None:
        """Restore what the store holds, then begin to send.

        Nothing may be published before, where nobody else works on the store.
        """
        if self._sharing is None:
            await self._restore_all()
        self._store.on_commit(self.dispatcher.committed)
        self._store.on_commit(self._replaying.committed)
        self._store.on_commit(self.figures.committed)
        if self._sharing is None:
            await self._replaying.restore()
        else:
            for listener in self._sharing.listeners:
                self._store.on_commit(listener)
            await self._sharing.start()
        self._running = [
            asyncio.create_task(self._replaying.run()),
            asyncio.create_task(self.maintenance.run()),
        ]
        self.dispatcher.start()

    async def _restore_all(self) -> None:
        scheduler = self.dispatcher.scheduler
        with_rows = set(await self._store.list_subscriptions_with_deliveries())
        now_ms = self._clock.now_ms()
        for record in await self._store.load_subscriptions():
            subscription_id = record.subscription.subscription_id
            if record.health is not HEALTHY:
                self.dispatcher.restore_health(subscription_id, record.health)
            scheduler.restore(
                record.subscription,
                record.health,
                has_rows=subscription_id in with_rows,
                now_ms=now_ms,
            )

    def is_in_flight(self, delivery_id: str) -> bool:
        """Whether one of the delivery's attempts is on its way."""
        return self.dispatcher.scheduler.is_in_flight(delivery_id)

    async def stop(self, *, timeout_seconds: float = DRAIN_SECONDS) -> None:
        """Start nothing new, finish what is in flight (bounded), record it, come to rest."""
        for chore in self._running:
            chore.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._sharing is not None:
            await self._sharing.leave(timeout_seconds=timeout_seconds)
        await self.dispatcher.drain(timeout_seconds=timeout_seconds)
        with suppress(StoreUnavailable):
            await self.figures.write_all()

    def _is_first(self) -> bool:
        """Whether this process does what is to be done once for all."""
        return self._sharing is None or self._sharing.owner.owns(_FIRST_SHARD)

    def _show_gauges(self) -> None:
        scheduler, recorder = self.dispatcher.scheduler, self.dispatcher.recorder
        for name, meaning, value in (
            (
                "tidings_attempts_in_flight",
                "Requests on their way to receivers.",
                lambda: scheduler.attempts_in_flight,
            ),
            (
                "tidings_rows_in_memory",
                "Unfinished deliveries in memory.",
                lambda: scheduler.rows_in_memory,
            ),
            (
                "tidings_results_unrecorded",
                "Results that are not durable yet.",
                lambda: recorder.unrecorded,
            ),
            (
                "tidings_subscriptions_unopened",
                "Subscriptions whose secrets cannot be opened; nothing is sent to them.",
                lambda: scheduler.subscriptions_unopened,
            ),
            (
                "tidings_audit_rows_missing",
                "Deliveries that the audit found and nobody would have sent. More than 0 is a bug.",
                lambda: self.maintenance.rows_missing,
            ),
        ):
            self.telemetry.gauge(name, meaning, value)
