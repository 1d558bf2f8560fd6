"""What an operator does with a database file: migrate, check, look into and back it up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw

from tidings.ports.store import StoreUnavailable
from tidings.storage.sql import maintenance as sql
from tidings.storage.sqlite.connection import ProcessLock, connect, our_words
from tidings.storage.sqlite.statements import SqliteConnection
from tidings.storage.sqlite.store import migrate_file

_PAGES_AT_ONCE: Final = 256


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
    with _reading(path) as db:
        found = [str(row[0]) for row in db.execute("PRAGMA integrity_check(100)")]
        return ([] if found == ["ok"] else found) + sql.lost_rows(db)


def audit(path: Path, *, tenant_id: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest audit records as JSON shows them, newest first; `tenant_id` None means all."""
    with _reading(path) as db:
        return sql.audit(db, tenant_id=tenant_id, limit=limit)


def keys(path: Path) -> list[dict[str, Any]]:
    """All API keys with the moment at which each was last used, newest first."""
    with _reading(path) as db:
        return sql.keys(db)


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


@contextmanager
def _reading(path: Path) -> Iterator[SqliteConnection]:
    """Read beside whoever works with the database. Raises `StoreUnavailable`."""
    db = connect(path, reads_only=True)
    try:
        with our_words():
            yield db
    except apsw.SQLError as fault:
        raise StoreUnavailable(f"its tables are older than this program ({fault})") from fault
    finally:
        db.close()
