"""Statistics in SQLite: roll-ups are added, grow coarser as they age, and go in the end."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from tidings.core import limits
from tidings.core.delivery import Delivery, DeliveryStatus, Ending
from tidings.core.identifier import id_made_at_ms
from tidings.core.roll_up import OUTCOMES, WHOLE_TENANT, Figures, RollUp, start_of
from tidings.ports.records import Backlog, StatisticsRecord
from tidings.storage.sql.base import SqlBase
from tidings.storage.sql.database import Database, fetch_all, fetch_one, replacing
from tidings.storage.sql.rows import Row
from tidings.storage.sql.transaction import Transaction

_COLUMNS: Final = (
    "tenant_id, subscription_id, start_ms, span_seconds, writer,"
    " delivered, failed, throttled, gone, blocked, our_fault, dead_lettered, latencies"
)
_KEY: Final = "(tenant_id, subscription_id, start_ms, span_seconds, writer)"
_KEY_COLUMNS: Final = 5
_KEY_TYPES: Final = "ttiii"
_TYPES: Final = f"{_KEY_TYPES}iiiiiiib"
_COUNTS: Final = _KEY_COLUMNS + len(OUTCOMES)
_LATENCIES: Final = msgspec.msgpack.Decoder(dict[int, int])


class SqlRollUps(SqlBase):
    """The statistics part of the store port."""

    async def read_statistics(
        self, tenant_id: str, subscription_id: str | None, *, since_ms: int, until_ms: int
    ) -> StatisticsRecord:
        """See `StatisticsStore`."""

        def read(db: Database) -> StatisticsRecord:
            rows = fetch_all(
                db,
                f"SELECT {_COLUMNS} FROM roll_up WHERE tenant_id = ? AND subscription_id = ?"
                " AND start_ms >= ? AND start_ms < ?",
                (tenant_id, subscription_id or WHOLE_TENANT, since_ms, until_ms),
            )
            backlog = _backlog(db, tenant_id, subscription_id)
            return StatisticsRecord([_roll_up_of(row) for row in rows], backlog)

        return await self.read(read)

    async def coarsen_roll_ups(
        self, *, span_seconds: int, into_seconds: int, before_ms: int, limit: int
    ) -> int:
        """See `StatisticsStore`."""

        def write(tx: Transaction) -> int:
            rows = fetch_all(
                tx.db,
                f"SELECT {_COLUMNS} FROM roll_up WHERE span_seconds = ? AND start_ms < ?"
                " ORDER BY start_ms LIMIT ?",
                (span_seconds, start_of(before_ms, into_seconds), limit),
            )
            _add(tx.db, [_coarser(_roll_up_of(row), into_seconds) for row in rows])
            keys = [row[:_KEY_COLUMNS] for row in rows]
            tx.db.execute_many(
                f"DELETE FROM roll_up WHERE {_KEY} IN (", keys, ")", types=_KEY_TYPES
            )
            return len(rows)

        return await self.write(write)

    async def delete_roll_ups(self, *, before_ms: int, limit: int) -> int:
        """See `StatisticsStore`."""

        def write(tx: Transaction) -> int:
            gone = fetch_all(
                tx.db,
                f"DELETE FROM roll_up WHERE {_KEY} IN (SELECT {_KEY[1:-1]} FROM roll_up"
                " WHERE span_seconds = ? AND start_ms < ? LIMIT ?) RETURNING 1",
                (limits.ROLL_UP_HOUR_SECONDS, before_ms, limit),
            )
            return len(gone)

        return await self.write(write)


def put_roll_ups(db: Database, roll_ups: Sequence[RollUp]) -> None:
    """Store roll-ups in place of what the same writer stored of the same span."""
    db.execute_many(
        f"INSERT INTO roll_up ({_COLUMNS}) SELECT * FROM (",
        [_row_of(one) for one in roll_ups],
        # A tenant may have been erased meanwhile.
        ") AS given WHERE column1 IN (SELECT tenant_id FROM tenant)"
        + replacing(_KEY[1:-1], _COLUMNS),
        types=_TYPES,
    )


def count_dead_letters(
    tx: Transaction, rows: Sequence[Delivery], ending: Ending, at_ms: int
) -> None:
    """Count rows that became dead letters without an attempt, of which no other counter knows."""
    if ending.status is not DeliveryStatus.DEAD_LETTERED:
        return
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        counts[row.tenant_id, row.subscription_id] += 1
        counts[row.tenant_id, WHOLE_TENANT] += 1
    span = limits.ROLL_UP_SECONDS
    start_ms = start_of(at_ms, span)
    _add(
        tx.db,
        [
            RollUp(tenant_id, subscription_id, span, start_ms, Figures(dead_lettered=count))
            for (tenant_id, subscription_id), count in counts.items()
        ],
    )


def erase_roll_ups(tx: Transaction, tenant_id: str, limit: int) -> int:
    """Erase some of the statistics of a tenant; answers how many."""
    gone = fetch_all(
        tx.db,
        f"DELETE FROM roll_up WHERE {_KEY} IN (SELECT {_KEY[1:-1]} FROM roll_up"
        " WHERE tenant_id = ? LIMIT ?) RETURNING 1",
        (tenant_id, limit),
    )
    return len(gone)


def _add(db: Database, roll_ups: Iterable[RollUp]) -> None:
    """Add figures to what the store itself has stored of the same spans."""
    added: dict[Row, RollUp] = {}
    for one in roll_ups:
        key = (one.tenant_id, one.subscription_id, one.start_ms, one.span_seconds, 0)
        known = added.get(key)
        if known is None:
            added[key] = one
        else:
            known.figures.add(one.figures)
    stored = db.execute_many(
        f"SELECT {_COLUMNS} FROM roll_up WHERE {_KEY} IN (",
        list(added),
        ")",
        types=_KEY_TYPES,
    )
    for row in stored:
        added[row[:_KEY_COLUMNS]].figures.add(_roll_up_of(row).figures)
    put_roll_ups(db, list(added.values()))


def _coarser(one: RollUp, span_seconds: int) -> RollUp:
    start_ms = start_of(one.start_ms, span_seconds)
    return RollUp(one.tenant_id, one.subscription_id, span_seconds, start_ms, one.figures)


def _backlog(db: Database, tenant_id: str, subscription_id: str | None) -> Backlog:
    if subscription_id is None:
        where, oldest, bound = "tenant_id = ?", "delivery_id", tenant_id
    else:
        where, oldest, bound = "subscription_id = ?", "seq", subscription_id
    (pending,) = fetch_one(
        db,
        f"SELECT count(*) FROM (SELECT 1 FROM delivery WHERE {where} LIMIT ?) AS counted",
        (bound, limits.BACKLOG_COUNT_MAX + 1),
    )
    row = fetch_one(
        db, f"SELECT delivery_id FROM delivery WHERE {where} ORDER BY {oldest} LIMIT 1", (bound,)
    )
    return Backlog(
        pending=min(pending, limits.BACKLOG_COUNT_MAX),
        is_more=pending > limits.BACKLOG_COUNT_MAX,
        oldest_at_ms=None if row is None else id_made_at_ms(row[0]),
    )


def _roll_up_of(row: Row) -> RollUp:
    tenant_id, subscription_id, start_ms, span_seconds, writer = row[:_KEY_COLUMNS]
    figures = Figures(
        list(row[_KEY_COLUMNS:_COUNTS]), row[_COUNTS], _LATENCIES.decode(row[_COUNTS + 1])
    )
    return RollUp(tenant_id, subscription_id, span_seconds, start_ms, figures, writer)


def _row_of(one: RollUp) -> Row:
    figures = one.figures
    return (
        one.tenant_id,
        one.subscription_id,
        one.start_ms,
        one.span_seconds,
        one.writer,
        *figures.outcomes,
        figures.dead_lettered,
        msgspec.msgpack.encode(figures.latencies),
    )
