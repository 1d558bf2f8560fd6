"""A store on a file of its own for a test: opened, handed over, closed."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.postgres_fixtures import SHARED, TEMPLATE_WITH_DAYS, shared_server
from tests.support.postgres_server import Installation
from tests.support.values import NOW_MS
from tidings.api.wire.lifecycle import lifecycle_data
from tidings.ports.clock import Chance
from tidings.ports.store import Store
from tidings.storage import postgres
from tidings.storage.postgres import PostgresStore
from tidings.storage.postgres.connection import PostgresConnection
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


@asynccontextmanager
async def open_postgres_store(
    url: str, *, chance: Chance | None = None, sealing_key: bytes = SEALING_KEY
) -> AsyncIterator[PostgresStore]:
    """The store of a PostgreSQL database, whose tables are made if need be."""
    store = await postgres.open_store(
        url,
        sealer=Sealer(sealing_key),
        chance=chance or SystemChance(),
        lifecycle_data=lifecycle_data,
        now_ms=NOW_MS,
    )
    try:
        yield store
    finally:
        await store.close()


def run_there(url: str, *statements: str) -> list[Any]:
    """Run statements on a PostgreSQL database; answers the rows of the last one."""
    db = PostgresConnection(url)
    try:
        for sql in statements[:-1]:
            db.run_script(sql)
        return db.execute(statements[-1]).fetchall()
    finally:
        db.close()


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
            server.run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE_WITH_DAYS}")
            self._databases[folder] = name
        return server.url(self._databases[folder])

    @asynccontextmanager
    async def __call__(
        self, folder: Path, *, chance: Chance | None = None, sealing_key: bytes = SEALING_KEY
    ) -> AsyncIterator[PostgresStore]:
        """The store of a folder. Opened again, it holds what it held before."""
        url = self.url(folder)
        async with open_postgres_store(url, chance=chance, sealing_key=sealing_key) as store:
            yield store

    def drop(self, *, but: Path | None = None) -> None:
        """Drop all databases, or all but that of one folder."""
        for folder in [one for one in self._databases if one != but]:
            name = self._databases.pop(folder)
            shared_server(self._where).run(f"DROP DATABASE {name} WITH (FORCE)")


POSTGRES_STORES = {
    str(where) if isinstance(where, Installation) else "postgres": PostgresStores(where)
    for where in SHARED
}
STORES: dict[str, StoreOpener] = {"sqlite": open_sqlite_store, **POSTGRES_STORES}
"""Every database that Tidings works with; the contract suite runs against each of them."""

OF_WORLDS = os.environ.get("TIDINGS_TEST_STORE", "sqlite")
"""On which of them tests of the API and of the engine run: SQLite, unless somebody asks."""


@asynccontextmanager
async def open_store_of_worlds(folder: Path, *, chance: Chance) -> AsyncIterator[SqlStore]:
    """An empty store for everything that stands above it."""
    opener: Any = STORES[OF_WORLDS]
    if isinstance(opener, PostgresStores):
        opener.drop(but=folder)
    async with opener(folder, chance=chance) as store:
        yield store
