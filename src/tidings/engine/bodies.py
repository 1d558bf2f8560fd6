"""The bodies that are about to be sent: a cache bounded by bytes, filled in batches."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping

from tidings.core import limits
from tidings.ports.records import StoredBody
from tidings.ports.store import Store


class Bodies:
    """Finds the body of an event by its `seq`.

    New events bring theirs along. What is missing is read from the store, everything that is asked
    for at the moment in one go.
    """

    def __init__(self, store: Store, *, bytes_max: int = limits.BODY_CACHE_BYTES_MAX) -> None:
        self._store = store
        self._bytes_max = bytes_max
        self._bytes = 0
        self._cached: OrderedDict[int, StoredBody] = OrderedDict()
        self._asked: dict[int, asyncio.Future[StoredBody | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    def put(self, bodies: Mapping[int, StoredBody]) -> None:
        """Keep bodies, and let go of those that were not used for longest."""
        for seq, stored in bodies.items():
            if seq not in self._cached:
                self._cached[seq] = stored
                self._bytes += len(stored.body)
        while self._bytes > self._bytes_max:
            _, stored = self._cached.popitem(last=False)
            self._bytes -= len(stored.body)

    def cached(self, event_seq: int) -> StoredBody | None:
        """A body if it is at hand."""
        return self._cached.get(event_seq)

    async def get(self, event_seq: int) -> StoredBody | None:
        """A body; None when it was erased or has expired. Raises `StoreUnavailable`."""
        stored = self._cached.get(event_seq)
        if stored is not None:
            return stored
        asked = self._asked.get(event_seq)
        if asked is None:
            asked = self._asked[event_seq] = asyncio.get_running_loop().create_future()
            if self._reading is None:
                self._reading = asyncio.create_task(self._read())
        return await asyncio.shield(asked)

    async def _read(self) -> None:
        try:
            while self._asked:
                await self._read_some(dict(list(self._asked.items())[: limits.BODIES_READ_MAX]))
        finally:
            self._reading = None

    async def _read_some(self, asked: dict[int, asyncio.Future[StoredBody | None]]) -> None:
        try:
            found = await self._store.read_bodies(asked)
        except Exception as fault:  # noqa: BLE001 - it is handed to everybody who asked
            for seq, future in asked.items():
                del self._asked[seq]
                future.set_exception(fault)
                future.exception()  # whoever asked may have been cancelled meanwhile
            return
        self.put(found)
        for seq, future in asked.items():
            del self._asked[seq]
            future.set_result(found.get(seq))
