"""Retention in SQLite: old events go in small steps, and nothing unfinished goes with them."""

from tidings.core.delivery import Turn, ending_of
from tidings.core.identifier import lowest_seq
from tidings.storage.sql.base import SqlBase
from tidings.storage.sql.database import fetch_all
from tidings.storage.sql.endings import end_rows
from tidings.storage.sql.rows import DELIVERY_COLUMNS, delivery_of
from tidings.storage.sql.transaction import Transaction


class SqlRetention(SqlBase):
    """The retention part of the store port."""

    async def expire_deliveries(self, *, accepted_before_ms: int, now_ms: int, limit: int) -> int:
        """See `QueueStore`."""

        def write(tx: Transaction) -> int:
            rows = fetch_all(
                tx.db,
                f"SELECT {DELIVERY_COLUMNS} FROM delivery WHERE event_seq < ?"
                " ORDER BY event_seq LIMIT ?",
                (lowest_seq(accepted_before_ms), limit),
            )
            end_rows(tx, [delivery_of(row) for row in rows], ending_of(Turn.EXPIRED), now_ms)
            return len(rows)

        return await self.write(write)

    async def retain_days(
        self,
        *,
        accepted_before_ms: int,  # noqa: ARG002 - there are no days here
        now_ms: int,  # noqa: ARG002
    ) -> bool:
        """See `QueueStore`."""
        return False

    async def delete_expired(self, *, accepted_before_ms: int, limit: int) -> int:
        """See `QueueStore`."""

        def write(tx: Transaction) -> int:
            db = tx.db
            # What is still unfinished was just missed by the expiry, and keeps its event.
            events = fetch_all(
                db,
                "SELECT seq, tenant_id, event_id, event_key FROM event e WHERE seq < ?"
                " AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event_seq = e.seq)"
                " ORDER BY seq LIMIT ?",
                (lowest_seq(accepted_before_ms), limit),
            )
            if not events:
                return 0
            seqs = [(event[0],) for event in events]
            gone = db.execute_many(
                "DELETE FROM finished_delivery WHERE event_seq IN (",
                seqs,
                ") RETURNING delivery_id",
                types="i",
            )
            db.execute_many("DELETE FROM attempt WHERE delivery_id IN (", gone, ")", types="t")
            keys = [
                (tenant_id, key)
                for _, tenant_id, event_id, event_key in events
                for key in (event_id, event_key)
                if key is not None
            ]
            db.execute_many(
                "DELETE FROM event_key WHERE (tenant_id, event_key) IN (", keys, ")", types="tt"
            )
            db.execute_many("DELETE FROM event WHERE seq IN (", seqs, ")", types="i")
            db.execute(
                "UPDATE event_span SET deleted_seq = ?1 WHERE id = 1 AND deleted_seq < ?1", seqs[-1]
            )
            return len(events)

        return await self.write(write)
