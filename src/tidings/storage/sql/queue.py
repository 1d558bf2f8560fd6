"""The queue of unfinished deliveries in SQLite, as the scheduler needs it."""

from collections.abc import Collection, Sequence

from tidings.core.delivery import Delivery, Turn, ending_of
from tidings.core.identifier import lowest_seq
from tidings.core.ownership import shard_of
from tidings.core.roll_up import RollUp
from tidings.core.subscription import Status
from tidings.ports.records import QueuePage
from tidings.ports.store import Recorded, Result
from tidings.storage.sql.base import SqlBase
from tidings.storage.sql.database import Database, fetch_all, fetch_one
from tidings.storage.sql.endings import end_rows
from tidings.storage.sql.results import record_results
from tidings.storage.sql.roll_ups import put_roll_ups
from tidings.storage.sql.rows import DELIVERY_COLUMNS, delivery_of
from tidings.storage.sql.transaction import Transaction, Unordered

# Jumps from one subscription to the next instead of walking through all of their rows.
_SUBSCRIPTIONS_WITH_ROWS = """
WITH RECURSIVE found (subscription_id) AS (
    SELECT min(subscription_id) FROM delivery
    UNION ALL
    SELECT (SELECT min(subscription_id) FROM delivery WHERE subscription_id > found.subscription_id)
    FROM found WHERE found.subscription_id IS NOT NULL
)
SELECT subscription_id FROM found WHERE subscription_id IS NOT NULL
"""

# Rows that could go, and the heads of lanes even while they wait: who reads this must know which
# lanes are taken.
_PAGE = f"""
SELECT {DELIVERY_COLUMNS} FROM delivery d
WHERE subscription_id = ? AND seq > ?
  AND (due_at_ms IS NULL OR ordering_key IS NOT NULL)
  AND (ordering_key IS NULL OR NOT EXISTS (
      SELECT 1 FROM delivery earlier
      WHERE earlier.subscription_id = d.subscription_id
        AND earlier.ordering_key = d.ordering_key AND earlier.seq < d.seq))
ORDER BY seq LIMIT ?
"""

_DUE = f"""
SELECT {DELIVERY_COLUMNS} FROM delivery
WHERE due_at_ms IS NOT NULL AND (due_at_ms, seq) > (?, ?) AND due_at_ms <= ?
ORDER BY due_at_ms, seq LIMIT ?
"""

_DUE_OF_SUBSCRIPTION = f"""
SELECT {DELIVERY_COLUMNS} FROM delivery
WHERE subscription_id = ? AND due_at_ms IS NOT NULL AND due_at_ms <= ?
ORDER BY due_at_ms LIMIT ?
"""


class SqlQueue(SqlBase):
    """The queue part of the store port."""

    async def list_subscriptions_with_deliveries(
        self, shards: Collection[int] | None = None
    ) -> list[str]:
        """See `QueueStore`."""
        rows = await self.read(lambda db: fetch_all(db, _SUBSCRIPTIONS_WITH_ROWS))
        return [row[0] for row in rows if shards is None or shard_of(row[0]) in shards]

    async def read_page(self, subscription_id: str, *, after_seq: int, limit: int) -> QueuePage:
        """See `QueueStore`."""

        def read(db: Database) -> QueuePage:
            found = fetch_all(db, _PAGE, (subscription_id, after_seq, limit))
            rows = [delivery_of(row) for row in found]
            if len(rows) >= limit:
                return QueuePage(rows, rows[-1].seq, is_last=False)
            last = fetch_one(
                db, "SELECT max(seq) FROM delivery WHERE subscription_id = ?", (subscription_id,)
            )
            last_seq = 0 if last is None else last[0] or 0
            return QueuePage(rows, max(last_seq, after_seq), is_last=True)

        return await self.read(read)

    async def read_due(
        self,
        *,
        after: tuple[int, int],
        until_ms: int,
        limit: int,
        shards: Collection[int] | None = None,  # noqa: ARG002 - one owner has them all
    ) -> list[Delivery]:
        """See `QueueStore`."""
        rows = await self.read(lambda db: fetch_all(db, _DUE, (*after, until_ms, limit)))
        return [delivery_of(row) for row in rows]

    async def read_due_of_subscription(
        self, subscription_id: str, *, until_ms: int, limit: int
    ) -> list[Delivery]:
        """See `QueueStore`."""
        rows = await self.read(
            lambda db: fetch_all(db, _DUE_OF_SUBSCRIPTION, (subscription_id, until_ms, limit))
        )
        return [delivery_of(row) for row in rows]

    async def record_results(
        self, results: Sequence[Result], *, roll_ups: Sequence[RollUp] = ()
    ) -> list[Recorded]:
        """See `QueueStore`."""

        def write(tx: Transaction) -> list[Recorded]:
            if results:
                tx.fence()
            put_roll_ups(tx.db, roll_ups)
            return record_results(tx, self.sealer, results)

        return await self.write(Unordered(write))

    async def settle_deliveries(
        self, subscription_id: str, *, excluding: Collection[int], now_ms: int, limit: int
    ) -> int:
        """See `QueueStore`."""

        def write(tx: Transaction) -> int:
            tx.fence()
            row = fetch_one(
                tx.db,
                "SELECT status FROM subscription WHERE subscription_id = ?",
                (subscription_id,),
            )
            status = Status.DELETED if row is None else Status(row[0])
            turn = _SETTLING_TURNS.get(status)
            if turn is None:
                return 0
            return _end_some(tx, subscription_id, excluding, turn, now_ms=now_ms, limit=limit)

        return await self.write(write)

    async def end_held_deliveries(
        self,
        subscription_id: str,
        *,
        queued_before_ms: int,
        excluding: Collection[int],
        now_ms: int,
        limit: int,
    ) -> int:
        """See `QueueStore`."""

        def write(tx: Transaction) -> int:
            tx.fence()
            return _end_some(
                tx,
                subscription_id,
                excluding,
                Turn.HELD_TOO_LONG,
                now_ms=now_ms,
                limit=limit,
                below_seq=lowest_seq(queued_before_ms),
            )

        return await self.write(write)


_SETTLING_TURNS = {
    Status.DISABLED: Turn.SUBSCRIPTION_DISABLED,
    Status.DELETED: Turn.SUBSCRIPTION_DELETED,
}
_SEQ_MAX = (1 << 63) - 1


def _end_some(
    tx: Transaction,
    subscription_id: str,
    excluding: Collection[int],
    turn: Turn,
    *,
    now_ms: int,
    limit: int,
    below_seq: int = _SEQ_MAX,
) -> int:
    """End the oldest rows of a subscription, up to `limit`, but those in flight."""
    spared = set(excluding)
    rows = fetch_all(
        tx.db,
        f"SELECT {DELIVERY_COLUMNS} FROM delivery WHERE subscription_id = ? AND seq < ?"
        " ORDER BY seq LIMIT ?",
        (subscription_id, below_seq, limit + len(spared)),
    )
    ending = [delivery_of(row) for row in rows if row[0] not in spared][:limit]
    end_rows(tx, ending, ending_of(turn), now_ms)
    return len(ending)
