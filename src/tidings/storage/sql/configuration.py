"""Subscriptions, keys and tenants in SQLite."""

from collections.abc import Callable
from typing import Any

import msgspec

from tidings.core import audit, limits
from tidings.core.audit import NOBODY, AuditRecord
from tidings.core.health import HEALTHY
from tidings.core.identifier import lowest_id
from tidings.core.lifecycle import LifecycleType
from tidings.core.refusals import NotFound, Unavailable
from tidings.core.routing import Routing
from tidings.core.subscription import Status, Subscription
from tidings.ports.records import (
    ApiKey,
    IdempotentAnswer,
    SubscriptionFilter,
    SubscriptionRecord,
)
from tidings.storage.sealing import Sealer
from tidings.storage.sql.audit import write_audit
from tidings.storage.sql.base import NEARLY_FULL, SqlBase
from tidings.storage.sql.changes import change_record, put_subscription
from tidings.storage.sql.database import Database, fetch_all, fetch_one, given, replacing
from tidings.storage.sql.quotas import check_equals, check_room
from tidings.storage.sql.rows import Row
from tidings.storage.sql.subscription_rows import (
    SUBSCRIPTION_SELECT,
    SubscriptionRows,
)
from tidings.storage.sql.tenants import note_tenant
from tidings.storage.sql.transaction import Telling, Transaction


class SqlConfiguration(SqlBase):
    """The configuration part of the store port."""

    async def load_subscriptions(self) -> list[SubscriptionRecord]:
        """See `ConfigurationStore`."""
        return await self.read(lambda db: load_subscriptions(db, self.sealer))

    async def create_subscription(
        self,
        subscription: Subscription,
        *,
        quota: int,
        equal_max: int = limits.EQUAL_SUBSCRIPTIONS_MAX_DEFAULT,
        idempotency: tuple[str, IdempotentAnswer] | None = None,
        by: str = NOBODY,
    ) -> IdempotentAnswer | None:
        """See `ConfigurationStore`."""
        self.keep_reserve()

        def write(tx: Transaction) -> IdempotentAnswer | None:
            if idempotency is not None:
                earlier = _claim_request(tx, self.sealer, subscription, *idempotency)
                if earlier is not None:
                    return earlier
            check_room(tx, subscription.tenant_id, quota)
            check_equals(tx, subscription, equal_max)
            _create_subscription(tx, self.sealer, subscription, by=by)
            return None

        return await self.write(write)

    async def change_subscription(
        self,
        tenant_id: str,
        subscription_id: str,
        change: Callable[[Subscription], Subscription],
        *,
        equal_max: int | None = None,
        by: str = NOBODY,
    ) -> SubscriptionRecord:
        """See `ConfigurationStore`."""
        is_nearly_full = self.is_nearly_full()

        def write(tx: Transaction) -> SubscriptionRecord:
            def within_bounds(old: Subscription) -> Subscription:
                new = change(old)
                # Each change leaves a record; what holds or ends work is done all the same.
                if is_nearly_full and new is not old and new.status is old.status:
                    raise Unavailable(NEARLY_FULL)
                if equal_max is not None and _wants_else(old, new):
                    check_equals(tx, new, equal_max)
                return new

            record = _get(tx.db, self.sealer, tenant_id, subscription_id)
            return change_record(tx, self.sealer, record, within_bounds, by=by)

        return await self.write(write)

    async def get_subscription(self, tenant_id: str, subscription_id: str) -> SubscriptionRecord:
        """See `ConfigurationStore`."""
        return await self.read(lambda db: _get(db, self.sealer, tenant_id, subscription_id))

    async def list_subscriptions(
        self, wanted: SubscriptionFilter, *, before: str | None, limit: int
    ) -> list[SubscriptionRecord]:
        """See `ConfigurationStore`."""
        where, bindings = _conditions(wanted, before)
        sql = f"{SUBSCRIPTION_SELECT} WHERE {where} ORDER BY s.subscription_id DESC LIMIT ?"

        def read(db: Database) -> list[SubscriptionRecord]:
            rows = fetch_all(db, sql, (*bindings, limit))
            return SubscriptionRows(db, self.sealer).records(rows)

        return await self.read(read)

    async def load_api_keys(self) -> list[ApiKey]:
        """See `ConfigurationStore`."""
        return await self.read(load_api_keys)

    async def create_api_key(self, key: ApiKey, *, by: str = NOBODY) -> None:
        """See `ConfigurationStore`."""
        self.keep_reserve()

        def write(tx: Transaction) -> None:
            tx.db.execute(
                "INSERT INTO api_key VALUES (?,?,?,?,?,?,?,NULL)",
                (
                    key.key_id,
                    key.key_hash,
                    key.name,
                    msgspec.json.encode(key.scopes).decode(),
                    key.tenant_id,
                    key.created_at_ms,
                    key.expires_at_ms,
                ),
            )
            if key.tenant_id is not None:
                note_tenant(tx, key.tenant_id, key.created_at_ms)
            tx.keys.append(key)
            write_audit(tx, key_created(key, by), key.created_at_ms)

        await self.write(write)

    async def list_api_keys(
        self, tenant_id: str | None, *, before: str | None, limit: int
    ) -> list[ApiKey]:
        """See `ConfigurationStore`."""
        where, bindings = given(("tenant_id = ?", tenant_id), ("key_id < ?", before))
        sql = f"{_KEY_SELECT} WHERE {where} ORDER BY key_id DESC LIMIT ?"
        rows = await self.read(lambda db: fetch_all(db, sql, (*bindings, limit)))
        return [_key_of(row) for row in rows]

    async def revoke_api_key(
        self, tenant_id: str | None, key_id: str, *, now_ms: int, by: str = NOBODY
    ) -> None:
        """See `ConfigurationStore`."""

        def write(tx: Transaction) -> None:
            where, bindings = given(("key_id = ?", key_id), ("tenant_id = ?", tenant_id))
            sql = f"DELETE FROM api_key WHERE {where} RETURNING tenant_id"
            gone = fetch_all(tx.db, sql, bindings)
            if not gone:
                raise NotFound("there is no such API key")
            tx.revoked_key_ids.append(key_id)
            write_audit(tx, AuditRecord("api_key.revoked", by, gone[0][0], key_id), now_ms)

        await self.write(write)


