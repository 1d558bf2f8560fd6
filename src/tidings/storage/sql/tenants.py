"""Tenants in SQLite: they begin with the first thing that names them, and are erased as a whole."""

from collections.abc import Sequence

from tidings.core.audit import NOBODY, AuditRecord
from tidings.core.grammar import OPERATOR
from tidings.core.refusals import NotFound
from tidings.core.subscription import Change, Status, Subscription, status_after
from tidings.storage.sql.audit import write_audit
from tidings.storage.sql.base import SqlBase
from tidings.storage.sql.database import fetch_all, fetch_one, given
from tidings.storage.sql.roll_ups import erase_roll_ups
from tidings.storage.sql.rows import DELIVERY_COLUMNS, Row, delivery_of
from tidings.storage.sql.subscription_rows import SUBSCRIPTION_SELECT, SubscriptionRows
from tidings.storage.sql.transaction import Transaction


def note_tenant(tx: Transaction, tenant_id: str, now_ms: int) -> None:
    """Remember a tenant from the first time it is named."""
    if tenant_id in tx.known_tenants:
        return
    tx.known_tenants.add(tenant_id)
    tx.db.execute(
        "INSERT INTO tenant VALUES (?,?) ON CONFLICT (tenant_id) DO NOTHING", (tenant_id, now_ms)
    )


class SqlTenants(SqlBase):
    """The tenant part of the store port."""

    async def list_tenants(self, *, before: str | None, limit: int) -> list[tuple[str, int]]:
        """See `ConfigurationStore`."""
        where, bindings = given(("tenant_id <> ?", OPERATOR), ("tenant_id < ?", before))
        sql = (
            f"SELECT tenant_id, created_at_ms FROM tenant WHERE {where}"
            " ORDER BY tenant_id DESC LIMIT ?"
        )
        rows = await self.read(lambda db: fetch_all(db, sql, (*bindings, limit)))
        return [(row[0], row[1]) for row in rows]

    async def erase_tenant(
        self, tenant_id: str, *, now_ms: int, limit: int, by: str = NOBODY
    ) -> bool:
        """See `ConfigurationStore`."""

        def write(tx: Transaction) -> bool:
            rows = SubscriptionRows(tx.db, self.sealer)
            began, is_unfinished = _erase(tx, rows, tenant_id, now_ms, limit)
            for is_true, action in ((began, "erasure_began"), (not is_unfinished, "erased")):
                if is_true:
                    # It belongs to no tenant, so that it outlives this one.
                    record = AuditRecord(f"tenant.{action}", by, None, tenant_id)
                    write_audit(tx, record, now_ms)
            return is_unfinished

        return await self.write(write)


def _erase(
    tx: Transaction, rows: SubscriptionRows, tenant_id: str, now_ms: int, limit: int
) -> tuple[bool, bool]:
    """Erase a part; answers whether anything was alive until now, and whether more is left."""
    found = fetch_one(tx.db, "SELECT 1 FROM tenant WHERE tenant_id = ?", (tenant_id,))
    if found is None:
        raise NotFound("there is no such tenant")
    tx.has_erased = True
    tx.known_tenants.clear()
    began = _silence(tx, rows, tenant_id, now_ms)
    left = limit - _erase_deliveries(tx, tenant_id, limit)
    if left > 0:
        left -= erase_roll_ups(tx, tenant_id, left)
    for table, key in (
        ("finished_delivery", "delivery_id"),
        ("event", "seq"),
        ("event_key", "event_key"),
        ("idempotent_request", "request_key"),
        ("replay", "replay_id"),
        ("audit_record", "seq"),
    ):
        if left <= 0:
            return began, True
        if table == "finished_delivery":
            tx.db.execute(
                "DELETE FROM attempt WHERE delivery_id IN (SELECT delivery_id"
                " FROM finished_delivery WHERE tenant_id = ? ORDER BY delivery_id LIMIT ?)",
                (tenant_id, left),
            )
        if table == "event":
            _erase_what_others_got(tx, tenant_id, left)
        gone = fetch_all(
            tx.db,
            f"DELETE FROM {table} WHERE tenant_id = ?1 AND {key} IN (SELECT {key} FROM {table}"
            f" WHERE tenant_id = ?1 ORDER BY {key} LIMIT ?2) RETURNING 1",
            (tenant_id, left),
        )
        left -= len(gone)
    if left <= 0:
        return began, True
    for table in ("signing_secret", "endpoint_health"):
        tx.db.execute(
            f"DELETE FROM {table} WHERE subscription_id IN"
            " (SELECT subscription_id FROM subscription WHERE tenant_id = ?)",
            (tenant_id,),
        )
    tx.db.execute("DELETE FROM subscription WHERE tenant_id = ?", (tenant_id,))
    tx.db.execute("DELETE FROM tenant WHERE tenant_id = ?", (tenant_id,))
    return began, False


