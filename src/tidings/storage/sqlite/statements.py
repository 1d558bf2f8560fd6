"""Statements over many rows at once.

The database gives up Python's global lock at every step of a statement, and getting it back beside
a busy thread is slow. So a batch is one statement over many rows, never many statements. The sizes
are few, so that the prepared statements stay in the cache.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

import apsw

from tidings.storage.sqlite.connection import Rows

_CHUNK_SIZES: Final = (256, 64, 16, 4, 1)


def values(rows: int, columns: int) -> str:
    """The text of a VALUES clause."""
    row = "(" + ",".join("?" * columns) + ")"
    return "VALUES " + ",".join([row] * rows)


def fetch_all(db: apsw.Connection, sql: str, bindings: Sequence[Any] = ()) -> Rows:
    """All rows that a statement answers."""
    return db.execute(sql, bindings).fetchall()


def fetch_one(db: apsw.Connection, sql: str, bindings: Sequence[Any] = ()) -> Any:
    """The first row that a statement answers, or None."""
    return db.execute(sql, bindings).fetchone()


def execute_many(
    db: apsw.Connection, before: str, rows: Sequence[Sequence[Any]], after: str = ""
) -> Rows:
    """Run ``before VALUES (…),(…) after`` over all rows; answers what is returned."""
    answered: Rows = []
    for chunk in _chunks(rows):
        sql = f"{before} {values(len(chunk), len(chunk[0]))} {after}"
        answered += db.execute(sql, list(chain.from_iterable(chunk))).fetchall()
    return answered


def _chunks(rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    start = 0
    for size in _CHUNK_SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size
