"""The days of the log are made and dropped on a real PostgreSQL, and nobody waits for it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.pgbouncer import pgbouncer
from tests.support.values import NOW_MS
from tidings.core import limits
from tidings.core.identifier import encoded_id, lowest_id, lowest_seq
from tidings.ports.store import StoreUnavailable
from tidings.storage.faults import NoPartition
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.postgres.partitions import (
    DAY_MS,
    LOG,
    Partition,
    drop_partitions,
    make_partitions,
    make_partitions_ahead,
)

TODAY = NOW_MS // DAY_MS
NEXT_DAY_MS = (TODAY + 1) * DAY_MS


@pytest.fixture
def other(postgres_url: str) -> Iterator[PostgresConnection]:
    db = PostgresConnection(postgres_url, lock_ms=1_000)
    yield db
    db.close()


def names(days: range) -> list[str]:
    return [Partition(table, day).name for table in LOG for day in days]


def publish(db: PostgresConnection, at_ms: int, count: int = 1) -> None:
    first = lowest_seq(at_ms)
    rows = [
        (seq, "t", "e", None, "a", "", None, b"", 0, None) for seq in range(first, first + count)
    ]
    db.execute_many("INSERT INTO event", rows, types="ittttttbit")


def finish(db: PostgresConnection, delivery_id: str) -> None:
    row = ("t", delivery_id, "s", 1, 0, 1, "delivered", None, 1, 0)
    db.execute_many("INSERT INTO finished_delivery", [row], types="tttiiittii")
    tried = (delivery_id, 1, "a", 0, 1, 1, "delivered", 200, None, None, "", None, None, None)
    db.execute_many("INSERT INTO attempt", [tried], types="titiiititttttb")


def where(db: PostgresConnection, table: str) -> list[str]:
    return [
        row[0] for row in db.execute(f"SELECT tableoid::regclass::text FROM {table} ORDER BY 1")
    ]


def test_a_week_is_made_ahead_once(postgres: PostgresConnection) -> None:
    assert make_partitions_ahead(postgres, NOW_MS) == names(range(TODAY - 1, TODAY + 8))
    assert make_partitions_ahead(postgres, NOW_MS) == []
    made = [Partition(table, TODAY + 8).name for table in LOG]
    assert make_partitions_ahead(postgres, NEXT_DAY_MS) == made


def test_a_partition_is_a_day_in_utc(postgres: PostgresConnection) -> None:
    make_partitions(postgres, since_ms=NOW_MS, until_ms=NEXT_DAY_MS)
    for at_ms in (TODAY * DAY_MS, NEXT_DAY_MS - 1, NEXT_DAY_MS):
        publish(postgres, at_ms)
        finish(postgres, encoded_id("dlv", at_ms, b"\xff" * 10))
    assert Partition("event", 20_000).name == "event_20241004"
    today, tomorrow = ([Partition(table, day).name for table in LOG] for day in (TODAY, TODAY + 1))
    for table, first, second in zip(LOG, today, tomorrow, strict=True):
        assert where(postgres, table) == [first, first, second]


def test_a_row_of_a_day_that_is_missing_can_be_stored_once_that_is_made(
    postgres: PostgresConnection,
) -> None:
    with pytest.raises(NoPartition):
        publish(postgres, NOW_MS)
    make_partitions(postgres, since_ms=NOW_MS, until_ms=NOW_MS)
    publish(postgres, NOW_MS)


def test_partitions_have_the_keys_and_indexes_of_their_tables(postgres: PostgresConnection) -> None:
    make_partitions(postgres, since_ms=NOW_MS, until_ms=NOW_MS)
    sql = (
        "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
        " WHERE c.oid = to_regclass(?) OR c.oid = to_regclass(?)"
    )
    for table in LOG:
        indexes = postgres.execute(sql, (table, Partition(table, TODAY).name)).fetchone()[0]
        assert indexes == 2 * {"event": 2, "finished_delivery": 7, "attempt": 1}[table]


def test_only_days_that_are_wholly_over_are_dropped(postgres: PostgresConnection) -> None:
    make_partitions(postgres, since_ms=NOW_MS - 2 * DAY_MS, until_ms=NOW_MS)
    publish(postgres, NOW_MS)
    publish(postgres, NOW_MS - 2 * DAY_MS)
    assert drop_partitions(postgres, before_ms=NOW_MS) == [
        Partition(table, day).name for day in (TODAY - 2, TODAY - 1) for table in LOG
    ]
    assert drop_partitions(postgres, before_ms=NEXT_DAY_MS - 1) == []
    assert where(postgres, "event") == [Partition("event", TODAY).name]


def test_nodes_that_make_the_same_days_together_do_not_disturb_each_other(
    postgres: PostgresConnection, other: PostgresConnection
) -> None:
    barrier = threading.Barrier(2)

    def make(db: PostgresConnection) -> list[str]:
        barrier.wait(timeout=30)
        return make_partitions_ahead(db, NOW_MS)

    with ThreadPoolExecutor(2) as threads:
        made = [name for found in threads.map(make, (postgres, other)) for name in found]
    assert sorted(made) == sorted(names(range(TODAY - 1, TODAY + 8)))


def test_publishing_goes_on_while_a_reader_keeps_a_day_from_being_dropped(
    postgres: PostgresConnection,
    postgres_url: str,
    other: PostgresConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "PARTITION_DETACH_MS", 2_000)
    monkeypatch.setattr(limits, "PARTITION_LOCK_MS", 50)
    make_partitions(postgres, since_ms=NOW_MS - DAY_MS, until_ms=NOW_MS)
    publish(postgres, NOW_MS - DAY_MS)
    reader = PostgresConnection(postgres_url, idle_ms=60_000)
    reader.begin("BEGIN ISOLATION LEVEL REPEATABLE READ")
    assert len(where(reader, "event")) == 1

    is_over = threading.Event()

    def publish_all_the_time() -> int:
        """Publish, never waiting for a lock as long as one try to drop lasts."""
        times = 0
        while not is_over.is_set():
            publish(other, NOW_MS + times)
            times += 1
        return times

    other.execute("SELECT 1")
    other.run_script("SET lock_timeout = '1s'")
    with ThreadPoolExecutor(1) as thread:
        publishing = thread.submit(publish_all_the_time)
        try:
            with pytest.raises(StoreUnavailable):
                drop_partitions(postgres, before_ms=NOW_MS)
            with pytest.raises(StoreUnavailable):
                drop_partitions(postgres, before_ms=NOW_MS)
            # What is on its way out can still be read by who has begun before.
            assert len(where(reader, "event")) == 1
            made = make_partitions(postgres, since_ms=NEXT_DAY_MS, until_ms=NEXT_DAY_MS)
            assert made == names(range(TODAY + 1, TODAY + 2))
        finally:
            is_over.set()
            reader.rollback()
            reader.close()
        times = publishing.result()
    assert times > 0
    monkeypatch.undo()
    assert drop_partitions(postgres, before_ms=NOW_MS) == names(range(TODAY - 1, TODAY))
    assert len(where(postgres, "event")) == times


def test_a_day_that_was_detached_and_not_dropped_is_dropped_later(
    postgres: PostgresConnection,
) -> None:
    make_partitions(postgres, since_ms=NOW_MS - DAY_MS, until_ms=NOW_MS)
    left = Partition("attempt", TODAY - 1)
    postgres.run_script(f"ALTER TABLE attempt DETACH PARTITION {left.name}")
    assert left.name in drop_partitions(postgres, before_ms=NOW_MS)
    # And one is made anew where such a one was left.
    today = Partition("attempt", TODAY)
    postgres.run_script(f"ALTER TABLE attempt DETACH PARTITION {today.name}")
    assert make_partitions(postgres, since_ms=NOW_MS, until_ms=NOW_MS) == [today.name]
    finish(postgres, lowest_id("dlv", NOW_MS))


def test_days_are_made_and_dropped_behind_a_pooler(postgres_url: str) -> None:
    with pgbouncer(postgres_url) as url:
        db = PostgresConnection(url)
        make_partitions(db, since_ms=NOW_MS - DAY_MS, until_ms=NOW_MS)
        assert drop_partitions(db, before_ms=NOW_MS) == names(range(TODAY - 1, TODAY))
        db.close()
