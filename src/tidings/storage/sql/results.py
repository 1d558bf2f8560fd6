"""Recording what attempts came to, many at a time."""

from collections.abc import Sequence

import msgspec

from tidings.core.delivery import Delivery
from tidings.core.lifecycle import LifecycleType, health_told
from tidings.core.pattern import is_reserved
from tidings.core.subscription import DisabledReason, disabled
from tidings.ports.store import Recorded, Result
from tidings.storage.sealing import Sealer
from tidings.storage.sql.changes import change_record, find_record
from tidings.storage.sql.database import fetch_all, fetch_one
from tidings.storage.sql.endings import (
    finished_row,
    insert_finished,
    next_in_lane,
    tell_dead_letters,
)
from tidings.storage.sql.health import read_health, write_health
from tidings.storage.sql.rows import ATTEMPT_TYPES, Row, attempt_row
from tidings.storage.sql.transaction import Telling, Transaction


def record_results(tx: Transaction, sealer: Sealer, results: Sequence[Result]) -> list[Recorded]:
    """Record attempts and what they lead to.

    Each result applies to the row that has seen one attempt less. It may be repeated: a row that
    stands as the result would leave it counts as applied. Any other row was ended by somebody else.
    """
    db = tx.db
    disabling = _not_recorded(tx, [result for result in results if result.disabling is not None])
    db.execute_many(
        "INSERT INTO attempt",
        [_attempt_values(result) for result in results],
        "ON CONFLICT (delivery_id, number) DO NOTHING",
        types=ATTEMPT_TYPES,
    )
    ending = [result for result in results if result.ending is not None]
    waiting = [result for result in results if result.ending is None]
    removed = _remove(tx, [result.delivery for result in ending])
    moved = _reschedule(tx, [result.delivery for result in waiting])
    finished: list[Row] = []
    for one in ending:
        if one.ending is not None and one.delivery.seq in removed:
            ended_at_ms = _ended_at_ms(one)
            finished.append(finished_row(one.delivery, one.ending, ended_at_ms))
            tell_dead_letters(tx, [one.delivery], one.ending, ended_at_ms)
    insert_finished(db, finished)
    _write_healths(tx, [result for result in results if result.health is not None])
    for result in disabling:
        _disable(tx, sealer, result)
    recorded = [_recorded(tx, result, removed, moved) for result in results]
    tx.recorded.extend(zip(results, recorded, strict=True))
    return recorded


def _not_recorded(tx: Transaction, results: Sequence[Result]) -> list[Result]:
    """Those whose attempts are not on record yet: a repeat must not disable once more."""
    return [
        result
        for result in results
        if fetch_one(
            tx.db,
            "SELECT 1 FROM attempt WHERE delivery_id = ? AND number = ?",
            (result.attempt.delivery_id, result.attempt.number),
        )
        is None
    ]


def _write_healths(tx: Transaction, results: Sequence[Result]) -> None:
    """Store the health of endpoints, and tell when one begins to fail or recovers."""
    for result in results:
        subscription_id, health = result.delivery.subscription_id, result.health
        assert health is not None
        told = health_told(read_health(tx.db, subscription_id), health)
        if told is LifecycleType.FAILING and _is_of_reserved_event(tx, result.delivery):
            # Deliveries of lifecycle events cause none; the next one of another event will. But
            # what was told to fail is told to recover, whichever event it takes first.
            health = msgspec.structs.replace(health, is_told=False)
        elif told is not None:
            tx.tellings.append(Telling(told, subscription_id, _ended_at_ms(result)))
        write_health(tx.db, [(subscription_id, health)])


def _is_of_reserved_event(tx: Transaction, delivery: Delivery) -> bool:
    row = fetch_one(tx.db, "SELECT event_type FROM event WHERE seq = ?", (delivery.event_seq,))
    return row is not None and is_reserved(row[0])


