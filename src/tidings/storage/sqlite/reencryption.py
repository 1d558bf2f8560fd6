"""Sealing everything anew under another key: all of it in one transaction, or nothing.

At every moment the database opens with exactly one of the two keys: the old one until the commit,
the new one from then on. What it holds sealed is listed here; a test finds the columns.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw

from tidings.storage.sealing import CannotOpen, Sealer
from tidings.storage.sql.database import fetch_all, fetch_one
from tidings.storage.sql.store import CHECK_OWNER, check_key
from tidings.storage.sqlite.connection import connect, our_words
from tidings.storage.sqlite.statements import SqliteConnection
from tidings.storage.sqlite.store import migrate_file

_ROWS_AT_ONCE: Final = 500
_VALUES_A_STEP: Final = 100


class SealedColumn(NamedTuple):
    """Where sealed values stand: the key of a row, and how what it belongs to is written."""

    table: str
    column: str
    key: tuple[str, ...]
    owner: str


SEALED: Final = (
    SealedColumn("configuration", "sealed_check", ("id",), f"'{CHECK_OWNER}'"),
    SealedColumn(
        "subscription",
        "sealed_headers",
        ("subscription_id",),
        "'headers:' || tenant_id || ':' || subscription_id",
    ),
    SealedColumn(
        "signing_secret",
        "sealed_secret",
        ("subscription_id", "position"),
        "'secret:' || (SELECT tenant_id FROM subscription s"
        " WHERE s.subscription_id = signing_secret.subscription_id) || ':' || subscription_id",
    ),
    SealedColumn(
        "idempotent_request",
        "sealed_answer",
        ("tenant_id", "request_key"),
        "'idempotent_request:' || tenant_id || ':' || request_key",
    ),
)


class Reencrypted(NamedTuple):
    """How many values were sealed anew, and what those belong to that could not be opened."""

    sealed: int
    unopened: list[str]


def key_fits(path: Path, key: bytes) -> bool:
    """Whether the database there was sealed with this key. Raises `StoreUnavailable`."""
    if not path.exists():
        return False
    db = connect(path, reads_only=True)
    try:
        with our_words():
            sealed = fetch_one(db, "SELECT sealed_check FROM configuration WHERE id = 1")[0]
        return sealed is not None and _opens(Sealer(key), sealed)
    finally:
        db.close()


def reencrypt(
    path: Path, old_key: bytes, new_key: bytes, progress: Callable[[int, int], None]
) -> Reencrypted:
    """Seal everything anew; `progress` is told values done and values in all.

    The caller holds the lock of the database. What the old key does not open stays as it is: it is
    no more lost than before. In a database that opens with the new key nothing is sealed anew. At
    last the file is written anew, because what was sealed with the old key is left in parts that
    are not in use; that needs as much room again. Raises `WrongKey` when neither key is the right
    one, and `StoreUnavailable`.
    """
    migrate_file(path)
    done = Reencrypted(0, [])
    is_sealed = key_fits(path, new_key)
    db = connect(path)
    try:
        if not is_sealed:
            check_key(db, Sealer(old_key))
        with our_words():
            if not is_sealed:
                with db:
                    done = _seal_all(db, Sealer(new_key, old_key), progress)
            db.execute("VACUUM")
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    finally:
        db.close()
    return done


def _seal_all(
    db: SqliteConnection, sealer: Sealer, progress: Callable[[int, int], None]
) -> Reencrypted:
    total = sum(
        fetch_one(db, f"SELECT count(*) FROM {one.table} WHERE {one.column} IS NOT NULL")[0]
        for one in SEALED
    )
    count, unopened = 0, []
    for column in SEALED:
        names = " AND ".join(f"{name} = ?" for name in column.key)
        update = f"UPDATE {column.table} SET {column.column} = ? WHERE {names}"
        for owner, sealed, *key in _rows(db, column):
            try:
                anew = sealer.seal(sealer.open(sealed, owner), owner)
            except CannotOpen:
                unopened.append(owner)
            else:
                db.execute(update, (anew, *key))
                count += 1
            if (count + len(unopened)) % _VALUES_A_STEP == 0:
                progress(count + len(unopened), total)
    progress(total, total)
    return Reencrypted(count, unopened)


def _rows(db: SqliteConnection, column: SealedColumn) -> Iterator[tuple[Any, ...]]:
    """What a value belongs to, the value, and the key of its row; for every value."""
    key = ", ".join(column.key)
    sql = (
        f"SELECT coalesce({column.owner}, ''), {column.column}, {key} FROM {column.table}"
        f" WHERE {column.column} IS NOT NULL AND (?1 OR ({key}) > ({{after}}))"
        f" ORDER BY {key} LIMIT {_ROWS_AT_ONCE}"
    ).format(after=", ".join(f"?{place}" for place in range(2, 2 + len(column.key))))
    page = fetch_all(db, sql, (1, *("",) * len(column.key)))
    while page:
        yield from page
        page = fetch_all(db, sql, (0, *page[-1][2:]))


def _opens(sealer: Sealer, sealed: bytes) -> bool:
    try:
        sealer.open(sealed, CHECK_OWNER)
    except CannotOpen:
        return False
    return True
