"""Moving rows out of the queue: whoever removes a row decides its end."""

from collections.abc import Sequence

import msgspec

from tidings.core.delivery import Delivery, Ending
from tidings.core.lifecycle import LifecycleType, is_ending_told
from tidings.storage.sql.database import Database, fetch_one
from tidings.storage.sql.roll_ups import count_dead_letters
from tidings.storage.sql.rows import DELIVERY_COLUMNS, Row, delivery_of
from tidings.storage.sql.transaction import Telling, Transaction


def end_rows(
    tx: Transaction, rows: Sequence[Delivery], ending: Ending, now_ms: int
) -> Sequence[Delivery]:
    """End rows that stand in the queue, for another reason than the result of an attempt.

    Answers those that were still there, with the attempts that they have seen by now: whoever
    removes a row decides its end.
    """
    removed = tx.db.execute_many(
        "DELETE FROM delivery WHERE seq IN (",
        [(row.seq,) for row in rows],
        ") RETURNING seq, attempt_count",
        types="i",
    )
    counts = dict(map(tuple, removed))
    # A result may have been recorded since they were read.
    rows = [
        row
        if row.attempt_count == counts[row.seq]
        else msgspec.structs.replace(row, attempt_count=counts[row.seq])
        for row in rows
        if row.seq in counts
    ]
    if not rows:
        return rows
    insert_finished(tx.db, [finished_row(row, ending, now_ms) for row in rows])
    tx.backlog.removed(rows)
    tell_dead_letters(tx, rows, ending, now_ms)
    count_dead_letters(tx, rows, ending, now_ms)
    tx.ended.extend(rows)
    for row in rows:
        following = next_in_lane(tx.db, row)
        if following is not None and following not in tx.unparked:
            tx.unparked.append(following)
    return rows


def tell_dead_letters(
    tx: Transaction, rows: Sequence[Delivery], ending: Ending, at_ms: int
) -> None:
    """Have it told that rows became dead letters: once for each subscription."""
    if not is_ending_told(ending):
        return
    by_subscription: dict[str, list[Delivery]] = {}
    for row in rows:
        by_subscription.setdefault(row.subscription_id, []).append(row)
    for subscription_id, ended in by_subscription.items():
        tx.tellings.append(
            Telling(LifecycleType.DEAD_LETTERED, subscription_id, at_ms, ended=ended, ending=ending)
        )


def finished_row(delivery: Delivery, ending: Ending, now_ms: int) -> Row:
    """The row of the log for a delivery that ends now."""
    return (
        delivery.tenant_id,
        delivery.delivery_id,
        delivery.subscription_id,
        delivery.event_seq,
        delivery.round,
        delivery.attempt_count,
        ending.status,
        ending.reason,
        now_ms,
        int(delivery.form),
    )


def insert_finished(db: Database, rows: Sequence[Row]) -> None:
    """Put rows into the log of finished deliveries."""
    db.execute_many(
        "INSERT INTO finished_delivery",
        rows,
        "ON CONFLICT (tenant_id, delivery_id) DO UPDATE SET round = excluded.round,"
        " attempt_count = excluded.attempt_count, status = excluded.status,"
        " reason = excluded.reason, finished_at_ms = excluded.finished_at_ms",
        types="tttiiittii",
    )


def next_in_lane(db: Database, ended: Delivery) -> Delivery | None:
    """The row that may go because this one has left the queue; None without an ordering key."""
    if ended.ordering_key is None:
        return None
    row = fetch_one(
        db,
        f"SELECT {DELIVERY_COLUMNS} FROM delivery"
        " WHERE subscription_id = ? AND ordering_key = ? ORDER BY seq LIMIT 1",
        (ended.subscription_id, ended.ordering_key),
    )
    # A head that was there before this row is none that this row had parked.
    return delivery_of(row) if row is not None and row[0] > ended.seq else None
