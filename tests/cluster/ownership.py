"""Who owns how many shards, as the database shows it many times a second, outages left out."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

import asyncpg

from tidings.core.limits import SHARDS

_EVERY_SECONDS = 0.03
_SQL: Final = (
    "SELECT owner, count(*) FROM shard WHERE owner IN (SELECT session FROM worker) GROUP BY owner"
)


class Seen(NamedTuple):
    """What one look has found, which began at a moment."""

    at_ms: int
    shares: Counter[str]

    def is_shared_by(self, workers: int) -> bool:
        """Whether every shard is owned, and so many workers own some."""
        return len(self.shares) == workers and self.shares.total() == SHARDS

    @property
    def imbalance(self) -> int:
        """How many more shards one has than another."""
        return max(self.shares.values()) - min(self.shares.values())


class Watch:
    """Looks at the table of shards until it is stopped."""

    def __init__(self, url: str) -> None:
        self.seen: list[Seen] = []
        self._url = url
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._look()))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()

    def first_since(self, since_ms: int, is_so: Callable[[Seen], bool]) -> Seen | None:
        """The first look since a moment that found something."""
        for index in range(len(self.seen) - 1, -1, -1):
            if self.seen[index].at_ms < since_ms:
                return next(filter(is_so, self.seen[index + 1 :]), None)
        return next(filter(is_so, self.seen), None)

    def last_before(self, before: Seen) -> Seen:
        """The look before another one."""
        return self.seen[self.seen.index(before) - 1]

    async def _look(self) -> None:
        while not self._is_over.is_set():
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                async with asyncio.timeout(5):
                    connection = await asyncpg.connect(self._url)
                try:
                    await self._look_often(connection)
                finally:
                    connection.terminate()
            await asyncio.sleep(_EVERY_SECONDS)

    async def _look_often(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        while not self._is_over.is_set():
            at_ms = round(time.time() * 1_000)
            rows = await connection.fetch(_SQL, timeout=5)
            shares = Counter({row["owner"]: row["count"] for row in rows})
            self.seen.append(Seen(at_ms, shares))
            await asyncio.sleep(_EVERY_SECONDS)
