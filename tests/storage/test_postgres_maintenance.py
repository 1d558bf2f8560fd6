"""What an operator does with a PostgreSQL database: faults are found, keys changed in one step."""

import asyncio
from collections.abc import Callable

import pytest

from tests.contracts.store.conftest import Filled
from tests.support.postgres_server import Databases
from tests.support.stores import SEALING_KEY, open_postgres_store, run_there
from tests.support.values import NOW_MS, SECRET
from tidings.core.ownership import OpenSession
from tidings.storage.faults import DatabaseInUse, DatabaseTooNew, DatabaseUnfit
from tidings.storage.postgres import maintenance
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.postgres.coordination import coordinate
from tidings.storage.postgres.partitions import DAY_MS
from tidings.storage.sql.reencryption import SEALED, Reencrypted
from tidings.storage.sql.store import WrongKey

NEW_KEY = b"n" * 32
HEADERS = (("authorization", "Bearer secret"),)


async def fill(url: str, subscriptions: int = 3) -> None:
    """Subscriptions with sealed values, and an unfinished delivery for each."""
    async with open_postgres_store(url) as store:
        filled = Filled(store)
        for number in range(subscriptions):
            await filled.subscribe(headers=HEADERS, callback_url=f"https://example.com/{number}")
        await filled.publish()


def checked(url: str) -> list[str]:
    return maintenance.check(url, now_ms=NOW_MS)


def reencrypt(
    url: str, old: bytes = SEALING_KEY, progress: Callable[[int, int], None] = lambda *_: None
) -> Reencrypted:
    return maintenance.reencrypt(url, old, NEW_KEY, progress)


async def secrets_with(url: str, key: bytes) -> list[tuple[str, ...]]:
    """The secrets of all subscriptions, as they open with a key."""
    async with open_postgres_store(url, sealing_key=key) as store:
        loaded = [one.subscription for one in await store.load_subscriptions()]
        assert {one.headers for one in loaded} <= {HEADERS}
        return [tuple(secret.secret for secret in one.secrets) for one in loaded]


def test_a_database_is_migrated_and_sound(empty_postgres_url: str) -> None:
    (fault,) = checked(empty_postgres_url)
    assert "tidings database migrate" in fault
    assert maintenance.migrate(empty_postgres_url, now_ms=NOW_MS)
    assert maintenance.migrate(empty_postgres_url, now_ms=NOW_MS) == []
    assert checked(empty_postgres_url) == []


def test_a_database_in_use_is_sound(postgres_url: str) -> None:
    asyncio.run(fill(postgres_url))
    assert checked(postgres_url) == []


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("DELETE FROM event", "unfinished deliveries have lost their event"),
        ("DELETE FROM shard WHERE shard = 7", "the table shard has 255 rows instead of 256"),
        ("DELETE FROM event_span", "the table event_span has 0 rows instead of 1"),
        ("DELETE FROM configuration", "the table configuration has 0 rows instead of 1"),
        ("CREATE TABLE unfinished_copy (source text)", "is not finished"),
        ("UPDATE migration SET checksum = 'x'", "another program"),
        ("DELETE FROM migration", "older than this program"),
    ],
)
def test_what_is_wrong_is_told(postgres_url: str, damage: str, found: str) -> None:
    asyncio.run(fill(postgres_url))
    run_there(postgres_url, damage, "SELECT 1")
    (fault,) = checked(postgres_url)
    assert found in fault


def test_days_that_nobody_has_made_are_told_and_made(postgres_url: str) -> None:
    later_ms = NOW_MS + 30 * DAY_MS
    (fault,) = maintenance.check(postgres_url, now_ms=later_ms)
    assert "partitions for the coming days are missing (event_20251108, " in fault
    maintenance.migrate(postgres_url, now_ms=later_ms)
    assert maintenance.check(postgres_url, now_ms=later_ms) == []


def test_an_index_that_was_not_finished_is_told(postgres_url: str) -> None:
    asyncio.run(fill(postgres_url))
    db = PostgresConnection(postgres_url)
    with pytest.raises(Exception, match="could not create unique index"):
        db.run_script("CREATE UNIQUE INDEX CONCURRENTLY by_hand ON signing_secret (position)")
    db.close()
    assert checked(postgres_url) == ["the index by_hand is not valid"]