def _disable(tx: Transaction, sealer: Sealer, result: Result) -> None:
    """Switch a subscription off, never without having told of its failures."""
    disabling, now_ms = result.disabling, _ended_at_ms(result)
    record = find_record(tx, sealer, result.delivery.subscription_id)
    if record is None or disabling is None:
        return
    before = record.subscription
    after = disabled(before, disabling.reason, now_ms=now_ms)
    if after is before or before.callback_url != disabling.callback_url:
        return
    if disabling.reason is DisabledReason.FAILING and not record.health.is_told:
        told = Telling(LifecycleType.FAILING, before.subscription_id, now_ms, record)
        tx.tellings.append(told)
    change_record(tx, sealer, record, lambda _: after)


def _attempt_values(result: Result) -> Sequence[object]:
    """The attempt's row in the order of the table, whose key comes first."""
    attempt_id, delivery_id, round_, number, *rest = attempt_row(result.attempt)
    return (delivery_id, number, attempt_id, round_, *rest)


def _ended_at_ms(result: Result) -> int:
    return result.attempt.started_at_ms + result.attempt.duration_ms


def _remove(tx: Transaction, deliveries: Sequence[Delivery]) -> set[int]:
    """Remove rows that have ended; answers those that were there to be removed."""
    rows = [(one.seq, one.attempt_count - 1) for one in deliveries]
    key = "seq, attempt_count"
    removed = {row[0] for row in tx.db.delete_many("delivery", key, rows, types="ii")}
    tx.backlog.removed({one.seq: one for one in deliveries if one.seq in removed}.values())
    return removed


def _reschedule(tx: Transaction, deliveries: Sequence[Delivery]) -> set[int]:
    """Write the next due time; answers the rows that were there to be written."""
    rows = [
        (
            one.seq,
            one.attempt_count,
            one.schedule_position,
            one.due_at_ms,
            one.kept_due_at_ms,
        )
        for one in deliveries
    ]
    sql = (
        "UPDATE delivery SET attempt_count = new.column2, schedule_position = new.column3,"
        " due_at_ms = new.column4, kept_due_at_ms = new.column5 FROM ("
    )
    after = ") AS new WHERE seq = new.column1 AND attempt_count = new.column2 - 1 RETURNING seq"
    return {row[0] for row in tx.db.execute_many(sql, rows, after, types="iiiii")}


def _recorded(tx: Transaction, result: Result, removed: set[int], moved: set[int]) -> Recorded:
    delivery = result.delivery
    if delivery.seq in removed:
        return Recorded(applied=True, next_in_lane=next_in_lane(tx.db, delivery))
    if delivery.seq in moved:
        return Recorded(applied=True)
    row = fetch_one(tx.db, "SELECT attempt_count FROM delivery WHERE seq = ?", (delivery.seq,))
    if row is not None and row[0] == delivery.attempt_count:
        return Recorded(applied=True)
    assert row is None, "a row in the queue has seen other attempts than its owner made"
    _note_late_attempt(tx, delivery)
    # Told again, in case the commit that ended the row was not heard of.
    return Recorded(applied=False, next_in_lane=next_in_lane(tx.db, delivery))


def _note_late_attempt(tx: Transaction, delivery: Delivery) -> None:
    """Count an attempt whose row had ended before; of what was erased nothing is kept."""
    identity = (delivery.tenant_id, delivery.delivery_id)
    counted = fetch_all(
        tx.db,
        "UPDATE finished_delivery SET attempt_count ="
        " CASE WHEN attempt_count < ?1 THEN ?1 ELSE attempt_count END"
        " WHERE tenant_id = ?2 AND delivery_id = ?3 RETURNING 1",
        (delivery.attempt_count, *identity),
    )
    if counted:
        return
    again = fetch_one(
        tx.db, "SELECT 1 FROM delivery WHERE tenant_id = ? AND delivery_id = ?", identity
    )
    if again is None:
        tx.db.execute("DELETE FROM attempt WHERE delivery_id = ?", (delivery.delivery_id,))
