"""A store on a file of its own for a test: opened, handed over, closed."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from tidings.api.wire.lifecycle import lifecycle_data
from tidings.ports.clock import Chance
from tidings.ports.store import Store
from tidings.storage.sealing import Sealer
from tidings.storage.sql.store import SqlStore
from tidings.storage.sqlite import open_store
from tidings.system import SystemChance

SEALING_KEY = b"k" * 32
DATABASE_NAME = "tidings.db"

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


STORES: dict[str, StoreOpener] = {"sqlite": open_sqlite_store}
"""Every database that Tidings works with; the contract suite runs against each of them."""
