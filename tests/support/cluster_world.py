"""Workers that share a PostgreSQL database: engines in the test's own process, each with its store.

One can die, which lets everything that it does stand still for good, and hands nothing over.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from tests.support.engine_world import LOOPBACK, PAYLOADS, EngineWorld
from tests.support.jumping_clock import JumpingClock
from tests.support.stores import open_postgres_store, run_there
from tidings.core import limits
from tidings.core.subscription import Subscription
from tidings.engine.engine import Engine
from tidings.engine.ownership import Owner
from tidings.engine.sending import Sender
from tidings.storage.postgres import PostgresStore
from tidings.system import SystemChance
from tidings.transport import HttpTransport

ALL = limits.SHARDS
_COUNT = count(1)


class Worker(EngineWorld):
    """One of them, with what a test wants to know of it."""

    def __init__(self, store: PostgresStore, engine: Engine, clock: JumpingClock) -> None:
        super().__init__(store, engine, clock)
        self.is_dead = False

    @property
    def owner(self) -> Owner:
        assert self.engine._sharing is not None
        return self.engine._sharing.owner

    @property
    def session(self) -> str:
        return self.owner._rules.session

    @property
    def shards(self) -> set[int]:
        """The shards that are worked on."""
        return set(self.engine.dispatcher.scheduler._roster.tenures or ())

    def sends_to(self, subscription_id: str) -> bool:
        return self.engine.dispatcher.scheduler.tenures.owns(subscription_id)

    async def leave(self) -> None:
        """Stop in order; publishing through it goes on."""
        await self.engine.stop(timeout_seconds=10)
        self.is_dead = True

    async def die(self) -> None:
        """Do nothing any more, at once."""
        self.is_dead = True
        sharing, dispatcher = self.engine._sharing, self.engine.dispatcher
        assert sharing is not None
        assert sharing._owning is not None
        assert sharing._reading is not None
        dispatcher._is_sending = False
        ending = [*self.engine._running, sharing._owning, sharing._reading, *self.owner._steps]
        for one in ending:
            one.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        for attempt in dispatcher.cancel_attempts(range(ALL)):
            attempt.cancel()
        dispatcher.recorder.drop(range(ALL))
        await dispatcher.errands.stop()

    async def pass_leases(self) -> None:
        """Let the time of a lease pass by our clock, with the renewals that belong to it."""
        for _ in range(limits.LEASE_MS // limits.LEASE_RENEW_MS + 1):
            await self._renew()

    async def _renew(self) -> None:
        renewed_ms = self.owner._rules.lease_began_ms
        self.clock.boot_ahead_ms += limits.LEASE_RENEW_MS
        self.owner._changed.set()
        await self.until(lambda: self.owner._rules.lease_began_ms > renewed_ms)

    async def subscribed(self, url: str, kind: str, **members: Any) -> Subscription:
        """A subscription of ours to events of a kind, made anew until it happens to be ours."""
        while True:
            number = next(_COUNT)
            found = await self.subscribe(url, event_type=f"{kind}{number}.*", **members)
            if self.sends_to(found.subscription_id):
                return found


@asynccontextmanager
async def worker(url: str, *, concurrency_max: int = 64) -> AsyncIterator[Worker]:
    """A worker on a database, which comes to rest at the end if it did not before."""
    clock, chance = JumpingClock(), SystemChance()
    async with (
        open_postgres_store(url, chance=chance) as store,
        HttpTransport(LOOPBACK) as transport,
    ):
        engine = Engine(
            store,
            Sender(transport, clock, chance, PAYLOADS, version="test"),
            clock,
            chance,
            concurrency_max=concurrency_max,
            disable_after_days=5,
            retention_days=30,
        )
        engine.share(store)
        await engine.start()
        one = Worker(store, engine, clock)
        publishing = asyncio.create_task(one.publisher.run())
        try:
            yield one
        finally:
            one.publisher.close()
            await publishing
            if not one.is_dead:
                await engine.stop(timeout_seconds=10)


async def in_database(url: str, *statements: str) -> list[Any]:
    """Run statements on the database; answers the rows of the last one."""
    return await asyncio.to_thread(run_there, url, *statements)
