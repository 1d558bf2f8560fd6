"""The tables on PostgreSQL: those of SQLite, made once however many nodes begin together."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.pgbouncer import pgbouncer
from tests.support.postgres_server import Databases
from tests.support.values import NOW_MS
from tidings.core.pattern import matches
from tidings.storage.faults import DatabaseTooNew, DatabaseUnfit
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.postgres.migrate import known_steps, migrate
from tidings.storage.postgres.partitions import make_partitions
from tidings.storage.sqlite.connection import connect
from tidings.storage.sqlite.connection import migrate as migrate_sqlite

TYPES = {"INTEGER": "bigint", "TEXT": "text", "BLOB": "bytea", "REAL": "double precision"}
ONLY_HERE = {"configuration_change", "row_change", "worker", "shard", "lease", "migration"}
LATER_ON_SQLITE = {("delivery", "shard")}
SEGMENTS = st.sampled_from(["a", "b", "tidings", "A-_9", "aa"])
EVENT_TYPES = st.lists(SEGMENTS, min_size=1, max_size=4).map(".".join)
PATTERN = st.lists(SEGMENTS | st.just("*"), min_size=1, max_size=4).map(".".join)
PATTERNS = st.lists(
    st.tuples(st.sampled_from(["", " ", "  "]), PATTERN, st.sampled_from(["", " "])).map("".join),
    min_size=1,
    max_size=4,
).map(",".join)


@pytest.fixture
def empty(empty_postgres_url: str) -> Iterator[PostgresConnection]:
    db = PostgresConnection(empty_postgres_url)
    yield db
    db.close()


def migrated(url: str) -> list[str]:
    db = PostgresConnection(url)
    try:
        return migrate(db)
    finally:
        db.close()


def columns_here(db: PostgresConnection) -> dict[str, list[tuple[Any, ...]]]:
    rows = db.execute(
        "SELECT c.relname, a.attname, format_type(a.atttypid, NULL), a.attnotnull,"
        " coalesce(l.collname, 'C')"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " LEFT JOIN pg_collation l ON l.oid = a.attcollation"
        " WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"
        " ORDER BY c.relname, a.attnum"
    ).fetchall()
    return {
        table: [tuple(row)[1:] for row in of_table]
        for table, of_table in groupby(rows, key=lambda row: row[0])
    }


def columns_of_sqlite(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    db = connect(path)
    migrate_sqlite(db)
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    columns = {
        table: [
            # A key of SQLite's rows is never NULL, though it does not say so.
            (name, TYPES[of_type], bool(not_null or key), "C")
            for _, name, of_type, not_null, _, key in db.execute(f"PRAGMA table_info({table})")
        ]
        for table in tables
    }
    db.close()
    return columns


def test_the_tables_have_the_columns_of_sqlite_in_their_order(
    postgres: PostgresConnection, tmp_path: Path
) -> None:
    here, there = columns_here(postgres), columns_of_sqlite(tmp_path / "tidings.db")
    assert set(here) - set(there) == ONLY_HERE
    for table, columns in there.items():
        compared = here[table]
        if (table, compared[-1][0]) in LATER_ON_SQLITE and len(compared) == len(columns) + 1:
            compared = compared[:-1]
        assert compared == columns, table


def test_the_indexes_are_those_of_sqlite(postgres: PostgresConnection, tmp_path: Path) -> None:
    db = connect(tmp_path / "tidings.db")
    migrate_sqlite(db)
    sql = "SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
    there = {_named(row[0]) for row in db.execute(sql)}
    db.close()
    sql = (
        "SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indrelid"
        " WHERE NOT i.indisprimary AND c.relnamespace = 'public'::regnamespace"
    )
    here = {_named(row[0]) for row in postgres.execute(sql)}
    # A worker asks what is due for its own shards.
    due, due_here = (f"delivery_by_due({given}due_at_ms,seq)" for given in ("", "shard,"))
    assert here - {due_here} == there - {due, due_here}


def _named(definition: str) -> str:
    """What an index is called and of which columns it is, with its condition left out."""
    found = re.search(r"INDEX (\w+) ON .*?(\([^)]*\))", definition, re.DOTALL)
    assert found is not None, definition
    return found[1] + re.sub(r"\s|COLLATE\s*\"C\"", "", found[2])


def test_every_shard_has_its_row(postgres: PostgresConnection) -> None:
    rows = postgres.execute("SELECT shard, owner, version FROM shard ORDER BY shard").fetchall()
    assert [tuple(row) for row in rows] == [(shard, None, 0) for shard in range(256)]


def test_nodes_that_begin_together_take_each_step_once(empty_postgres_url: str) -> None:
    nodes = 6
    barrier = Barrier(nodes)

    def begin(_: int) -> list[str]:
        barrier.wait(timeout=30)
        return migrated(empty_postgres_url)

    with ThreadPoolExecutor(nodes) as threads:
        taken = [step for steps in threads.map(begin, range(nodes)) for step in steps]
    assert taken == [step.name for step in known_steps()]
    assert migrated(empty_postgres_url) == []


def test_steps_are_taken_behind_a_pooler(empty_postgres_url: str) -> None:
    with pgbouncer(empty_postgres_url) as url:
        assert migrated(url) == [step.name for step in known_steps()]
        assert migrated(url) == []


def test_a_step_that_fails_leaves_nothing(empty: PostgresConnection) -> None:
    empty.run_script("CREATE TABLE replay ()")
    with pytest.raises(Exception, match="already exists"):
        migrate(empty)
    assert set(columns_here(empty)) <= {"migration", "replay"}
    empty.run_script("DROP TABLE replay")
    assert migrate(empty)


def test_a_database_of_a_newer_program_is_refused(postgres: PostgresConnection) -> None:
    postgres.execute("INSERT INTO migration VALUES (?, 'later.sql', '')", (len(known_steps()) + 1,))
    with pytest.raises(DatabaseTooNew, match="install a newer version"):
        migrate(postgres)


def test_a_database_of_another_program_is_refused(postgres: PostgresConnection) -> None:
    postgres.execute("UPDATE migration SET checksum = 'x' WHERE number = 1")
    with pytest.raises(DatabaseUnfit, match="another program"):
        migrate(postgres)


def test_a_database_that_cannot_hold_all_text_is_refused(postgres_server: Databases) -> None:
    postgres_server.run(
        "CREATE DATABASE tidings_latin TEMPLATE template0 ENCODING 'LATIN1'"
        " LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    try:
        with pytest.raises(DatabaseUnfit, match="UTF8"):
            migrated(postgres_server.url("tidings_latin"))
    finally:
        postgres_server.run("DROP DATABASE tidings_latin")


@given(patterns=st.none() | PATTERNS, event_type=EVENT_TYPES)
@example(patterns="*", event_type="tidings")
@example(patterns="*.a", event_type="tidings.a")
@example(patterns="b, *", event_type="tidings.a")
@example(patterns="tidings.*", event_type="tidings.a.b")
@example(patterns="tidings2, *", event_type="tidings2")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_patterns_match_as_the_rule_says(
    postgres: PostgresConnection, patterns: str | None, event_type: str
) -> None:
    answered = postgres.execute("SELECT matches(?, ?)", (patterns, event_type)).fetchone()[0]
    assert answered == (patterns is None or matches(patterns, event_type))


def test_matching_is_planned_within_the_statement(postgres: PostgresConnection) -> None:
    make_partitions(postgres, since_ms=NOW_MS, until_ms=NOW_MS)
    plan = postgres.execute("EXPLAIN SELECT seq FROM event WHERE matches('a.*', event_type)")
    text = "\n".join(row[0] for row in plan)
    assert "matches(" not in text
    # All that does not depend on the row is done once.
    assert "replace" not in text
