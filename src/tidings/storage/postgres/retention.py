"""Retention on PostgreSQL: whole days of the log are dropped, and nothing is deleted by rows.

The ids of a day's events are freed before the day goes, because they stand in one table for all
days. Somebody else may then publish under such an id again, while the event is still there for a
moment: it is too old for anybody to repeat it.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from tidings.core import limits
from tidings.core.identifier import lowest_seq
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.postgres.partitions import (
    DAY_MS,
    drop_partitions,
    make_partitions_ahead,
    partitions,
)
from tidings.storage.sql.database import fetch_all, fetch_one
from tidings.storage.sql.retention import SqlRetention
from tidings.storage.sql.transaction import Transaction, Unordered

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_HEARD_MS: Final = DAY_MS
"""For how long changes are told to processes that did not hear of them. Who was away for longer
begins anew."""
_ROWS_HEARD_MS: Final = 3_600_000
_KEYS_AT_ONCE: Final = limits.RETAINED_ROWS_MAX
_BREATH_SECONDS: Final = 0.02


class PostgresRetention(SqlRetention):
    """The retention part of the store port, by days."""

    url: str

    async def retain_days(self, *, accepted_before_ms: int, now_ms: int) -> bool:
        """See `QueueStore`."""
        await self._apart(lambda db: make_partitions_ahead(db, now_ms))
        await self._forget_changes(now_ms)
        days = await self._apart(_days)
        for day in sorted(days):
            end_ms = (day + 1) * DAY_MS
            if end_ms > accepted_before_ms or not await self._empty(day * DAY_MS, end_ms):
                break
            await self._apart(partial(drop_partitions, before_ms=end_ms))
        # Where less than two days are kept, a day more would be much.
        return now_ms - accepted_before_ms >= 2 * DAY_MS

    async def _empty(self, first_ms: int, end_ms: int) -> bool:
        """Free the ids of a day, unless something of it is still unfinished."""
        first_seq, end_seq = lowest_seq(first_ms), lowest_seq(end_ms)
        unfinished = await self.read(
            lambda db: fetch_one(
                db, "SELECT 1 FROM delivery WHERE event_seq < ? LIMIT 1", (end_seq,)
            )
        )
        if unfinished is not None:
            _LOG.warning("a day of the log stays, because a delivery of it is not finished")
            return False
        after_seq: int | None = first_seq - 1
        while after_seq is not None:
            after_seq = await self._free_ids(after_seq, end_seq)
            await asyncio.sleep(_BREATH_SECONDS)
        return True

    async def _free_ids(self, after_seq: int, end_seq: int) -> int | None:
        """Free the ids of the next events; answers where to go on, or None at the end."""

        def write(tx: Transaction) -> int | None:
            events = fetch_all(
                tx.db,
                "SELECT seq, tenant_id, event_id, event_key FROM event"
                " WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?",
                (after_seq, end_seq, _KEYS_AT_ONCE),
            )
            keys = [
                (tenant_id, key, seq)
                for seq, tenant_id, *names in events
                for key in names
                if key is not None
            ]
            tx.db.execute_many(
                "DELETE FROM event_key WHERE (tenant_id, event_key, event_seq) IN (",
                keys,
                ")",
                types="tti",
            )
            if len(events) == _KEYS_AT_ONCE:
                return int(events[-1][0])
            tx.db.execute(
                "UPDATE event_span SET deleted_seq = ?1 WHERE id = 1 AND deleted_seq < ?1",
                (end_seq - 1,),
            )
            return None

        return await self.write(Unordered(write))

    async def _forget_changes(self, now_ms: int) -> None:
        """Shorten the logs by which processes tell each other what has changed."""

        def write(tx: Transaction) -> None:
            tx.db.execute(
                "DELETE FROM row_change WHERE seq < ?", (lowest_seq(now_ms - _ROWS_HEARD_MS),)
            )
            tx.db.execute(
                "DELETE FROM configuration_change WHERE made_at < now() - ?::bigint * interval"
                " '1 millisecond' AND version < (SELECT version FROM configuration WHERE id = 1)",
                (_HEARD_MS,),
            )

        await self.write(Unordered(write))

    async def _apart(self, act: Callable[[PostgresConnection], T]) -> T:
        """Do something on a connection and a thread of its own, because it may take long."""

        def do() -> T:
            db = PostgresConnection(self.url)
            try:
                return act(db)
            finally:
                db.close()

        return await asyncio.to_thread(do)


def _days(db: PostgresConnection) -> set[int]:
    """The days that the log has partitions for."""
    return {partition.day for partition in partitions(db, "event")}
