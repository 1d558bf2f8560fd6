"""What every part of the SQLite store has at hand: the writer, the readers, the sealer."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import apsw

from tidings.ports.clock import Chance
from tidings.storage.sealing import Sealer
from tidings.storage.sqlite.threads import Readers, WriterThread
from tidings.storage.sqlite.transaction import Transaction

T = TypeVar("T")


class SqliteBase:
    """Access to one open database."""

    def __init__(self, path: Path, writer: WriterThread, sealer: Sealer, chance: Chance) -> None:
        self.path = path
        self.writer = writer
        self.readers = Readers(path)
        self.sealer = sealer
        self.chance = chance

    async def write(self, write: Callable[[Transaction], T]) -> T:
        """Run a write and answer once it is durable."""
        return await self.writer.run(write)

    async def read(self, read: Callable[[apsw.Connection], T]) -> T:
        """Run a read on one snapshot."""
        return await self.readers.run(read)
