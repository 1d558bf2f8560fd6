"""What every part of the SQLite store has at hand: the writer, the readers, the sealer."""

from collections.abc import Callable
from typing import Final, TypeVar

from tidings.core import limits
from tidings.ports.clock import Chance
from tidings.ports.store import StoreFull
from tidings.storage.sealing import Sealer
from tidings.storage.sql.access import Read, Readers, Writer
from tidings.storage.sql.transaction import Transaction

T = TypeVar("T")

NEARLY_FULL: Final = "the disk is nearly full"


class SqlBase:
    """Access to one open database.

    `free_bytes` answers how much room there is on its disk, and `let_go` is called at the end.
    """

    def __init__(
        self,
        writer: Writer,
        readers: Readers,
        sealer: Sealer,
        chance: Chance,
        *,
        free_bytes: Callable[[], int],
        let_go: Callable[[], None],
    ) -> None:
        self.writer = writer
        self.readers = readers
        self.sealer = sealer
        self.chance = chance
        self.free_bytes = free_bytes
        self.let_go = let_go

    async def write(self, write: Callable[[Transaction], T]) -> T:
        """Run a write and answer once it is durable."""
        return await self.writer.run(write)

    async def read(self, read: Read[T]) -> T:
        """Run a read on one snapshot."""
        return await self.readers.run(read)

    def keep_reserve(self) -> None:
        """Take nothing new when the disk is nearly full: the results of what is accepted need room.

        Raises `StoreFull`.
        """
        if self.is_nearly_full():
            raise StoreFull(NEARLY_FULL)

    def is_nearly_full(self) -> bool:
        """Whether what is left of the disk is the reserve, or less."""
        return self.free_bytes() < limits.DISK_RESERVE_BYTES
