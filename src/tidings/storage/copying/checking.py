"""Whether a copy is the same: all rows of both databases in the order of their keys, as checksums.

Every column counts. Bytes count as their hash, so that PostgreSQL sends no bodies back.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any, Final

import msgspec

from tidings.storage.copying.tables import Row, Table, rows_of
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.sql.database import fetch_all
from tidings.storage.sqlite.statements import SqliteConnection

ROWS_AT_ONCE: Final = 1_000
_encode: Final = msgspec.msgpack.Encoder().encode


class Tally(msgspec.Struct, frozen=True):
    """How many rows there are, and the checksum of all of them."""

    rows: int
    checksum: str


class CheckedTable(msgspec.Struct, frozen=True):
    """A table in both databases."""

    name: str
    here: Tally
    there: Tally

    @property
    def is_same(self) -> bool:
        """Whether the copy has the same rows."""
        return self.here == self.there


def checked(
    source: SqliteConnection,
    target: PostgresConnection,
    table: Table,
    reached: Callable[[int], None],
) -> CheckedTable:
    """Read a table in both databases; `reached` is told how many more rows were read."""
    here = _tally(_hashed(table, rows_of(source, table)), reached)
    return CheckedTable(table.name, here, _tally(_rows_there(target, table), lambda _: None))


def _tally(rows: Iterable[Row], reached: Callable[[int], None]) -> Tally:
    digest = sha256()
    count = 0
    for count, row in enumerate(rows, start=1):
        digest.update(_encode(row))
        if count % ROWS_AT_ONCE == 0:
            reached(ROWS_AT_ONCE)
    reached(count % ROWS_AT_ONCE)
    return Tally(count, digest.hexdigest())


def _hashed(table: Table, rows: Iterable[Row]) -> Iterator[Row]:
    hashed = [place for place, letter in enumerate(table.types) if letter == "b"]
    if not hashed:
        yield from rows
        return
    for row in rows:
        values: list[Any] = list(row)
        for place in hashed:
            if values[place] is not None:
                values[place] = sha256(values[place]).digest()
        yield tuple(values)


def _rows_there(target: PostgresConnection, table: Table) -> Iterator[Row]:
    columns = ", ".join(
        f'sha256("{name}")' if letter == "b" else f'"{name}"'
        for name, letter in zip(table.columns, table.types, strict=True)
    )
    select = f'SELECT {columns} FROM "{table.name}"'
    end = f" ORDER BY {table.order} LIMIT {ROWS_AT_ONCE}"
    page = fetch_all(target, select + end)
    while page:
        yield from map(tuple, page)
        key = table.key_of(page[-1])
        page = fetch_all(target, f"{select} WHERE {table.after}{end}", key)
