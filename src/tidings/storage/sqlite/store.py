"""The whole store on SQLite, put together from its parts, and how it is opened."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw

from tidings.ports.clock import Chance
from tidings.ports.store import Committed, LifecycleData
from tidings.storage.sealing import CannotOpen, Sealer
from tidings.storage.sqlite.audit import SqliteAudit
from tidings.storage.sqlite.catalogue import SqliteCatalogue
from tidings.storage.sqlite.configuration import SqliteConfiguration, load_routing
from tidings.storage.sqlite.connection import (
    ProcessLock,
    connect,
    free_bytes,
    migrate,
    our_words,
)
from tidings.storage.sqlite.deliveries import SqliteDeliveries
from tidings.storage.sqlite.event_log import SqliteEventLog
from tidings.storage.sqlite.events import SqliteEvents
from tidings.storage.sqlite.lifecycle import Lifecycle
from tidings.storage.sqlite.queue import SqliteQueue
from tidings.storage.sqlite.replays import SqliteReplays
from tidings.storage.sqlite.retention import SqliteRetention
from tidings.storage.sqlite.roll_ups import SqliteRollUps
from tidings.storage.sqlite.statements import fetch_one
from tidings.storage.sqlite.tenants import SqliteTenants
from tidings.storage.sqlite.threads import Checkpointer, ReaderThreads, WriterThread
from tidings.storage.sqlite.transaction import Transaction, Transactions

CHECK_OWNER: Final = "configuration:1"


class WrongKey(Exception):
    """The encryption key does not belong to the database."""


class SqliteStore(
    SqliteConfiguration,
    SqliteTenants,
    SqliteEvents,
    SqliteEventLog,
    SqliteQueue,
    SqliteDeliveries,
    SqliteReplays,
    SqliteRollUps,
    SqliteRetention,
    SqliteAudit,
    SqliteCatalogue,
):
    """The store port on one SQLite database. `open_store` makes it for a file."""

    def on_commit(self, listener: Callable[[Committed], None]) -> None:
        """See `Store`."""
        self.writer.on_commit(listener)

    async def check(self) -> None:
        """See `Store`."""

        def touch(tx: Transaction) -> None:
            tx.db.execute("UPDATE configuration SET version = version WHERE id = 1")

        self.keep_reserve()
        await self.write(touch)

    async def close(self) -> None:
        """See `Store`."""
        await self.writer.close()
        self.readers.close()
        self.let_go()


def migrate_file(path: Path) -> list[str]:
    """Bring a database file up to date, making it if need be; answers the steps taken."""
    db = connect(path)
    try:
        return migrate(db)
    finally:
        db.close()


def check_key(db: apsw.Connection, sealer: Sealer) -> None:
    """See that the key is the one that this database was begun with. Raises `WrongKey`."""
    with our_words():
        sealed = fetch_one(db, "SELECT sealed_check FROM configuration WHERE id = 1")[0]
        if sealed is None:
            sealed = sealer.seal(b"", CHECK_OWNER)
            db.execute("UPDATE configuration SET sealed_check = ? WHERE id = 1", (sealed,))
    try:
        sealer.open(sealed, CHECK_OWNER)
    except CannotOpen:
        raise WrongKey(
            "the encryption key is not the one that this database was begun with; "
            "restore the key, or nothing that is secret in it can be read"
        ) from None


async def open_store(
    path: Path, *, sealer: Sealer, chance: Chance, lifecycle_data: LifecycleData
) -> SqliteStore:
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
        transactions = open_transactions(db, sealer, Lifecycle(sealer, chance, lifecycle_data))
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
    return SqliteStore(
        WriterThread(transactions),
        ReaderThreads(path),
        sealer,
        chance,
        free_bytes=lambda: free_bytes(path),
        let_go=let_go,
    )


def open_transactions(
    db: apsw.Connection,
    sealer: Sealer,
    lifecycle: Lifecycle,
    *,
    seconds: Callable[[], float] = time.perf_counter,  # noqa: TID251 - it bounds a wait, no more
) -> Transactions:
    """What the writer works with, on a database that is up to date. Raises `WrongKey`."""
    check_key(db, sealer)
    return Transactions(db, lambda: load_routing(db, sealer), lifecycle.tell, seconds=seconds)
