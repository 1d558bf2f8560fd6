"""The mark of a copy that is not finished: how far it is, and that no server may begin before.

It is a table that is there only meanwhile. Each part of the copy and its line here are of one
transaction, so that a copy which was cut short goes on where it stopped.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tidings.storage.faults import DatabaseInUse, DatabaseUnfit
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.sql.database import fetch_all, fetch_one

UNFINISHED: Final = (
    "a copy into this database is not finished: run `tidings database copy` again, or begin with "
    "an empty database"
)
_CREATE: Final = """
CREATE TABLE unfinished_copy (
    table_name text COLLATE "C" PRIMARY KEY,
    source text COLLATE "C" NOT NULL,
    total bigint NOT NULL,
    copied bigint NOT NULL DEFAULT 0,
    reached text COLLATE "C"
)
"""


class CopiedTable(msgspec.Struct, frozen=True):
    """How far one table is: rows in all, rows copied, and the key of the last one of these."""

    name: str
    total: int
    copied: int
    reached: tuple[Any, ...] | None


def is_there(db: PostgresConnection) -> bool:
    """Whether a copy was begun and is not finished."""
    return bool(fetch_one(db, "SELECT to_regclass('unfinished_copy') IS NOT NULL")[0])


def refuse_unfinished(db: PostgresConnection) -> None:
    """Go on only if no copy is under way. Raises `DatabaseUnfit`."""
    if is_there(db):
        raise DatabaseUnfit(UNFINISHED)


def begin(db: PostgresConnection, source: str, totals: Sequence[tuple[str, int]]) -> None:
    """Mark that a copy begins: of which source, and how many rows each table has there."""
    db.run_script(_CREATE)
    rows = [(name, source, total) for name, total in totals]
    db.execute_many("INSERT INTO unfinished_copy (table_name, source, total)", rows, types="tti")


def progress(db: PostgresConnection) -> tuple[str, dict[str, CopiedTable]]:
    """What is copied, and how far each table is."""
    rows = fetch_all(db, "SELECT table_name, total, copied, reached, source FROM unfinished_copy")
    tables = {
        name: CopiedTable(name, total, copied, None if reached is None else _key_of(reached))
        for name, total, copied, reached, _ in rows
    }
    return rows[0][4], tables


def reach(db: PostgresConnection, table: CopiedTable, *, copied: int, key: Sequence[Any]) -> None:
    """Note what the transaction under way has copied of a table.

    Raises `DatabaseInUse` when somebody else has copied it meanwhile.
    """
    moved = fetch_one(
        db,
        "UPDATE unfinished_copy SET copied = ?, reached = ?"
        " WHERE table_name = ? AND copied = ? RETURNING 1",
        (copied, msgspec.json.encode(key).decode(), table.name, table.copied),
    )
    if moved is None:
        raise DatabaseInUse("another process copies into this database")


def end(db: PostgresConnection) -> None:
    """Let servers begin."""
    db.run_script("DROP TABLE unfinished_copy")


def _key_of(text: str) -> tuple[Any, ...]:
    return tuple(msgspec.json.decode(text))
