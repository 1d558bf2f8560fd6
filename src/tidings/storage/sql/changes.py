"""Changing a subscription within a transaction, and telling of it."""

from collections.abc import Callable

from tidings.core import audit, limits
from tidings.core.audit import NOBODY
from tidings.core.health import HEALTHY
from tidings.core.lifecycle import LifecycleType, change_told
from tidings.core.subscription import Subscription
from tidings.ports.records import SubscriptionRecord
from tidings.storage.sealing import Sealer
from tidings.storage.sql.audit import write_audit
from tidings.storage.sql.database import fetch_all, fetch_one
from tidings.storage.sql.health import write_health
from tidings.storage.sql.subscription_rows import SUBSCRIPTION_SELECT, SubscriptionRows
from tidings.storage.sql.transaction import Telling, Transaction


def change_record(
    tx: Transaction,
    sealer: Sealer,
    record: SubscriptionRecord,
    change: Callable[[Subscription], Subscription],
    *,
    by: str = NOBODY,
) -> SubscriptionRecord:
    """Apply a pure function to a stored subscription; the very same object changes nothing."""
    old = record.subscription
    new = change(old)
    if new is old:
        return record
    health = record.health
    if new.may_send and not old.may_send:
        health = HEALTHY
        write_health(tx.db, [(new.subscription_id, HEALTHY)])
    put_subscription(tx, sealer, new)
    write_audit(tx, audit.changed(old, new, by), new.updated_at_ms)
    changed = SubscriptionRecord(new, health)
    tx.tellings.append(_telling_of(tx, record, changed))
    return changed


def put_subscription(tx: Transaction, sealer: Sealer, subscription: Subscription) -> None:
    """Store a new or changed subscription, and let everybody follow."""
    SubscriptionRows(tx.db, sealer).put(subscription)
    tx.routing.put(subscription)
    tx.subscriptions.append(subscription)


def find_record(tx: Transaction, sealer: Sealer, subscription_id: str) -> SubscriptionRecord | None:
    """A subscription of any tenant, unless it is deleted."""
    rows = fetch_all(
        tx.db,
        f"{SUBSCRIPTION_SELECT} WHERE s.subscription_id = ? AND s.status <> 'deleted'",
        (subscription_id,),
    )
    found = SubscriptionRows(tx.db, sealer).records(rows)
    return found[0] if found else None


def _telling_of(tx: Transaction, before: SubscriptionRecord, after: SubscriptionRecord) -> Telling:
    subscription = after.subscription
    told = change_told(before.subscription, subscription)
    # What is deleted is told of as it was last seen.
    record = before if told is LifecycleType.DELETED else after
    dead_lettered = None
    if told is LifecycleType.DISABLED:
        dead_lettered = _count_unfinished(tx, subscription.subscription_id)
    return Telling(
        told,
        subscription.subscription_id,
        subscription.updated_at_ms,
        record=record,
        reason=subscription.disabled_reason,
        dead_lettered=dead_lettered,
    )


def _count_unfinished(tx: Transaction, subscription_id: str) -> int:
    """How many deliveries are about to become dead letters, up to the limit of such counts."""
    (counted,) = fetch_one(
        tx.db,
        "SELECT count(*) FROM"
        " (SELECT 1 FROM delivery WHERE subscription_id = ? LIMIT ?) AS counted",
        (subscription_id, limits.BACKLOG_COUNT_MAX),
    )
    return int(counted)
