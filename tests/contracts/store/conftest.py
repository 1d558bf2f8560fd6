"""The stores that keep the contract. Another database is a line more in `tests.support.stores`."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.stores import POSTGRES_STORES, STORES, StoreOpener
from tests.support.values import NOW_MS, TENANT, a_result, a_subscription, an_event
from tidings.core.delivery import Delivery, Turn, ending_of
from tidings.core.event import Accepted
from tidings.core.subscription import Subscription
from tidings.ports.records import DeliveryFilter, DeliveryRecord
from tidings.ports.store import Committed, Store


@pytest.fixture(params=STORES, ids=str)
def opener(request: pytest.FixtureRequest) -> StoreOpener:
    """How the store under test is opened."""
    return STORES[request.param]


@pytest.fixture(autouse=True)
def _drop_databases() -> Iterator[None]:
    """Leave no database behind."""
    yield
    for stores in POSTGRES_STORES.values():
        stores.drop()


@pytest.fixture
async def store(opener: StoreOpener, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store."""
    async with opener(tmp_path) as one:
        yield one


@pytest.fixture
async def filled(store: Store) -> "Filled":
    """A store, with what tests keep doing to it."""
    return Filled(store)


class Filled:
    """Shortcuts through the port, and everything that its commits told."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.told: list[Committed] = []
        store.on_commit(self.told.append)

    async def subscribe(self, event_type: str = "*", **members: Any) -> Subscription:
        """A stored subscription."""
        subscription = a_subscription(event_type, **members)
        await self.store.create_subscription(subscription, quota=1_000)
        return subscription

    async def publish(self, count: int = 1, **members: Any) -> list[Delivery]:
        """Accepted events; answers the rows that they made, in order."""
        before = len(self.told)
        for _ in range(count):
            (answer,) = await self.store.accept_events([an_event(**members)], now_ms=NOW_MS)
            assert isinstance(answer, Accepted)
        return [row for changes in self.told[before:] for row in changes.arrived]

    async def end(self, row: Delivery, turn: Turn = Turn.LAST_ATTEMPT_FAILED) -> None:
        """Record an attempt that ends a row."""
        (recorded,) = await self.store.record_results([a_result(row, ending_of(turn))])
        assert recorded.applied

    async def listed(self, **filters: Any) -> list[DeliveryRecord]:
        """All deliveries of the usual tenant."""
        wanted = DeliveryFilter(TENANT, **filters)
        return await self.store.list_deliveries(wanted, before=None, limit=1_000)
