"""Statements over many rows at once, in SQLite.

The database gives up Python's global lock at every step of a statement, which a row that it answers
is as well, and getting it back beside a busy thread is slow. So a batch is one statement over many
rows, never many statements, and answers rows only where they tell something. The sizes are few, so
that the prepared statements stay in the cache.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

import apsw

from tidings.storage.sql.database import Row, Rows

_CHUNK_SIZES: Final = (256, 128, 64, 32, 16, 8, 7, 6, 5, 4, 3, 2, 1)


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
            sql = f"{before} {_values(chunk)} {after}"
            answered += self.execute(sql, _bindings(chunk)).fetchall()
        return answered

    def delete_many(
        self,
        table: str,
        key: str,
        rows: Sequence[Row],
        *,
        types: str,  # noqa: ARG002 - SQLite takes the types from the values
    ) -> Rows:
        """See `Database`."""
        deleted: list[Any] = []
        for chunk in _chunks(rows):
            those = f"FROM {table} WHERE ({key}) IN ({_values(chunk)})"
            bindings = _bindings(chunk)
            (found,) = next(self.execute(f"SELECT count(*) {those}", bindings))
            if found == len(chunk):
                # As nearly always; then there is no need to have them told one by one.
                self.execute(f"DELETE {those}", bindings)
                deleted += chunk
            elif found:
                deleted += self.execute(f"DELETE {those} RETURNING {key}", bindings).fetchall()
        return deleted


def _values(rows: Sequence[Row]) -> str:
    row = "(" + ",".join("?" * len(rows[0])) + ")"
    return "VALUES " + ",".join([row] * len(rows))


def _bindings(rows: Sequence[Row]) -> list[Any]:
    return list(chain.from_iterable(rows))


def _chunks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    start = 0
    for size in _CHUNK_SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size
