"""How the store is opened on an SQLite database file."""

from pathlib import Path
from typing import Final, TypeVar

import apsw

from tidings.ports.clock import Chance
from tidings.ports.store import LifecycleData
from tidings.storage.sealing import Sealer
from tidings.storage.sql.access import Read
from tidings.storage.sql.lifecycle import Lifecycle
from tidings.storage.sql.store import SqlStore, check_key
from tidings.storage.sql.threads import ReaderThreads, WriterThread
from tidings.storage.sqlite.checkpointer import Checkpointer
from tidings.storage.sqlite.connection import (
    ProcessLock,
    connect,
    free_bytes,
    migrate,
    our_words,
)
from tidings.storage.sqlite.transactions import SqliteTransactions

T = TypeVar("T")

READERS: Final = 2


class SqliteReader:
    """One connection that only reads."""

    def __init__(self, path: Path) -> None:
        self._db = connect(path, reads_only=True)

    def run(self, read: Read[T]) -> T:
        """See `Reader`."""
        with our_words():
            self._db.execute("BEGIN")
            try:
                return read(self._db)
            finally:
                self._db.execute("ROLLBACK")

    def close(self) -> None:
        """See `Reader`."""
        self._db.close()


def migrate_file(path: Path) -> list[str]:
    """Bring a database file up to date, making it if need be; answers the steps taken."""
    db = connect(path)
    try:
        return migrate(db)
    finally:
        db.close()


async def open_store(
    path: Path, *, sealer: Sealer, chance: Chance, lifecycle_data: LifecycleData
) -> SqlStore:
    """Open the database at `path`, making and migrating it if need be.

    `lifecycle_data` writes what lifecycle events say.

    Raises `DatabaseInUse` when another process has it, `DatabaseTooNew` when a newer version of
    the program has changed it, `WrongKey` when it was begun with another encryption key, and
    `StoreUnavailable` when it cannot be opened.
    """
    lock = ProcessLock(path)
    try:
        migrate_file(path)
        db = connect(path)
        with our_words():
            check_key(db, sealer)
        transactions = SqliteTransactions(db, sealer, Lifecycle(sealer, chance, lifecycle_data))
        checkpointer = Checkpointer(path)
    except BaseException:
        lock.release()
        raise

    def wal_grew(_db: apsw.Connection, _name: str, pages: int) -> int:
        checkpointer.wal_grew(pages)
        return apsw.SQLITE_OK

    def let_go() -> None:
        checkpointer.close()
        lock.release()

    db.set_wal_hook(wal_grew)
    return SqlStore(
        WriterThread(transactions),
        ReaderThreads(lambda: SqliteReader(path), threads=READERS),
        sealer,
        chance,
        free_bytes=lambda: free_bytes(path),
        let_go=let_go,
    )
