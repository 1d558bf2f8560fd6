"""On PostgreSQL the log goes by whole days, and with it what hangs on it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contracts.store.conftest import Filled
from tests.support.stores import POSTGRES_STORES
from tests.support.values import NOW_MS, TENANT, an_event
from tidings.core.delivery import Turn
from tidings.core.event import Accepted
from tidings.core.refusals import NotFound
from tidings.ports.records import EventFilter
from tidings.storage.postgres import PostgresStore
from tidings.storage.sql.database import fetch_all

DAY_MS = 86_400_000
FIRST_MS = NOW_MS // DAY_MS * DAY_MS


@pytest.fixture(params=POSTGRES_STORES, ids=str)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PostgresStore]:
    stores = POSTGRES_STORES[request.param]
    async with stores(tmp_path) as one:
        yield one
    stores.drop()


async def published(store: PostgresStore, name: str, at_ms: int) -> None:
    (answer,) = await store.accept_events([an_event(event_id=name)], now_ms=at_ms)
    assert isinstance(answer, Accepted)
    assert not answer.is_repeat


async def names(store: PostgresStore) -> list[str]:
    found = await store.list_events(EventFilter(TENANT), before=None, limit=9)
    return [one.event_id for one in found]


async def retained(store: PostgresStore, days: int, *, until_ms: int) -> bool:
    return await store.retain_days(accepted_before_ms=until_ms - days * DAY_MS, now_ms=until_ms)


async def test_whole_days_go_and_free_the_ids_of_their_events(store: PostgresStore) -> None:
    filled = Filled(store)
    await filled.subscribe()
    await published(store, "evt_a", FIRST_MS)
    (row,) = filled.told[-1].arrived
    await filled.end(row, Turn.ATTEMPT_DELIVERED)
    await published(store, "evt_b", FIRST_MS + DAY_MS - 1)
    (row,) = filled.told[-1].arrived
    await filled.end(row, Turn.ATTEMPT_DELIVERED)
    await published(store, "evt_c", FIRST_MS + DAY_MS)

    assert await retained(store, 3, until_ms=FIRST_MS + 4 * DAY_MS - 1)
    assert await names(store) == ["evt_c", "evt_b", "evt_a"]

    assert await retained(store, 3, until_ms=FIRST_MS + 4 * DAY_MS)
    assert await names(store) == ["evt_c"]
    with pytest.raises(NotFound):
        await store.get_event(TENANT, "evt_a")
    assert [one.event_id for one in await filled.listed()] == ["evt_c"]
    assert (await store.read_event_span()).deleted_seq > 0
    await published(store, "evt_a", FIRST_MS + 2 * DAY_MS)


async def test_a_day_with_something_unfinished_stays(store: PostgresStore) -> None:
    filled = Filled(store)
    await filled.subscribe()
    await published(store, "evt_a", FIRST_MS)
    await retained(store, 3, until_ms=FIRST_MS + 9 * DAY_MS)
    assert await names(store) == ["evt_a"]


async def test_days_ahead_are_there_before_their_time(store: PostgresStore) -> None:
    later_ms = FIRST_MS + 100 * DAY_MS
    await retained(store, 30, until_ms=later_ms)
    made = await store.read(
        lambda db: fetch_all(db, "SELECT relname FROM pg_class WHERE relname LIKE 'event_2%'")
    )
    assert len(made) >= 8
    await published(store, "evt_later", later_ms + 7 * DAY_MS)


async def test_less_than_two_days_are_kept_by_rows(store: PostgresStore) -> None:
    await published(store, "evt_a", FIRST_MS)
    assert not await retained(store, 1, until_ms=FIRST_MS + DAY_MS + 1)
    assert await store.delete_expired(accepted_before_ms=FIRST_MS + 1, limit=9) == 1


async def test_what_everybody_has_heard_is_forgotten(store: PostgresStore) -> None:
    filled = Filled(store)
    await filled.subscribe()
    (row,) = await filled.publish()
    await store.cancel_delivery(TENANT, row.delivery_id, now_ms=NOW_MS)

    async def changes() -> int:
        found = await store.read(lambda db: fetch_all(db, "SELECT seq FROM row_change"))
        return len(found)

    assert await changes() == 1
    await retained(store, 30, until_ms=NOW_MS + 1_000)
    assert await changes() == 1
    await retained(store, 30, until_ms=NOW_MS + DAY_MS)
    assert await changes() == 0
