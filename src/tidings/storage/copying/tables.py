"""The tables that are copied, as the databases themselves describe them, and their rows.

A row is the same in both databases but for two things. The shard of a delivery is computed anew:
rows that are older than shards have none. And what PostgreSQL cannot hold in a text, a NUL
character, becomes the character that stands for what cannot be shown.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from tidings.core.identifier import id_made_at_ms, seq_drawn_at_ms
from tidings.core.ownership import shard_of
from tidings.storage.faults import DatabaseUnfit
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.postgres.partitions import DAY_MS, LOG
from tidings.storage.sql.database import fetch_all
from tidings.storage.sqlite.statements import SqliteConnection

Row = tuple[Any, ...]

_TYPES: Final = {"INTEGER": "i", "TEXT": "t", "BLOB": "b", "REAL": "f"}
_TYPES_THERE: Final = {"bigint": "i", "text": "t", "bytea": "b", "double precision": "f"}
_COLUMNS_THERE: Final = (
    "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a"
    " WHERE a.attrelid = to_regclass(?) AND a.attnum > 0 AND NOT a.attisdropped"
)
_TABLES: Final = (
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
)
LAST: Final = "configuration"
"""The table that makes a database what it is: copied when all others are."""
SEEDED: Final = ("configuration", "event_span")
"""Tables of one row, which is there from the beginning."""


class Table(msgspec.Struct, frozen=True):
    """A table that both databases have. `types` are those of `Database.execute_many`."""

    name: str
    columns: tuple[str, ...]
    types: str
    key: tuple[str, ...]

    @property
    def all_columns(self) -> str:
        """Its columns as a statement lists them."""
        return ", ".join(map(_quoted, self.columns))

    @property
    def order(self) -> str:
        """Its key as a statement lists it."""
        return ", ".join(map(_quoted, self.key))

    @property
    def after(self) -> str:
        """The condition on rows behind a key."""
        return f"({self.order}) > ({', '.join('?' * len(self.key))})"

    def key_of(self, row: Sequence[Any]) -> list[Any]:
        """The key of a row."""
        return [row[self.columns.index(name)] for name in self.key]

    def there(self, row: Sequence[Any]) -> Row:
        """A row of SQLite as PostgreSQL is to have it."""
        values = list(row)
        for place, value in enumerate(values):
            if isinstance(value, str) and "\0" in value:
                values[place] = value.replace("\0", "\N{REPLACEMENT CHARACTER}")
        if "shard" in self.columns:
            subscription_id = values[self.columns.index("subscription_id")]
            values[self.columns.index("shard")] = shard_of(subscription_id)
        return tuple(values)

    def days(self, rows: Sequence[Row]) -> set[int]:
        """The days of the log on which rows lie; none unless it is a log."""
        if self.name not in LOG:
            return set()
        if self.name == "event":
            place = self.columns.index("seq")
            return {seq_drawn_at_ms(row[place]) // DAY_MS for row in rows}
        place = self.columns.index("delivery_id")
        return {id_made_at_ms(row[place]) // DAY_MS for row in rows}


def tables_of(source: SqliteConnection) -> list[Table]:
    """All tables of a database on SQLite, that of the configuration as the last one."""
    names = [row[0] for row in source.execute(_TABLES)]
    return [_table_of(source, name) for name in sorted(names, key=lambda name: name == LAST)]


def see_that_they_fit(tables: Sequence[Table], target: PostgresConnection) -> None:
    """See that the target has the same columns. Raises `DatabaseUnfit`."""
    for table in tables:
        there = {
            name: _TYPES_THERE.get(of_type, of_type)
            for name, of_type in fetch_all(target, _COLUMNS_THERE, (table.name,))
        }
        if there != dict(zip(table.columns, table.types, strict=True)):
            raise DatabaseUnfit(f"the table {table.name} has other columns in PostgreSQL")


def count(source: SqliteConnection, table: Table) -> int:
    """How many rows a table has."""
    row = source.execute(f"SELECT count(*) FROM {_quoted(table.name)}").fetchone()
    assert row is not None
    return int(row[0])


def rows_of(
    source: SqliteConnection, table: Table, after: Sequence[Any] | None = None
) -> Iterator[Row]:
    """The rows of a table in the order of their keys, as PostgreSQL is to have them."""
    where = "" if after is None else f" WHERE {table.after}"
    found = source.execute(
        f"SELECT {table.all_columns} FROM {_quoted(table.name)}{where} ORDER BY {table.order}",
        tuple(after or ()),
    )
    return map(table.there, found)


def _table_of(source: SqliteConnection, name: str) -> Table:
    described = list(source.execute("SELECT name, type, pk FROM pragma_table_info(?)", (name,)))
    key = sorted((place, column) for column, _, place in described if place)
    return Table(
        name,
        tuple(str(column) for column, _, _ in described),
        "".join(_TYPES[str(of_type)] for _, of_type, _ in described),
        tuple(str(column) for _, column in key),
    )


def _quoted(name: str) -> str:
    return f'"{name}"'
