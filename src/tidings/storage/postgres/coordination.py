"""Sessions and shards in PostgreSQL: carries out what `core.ownership` decides.

Each statement of it is one transaction. Whether a lease is over is decided by the database's clock
alone. Whoever writes for a shard begins its transaction with `has_session`: that keeps the session
until the commit, so that it cannot be ended, and its shards cannot be claimed, in between.
"""

from collections.abc import Collection, Mapping
from typing import Final

from tidings.core import limits
from tidings.core.ownership import (
    ClaimShards,
    CloseSession,
    EndSession,
    Observation,
    OpenSession,
    ReleaseShards,
    RenewSession,
    ShardRow,
    Statement,
)
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.sql.database import Database

COORDINATION_STATEMENT_MS: Final = limits.COORDINATION_TIMEOUT_MS - limits.SERVER_SILENT_MS

_SILENCE: Final = f"clock_timestamp() + interval '{limits.LOST_OWNER_SILENCE_MS} milliseconds'"
_EXPIRY: Final = f"clock_timestamp() + interval '{limits.LEASE_MS} milliseconds'"
# Rows are locked in the order of shards, so that nobody who wants the same ones waits for ever.
_SEEN: Final = "WITH locked AS (SELECT shard.shard, seen.session FROM shard JOIN ("
_CLAIMED: Final = (
    ") AS seen (shard, owner, version, session) USING (shard)"
    " WHERE shard.version = seen.version AND shard.owner IS NOT DISTINCT FROM seen.owner"
    " AND NOT EXISTS (SELECT 1 FROM worker WHERE worker.session = shard.owner)"
    " ORDER BY shard.shard FOR UPDATE OF shard)"
    " UPDATE shard SET owner = locked.session, version = version + 1, silent_until ="
    f" CASE WHEN shard.owner IS NULL THEN shard.silent_until ELSE {_SILENCE} END FROM locked"
    " WHERE shard.shard = locked.shard RETURNING shard.shard, shard.version"
)
_RELEASED: Final = (
    ") AS seen (shard, version, session) USING (shard)"
    " WHERE shard.version = seen.version AND shard.owner = seen.session"
    " ORDER BY shard.shard FOR UPDATE OF shard)"
    " UPDATE shard SET owner = NULL, version = version + 1 FROM locked"
    " WHERE shard.shard = locked.shard"
)


def coordination_connection(url: str) -> PostgresConnection:
    """A connection that has given up a statement when `core.ownership` does."""
    return PostgresConnection(
        url,
        statement_ms=COORDINATION_STATEMENT_MS,
        lock_ms=COORDINATION_STATEMENT_MS,
        commit_ms=limits.COORDINATION_TIMEOUT_MS,
    )


def coordinate(db: PostgresConnection, statement: Statement) -> object:
    """Carry a statement out in one transaction; answers what `core.ownership` says of it.

    Raises `StoreUnavailable`, after which it may have taken effect or not.
    """
    db.begin()
    try:
        answer = _carry_out(db, statement)
        db.commit()
    finally:
        db.rollback()
    return answer


def has_session(db: PostgresConnection, session: str) -> bool:
    """Whether a session is still there; if so nobody can end it before the transaction ends."""
    sql = "SELECT 1 FROM worker WHERE session = ? FOR KEY SHARE"
    return db.execute(sql, (session,)).fetchone() is not None


def list_silences(db: Database, shards: Collection[int]) -> dict[int, int]:
    """For how many ms more lost owners of these shards may have requests on their way."""
    silences = db.execute(
        "SELECT shard, CEIL(EXTRACT(epoch FROM silent_until - clock_timestamp()) * 1000)::bigint"
        " FROM shard WHERE silent_until > clock_timestamp()"
    ).fetchall()
    return {shard: left_ms for shard, left_ms in silences if shard in shards}


def _carry_out(db: PostgresConnection, statement: Statement) -> object:
    session = statement.session
    match statement:
        case OpenSession():
            db.execute(f"INSERT INTO worker VALUES (?, {_EXPIRY})", (session,))
            return _observe(db)
        case RenewSession():
            sql = f"UPDATE worker SET expires_at = {_EXPIRY} WHERE session = ? RETURNING 1"
            renewed = db.execute(sql, (session,)).fetchone()
            return None if renewed is None else _observe(db)
        case EndSession():
            sql = "DELETE FROM worker WHERE session = ? AND expires_at < clock_timestamp()"
            db.execute(sql, (session,))
        case ClaimShards():
            return _claim(db, statement)
        case ReleaseShards():
            _release(db, statement)
        case CloseSession():
            db.execute("DELETE FROM worker WHERE session = ?", (session,))
    return None


def _observe(db: PostgresConnection) -> Observation:
    """See everything by one statement, after what was changed before it."""
    rows = db.execute(
        "SELECT session, expires_at < clock_timestamp(), NULL::bigint, NULL::bigint FROM worker"
        " UNION ALL SELECT owner, NULL, shard, version FROM shard ORDER BY 3"
    ).fetchall()
    return Observation(
        {session: is_expired for session, is_expired, shard, _ in rows if shard is None},
        [ShardRow(owner, version) for owner, _, shard, version in rows if shard is not None],
    )


def _claim(db: PostgresConnection, statement: ClaimShards) -> Mapping[int, int]:
    if not has_session(db, statement.session):
        return {}
    seen = [
        (shard, row.owner, row.version, statement.session) for shard, row in statement.seen.items()
    ]
    return dict(db.execute_many(_SEEN, seen, _CLAIMED, types="itit"))


def _release(db: PostgresConnection, statement: ReleaseShards) -> None:
    versions = [(*one, statement.session) for one in statement.versions.items()]
    db.execute_many(_SEEN, versions, _RELEASED, types="iit")
