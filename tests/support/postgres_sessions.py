"""Several sessions on one PostgreSQL: begun beside each other, and watched."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tidings.storage.postgres.connection import PostgresConnection


def begun(work: Callable[[], Any]) -> Future[Any]:
    """Begin something on a thread of its own."""
    thread = ThreadPoolExecutor(1)
    future = thread.submit(work)
    thread.shutdown(wait=False)
    return future


def eventually(is_true: Callable[[], bool]) -> None:
    """Wait until something holds; fail if it does not in time."""
    until = time.monotonic() + 40
    while time.monotonic() < until:
        if is_true():
            return
        time.sleep(0.005)
    raise AssertionError("it did not become true in time")


def process_of(db: PostgresConnection) -> int:
    """The process of the server behind a connection."""
    return int(db.execute("SELECT pg_backend_pid()").fetchone()[0])


def lives(db: PostgresConnection, process: int) -> bool:
    """Whether a process is still there. Within a transaction one always sees the same."""
    sql = "SELECT 1 FROM pg_stat_activity WHERE pid = ?"
    return db.execute(sql, (process,)).fetchone() is not None


def waits(db: PostgresConnection, process: int) -> bool:
    """Whether a process waits for a lock."""
    sql = "SELECT 1 FROM pg_stat_activity WHERE pid = ? AND wait_event_type = 'Lock'"
    return db.execute(sql, (process,)).fetchone() is not None
