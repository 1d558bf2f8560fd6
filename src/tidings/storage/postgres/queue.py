"""The queue on PostgreSQL, where a worker reads only what lies in its shards."""

from collections.abc import Collection
from typing import Final

from tidings.core.delivery import Delivery
from tidings.core.limits import SHARDS
from tidings.storage.sql.database import fetch_all
from tidings.storage.sql.queue import SqlQueue
from tidings.storage.sql.rows import DELIVERY_COLUMNS, delivery_of

# Of each shard the next rows, each found by the index, and of those the next of all.
_DUE: Final = f"""
SELECT d.* FROM unnest(?::bigint[]) AS mine (shard)
CROSS JOIN LATERAL (
    SELECT {DELIVERY_COLUMNS} FROM delivery
    WHERE delivery.shard = mine.shard AND due_at_ms IS NOT NULL
      AND (due_at_ms, seq) > (?, ?) AND due_at_ms <= ?
    ORDER BY due_at_ms, seq LIMIT ?5
) AS d
ORDER BY due_at_ms, seq LIMIT ?5
"""
_ALL: Final = range(SHARDS)


class PostgresQueue(SqlQueue):
    """The part of the queue that PostgreSQL answers in its own words."""

    async def read_due(
        self,
        *,
        after: tuple[int, int],
        until_ms: int,
        limit: int,
        shards: Collection[int] | None = None,
    ) -> list[Delivery]:
        """See `QueueStore`."""
        wanted = list(_ALL if shards is None else shards)
        rows = await self.read(lambda db: fetch_all(db, _DUE, (wanted, *after, until_ms, limit)))
        return [delivery_of(row) for row in rows]
