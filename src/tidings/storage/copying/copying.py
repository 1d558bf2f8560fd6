"""A whole installation on SQLite, copied into an empty PostgreSQL database, and checked.

Rows go over in the order of their keys, a chunk in a transaction, which also notes how far it is:
cut short anywhere, the same is called again and goes on. Until the copy was found to be the same,
the target is marked and no server begins on it. The source stays as it is.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

import asyncpg
import msgspec

from tidings.storage.copying.checking import CheckedTable, checked
from tidings.storage.copying.tables import (
    SEEDED,
    Row,
    Table,
    count,
    rows_of,
    see_that_they_fit,
    tables_of,
)
from tidings.storage.faults import DatabaseUnfit
from tidings.storage.postgres import copy_mark
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.postgres.copy_mark import CopiedTable
from tidings.storage.postgres.maintenance import LONG_MS, connected, refuse_live_workers
from tidings.storage.postgres.migrate import migrate
from tidings.storage.postgres.partitions import DAY_MS, make_partitions, make_partitions_ahead
from tidings.storage.sealing import Sealer
from tidings.storage.sql.database import fetch_one, replacing
from tidings.storage.sql.store import check_key
from tidings.storage.sqlite.connection import connect, our_words
from tidings.storage.sqlite.statements import SqliteConnection
from tidings.storage.sqlite.store import migrate_file

CHUNK_ROWS: Final = 1_000
CHUNK_BYTES: Final = 4 * 1024 * 1024
_ROW_BYTES: Final = 200
"""What a row counts besides its longer values."""


def copy(
    path: Path, url: str, *, key: bytes, now_ms: int, progress: Callable[[int, int], object]
) -> list[CheckedTable]:
    """Copy the database file, which the caller has locked, and check; answers all tables.

    `progress` is told rows done and rows in all, of which each is copied and checked. If a table is
    not the same, the target stays marked. Raises `WrongKey`, `DatabaseTooNew`, `DatabaseInUse` when
    somebody works with the target, `DatabaseUnfit` when it holds something else or the source has
    changed since the copy was begun, and `StoreUnavailable`.
    """
    migrate_file(path)
    source = connect(path)
    try:
        with our_words(), connected(url) as target:
            check_key(source, Sealer(key))
            source.execute("PRAGMA query_only = ON")
            source.execute("BEGIN")
            migrate(target)
            copying = _Copying(source, target, progress)
            copying.run()
            check_key(target, Sealer(key))
            make_partitions_ahead(target, now_ms)
            return copying.check()
    finally:
        source.close()


class _Copying:
    """The source at one moment, and the target."""

    def __init__(
        self,
        source: SqliteConnection,
        target: PostgresConnection,
        progress: Callable[[int, int], object],
    ) -> None:
        self._source = source
        self._target = target
        self._tables = tables_of(source)
        self._days: set[int] = set()
        self._progress = progress
        self._done = 0
        self._total = 0

    def run(self) -> None:
        """Copy what is not copied yet."""
        see_that_they_fit(self._tables, self._target)
        marked = self._begun()
        self._total = 2 * sum(one.total for one in marked.values())
        for table in self._tables:
            self._reached(marked[table.name].copied)
            self._copy(table, marked[table.name])

    def check(self) -> list[CheckedTable]:
        """Compare all tables, and let servers begin if each is the same."""
        # What is planned before the server has looked at the tables by itself would be planned ill.
        names = ", ".join(f'"{table.name}"' for table in self._tables)
        self._target.run_script(f"ANALYZE {names}", seconds=LONG_MS / 1_000)
        found = [checked(self._source, self._target, one, self._reached) for one in self._tables]
        if all(one.is_same for one in found):
            copy_mark.end(self._target)
        return found

    def _begun(self) -> dict[str, CopiedTable]:
        """How far each table is: begin the copy, or go on with one that was cut short."""
        target = self._target
        totals = [(table.name, count(self._source, table)) for table in self._tables]
        name = _name_of(self._source)
        target.begin()
        # Whoever comes second finds the mark of the first.
        target.execute("SELECT version FROM configuration WHERE id = 1 FOR UPDATE")
        refuse_live_workers(target)
        if not copy_mark.is_there(target):
            self._refuse_what_is_there()
            copy_mark.begin(target, name, totals)
        copied, marked = copy_mark.progress(target)
        target.commit()
        if copied != name or [(one, marked[one].total) for one, _ in totals] != totals:
            raise DatabaseUnfit(
                "a copy of another database was begun there, or this one has changed since; begin "
                "with an empty database"
            )
        return marked

    def _refuse_what_is_there(self) -> None:
        version, last_seq, sealed, deleted_seq = fetch_one(
            self._target,
            "SELECT c.version, c.last_seq, c.sealed_check, s.deleted_seq"
            " FROM configuration c CROSS JOIN event_span s",
        )
        full = [
            table.name
            for table in self._tables
            if table.name not in SEEDED
            and fetch_one(self._target, f'SELECT EXISTS (SELECT 1 FROM "{table.name}")')[0]
        ]
        if full or (version, last_seq, sealed, deleted_seq) != (0, 0, None, 0):
            what = f"rows in {', '.join(full)}" if full else "what a server has begun"
            raise DatabaseUnfit(f"the target holds something already ({what}); it must be empty")

    def _copy(self, table: Table, marked: CopiedTable) -> None:
        insert = f'INSERT INTO "{table.name}" ({table.all_columns})'
        instead = replacing(table.order, table.all_columns) if table.name in SEEDED else ""
        for rows in _chunks(table, rows_of(self._source, table, marked.reached)):
            self._make_days(table.days(rows))
            copied, key = marked.copied + len(rows), table.key_of(rows[-1])
            self._target.begin()
            copy_mark.reach(self._target, marked, copied=copied, key=key)
            try:
                self._target.execute_many(insert, rows, instead, types=table.types)
            except asyncpg.UniqueViolationError as fault:
                raise DatabaseUnfit(
                    f"somebody has written to the table {table.name} meanwhile; begin with an "
                    "empty database"
                ) from fault
            self._target.commit()
            marked = msgspec.structs.replace(marked, copied=copied, reached=tuple(key))
            self._reached(len(rows))

    def _make_days(self, days: set[int]) -> None:
        for day in sorted(days - self._days):
            make_partitions(self._target, since_ms=day * DAY_MS, until_ms=day * DAY_MS)
        self._days |= days

    def _reached(self, rows: int) -> None:
        self._done += rows
        self._progress(self._done, self._total)


def _name_of(source: SqliteConnection) -> str:
    """What tells this database, in this state, from others: its seal is like no other."""
    row = source.execute(
        "SELECT sealed_check, version, last_seq, deleted_seq FROM configuration, event_span"
    ).fetchone()
    return sha256(msgspec.msgpack.encode(row)).hexdigest()


def _chunks(table: Table, rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Rows as they go over together: some thousand, or few large ones."""
    long = [place for place, letter in enumerate(table.types) if letter in "bt"]
    chunk: list[Row] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += _ROW_BYTES + sum(len(row[place]) for place in long if row[place] is not None)
        if len(chunk) == CHUNK_ROWS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
