"""An engine's part of a store that several work on: what is its own, and what it hears of others.

The parts are put together here, and begin and come to rest in order.
"""

import asyncio
import logging
from collections.abc import Callable

from tidings.engine.arrivals import ArrivalReader
from tidings.engine.dispatcher import Dispatcher
from tidings.engine.ownership import Owner
from tidings.engine.replaying import SharedReplaying
from tidings.engine.telemetry import Telemetry
from tidings.ports.clock import Chance, Clock
from tidings.ports.cluster import ClusterStore
from tidings.ports.store import Committed

_LOG = logging.getLogger(__name__)


class Sharing:
    """Owns a share of all shards from `start` until `leave`."""

    def __init__(
        self, store: ClusterStore, dispatcher: Dispatcher, clock: Clock, chance: Chance
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._clock = clock
        self.reader = ArrivalReader(store, dispatcher, clock)
        self.owner = Owner(store, dispatcher, self.reader, clock, chance, on_begun=self._begun)
        self.replaying = SharedReplaying(store, clock, self.owner.owns)
        self._owning: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        dispatcher.share(self.owner)

    @property
    def listeners(self) -> tuple[Callable[[Committed], None], ...]:
        """Who follows the commits of this process, besides the dispatcher, and after it."""
        return (self.reader.committed, self.owner.committed)

    async def start(self) -> None:
        """Take in all subscriptions, and begin to claim shards. Commits are listened to already."""
        now_ms = self._clock.now_ms()
        for record in await self._store.load_subscriptions():
            self._dispatcher.scheduler.subscription_changed(record.subscription, now_ms)
        self._owning = asyncio.create_task(self.owner.run())
        self._reading = asyncio.create_task(self.reader.run())

    async def leave(self, *, timeout_seconds: float) -> None:
        """Hand everything over; what cannot be in time is left to be taken over."""
        assert self._owning is not None
        assert self._reading is not None
        self.owner.leave()
        await asyncio.wait((self._owning,), timeout=timeout_seconds)
        if not self._owning.done():
            _LOG.warning("the shards could not be handed over, and will be taken over")
            self.owner.give_up()
        for running in (self._owning, self._reading):
            running.cancel()
        await asyncio.gather(self._owning, self._reading, return_exceptions=True)

    def show_gauges(self, telemetry: Telemetry) -> None:
        """Show what is ours."""
        owner = self.owner
        telemetry.gauge(
            "tidings_shards_owned",
            "Shards whose deliveries this process sends.",
            lambda: owner.shards_owned,
        )
        telemetry.gauge(
            "tidings_shards_taken_over",
            "Shards taken over from owners that were lost, since the start.",
            lambda: owner.take_overs,
        )
        telemetry.gauge(
            "tidings_lease_age_seconds",
            "How long ago the lease was renewed; nothing is sent when it is 9 or more.",
            lambda: owner.lease_age_seconds,
        )

    def _begun(self) -> None:
        self.replaying.look()
