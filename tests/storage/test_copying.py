"""Copying an installation to PostgreSQL: nobody works with less than all, however often it dies."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.installations import answers, fill, killed
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres_server import Installation, running_server
from tests.support.stores import (
    DATABASE_NAME,
    SEALING_KEY,
    open_postgres_store,
    open_sqlite_store,
    run_there,
)
from tests.support.values import NOW_MS, a_subscription, an_event
from tidings.core.ownership import OpenSession, shard_of
from tidings.ports.records import IdempotentAnswer
from tidings.ports.store import StoreUnavailable
from tidings.storage.copying import CheckedTable, copy
from tidings.storage.faults import DatabaseInUse, DatabaseUnfit
from tidings.storage.postgres import maintenance
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.postgres.coordination import coordinate
from tidings.storage.sql.store import WrongKey
from tidings.storage.sqlite import maintenance as sqlite_maintenance
from tidings.storage.sqlite.connection import connect


def copied(
    folder: Path, url: str, progress: Callable[[int, int], object] = lambda *_: None
) -> list[CheckedTable]:
    """Copy the database of a folder."""
    path = folder / DATABASE_NAME
    return copy(path, url, key=SEALING_KEY, now_ms=NOW_MS, progress=progress)


def filled(folder: Path, **wanted: int) -> None:
    """Fill the database of a folder, with rows from before there were shards."""
    asyncio.run(fill(folder, **wanted))
    db = connect(folder / DATABASE_NAME)
    db.execute("UPDATE delivery SET shard = 0")
    db.close()


async def answers_here(folder: Path) -> dict[str, Any]:
    async with open_sqlite_store(folder) as store:
        return await answers(store)


async def answers_there(url: str) -> dict[str, Any]:
    async with open_postgres_store(url) as store:
        return await answers(store)


def expect_the_same(folder: Path, url: str) -> None:
    """Both stores answer everything in the same way."""
    here, there = asyncio.run(answers_here(folder)), asyncio.run(answers_there(url))
    assert set(here) == set(there)
    for name, answer in here.items():
        assert there[name] == answer, name


def test_the_copy_answers_what_the_original_does(tmp_path: Path, empty_postgres_url: str) -> None:
    filled(tmp_path)
    seen: list[tuple[int, int]] = []
    tables = copied(tmp_path, empty_postgres_url, lambda *told: seen.append(told))
    assert all(one.is_same for one in tables)
    empty = {one.name for one in tables if not one.here.rows}
    assert not empty, "the installation has nothing of this"
    assert {total for _, total in seen} == {2 * sum(one.here.rows for one in tables)}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]

    expect_the_same(tmp_path, empty_postgres_url)
    path = tmp_path / DATABASE_NAME
    audit = maintenance.audit(empty_postgres_url, tenant_id=None, limit=10_000)
    assert audit == sqlite_maintenance.audit(path, tenant_id=None, limit=10_000)
    assert maintenance.keys(empty_postgres_url) == sqlite_maintenance.keys(path)
    assert maintenance.check(empty_postgres_url, now_ms=NOW_MS) == []


async def test_what_is_sealed_opens_and_the_order_goes_on(
    tmp_path: Path, empty_postgres_url: str
) -> None:
    await fill(tmp_path)
    await asyncio.to_thread(copied, tmp_path, empty_postgres_url)
    async with open_postgres_store(empty_postgres_url) as store:
        again = await store.create_subscription(
            a_subscription(tenant_id="acme"),
            quota=99,
            idempotency=("asked-once", IdempotentAnswer(b"f" * 16, b"")),
        )
        assert again is not None
        assert again.answer == b'{"made":1}'
        last = (await store.read_event_span()).newest_seq
        await store.accept_events([an_event("bulk.event", tenant_id="acme")], now_ms=NOW_MS)
        assert (await store.read_event_span()).newest_seq > last
        assert await store.newest_seq() > last


def test_rows_lie_in_the_shards_of_their_subscriptions(
    tmp_path: Path, empty_postgres_url: str
) -> None:
    filled(tmp_path)
    copied(tmp_path, empty_postgres_url)
    rows = run_there(empty_postgres_url, "SELECT subscription_id, shard FROM delivery")
    assert rows
    assert [shard for _, shard in rows] == [shard_of(name) for name, _ in rows]


def test_killed_again_and_again_it_goes_on_where_it_was(
    tmp_path: Path, empty_postgres_url: str
) -> None:
    filled(tmp_path, events=2_500)  # more than go over at once
    begun_at = []
    for share in (0.01, 0.15, 0.3, 0.5, 0.8):
        killed(tmp_path, empty_postgres_url, share)
        rows = run_there(empty_postgres_url, "SELECT copied, total FROM unfinished_copy")
        begun_at.append(sum(copied for copied, _ in rows) / sum(total for _, total in rows) / 2)
        with pytest.raises(DatabaseUnfit, match="not finished"):
            asyncio.run(answers_there(empty_postgres_url))
        assert any("not finished" in one for one in maintenance.check(empty_postgres_url, now_ms=0))
    assert begun_at == sorted(begun_at)
    assert begun_at[0] > 0
    assert begun_at[1] < begun_at[2] < begun_at[3] == 0.5
    seen: list[tuple[int, int]] = []
    assert all(
        one.is_same for one in copied(tmp_path, empty_postgres_url, lambda *told: seen.append(told))
    )
    assert max(done / total for done, total in seen if done / total <= 0.5) == 0.5
    expect_the_same(tmp_path, empty_postgres_url)


def test_a_database_that_goes_away_meanwhile_is_gone_on_with(
    tmp_path: Path, postgres_installation: Installation
) -> None:
    filled(tmp_path)
    with running_server(postgres_installation) as server:
        reached: list[int] = []

        def stop(done: int, total: int) -> None:
            if done >= 0.3 * total and not reached:
                reached.append(done)
                server.stop("immediate")

        with pytest.raises(StoreUnavailable):
            copied(tmp_path, server.own_url, stop)
        server.start()
        seen: list[tuple[int, int]] = []
        copied(tmp_path, server.own_url, lambda *told: seen.append(told))
        assert seen[-1][0] == seen[-1][1]
        assert reached[0] in {done for done, _ in seen}
        expect_the_same(tmp_path, server.own_url)


@pytest.mark.parametrize(
    ("change", "table"),
    [
        ("UPDATE event SET body = 'other' WHERE seq = (SELECT min(seq) FROM event)", "event"),
        ("DELETE FROM attempt WHERE number = 1", "attempt"),
        ("INSERT INTO tenant VALUES ('later', 1)", "tenant"),
        ("UPDATE delivery SET shard = shard + 1", "delivery"),
        ("UPDATE configuration SET last_seq = last_seq + 1", "configuration"),
    ],
)
def test_a_difference_is_found_and_keeps_servers_away(
    tmp_path: Path, empty_postgres_url: str, change: str, table: str
) -> None:
    filled(tmp_path)
    killed(tmp_path, empty_postgres_url, 0.5)
    run_there(empty_postgres_url, change, "SELECT 1")
    for _ in range(2):
        tables = copied(tmp_path, empty_postgres_url)
        assert [one.name for one in tables if not one.is_same] == [table]
        with pytest.raises(DatabaseUnfit, match="not finished"):
            asyncio.run(answers_there(empty_postgres_url))


async def test_a_database_that_holds_something_is_left_as_it_is(
    tmp_path: Path, postgres_url: str
) -> None:
    await fill(tmp_path)
    async with open_postgres_store(postgres_url):
        pass
    with pytest.raises(DatabaseUnfit, match="what a server has begun"):
        await asyncio.to_thread(copied, tmp_path, postgres_url)
    async with open_postgres_store(postgres_url) as store:
        await store.accept_events([an_event()], now_ms=NOW_MS)
        before = await store.list_tenants(before=None, limit=9)
        with pytest.raises(DatabaseUnfit, match="rows in event, event_key, tenant"):
            await asyncio.to_thread(copied, tmp_path, postgres_url)
        assert await store.list_tenants(before=None, limit=9) == before


def test_a_copy_that_was_finished_is_not_done_again(
    tmp_path: Path, empty_postgres_url: str
) -> None:
    filled(tmp_path)
    copied(tmp_path, empty_postgres_url)
    with pytest.raises(DatabaseUnfit, match="must be empty"):
        copied(tmp_path, empty_postgres_url)
    expect_the_same(tmp_path, empty_postgres_url)


def test_nothing_is_copied_beside_a_worker(tmp_path: Path, postgres_url: str) -> None:
    filled(tmp_path)
    db = PostgresConnection(postgres_url)
    coordinate(db, OpenSession("wrk_1"))
    db.close()
    with pytest.raises(DatabaseInUse, match="1 workers are at work"):
        copied(tmp_path, postgres_url)


def test_a_copy_that_was_begun_goes_on_from_the_same_database_alone(
    tmp_path: Path, empty_postgres_url: str
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        filled(folder)
    killed(here, empty_postgres_url, 0.3)
    with pytest.raises(DatabaseUnfit, match="another database"):
        copied(there, empty_postgres_url)

    async def go_on() -> None:
        async with open_sqlite_store(here) as store:
            await store.accept_events([an_event()], now_ms=NOW_MS)

    asyncio.run(go_on())
    with pytest.raises(DatabaseUnfit, match="has changed since"):
        copied(here, empty_postgres_url)


def test_with_a_wrong_key_nothing_is_begun(tmp_path: Path, empty_postgres_url: str) -> None:
    filled(tmp_path)
    with pytest.raises(WrongKey):
        copy(
            tmp_path / DATABASE_NAME,
            empty_postgres_url,
            key=b"w" * 32,
            now_ms=NOW_MS,
            progress=lambda _done, _total: None,
        )
    assert run_there(empty_postgres_url, "SELECT to_regclass('migration') IS NULL")[0][0]


async def test_a_character_that_postgresql_cannot_hold_is_replaced(
    tmp_path: Path, empty_postgres_url: str
) -> None:
    one = a_subscription(description="be\0fore")
    async with open_sqlite_store(tmp_path) as store:
        await store.create_subscription(one, quota=9)
    assert all(
        table.is_same for table in await asyncio.to_thread(copied, tmp_path, empty_postgres_url)
    )
    async with open_postgres_store(empty_postgres_url) as store:
        found = await store.get_subscription(one.tenant_id, one.subscription_id)
        assert found.subscription.description == "be\N{REPLACEMENT CHARACTER}fore"


def test_it_goes_through_a_pooler(tmp_path: Path, empty_postgres_url: str) -> None:
    filled(tmp_path)
    with pgbouncer(empty_postgres_url) as url:
        assert all(one.is_same for one in copied(tmp_path, url))
    expect_the_same(tmp_path, empty_postgres_url)
