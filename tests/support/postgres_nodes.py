"""Two nodes on one PostgreSQL database, and commits that wait until a test lets them go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from tests.support.stores import open_postgres_store, run_there
from tests.support.values import NOW_MS, an_event
from tidings.core.delivery import Delivery
from tidings.core.event import Accepted
from tidings.ports.store import Committed
from tidings.storage.postgres import PostgresStore

# The commit of a change of the queue waits as long as somebody has the lock 1.
_SLOW_COMMITS = """
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER wait AFTER UPDATE OR DELETE ON delivery DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait();
"""
_WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@dataclass
class Nodes:
    """Two nodes, and where their database is."""

    first: PostgresStore
    second: PostgresStore
    url: str


@asynccontextmanager
async def two_nodes(url: str) -> AsyncIterator[Nodes]:
    """Two stores on one database, each with its own connections and its own memory."""
    async with open_postgres_store(url) as first, open_postgres_store(url) as second:
        yield Nodes(first, second, url)


async def published(store: PostgresStore, count: int = 1) -> list[Delivery]:
    """Accepted events; answers the rows that they made, in order."""
    rows: list[Delivery] = []

    def note(changes: Committed) -> None:
        rows.extend(changes.arrived)

    store.on_commit(note)
    answers = await store.accept_events([an_event() for _ in range(count)], now_ms=NOW_MS)
    assert all(isinstance(answer, Accepted) for answer in answers)
    return rows


class HeldCommits:
    """Changes of the queue, held where all is done but the commit."""

    def __init__(self, holder: Any, watcher: Any) -> None:
        self._holder = holder
        self._watcher = watcher

    async def await_waiting(self, count: int) -> None:
        """Wait until so many sessions wait for a lock."""
        async with asyncio.timeout(30):
            while await self._watcher.fetchval(_WAITING) != count:  # noqa: ASYNC110 - as below
                await asyncio.sleep(0.005)  # the server tells nobody of who waits

    async def let_go(self) -> None:
        """Let all commits go, those that come later as well."""
        await self._holder.execute("SELECT pg_advisory_unlock(1)")


@asynccontextmanager
async def held_commits(url: str) -> AsyncIterator[HeldCommits]:
    """Hold every commit of a change of the queue until it is let go."""
    holder, watcher = await asyncpg.connect(url), await asyncpg.connect(url)
    await holder.execute(_SLOW_COMMITS)
    await holder.execute("SELECT pg_advisory_lock(1)")
    try:
        yield HeldCommits(holder, watcher)
    finally:
        await holder.close()
        await watcher.close()


async def rows_there(url: str, sql: str) -> list[Any]:
    """What a query answers."""
    return await asyncio.to_thread(run_there, url, sql)
