"""A running engine in the test's own process: real store, real sockets, a clock that can jump."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.jumping_clock import JumpingClock
from tests.support.stores import open_store_of_worlds
from tidings.core.addresses import LOOPBACK_NETWORKS, AddressRules
from tidings.core.egress_proxy import EgressProxy
from tidings.core.event import Accepted
from tidings.core.payload import Payloads
from tidings.core.refusals import Refusal
from tidings.core.subscription import SigningSecret, Subscription
from tidings.engine.engine import Engine
from tidings.engine.sending import Sender
from tidings.operations.publish import Publication, Publisher
from tidings.ports.records import DeliveryFilter, DeliveryRecord
from tidings.storage.postgres import PostgresStore
from tidings.storage.sql.store import SqlStore
from tidings.system import SystemChance
from tidings.transport import HttpTransport

PAYLOADS = Payloads("https://api.example.com", b"a" * 32)
LOOPBACK = AddressRules(allowed_networks=LOOPBACK_NETWORKS, allow_http=True)


class EngineWorld:
    """A store, an engine and a publisher that work together."""

    def __init__(self, store: SqlStore, engine: Engine, clock: JumpingClock) -> None:
        self.store = store
        self.engine = engine
        self.clock = clock
        self.chance = SystemChance()
        self.publisher = Publisher(store, clock, self.chance)

    async def subscribe(self, url: str, **members: Any) -> Subscription:
        """Create a subscription to `order.*`."""
        now_ms = self.clock.now_ms()
        subscription = Subscription(
            subscription_id=self.chance.new_id("sub", now_ms),
            tenant_id=members.pop("tenant_id", "default"),
            event_type=members.pop("event_type", "order.*"),
            callback_url=url,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
            secrets=(SigningSecret("whsec_abc123", now_ms),),
            **members,
        )
        await self.store.create_subscription(subscription, quota=1_000)
        return subscription

    async def publish(
        self,
        count: int = 1,
        event_type: str = "order.shipped",
        tenant_id: str = "default",
        data: bytes = b"{}",
    ) -> list[str]:
        """Publish events; answers their ids."""
        answers: list[Accepted | Refusal] = await self.publisher.publish(
            [Publication(tenant_id, event_type, data) for _ in range(count)]
        )
        for answer in answers:
            if isinstance(answer, Refusal):
                raise answer
        return [one.event_id for one in answers if isinstance(one, Accepted)]

    async def deliveries(self, **filters: Any) -> list[DeliveryRecord]:
        """All deliveries that a filter selects."""
        wanted = DeliveryFilter("default", **filters)
        return await self.store.list_deliveries(wanted, before=None, limit=100_000)

    async def jump(self, milliseconds: int) -> None:
        """Put the clock forward, and let the engine see it."""
        self.clock.ahead_ms += milliseconds
        self.engine.dispatcher.wake()

    async def until(self, condition: Callable[[], Any], *, seconds: float = 40) -> None:
        """Wait until a condition holds; it may be a coroutine function."""
        end = time.monotonic() + seconds
        while True:
            holds = condition()
            if asyncio.iscoroutine(holds):
                holds = await holds
            if holds:
                return
            assert time.monotonic() < end, "it did not come to pass"
            await asyncio.sleep(0.01)


@asynccontextmanager
async def engine_world(
    folder: Path,
    *,
    concurrency_max: int = 64,
    rules: AddressRules = LOOPBACK,
    proxy: EgressProxy | None = None,
    stop_seconds: float = 2,
) -> AsyncIterator[EngineWorld]:
    """Everything running; it is stopped in order at the end, and requests within `stop_seconds`."""
    clock, chance = JumpingClock(), SystemChance()
    async with (
        open_store_of_worlds(folder, chance=chance) as store,
        HttpTransport(rules, proxy=proxy) as transport,
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
        if isinstance(store, PostgresStore):
            engine.share(store)
        await engine.start()
        world = EngineWorld(store, engine, clock)
        publishing = asyncio.create_task(world.publisher.run())
        try:
            yield world
        finally:
            world.publisher.close()
            await publishing
            await engine.stop(timeout_seconds=stop_seconds)
