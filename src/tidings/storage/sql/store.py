"""The whole store, put together from its parts: the same statements for both databases."""

from collections.abc import Callable
from typing import Final

from tidings.ports.store import Committed
from tidings.storage.sealing import CannotOpen, Sealer
from tidings.storage.sql.audit import SqlAudit
from tidings.storage.sql.catalogue import SqlCatalogue
from tidings.storage.sql.configuration import SqlConfiguration
from tidings.storage.sql.database import Database, fetch_one
from tidings.storage.sql.deliveries import SqlDeliveries
from tidings.storage.sql.event_log import SqlEventLog
from tidings.storage.sql.events import SqlEvents
from tidings.storage.sql.queue import SqlQueue
from tidings.storage.sql.replays import SqlReplays
from tidings.storage.sql.retention import SqlRetention
from tidings.storage.sql.roll_ups import SqlRollUps
from tidings.storage.sql.tenants import SqlTenants
from tidings.storage.sql.transaction import Transaction

CHECK_OWNER: Final = "configuration:1"


class WrongKey(Exception):
    """The encryption key does not belong to the database."""


class SqlStore(
    SqlConfiguration,
    SqlTenants,
    SqlEvents,
    SqlEventLog,
    SqlQueue,
    SqlDeliveries,
    SqlReplays,
    SqlRollUps,
    SqlRetention,
    SqlAudit,
    SqlCatalogue,
):
    """The store port on one database."""

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


def check_key(db: Database, sealer: Sealer) -> None:
    """See that the key is the one that this database was begun with. Raises `WrongKey`."""
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
