"""What an operator does with a database file: migrate, check, look into and back it up."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import msgspec

from tidings.core.identifier import seq_drawn_at_ms
from tidings.core.timestamp import format_timestamp
from tidings.ports.store import StoreUnavailable
from tidings.storage.sql.database import Rows, fetch_all
from tidings.storage.sqlite.connection import ProcessLock, connect, our_words
from tidings.storage.sqlite.store import migrate_file

_PAGES_AT_ONCE = 256
_KEY_MOMENTS = ("createdAt", "expiresAt", "lastUsedAt")


def migrate(path: Path) -> list[str]:
    """Bring the tables up to date; answers the steps taken. Raises `DatabaseInUse`."""
    with alone_with(path):
        return migrate_file(path)


@contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """Keep every other process from working with a database. Raises `DatabaseInUse`."""
    lock = ProcessLock(path)
    try:
        yield
    finally:
        lock.release()


def check(path: Path) -> list[str]:
    """What is wrong with the database file; nothing when it is sound."""
    db = connect(path, reads_only=True)
    try:
        with our_words():
            found = [str(row[0]) for row in db.execute("PRAGMA integrity_check(100)")]
            orphans = db.execute(
                "SELECT count(*) FROM delivery d"
                " WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.seq = d.event_seq)"
            ).fetchone()
    finally:
        db.close()
    faults = [] if found == ["ok"] else found
    if orphans is not None and orphans[0]:
        faults.append(f"{orphans[0]} unfinished deliveries have lost their event")
    return faults


def audit(path: Path, *, tenant_id: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest audit records as JSON shows them, newest first; `tenant_id` None means all."""
    rows = _read(
        path,
        "SELECT seq, by_key_id, action, tenant_id, object_id, before, after FROM audit_record"
        " WHERE ?1 IS NULL OR tenant_id = ?1 ORDER BY seq DESC LIMIT ?2",
        (tenant_id, limit),
    )
    return [
        {
            "at": format_timestamp(seq_drawn_at_ms(seq)),
            "byKeyId": by or None,
            "action": action,
            "tenantId": tenant,
            "objectId": object_id,
            "before": _members(before),
            "after": _members(after),
        }
        for seq, by, action, tenant, object_id, before, after in rows
    ]


def keys(path: Path) -> list[dict[str, Any]]:
    """All API keys with the moment at which each was last used, newest first."""
    rows = _read(
        path,
        "SELECT key_id, name, scopes, tenant_id, created_at_ms, expires_at_ms, last_used_at_ms"
        " FROM api_key ORDER BY key_id DESC",
    )
    return [
        {
            "keyId": key_id,
            "name": name,
            "scopes": msgspec.json.decode(scopes),
            "tenantId": tenant_id,
            **{
                member: None if at_ms is None else format_timestamp(at_ms)
                for member, at_ms in zip(_KEY_MOMENTS, moments, strict=True)
            },
        }
        for key_id, name, scopes, tenant_id, *moments in rows
    ]


def backup(path: Path, to: Path, progress: Callable[[int, int], None]) -> None:
    """Copy a database, also while it is in use; `progress` is told pages done and pages in all.

    The copy is of one moment. It has its name once it is whole; until then, and if we are stopped,
    what there is of it stands beside it and ends in `.partial`.
    Raises `FileExistsError` when there is a file at `to`.
    """
    if to.exists():
        raise FileExistsError(f"{to} exists already")
    partial = to.with_name(to.name + ".partial")
    partial.unlink(missing_ok=True)
    source = connect(path, reads_only=True)
    with our_words():
        target = apsw.Connection(str(partial))
        # Without a snapshot that we hold, each commit of the server would make the copy begin
        # anew, and beside a busy server it would never end.
        source.execute("BEGIN")
        source.execute("SELECT version FROM configuration").fetchall()
        with target.backup("main", source, "main") as copying:
            while not copying.done:
                copying.step(_PAGES_AT_ONCE)
                progress(copying.page_count - copying.remaining, copying.page_count)
        source.execute("ROLLBACK")
        target.close()
    source.close()
    partial.rename(to)


def _read(path: Path, sql: str, bindings: Sequence[Any] = ()) -> Rows:
    """Read beside whoever works with the database. Raises `StoreUnavailable`."""
    db = connect(path, reads_only=True)
    try:
        with our_words():
            return fetch_all(db, sql, bindings)
    except apsw.SQLError as fault:
        raise StoreUnavailable(f"its tables are older than this program ({fault})") from fault
    finally:
        db.close()


def _members(text: str | None) -> dict[str, Any] | None:
    """The members of an object in an audit record, spelled as JSON spells them elsewhere."""
    if text is None:
        return None
    return {_camel(name): value for name, value in msgspec.json.decode(text).items()}


def _camel(name: str) -> str:
    first, *more = name.split("_")
    return first + "".join(word.capitalize() for word in more)