def _silence(tx: Transaction, rows: SubscriptionRows, tenant_id: str, now_ms: int) -> bool:
    """Delete the subscriptions and keys, so that nothing new begins while the rest is erased."""
    live = fetch_all(
        tx.db,
        f"{SUBSCRIPTION_SELECT} WHERE s.tenant_id = ? AND s.status <> 'deleted'",
        (tenant_id,),
    )
    for record in rows.records(live):
        deleted = _deleted(record.subscription, now_ms)
        rows.put(deleted)
        tx.routing.put(deleted)
        tx.subscriptions.append(deleted)
    described = _forget_catalogue(tx, tenant_id)
    keys = fetch_all(
        tx.db, "DELETE FROM api_key WHERE tenant_id = ? RETURNING key_id", (tenant_id,)
    )
    tx.revoked_key_ids.extend(row[0] for row in keys)
    return bool(live or keys or described)


def _forget_catalogue(tx: Transaction, tenant_id: str) -> bool:
    """Delete what was said about event types; whether there was anything."""
    gone = fetch_all(
        tx.db, "DELETE FROM event_type WHERE tenant_id = ? RETURNING event_type", (tenant_id,)
    )
    tx.db.execute("DELETE FROM event_type_version WHERE tenant_id = ?", (tenant_id,))
    tx.forgotten_event_types.extend((tenant_id, row[0]) for row in gone)
    return bool(gone)


def _deleted(subscription: Subscription, now_ms: int) -> Subscription:
    return Subscription(
        subscription_id=subscription.subscription_id,
        tenant_id=subscription.tenant_id,
        event_type=subscription.event_type,
        callback_url=subscription.callback_url,
        created_at_ms=subscription.created_at_ms,
        updated_at_ms=now_ms,
        status=status_after(Status(subscription.status), Change.DELETE),
        version=subscription.version + 1,
    )


def _erase_deliveries(tx: Transaction, tenant_id: str, limit: int) -> int:
    """Erase unfinished deliveries with their attempts; nobody is left to ask about them."""
    gone = fetch_all(
        tx.db,
        "DELETE FROM delivery WHERE seq IN (SELECT seq FROM delivery WHERE tenant_id = ? LIMIT ?)"
        f" RETURNING {DELIVERY_COLUMNS}",
        (tenant_id, limit),
    )
    _forget_rows(tx, gone)
    return len(gone)


def _erase_what_others_got(tx: Transaction, tenant_id: str, limit: int) -> None:
    """Erase the deliveries of the next events to the operator, who gets those about tenants."""
    about_tenant = (
        "event_seq IN (SELECT seq FROM (SELECT seq, about FROM event WHERE tenant_id = ?"
        " ORDER BY seq LIMIT ?) AS told WHERE about IS NOT NULL)"
    )
    gone = fetch_all(
        tx.db,
        f"DELETE FROM delivery WHERE {about_tenant} RETURNING {DELIVERY_COLUMNS}",
        (tenant_id, limit),
    )
    _forget_rows(tx, gone)
    finished = fetch_all(
        tx.db,
        f"DELETE FROM finished_delivery WHERE {about_tenant} RETURNING delivery_id",
        (tenant_id, limit),
    )
    tx.db.execute_many("DELETE FROM attempt WHERE delivery_id IN (", finished, ")", types="t")


def _forget_rows(tx: Transaction, gone: Sequence[Row]) -> None:
    """Let everybody know of rows that were deleted, and delete their attempts."""
    for row in gone:
        tx.db.execute("DELETE FROM attempt WHERE delivery_id = ?", (row[1],))
    rows = [delivery_of(row) for row in gone]
    tx.backlog.removed(rows)
    tx.ended.extend(rows)
