"""A store on a file of its own for a test: opened, handed over, closed."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path

from tests.support.postgres_fixtures import SHARED, TEMPLATE, shared_server
from tests.support.postgres_server import Installation
from tests.support.values import NOW_MS
from tidings.api.wire.lifecycle import lifecycle_data
from tidings.ports.clock import Chance
from tidings.ports.store import Store
from tidings.storage import postgres
from tidings.storage.postgres import PostgresStore
from tidings.storage.sealing import Sealer
from tidings.storage.sql.store import SqlStore
from tidings.storage.sqlite import open_store
from tidings.system import SystemChance

SEALING_KEY = b"k" * 32
DATABASE_NAME = "tidings.db"
_COUNT = count()

StoreOpener = Callable[[Path], AbstractAsyncContextManager[Store]]
"""Opens the store that belongs to a folder, with what was put into it before."""


@asynccontextmanager
async def open_sqlite_store(
    folder: Path, *, chance: Chance | None = None, sealing_key: bytes = SEALING_KEY
) -> AsyncIterator[SqlStore]:
    """The SQLite store in a folder. Opened again, it holds what it held before."""
    store = await open_store(
        folder / DATABASE_NAME,
        sealer=Sealer(sealing_key),
        chance=chance or SystemChance(),
        lifecycle_data=lifecycle_data,
    )
    try:
        yield store
    finally:
        await store.close()


class PostgresStores:
    """Opens stores on one PostgreSQL server: each folder stands for a database of its own."""

    def __init__(self, where: Installation | str) -> None:
        self._where = where
        self._databases: dict[Path, str] = {}

    def url(self, folder: Path) -> str:
        """Where the database of a folder is; it is made now if there is none."""
        server = shared_server(self._where)
        if folder not in self._databases:
            name = f"tidings_store_{os.getpid()}_{next(_COUNT)}"
            server.run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
            self._databases[folder] = name
        return server.url(self._databases[folder])

    @asynccontextmanager
    async def __call__(
        self, folder: Path, *, chance: Chance | None = None, sealing_key: bytes = SEALING_KEY
    ) -> AsyncIterator[PostgresStore]:
        """The store of a folder. Opened again, it holds what it held before."""
        store = await postgres.open_store(
            self.url(folder),
            sealer=Sealer(sealing_key),
            chance=chance or SystemChance(),
            lifecycle_data=lifecycle_data,
            now_ms=NOW_MS,
        )
        try:
            yield store
        finally:
            await store.close()

    def drop(self) -> None:
        """Drop all databases."""
        for name in self._databases.values():
            shared_server(self._where).run(f"DROP DATABASE {name} WITH (FORCE)")
        self._databases = {}


POSTGRES_STORES = {
    str(where) if isinstance(where, Installation) else "postgres": PostgresStores(where)
    for where in SHARED
}
STORES: dict[str, StoreOpener] = {"sqlite": open_sqlite_store, **POSTGRES_STORES}
"""Every database that Tidings works with; the contract suite runs against each of them."""
