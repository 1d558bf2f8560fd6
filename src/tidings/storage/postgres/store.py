"""The whole store on PostgreSQL, which several processes share, and how it is opened."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

from tidings.core.event import AcceptResult, NewEvent
from tidings.core.health import Health
from tidings.core.ownership import Statement
from tidings.ports.clock import Chance
from tidings.ports.cluster import Arrivals
from tidings.ports.store import LifecycleData, StoreUnavailable
from tidings.storage.faults import CommitUnknown
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.postgres.coordination import (
    coordinate,
    coordination_connection,
    list_silences,
)
from tidings.storage.postgres.copy_mark import refuse_unfinished
from tidings.storage.postgres.following import Listening, read_arrivals, read_healths, read_new_rows
from tidings.storage.postgres.migrate import migrate
from tidings.storage.postgres.partitions import make_partitions_ahead
from tidings.storage.postgres.queue import PostgresQueue
from tidings.storage.postgres.retention import PostgresRetention
from tidings.storage.postgres.transactions import PostgresTransactions
from tidings.storage.sealing import Sealer
from tidings.storage.sql.access import Read, Readers, SingleStatement, Writer
from tidings.storage.sql.lifecycle import Lifecycle
from tidings.storage.sql.store import SqlStore, check_key
from tidings.storage.sql.threads import ReaderThreads, WriterThread
from tidings.storage.sql.transaction import Transaction, Unordered

T = TypeVar("T")

READERS: Final = 3
_LOOK_UP_SECONDS: Final = (0.1, 0.5, 1.0, 2.0)
_PLENTY_BYTES: Final = 1 << 62
_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class PostgresReader:
    """One connection that only reads."""

    def __init__(self, url: str) -> None:
        self._db = PostgresConnection(url)

    def run(self, read: Read[T]) -> T:
        """See `Reader`."""
        with self._db.reading_alone() if isinstance(read, SingleStatement) else self._snapshot():
            return read(self._db)

    def close(self) -> None:
        """See `Reader`."""
        self._db.close()

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        self._db.begin(_SNAPSHOT)
        try:
            yield
        finally:
            self._db.rollback()


class PostgresStore(PostgresQueue, PostgresRetention, SqlStore):
    """The store port, and what several processes need besides (`ClusterStore`)."""

    listening: Listening
    transactions: PostgresTransactions

    def __init__(
        self, url: str, writer: Writer, readers: Readers, sealer: Sealer, chance: Chance
    ) -> None:
        self.url = url
        # On a thread of its own: a lease must not wait behind other work.
        self._coordinator = coordination_connection(url)
        self._coordinating = ThreadPoolExecutor(1, thread_name_prefix="store-coordination")
        super().__init__(
            writer,
            readers,
            sealer,
            chance,
            free_bytes=lambda: _PLENTY_BYTES,
            let_go=lambda: None,
        )

    async def accept_events(
        self, events: Sequence[NewEvent], *, now_ms: int, backlog_max: int | None = None
    ) -> list[AcceptResult]:
        """See `EventStore`.

        When nobody can say whether a commit took effect, the same events are brought again: those
        that it holds are found. Only a commit that is known to stand says so. A database that is
        away for a moment is waited for then, because who is told to come again may come with
        another id.
        """
        accept = super().accept_events
        is_unknown = False
        for seconds in _LOOK_UP_SECONDS:
            try:
                return await accept(events, now_ms=now_ms, backlog_max=backlog_max)
            except StoreUnavailable as fault:
                is_unknown = is_unknown or isinstance(fault, CommitUnknown)
                if not is_unknown:
                    raise
                await asyncio.sleep(seconds)
        return await accept(events, now_ms=now_ms, backlog_max=backlog_max)

    async def coordinate(self, statement: Statement) -> object:
        """See `ClusterStore`."""
        return await asyncio.get_running_loop().run_in_executor(
            self._coordinating, coordinate, self._coordinator, statement
        )

    async def list_silences(self, shards: Collection[int]) -> dict[int, int]:
        """See `ClusterStore`."""
        return await self.read(lambda db: list_silences(db, shards))

    async def newest_seq(self) -> int:
        """See `ClusterStore`."""
        return (await self.read_event_span()).newest_seq

    async def read_arrivals(
        self, *, after_seq: int, shards: Collection[int], limit: int
    ) -> Arrivals:
        """See `ClusterStore`."""
        found = await self.read(
            SingleStatement(
                lambda db: read_new_rows(db, after_seq=after_seq, shards=shards, limit=limit)
            )
        )
        if found is not None:
            return found
        return await self.read(
            lambda db: read_arrivals(db, after_seq=after_seq, shards=shards, limit=limit)
        )

    async def load_healths(self, subscription_ids: Collection[str]) -> dict[str, Health]:
        """See `ClusterStore`."""
        return await self.read(lambda db: read_healths(db, subscription_ids))

    async def postpone(self, due_at_ms: Mapping[int, int]) -> None:
        """See `ClusterStore`."""

        def write(tx: Transaction) -> None:
            tx.fence()
            tx.db.execute_many(
                "UPDATE delivery SET due_at_ms = column2 FROM (",
                list(due_at_ms.items()),
                ") AS put_off WHERE seq = column1",
                types="ii",
            )

        await self.write(Unordered(write))

    def use_session(self, session: str | None) -> None:
        """See `ClusterStore`."""
        self.transactions.use_session(session)

    async def count_unfinished(self, seqs: Collection[int]) -> int:
        """See `ClusterStore`."""
        found = await self.read(
            lambda db: db.execute_many(
                "SELECT seq FROM delivery WHERE seq IN (", [(one,) for one in seqs], ")", types="i"
            )
        )
        return len(found)

    async def close(self) -> None:
        """See `Store`."""
        await self.listening.stop()
        self._coordinating.submit(self._coordinator.close)
        await asyncio.to_thread(self._coordinating.shutdown)
        await super().close()


async def open_store(
    url: str, *, sealer: Sealer, chance: Chance, lifecycle_data: LifecycleData, now_ms: int
) -> PostgresStore:
    """Open the database at `url`, making and migrating its tables if need be.

    `lifecycle_data` writes what lifecycle events say.

    Raises `DatabaseTooNew` when a newer version of the program has changed it, `DatabaseUnfit` when
    the server cannot be worked with or a copy into it is not finished, `WrongKey` when it was begun
    with another encryption key, `ValueError` for a URL that is none, and `StoreUnavailable` when it
    cannot be reached.
    """
    await asyncio.to_thread(_prepare, url, sealer, now_ms)
    readers = ReaderThreads(lambda: PostgresReader(url), threads=READERS)
    listening = Listening(readers, sealer)
    transactions = PostgresTransactions(
        PostgresConnection(url),
        sealer,
        Lifecycle(sealer, chance, lifecycle_data),
        own=listening.own,
    )
    store = PostgresStore(url, WriterThread(transactions), readers, sealer, chance)
    store.transactions, store.listening = transactions, listening
    await listening.start(store.writer.tell)
    return store


def _prepare(url: str, sealer: Sealer, now_ms: int) -> None:
    db = PostgresConnection(url)
    try:
        migrate(db)
        refuse_unfinished(db)
        db.begin()
        check_key(db, sealer)
        db.commit()
        make_partitions_ahead(db, now_ms)
    finally:
        db.close()
