"""Statements over many rows at once, in SQLite.

The database gives up Python's global lock at every step of a statement, and getting it back beside
a busy thread is slow. So a batch is one statement over many rows, never many statements. The sizes
are few, so that the prepared statements stay in the cache.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

import apsw

from tidings.storage.sql.database import Row, Rows

_CHUNK_SIZES: Final = (256, 64, 16, 4, 1)


class SqliteConnection(apsw.Connection):
    """A connection that the statements of the store run on."""

    def execute_many(
        self,
        before: str,
        rows: Sequence[Row],
        after: str = "",
        *,
        types: str,  # noqa: ARG002 - SQLite takes the types from the values
    ) -> Rows:
        """See `Database`."""
        answered: list[Any] = []
        for chunk in _chunks(rows):
            sql = f"{before} {_values(len(chunk), len(chunk[0]))} {after}"
            answered += self.execute(sql, list(chain.from_iterable(chunk))).fetchall()
        return answered


def _values(rows: int, columns: int) -> str:
    row = "(" + ",".join("?" * columns) + ")"
    return "VALUES " + ",".join([row] * rows)


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    start = 0
    for size in _CHUNK_SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size
