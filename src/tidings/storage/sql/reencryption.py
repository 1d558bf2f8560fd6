"""What a database holds sealed, and sealing it anew under another key; a test finds the columns."""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from tidings.storage.sealing import CannotOpen, Sealer
from tidings.storage.sql.database import Database, Rows, fetch_all, fetch_one
from tidings.storage.sql.store import CHECK_OWNER

_ROWS_AT_ONCE: Final = 100


class SealedColumn(NamedTuple):
    """Where sealed values stand: the key of a row, and how what it belongs to is written.

    `types` are those of the key, as `Database.execute_many` names them.
    """

    table: str
    column: str
    key: tuple[str, ...]
    types: str
    owner: str


SEALED: Final = (
    SealedColumn("configuration", "sealed_check", ("id",), "i", f"'{CHECK_OWNER}'"),
    SealedColumn(
        "subscription",
        "sealed_headers",
        ("subscription_id",),
        "t",
        "'headers:' || tenant_id || ':' || subscription_id",
    ),
    SealedColumn(
        "signing_secret",
        "sealed_secret",
        ("subscription_id", "position"),
        "ti",
        "'secret:' || (SELECT tenant_id FROM subscription s"
        " WHERE s.subscription_id = signing_secret.subscription_id) || ':' || subscription_id",
    ),
    SealedColumn(
        "idempotent_request",
        "sealed_answer",
        ("tenant_id", "request_key"),
        "tt",
        "'idempotent_request:' || tenant_id || ':' || request_key",
    ),
)


class Reencrypted(NamedTuple):
    """How many values were sealed anew, and what those belong to that could not be opened."""

    sealed: int
    unopened: list[str]


def is_sealed_with(db: Database, key: bytes) -> bool:
    """Whether the database was sealed with this key."""
    (sealed,) = fetch_one(db, "SELECT sealed_check FROM configuration WHERE id = 1")
    if sealed is None:
        return False
    try:
        Sealer(key).open(sealed, CHECK_OWNER)
    except CannotOpen:
        return False
    return True


def seal_all(db: Database, sealer: Sealer, progress: Callable[[int, int], None]) -> Reencrypted:
    """Seal everything anew in the transaction under way.

    `sealer` opens with the old key as well. What it does not open stays as it is: it is no more
    lost than before. `progress` is told values done and values in all.
    """
    total = sum(
        fetch_one(db, f"SELECT count(*) FROM {one.table} WHERE {one.column} IS NOT NULL")[0]
        for one in SEALED
    )
    count, unopened = 0, []
    for column in SEALED:
        for page in _pages(db, column):
            anew = []
            for owner, sealed, *key in page:
                try:
                    anew.append((sealer.seal(sealer.open(sealed, owner), owner), *key))
                except CannotOpen:
                    unopened.append(owner)
            _put(db, column, anew)
            count += len(anew)
            progress(count + len(unopened), total)
    progress(total, total)
    return Reencrypted(count, unopened)


def _put(db: Database, column: SealedColumn, rows: list[tuple[Any, ...]]) -> None:
    names = " AND ".join(
        f"{column.table}.{name} = column{place}" for place, name in enumerate(column.key, start=2)
    )
    db.execute_many(
        f"UPDATE {column.table} SET {column.column} = column1 FROM (",
        rows,
        f") AS anew WHERE {names}",
        types="b" + column.types,
    )


def _pages(db: Database, column: SealedColumn) -> Iterator[Rows]:
    """What a value belongs to, the value, and the key of its row; for every value."""
    key = ", ".join(column.key)
    select = (
        f"SELECT coalesce({column.owner}, ''), {column.column}, {key} FROM {column.table}"
        f" WHERE {column.column} IS NOT NULL"
    )
    end = f" ORDER BY {key} LIMIT {_ROWS_AT_ONCE}"
    after = f" AND ({key}) > ({', '.join('?' * len(column.key))})"
    page = fetch_all(db, select + end)
    while page:
        yield page
        page = fetch_all(db, select + after + end, page[-1][2:])
