"""One connection to a real PostgreSQL: what it answers, how it fails, and how it comes back."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from signal import SIGCONT, SIGSTOP
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.support.pgbouncer import pgbouncer
from tests.support.postgres_server import Databases, Installation, running_server
from tests.support.postgres_sessions import begun, eventually, lives, process_of, waits
from tidings.ports.store import StoreUnavailable
from tidings.storage.faults import CommitUnknown, TryAgain
from tidings.storage.postgres.connection import PostgresConnection

# A commit of a row in `slow` waits for the lock 1.
SLOW_COMMIT = """
CREATE TABLE slow (id bigint PRIMARY KEY);
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait();
"""


@contextmanager
def opened(url: str, **bounds: int) -> Iterator[PostgresConnection]:
    db = PostgresConnection(url, **bounds)
    try:
        yield db
    finally:
        db.close()


@pytest.fixture
def other(postgres_url: str) -> Iterator[PostgresConnection]:
    with opened(postgres_url, idle_ms=60_000) as db:
        yield db


@pytest.fixture
def watcher(postgres_url: str) -> Iterator[PostgresConnection]:
    """Who looks at the other sessions; within a transaction one would always see the same."""
    with opened(postgres_url, idle_ms=60_000) as db:
        yield db


def end(db: PostgresConnection, process: int) -> None:
    assert db.execute("SELECT pg_terminate_backend(?::int)", (process,)).fetchone()[0]
    eventually(lambda: not lives(db, process))


def tenants(db: PostgresConnection) -> list[str]:
    return [row[0] for row in db.execute("SELECT tenant_id FROM tenant ORDER BY tenant_id")]


def insert(db: PostgresConnection, tenant_id: str) -> None:
    db.execute("INSERT INTO tenant VALUES (?, ?)", (tenant_id, 1))


def test_rows_can_be_taken_one_by_one_or_all_at_once(postgres: PostgresConnection) -> None:
    answered = postgres.execute("SELECT n, 'x' FROM generate_series(1, ?) AS n", (3,))
    assert tuple(answered.fetchone()) == (1, "x")
    assert [row[0] for row in answered] == [2, 3]
    assert answered.fetchone() is None
    assert answered.fetchall() == []


def test_many_rows_are_one_statement(postgres: PostgresConnection) -> None:
    rows = [(1, "a", b"\0", 0.5), (2, None, None, None)]
    read = postgres.execute_many("SELECT column4, column1 FROM (", rows, ") g", types="itbf")
    assert [tuple(row) for row in read] == [(0.5, 1), (None, 2)]
    returned = postgres.execute_many(
        "INSERT INTO tenant", [("a", 1), ("b", 2)], "RETURNING tenant_id", types="ti"
    )
    assert [row[0] for row in returned] == ["a", "b"]
    deleted = postgres.delete_many("tenant", "tenant_id", [("b",), ("c",)], types="t")
    assert [row[0] for row in deleted] == ["b"]
    assert postgres.execute_many("nonsense", [], types="") == []


def test_what_is_undone_to_a_savepoint_is_undone_alone(postgres: PostgresConnection) -> None:
    postgres.begin()
    insert(postgres, "a")
    postgres.execute("SAVEPOINT one_write")
    with pytest.raises(asyncpg.UniqueViolationError):
        insert(postgres, "a")
    postgres.execute("ROLLBACK TO one_write")
    postgres.execute("RELEASE one_write")
    insert(postgres, "b")
    postgres.commit()
    assert not postgres.in_transaction
    assert tenants(postgres) == ["a", "b"]


def test_a_bug_is_the_drivers_own_error_and_leaves_nothing(postgres: PostgresConnection) -> None:
    with pytest.raises(asyncpg.PostgresSyntaxError):
        postgres.execute("SELEC 1")
    with pytest.raises(asyncpg.DataError):
        postgres.execute("SELECT 1 FROM tenant WHERE tenant_id = ?", (1,))
    postgres.begin()
    insert(postgres, "a")
    with pytest.raises(asyncpg.UniqueViolationError):
        insert(postgres, "a")
    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        postgres.commit()
    postgres.rollback()
    assert tenants(postgres) == []


def test_a_connection_lost_while_idle_is_made_anew(
    postgres: PostgresConnection, other: PostgresConnection
) -> None:
    end(other, process_of(postgres))
    insert(postgres, "a")
    end(other, process_of(postgres))
    postgres.begin()
    insert(postgres, "b")
    postgres.commit()
    assert tenants(other) == ["a", "b"]


def test_a_connection_lost_within_a_transaction_leaves_nothing_of_it(
    postgres: PostgresConnection, other: PostgresConnection
) -> None:
    process = process_of(postgres)
    postgres.begin()
    insert(postgres, "a")
    end(other, process)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            insert(postgres, "b")
    with pytest.raises(StoreUnavailable) as fault:
        postgres.commit()
    assert not isinstance(fault.value, CommitUnknown)
    postgres.rollback()
    assert tenants(postgres) == []


def test_a_connection_lost_while_committing_leaves_it_unknown(
    postgres: PostgresConnection, other: PostgresConnection, watcher: PostgresConnection
) -> None:
    postgres.run_script(SLOW_COMMIT)
    process = process_of(postgres)
    other.begin("BEGIN; SELECT pg_advisory_xact_lock(1)")
    postgres.begin()
    postgres.execute("INSERT INTO slow VALUES (1)")
    committing = begun(postgres.commit)
    eventually(lambda: waits(watcher, process))
    end(watcher, process)
    with pytest.raises(CommitUnknown):
        committing.result()
    postgres.rollback()
    other.rollback()
    assert not list(other.execute("SELECT 1 FROM slow"))


def test_a_commit_is_never_cancelled_however_long_it_takes(
    postgres_url: str, other: PostgresConnection, watcher: PostgresConnection
) -> None:
    other.run_script(SLOW_COMMIT)
    with opened(postgres_url, statement_ms=1_000, commit_ms=4_000) as db:
        process = process_of(db)
        other.begin("BEGIN; SELECT pg_advisory_xact_lock(1)")
        db.begin()
        db.execute("INSERT INTO slow VALUES (1)")
        with pytest.raises(CommitUnknown):
            db.commit()
        db.rollback()
        eventually(lambda: waits(watcher, process))
        other.commit()
        # The server was cut off, not cancelled: it has committed meanwhile.
        eventually(lambda: list(other.execute("SELECT 1 FROM slow")) != [])


def test_a_session_that_was_stopped_within_a_transaction_loses_it(
    postgres_url: str, other: PostgresConnection
) -> None:
    with opened(postgres_url, idle_ms=1_000) as db:
        process = process_of(db)
        db.begin("BEGIN; INSERT INTO tenant VALUES ('a', 1)")
        eventually(lambda: not lives(other, process))
        with pytest.raises(StoreUnavailable):
            db.commit()
        db.rollback()
        assert tenants(db) == []


def test_a_lock_and_a_statement_are_waited_for_within_bounds(
    postgres_url: str, other: PostgresConnection
) -> None:
    other.begin("BEGIN; LOCK TABLE tenant")
    with opened(postgres_url, lock_ms=50) as db, pytest.raises(StoreUnavailable, match="lock"):
        insert(db, "a")
    other.rollback()
    with opened(postgres_url, statement_ms=2_000) as db:
        with pytest.raises(StoreUnavailable, match="statement timeout"):
            db.execute("SELECT pg_sleep(30)")
        with pytest.raises(StoreUnavailable):
            db.run_script("SET statement_timeout = 0; SELECT pg_sleep(30)", seconds=0.05)
        assert tenants(db) == []


def test_who_loses_against_another_transaction_may_try_again(
    postgres: PostgresConnection, other: PostgresConnection, watcher: PostgresConnection
) -> None:
    postgres.begin("BEGIN ISOLATION LEVEL REPEATABLE READ")
    tenants(postgres)
    other.execute("UPDATE configuration SET version = 7")
    with pytest.raises(TryAgain):
        postgres.execute("UPDATE configuration SET version = 8")
    postgres.rollback()

    process = process_of(postgres)
    for db in (postgres, other):
        db.begin("BEGIN; SET LOCAL deadlock_timeout = '10ms'")
    insert(postgres, "x")
    insert(other, "y")
    first = begun(lambda: insert(postgres, "y"))
    eventually(lambda: waits(watcher, process))
    second = begun(lambda: insert(other, "x"))
    faults = [one.exception() for one in (first, second)]
    assert [type(fault) for fault in faults if fault is not None] == [TryAgain]
    for db in (postgres, other):
        db.rollback()


@pytest.mark.parametrize("which", ["port", "database", "many"])
def test_a_database_that_lets_nobody_in_is_unavailable(
    postgres_server: Databases, postgres_url: str, which: str
) -> None:
    guest = postgres_server.new_name()
    url = postgres_url
    if which == "port":
        url = "postgresql://tidings@127.0.0.1:1/postgres"
    elif which == "database":
        url = postgres_server.url("nobody_made_this")
    else:
        parts = urlsplit(postgres_url)
        postgres_server.run(f"ALTER DATABASE {parts.path[1:]} CONNECTION LIMIT 0")
        postgres_server.run(f"CREATE ROLE {guest} LOGIN")
        url = f"postgresql://{guest}@{parts.hostname}:{parts.port}{parts.path}"
    try:
        with opened(url) as db, pytest.raises(StoreUnavailable, match="cannot be reached"):
            db.begin()
        assert not db.in_transaction
    finally:
        postgres_server.run(f"DROP ROLE IF EXISTS {guest}")


def test_a_server_that_only_reads_is_left(postgres: PostgresConnection) -> None:
    postgres.begin("BEGIN READ ONLY")
    with pytest.raises(StoreUnavailable):
        insert(postgres, "a")
    assert not postgres.is_connected
    postgres.rollback()
    insert(postgres, "a")


def test_a_server_that_stops_answering_is_given_up_and_comes_back(
    postgres_installation: Installation,
) -> None:
    with (
        running_server(postgres_installation) as server,
        opened(server.own_url, statement_ms=2_000) as db,
    ):
        db.begin()
        server.send(SIGSTOP)
        with pytest.raises(StoreUnavailable):
            db.execute("SELECT 1")
        db.rollback()
        server.send(SIGCONT)
        db.execute("SELECT 1")

        for how in ("fast", "immediate"):
            server.stop(how)
            for _ in range(2):
                with pytest.raises(StoreUnavailable):
                    db.execute("SELECT 1")
            server.start()
            db.execute("SELECT 1")


def test_a_standby_that_takes_over_is_found(postgres_installation: Installation) -> None:
    with running_server(postgres_installation) as server, server.standby() as standby:
        hosts = f"127.0.0.1:{server.port},127.0.0.1:{standby.port}"
        with opened(f"postgresql://tidings@{hosts}/postgres") as db:
            db.run_script("CREATE TABLE kept (id bigint)")
            eventually(lambda: bool(standby.run("SELECT to_regclass('kept')")[0][0]))
            server.stop("immediate")
            with pytest.raises(StoreUnavailable):
                db.execute("INSERT INTO kept VALUES (1)")
            standby.promote()
            db.execute("INSERT INTO kept VALUES (1)")
            assert standby.run("SELECT id FROM kept")[0][0] == 1


def test_behind_a_pooler_settings_are_made_in_each_transaction(postgres_url: str) -> None:
    with pgbouncer(postgres_url, pool_size=2) as url:
        seen = threading.Barrier(3)

        def work(number: int) -> list[Any]:
            with opened(url, idle_ms=12_345) as db:
                answers = []
                seen.wait(timeout=20)
                for turn in range(50):
                    insert(db, f"{number}_{turn}")
                    db.begin("BEGIN; SET LOCAL application_name = 'within'")
                    sql = "SELECT current_setting(?), current_setting('application_name')"
                    answers.append(tuple(db.execute(sql, (SETTING,)).fetchone()))
                    db.commit()
                return answers

        with ThreadPoolExecutor(3) as threads:
            answers = [one for found in threads.map(work, range(3)) for one in found]
        assert set(answers) == {("12345ms", "within")}
        with opened(url) as db:
            assert len(tenants(db)) == 150


SETTING = "idle_in_transaction_session_timeout"