def load_subscriptions(db: Database, sealer: Sealer) -> list[SubscriptionRecord]:
    """All subscriptions that are not deleted, or deleted but with deliveries to settle."""
    rows = fetch_all(
        db,
        f"{SUBSCRIPTION_SELECT} WHERE s.status <> 'deleted' OR EXISTS"
        " (SELECT 1 FROM delivery d WHERE d.subscription_id = s.subscription_id)",
    )
    return SubscriptionRows(db, sealer).records(rows)


def load_routing(db: Database, sealer: Sealer) -> Routing:
    """The routing as the database has it."""
    return Routing(record.subscription for record in load_subscriptions(db, sealer))


def _claim_request(
    tx: Transaction,
    sealer: Sealer,
    subscription: Subscription,
    request_key: str,
    answer: IdempotentAnswer,
) -> IdempotentAnswer | None:
    """Note how a request is answered, or find how it was; None if this is the first of its key."""
    tenant_id, now_ms = subscription.tenant_id, subscription.created_at_ms
    owner = f"idempotent_request:{tenant_id}:{request_key}"
    row = fetch_one(
        tx.db,
        "SELECT fingerprint, sealed_answer FROM idempotent_request"
        " WHERE tenant_id = ? AND request_key = ? AND created_at_ms > ?",
        (tenant_id, request_key, now_ms - limits.IDEMPOTENT_REQUEST_TTL_MS),
    )
    if row is not None:
        return IdempotentAnswer(row[0], sealer.open(row[1], owner))
    sealed = sealer.seal(answer.answer, owner)
    tx.db.execute(
        "INSERT INTO idempotent_request VALUES (?,?,?,?,?)"
        + replacing("tenant_id, request_key", "fingerprint, sealed_answer, created_at_ms"),
        (tenant_id, request_key, answer.fingerprint, sealed, now_ms),
    )
    return None


def _create_subscription(
    tx: Transaction, sealer: Sealer, subscription: Subscription, *, by: str
) -> None:
    now_ms = subscription.created_at_ms
    note_tenant(tx, subscription.tenant_id, now_ms)
    put_subscription(tx, sealer, subscription)
    tx.tellings.append(
        Telling(
            LifecycleType.CREATED,
            subscription.subscription_id,
            now_ms,
            record=SubscriptionRecord(subscription, HEALTHY),
        )
    )
    write_audit(tx, audit.created(subscription, by), now_ms)


def _wants_else(old: Subscription, new: Subscription) -> bool:
    """Whether a change leads to another callback URL or other events."""
    return (old.callback_url, old.event_type) != (new.callback_url, new.event_type)


def _get(db: Database, sealer: Sealer, tenant_id: str, subscription_id: str) -> SubscriptionRecord:
    rows = fetch_all(
        db,
        f"{SUBSCRIPTION_SELECT}"
        " WHERE s.subscription_id = ? AND s.tenant_id = ? AND s.status <> 'deleted'",
        (subscription_id, tenant_id),
    )
    if not rows:
        raise NotFound("there is no such subscription")
    return SubscriptionRows(db, sealer).records(rows)[0]


def _conditions(wanted: SubscriptionFilter, before: str | None) -> tuple[str, list[Any]]:
    since = None if wanted.since_ms is None else lowest_id("sub", wanted.since_ms)
    until = None if wanted.until_ms is None else lowest_id("sub", wanted.until_ms)
    return given(
        ("s.status <> ?", Status.DELETED),
        ("s.tenant_id = ?", wanted.tenant_id),
        ("s.event_type = ?", wanted.event_type),
        ("s.status = ?", wanted.status),
        ("s.subscription_id < ?", before),
        ("s.subscription_id >= ?", since),
        ("s.subscription_id < ?", until),
    )


_KEY_SELECT = (
    "SELECT key_id, key_hash, name, scopes, tenant_id, created_at_ms, expires_at_ms FROM api_key"
)


def load_api_keys(db: Database) -> list[ApiKey]:
    """All API keys that are not revoked."""
    return [_key_of(row) for row in fetch_all(db, _KEY_SELECT)]


def find_api_key(db: Database, key_id: str) -> ApiKey | None:
    """An API key that is not revoked."""
    row = fetch_one(db, f"{_KEY_SELECT} WHERE key_id = ?", (key_id,))
    return None if row is None else _key_of(row)


def key_created(key: ApiKey, by: str) -> AuditRecord:
    """The audit record of a new key."""
    told = {"name": key.name, "scopes": key.scopes, "expires_at_ms": key.expires_at_ms}
    return AuditRecord("api_key.created", by, key.tenant_id, key.key_id, None, told)


def _key_of(row: Row) -> ApiKey:
    scopes = msgspec.json.decode(row[3], type=tuple[str, ...])
    return ApiKey(row[0], row[1], row[2], scopes, row[4], row[5], row[6])
