"""What a statement of the store needs of a database: the same words for SQLite and PostgreSQL.

Statements are written once, in what both databases understand. A place for a value is `?`, or `?1`
where one value stands in several places. Two things that SQLite is told about plans mean nothing
elsewhere and are left out there: `CROSS JOIN x ON …` keeps the order of a join, and a plus before a
column keeps an index from being used.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

Row = Sequence[Any]
Rows = list[Any]
"""Rows as a driver answers them: each can be indexed, sliced and unpacked."""


class Cursor(Protocol):
    """What a statement answers."""

    def __iter__(self) -> Iterator[Any]: ...

    def fetchall(self) -> Rows: ...

    def fetchone(self) -> Any: ...


class Database(Protocol):
    """One connection. For one thread only."""

    def execute(self, sql: str, bindings: Any = (), /) -> Cursor:
        """Run one statement."""
        ...

    def execute_many(
        self, before: str, rows: Sequence[Row], after: str = "", *, types: str
    ) -> Rows:
        """Run ``before VALUES (…),(…) after`` over all rows; answers what is returned.

        `types` names the type of each column by a letter: i for integers, t for text, b for bytes,
        f for floating-point numbers. The columns are called `column1`, `column2` and so on.
        """
        ...

    def delete_many(self, table: str, key: str, rows: Sequence[Row], *, types: str) -> Rows:
        """Delete the rows of a table that have these keys; answers the keys that were there.

        `key` names the columns, `types` as in `execute_many`.
        """
        ...


def given(*conditions: tuple[str, Any]) -> tuple[str, list[Any]]:
    """A WHERE clause of those conditions that have a value, and the values."""
    having = [(condition, value) for condition, value in conditions if value is not None]
    clause = " AND ".join(condition for condition, _ in having) or "TRUE"
    return clause, [value for _, value in having]


def replacing(key: str, columns: str) -> str:
    """The end of an INSERT that puts a row in the place of the one with the same key."""
    names = [name for name in (one.strip() for one in columns.split(",")) if name not in key]
    return f" ON CONFLICT ({key}) DO UPDATE SET " + ", ".join(
        f"{name} = excluded.{name}" for name in names
    )


def fetch_all(db: Database, sql: str, bindings: Sequence[Any] = ()) -> Rows:
    """All rows that a statement answers."""
    return db.execute(sql, bindings).fetchall()


def fetch_one(db: Database, sql: str, bindings: Sequence[Any] = ()) -> Any:
    """The first row that a statement answers, or None."""
    return db.execute(sql, bindings).fetchone()