def test_an_encoding_that_cannot_hold_all_text_is_told(postgres_server: Databases) -> None:
    name = "tidings_latin_checked"
    postgres_server.run(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    try:
        (fault,) = checked(postgres_server.url(name))
        assert "UTF8" in fault
    finally:
        postgres_server.run(f"DROP DATABASE {name}")


def test_a_newer_database_is_left_alone(postgres_url: str) -> None:
    run_there(postgres_url, "INSERT INTO migration VALUES (99, 'later.sql', '')", "SELECT 1")
    for work in (
        lambda: checked(postgres_url),
        lambda: maintenance.migrate(postgres_url, now_ms=NOW_MS),
        lambda: maintenance.keys(postgres_url),
        lambda: maintenance.audit(postgres_url, tenant_id=None, limit=1),
        lambda: reencrypt(postgres_url),
    ):
        with pytest.raises(DatabaseTooNew):
            work()


def test_a_database_without_tables_has_no_keys(empty_postgres_url: str) -> None:
    with pytest.raises(DatabaseUnfit, match="tidings database migrate"):
        maintenance.keys(empty_postgres_url)


def test_everything_opens_with_the_new_key_alone(postgres_url: str) -> None:
    asyncio.run(fill(postgres_url, 150))  # more than are read at once
    seen: list[tuple[int, int]] = []
    done = reencrypt(postgres_url, progress=lambda *told: seen.append(told))
    assert done == (301, [])
    assert seen[-1] == (301, 301)
    assert asyncio.run(secrets_with(postgres_url, NEW_KEY)) == [(SECRET,)] * 150
    with pytest.raises(WrongKey):
        asyncio.run(secrets_with(postgres_url, SEALING_KEY))
    assert reencrypt(postgres_url) == (0, [])


def test_no_row_is_left_that_the_old_key_opens(postgres_url: str) -> None:
    """Rows that are not in use any more lie in the file as long as nobody clears them away."""
    asyncio.run(fill(postgres_url, 50))
    tables = [one.table for one in SEALED if one.table != "idempotent_request"]
    sizes = " + ".join(f"pg_relation_size('{one}')" for one in tables)
    count = f"SELECT {sizes}"
    before = run_there(postgres_url, *(f"VACUUM (FULL) {one}" for one in tables), count)
    reencrypt(postgres_url)
    assert run_there(postgres_url, count) == before


def test_a_wrong_old_key_changes_nothing(postgres_url: str) -> None:
    asyncio.run(fill(postgres_url))
    with pytest.raises(WrongKey):
        reencrypt(postgres_url, b"w" * 32)
    assert asyncio.run(secrets_with(postgres_url, SEALING_KEY)) == [(SECRET,)] * 3


def test_cut_short_it_has_changed_nothing(postgres_url: str) -> None:
    class Stopped(BaseException):
        pass

    def stop(done: int, total: int) -> None:
        if done == total:
            raise Stopped

    asyncio.run(fill(postgres_url))
    with pytest.raises(Stopped):
        reencrypt(postgres_url, progress=stop)
    assert asyncio.run(secrets_with(postgres_url, SEALING_KEY)) == [(SECRET,)] * 3


def test_keys_are_not_changed_beside_a_worker_and_none_begins_meanwhile(postgres_url: str) -> None:
    asyncio.run(fill(postgres_url))
    db = PostgresConnection(postgres_url, lock_ms=50)
    coordinate(db, OpenSession("wrk_1"))
    with pytest.raises(DatabaseInUse, match="stop all its servers"):
        reencrypt(postgres_url)
    db.execute("UPDATE worker SET expires_at = now()")
    refused = []

    def begin(_done: int, _total: int) -> None:
        try:
            coordinate(db, OpenSession("wrk_2"))
        except Exception as fault:  # noqa: BLE001 - whatever it is, it did not begin
            refused.append(fault)

    reencrypt(postgres_url, progress=begin)
    assert len(refused) >= 1
    assert [row[0] for row in db.execute("SELECT session FROM worker")] == ["wrk_1"]
    db.close()


def test_what_is_damaged_is_named_and_left_and_the_rest_goes_on(postgres_url: str) -> None:
    asyncio.run(fill(postgres_url, 2))
    run_there(
        postgres_url,
        "UPDATE signing_secret SET sealed_secret = '\\x0102' WHERE subscription_id ="
        " (SELECT min(subscription_id) FROM subscription)",
        "SELECT 1",
    )
    done = reencrypt(postgres_url)
    assert done.sealed == 4
    (unopened,) = done.unopened
    assert unopened.startswith("secret:default:sub_")
    assert sorted(asyncio.run(secrets_with(postgres_url, NEW_KEY))) == [(), (SECRET,)]
