"""The threads beside the event loop: one that writes, some that read, one that checkpoints."""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import apsw

from tidings.core import limits
from tidings.ports.store import StoreUnavailable
from tidings.storage.sqlite.access import Waiting, Writer
from tidings.storage.sqlite.connection import connect, our_words
from tidings.storage.sqlite.transaction import Transactions, Written

T = TypeVar("T")

READERS: Final = 2
_CHECKPOINT_PAGES: Final = 1_000
_TRUNCATE_PAGES: Final = 16_384


class WriterThread(Writer):
    """Writes on a thread of its own, so that nobody waits for the disk but those who asked."""

    def __init__(self, transactions: Transactions) -> None:
        super().__init__()
        self._transactions = transactions
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    def _take(self, waiting: Waiting) -> None:
        self._queue.put(waiting)

    async def _finish_all(self) -> None:
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._transactions.close()

    def _work(self) -> None:
        waiting: list[Waiting] = []
        is_open = True
        while is_open or waiting:
            if not waiting:
                first = self._queue.get()
                if first is None:
                    return
                waiting.append(first)
            while len(waiting) < limits.WRITES_WAITING_MAX and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    is_open = False
                    break
                waiting.append(following)
            try:
                outcomes = self._transactions.run([write for write, _ in waiting])
            except Exception as fault:  # noqa: BLE001 - the thread must outlive any bug
                outcomes = [Written(fault=fault) for _ in waiting]
            done, waiting = waiting[: len(outcomes)], waiting[len(outcomes) :]
            self._loop.call_soon_threadsafe(self._answer, done, outcomes)


class ReaderThreads:
    """A few threads, each with a connection of its own, for reads that see one snapshot."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()
        self._opened: list[apsw.Connection] = []
        self._is_closed = False
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    async def run(self, read: Callable[[apsw.Connection], T]) -> T:
        """Run a read in a transaction and answer its value; raises what it raised."""
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._read, read)

    def close(self) -> None:
        """Wait for the reads under way and close the connections."""
        self._is_closed = True
        self._pool.shutdown(wait=True)
        for db in self._opened:
            db.close()

    def _read(self, read: Callable[[apsw.Connection], T]) -> T:
        db: apsw.Connection | None = getattr(self._own, "db", None)
        if db is None:
            db = self._own.db = connect(self._path, reads_only=True)
            self._opened.append(db)
        with our_words():
            db.execute("BEGIN")
            try:
                return read(db)
            finally:
                db.execute("ROLLBACK")


class Checkpointer:
    """Moves the write-ahead log into the database file, beside the commits.

    A passive checkpoint disturbs nobody. When readers have kept the log from shrinking and it has
    grown past 64 MB, a truncating one is tried.
    """

    def __init__(self, path: Path) -> None:
        self._db = connect(path)
        self._pages = 0
        self._awake = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="store-checkpoint", daemon=True)
        self._thread.start()

    def wal_grew(self, pages: int) -> None:
        """Note the length of the log after a commit."""
        self._pages = pages
        if pages >= _CHECKPOINT_PAGES:
            self._awake.set()

    def close(self) -> None:
        """End the thread after a checkpoint that is under way."""
        self._is_closing = True
        self._awake.set()
        self._thread.join()

    def _work(self) -> None:
        while True:
            self._awake.wait()
            self._awake.clear()
            if self._is_closing:
                self._db.close()
                return
            mode = apsw.SQLITE_CHECKPOINT_PASSIVE
            if self._pages >= _TRUNCATE_PAGES:
                mode = apsw.SQLITE_CHECKPOINT_TRUNCATE
            try:
                self._db.wal_checkpoint(mode=mode)
            except apsw.Error:
                # Busy, or the disk is full: the commits go on, and the next one asks again.
                continue
