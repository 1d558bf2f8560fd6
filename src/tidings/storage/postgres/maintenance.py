"""What an operator does with a PostgreSQL database: migrate, check and look into it, seal it anew.

Backups are the business of PostgreSQL's own programs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from tidings.core import limits
from tidings.storage.faults import DatabaseInUse, DatabaseUnfit
from tidings.storage.postgres import copy_mark
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.postgres.migrate import check_server, require_tables
from tidings.storage.postgres.migrate import migrate as take_steps
from tidings.storage.postgres.partitions import DAY_MS, make_partitions_ahead, missing_partitions
from tidings.storage.sealing import Sealer
from tidings.storage.sql import maintenance as sql
from tidings.storage.sql.database import fetch_all, fetch_one
from tidings.storage.sql.reencryption import SEALED, Reencrypted, is_sealed_with, seal_all
from tidings.storage.sql.store import check_key

LONG_MS: Final = 3_600_000
"""How long a statement may take that nobody but the operator waits for."""
_DAYS_AHEAD_MIN: Final = limits.PARTITION_DAYS_AHEAD // 2
_SHOWN_MAX: Final = 3
_LIVE_SESSIONS: Final = "SELECT count(*) FROM worker WHERE expires_at > clock_timestamp()"
_INVALID_INDEXES: Final = (
    "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace"
    " ORDER BY c.relname"
)


def migrate(url: str, *, now_ms: int) -> list[str]:
    """Bring the tables up to date, make the days of the log ahead; answers the steps taken.

    It may run while servers do. Raises as `migrate.migrate` does.
    """
    with connected(url) as db:
        steps = take_steps(db)
        make_partitions_ahead(db, now_ms)
        return steps


def check(url: str, *, now_ms: int) -> list[str]:
    """What is wrong with the database; nothing when it is sound. Raises `StoreUnavailable`."""
    with connected(url) as db:
        try:
            check_server(db)
            require_tables(db)
        except DatabaseUnfit as fault:
            return [str(fault)]
        return [
            *_unfinished_copy(db),
            *_lacking_rows(db),
            *sql.lost_rows(db),
            *_lacking_days(db, now_ms),
            *(f"the index {row[0]} is not valid" for row in fetch_all(db, _INVALID_INDEXES)),
        ]


def audit(url: str, *, tenant_id: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest audit records as JSON shows them, newest first; `tenant_id` None means all."""
    with connected(url) as db:
        require_tables(db)
        return sql.audit(db, tenant_id=tenant_id, limit=limit)


def keys(url: str) -> list[dict[str, Any]]:
    """All API keys with the moment at which each was last used, newest first."""
    with connected(url) as db:
        require_tables(db)
        return sql.keys(db)


def reencrypt(
    url: str, old_key: bytes, new_key: bytes, progress: Callable[[int, int], None]
) -> Reencrypted:
    """Seal everything anew; `progress` is told values done and values in all.

    It is one transaction: at every moment the database opens with exactly one of the two keys. In
    one that opens with the new key nothing is sealed anew. At last the tables are written anew,
    because what was sealed with the old key is left in rows that are not in use. Raises
    `DatabaseInUse` while a worker lives, `WrongKey` when neither key is the right one, and
    `StoreUnavailable`.
    """
    with connected(url) as db:
        require_tables(db)
        done = Reencrypted(0, [])
        if not is_sealed_with(db, new_key):
            db.begin()
            # No worker may begin meanwhile, and nobody may publish or change anything.
            db.run_script("LOCK TABLE worker IN SHARE ROW EXCLUSIVE MODE")
            db.execute("SELECT version FROM configuration WHERE id = 1 FOR UPDATE")
            refuse_live_workers(db)
            check_key(db, Sealer(old_key))
            done = seal_all(db, Sealer(new_key, old_key), progress)
            db.commit()
        for table in dict.fromkeys(one.table for one in SEALED):
            db.run_script(f"VACUUM (FULL) {table}", seconds=LONG_MS / 1_000)
    return done


def refuse_live_workers(db: PostgresConnection) -> None:
    """Go on only if no worker is at work. Raises `DatabaseInUse`."""
    (live,) = fetch_one(db, _LIVE_SESSIONS)
    if live:
        raise DatabaseInUse(
            f"{live} workers are at work on this database; stop all its servers, and wait "
            f"{limits.LEASE_MS // 1_000} seconds for one that was killed"
        )


@contextmanager
def connected(url: str) -> Iterator[PostgresConnection]:
    """A connection whose statements may take long; what was not committed is undone at the end."""
    db = PostgresConnection(url, statement_ms=LONG_MS)
    try:
        yield db
    finally:
        db.rollback()
        db.close()


def _unfinished_copy(db: PostgresConnection) -> list[str]:
    return [copy_mark.UNFINISHED] if copy_mark.is_there(db) else []


def _lacking_rows(db: PostgresConnection) -> list[str]:
    """Rows that stand there from the first migration on."""
    configuration, span, shards = fetch_one(
        db,
        "SELECT (SELECT count(*) FROM configuration), (SELECT count(*) FROM event_span),"
        " (SELECT count(*) FROM shard WHERE shard >= 0 AND shard < ?)",
        (limits.SHARDS,),
    )
    wanted = {"configuration": (configuration, 1), "event_span": (span, 1)}
    wanted["shard"] = (shards, limits.SHARDS)
    return [
        f"the table {table} has {found} rows instead of {count}"
        for table, (found, count) in wanted.items()
        if found != count
    ]


def _lacking_days(db: PostgresConnection, now_ms: int) -> list[str]:
    missing = missing_partitions(db, since_ms=now_ms, until_ms=now_ms + _DAYS_AHEAD_MIN * DAY_MS)
    if not missing:
        return []
    shown = ", ".join(missing[:_SHOWN_MAX]) + (", …" if len(missing) > _SHOWN_MAX else "")
    fault = f"{len(missing)} partitions for the coming days are missing ({shown})"
    return [f"{fault}: no worker makes them; `tidings database migrate` does as well"]
