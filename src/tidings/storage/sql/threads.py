"""The threads beside the event loop: one that writes, and some that read."""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from tidings.core import limits
from tidings.ports.store import StoreUnavailable
from tidings.storage.sql.access import Read, Waiting, Writer
from tidings.storage.sql.transaction import Transactions, Written

T = TypeVar("T")


class Reader(Protocol):
    """Runs reads on a connection of its own, on one thread."""

    def run(self, read: Read[T]) -> T:
        """Run a read on one snapshot. Raises `StoreUnavailable`, and what it raised."""
        ...

    def close(self) -> None:
        """Close the connection; from another thread, when nothing runs any more."""
        ...


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

    def _work(self) -> None:
        try:
            self._work_until_closed()
        finally:
            # A connection belongs to the thread that works with it.
            self._transactions.close()

    def _work_until_closed(self) -> None:
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

    def __init__(self, open_reader: Callable[[], Reader], *, threads: int) -> None:
        self._open_reader = open_reader
        self._own = threading.local()
        self._opened: list[Reader] = []
        self._is_closed = False
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="store-reader")

    async def run(self, read: Read[T]) -> T:
        """Run a read in a transaction and answer its value; raises what it raised."""
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._read, read)

    def close(self) -> None:
        """Wait for the reads under way and close the connections."""
        self._is_closed = True
        self._pool.shutdown(wait=True)
        closing = threading.Thread(target=self._close_all)
        closing.start()
        closing.join()

    def _close_all(self) -> None:
        for reader in self._opened:
            reader.close()

    def _read(self, read: Read[T]) -> T:
        reader: Reader | None = getattr(self._own, "reader", None)
        if reader is None:
            reader = self._own.reader = self._open_reader()
            self._opened.append(reader)
        return reader.run(read)
