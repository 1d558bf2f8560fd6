"""Every statement finds its rows by an index on PostgreSQL, too, when the tables are large."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import asyncpg
import pytest

from tests.contracts.store.conftest import Filled
from tests.storage.test_query_plans import use_everything
from tests.support.postgres_plans import (
    Planned,
    PlanNotes,
    kept_plan,
    large_tables,
    nodes,
    too_much,
)
from tests.support.stores import open_postgres_store
from tests.support.values import NOW_MS
from tidings.core.identifier import lowest_seq
from tidings.core.limits import SHARDS
from tidings.storage.postgres import following
from tidings.storage.postgres import queue as postgres_queue
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.postgres.translation import translated
from tidings.storage.sql import queue
from tidings.storage.sql.database import fetch_all

DAY_MS = 24 * 3_600_000
ROWS = 50_000
TENANTS = 100
SUBSCRIPTIONS = 1_000

_TIME = " || ".join(
    f"substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + (at_ms >> {shift} & 31)::int, 1)"
    for shift in range(45, -1, -5)
)
# Ids in the order of time, as ours are; of each tenant, of each subscription, a share.
_FILL = f"""
BEGIN;
CREATE TEMPORARY TABLE made ON COMMIT DROP AS
SELECT *, 'dlv_' || {_TIME} || lpad(n::text, 16, '0') AS ended_id,
       'dlv_' || {_TIME} || lpad((n + 1000000)::text, 16, '0') AS waiting_id FROM (
SELECT n, 'tenant_' || n % {TENANTS} AS tenant, 'sub_' || lpad((n % {SUBSCRIPTIONS})::text, 9, '0')
       AS subscription, {NOW_MS} - {DAY_MS} + n * 1700 AS at_ms FROM generate_series(1, {ROWS}) AS n
) AS numbered;
INSERT INTO tenant SELECT 'tenant_' || n, 1 FROM generate_series(0, {TENANTS - 1}) AS n;
INSERT INTO subscription (subscription_id, tenant_id, event_type, callback_url, status,
    ordering_enabled, timeout_seconds, metadata, version, created_at_ms, updated_at_ms)
SELECT DISTINCT subscription, tenant, 'none',
    'https://example.com', 'active', 0, 30, '{{}}', 1, 1, 1
FROM made;
INSERT INTO event SELECT at_ms << 20, tenant, 'evt_' || n, NULL, 'order.shipped', '', NULL, 'body'
FROM made;
INSERT INTO event_key SELECT tenant, 'evt_' || n, 'evt_' || n, at_ms << 20, 'hash', 1 FROM made;
INSERT INTO finished_delivery SELECT tenant, ended_id, subscription, at_ms << 20, 0, 1,
    CASE WHEN n % 50 = 0 THEN 'dead_lettered' WHEN n % 50 = 1 THEN 'cancelled' ELSE 'delivered' END,
    NULL, at_ms, 0 FROM made;
INSERT INTO attempt SELECT ended_id, 1, 'att_' || n, 0, at_ms, 5, 'delivered', 200, NULL,
    NULL, 'test', NULL, NULL, NULL FROM made;
INSERT INTO delivery SELECT (at_ms << 20) + 1, waiting_id, tenant, subscription,
    at_ms << 20, 0, 0, 0, CASE WHEN n % 3 = 0 THEN at_ms + 60000 END,
    CASE WHEN n % 5 = 0 THEN 'lane_' || n % 7 END, NULL, 0, 0, n % {SHARDS} FROM made;
INSERT INTO row_change SELECT (at_ms << 20) + 2, n % {SHARDS}, subscription, (at_ms << 20) + 1, NULL
FROM made;
INSERT INTO audit_record SELECT at_ms << 20, tenant, 'key', 'tried', 'none', NULL, NULL FROM made;
INSERT INTO roll_up SELECT tenant, subscription, at_ms - at_ms % 10000, 10, n, 1, 0, 0, 0, 0, 0, 0,
    '\\x80' FROM made;
UPDATE configuration SET last_seq = {lowest_seq(NOW_MS)} WHERE id = 1;
COMMIT;
"""

FREQUENT = {
    following._NEW_ROWS: "delivery_pkey",
    following._CHANGED_ROWS: "row_change_pkey",
    postgres_queue._DUE: "delivery_by_due",
    queue._PAGE: "delivery_by_subscription",
    queue._DUE_OF_SUBSCRIPTION: "delivery_by_subscription_due",
    queue._SUBSCRIPTIONS_WITH_ROWS: "delivery_by_subscription",
}
"""What the engine asks all the time, and the index that has to answer."""


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> PlanNotes:
    """Every statement that is run meanwhile, with its plan."""
    notes, fetch = PlanNotes(), PostgresConnection._fetch

    def noted(self: PostgresConnection, sql: str, values: Any) -> Any:
        return notes.note(self, sql, values, fetch)

    monkeypatch.setattr(PostgresConnection, "_fetch", noted)
    return notes


@pytest.fixture
async def filled(postgres_url: str, plans: PlanNotes) -> AsyncIterator[Filled]:
    async with open_postgres_store(postgres_url) as store:
        db = await asyncpg.connect(postgres_url)
        await db.execute(_FILL)
        await db.execute("VACUUM ANALYZE")
        await db.close()
        yield Filled(store)


async def use_the_cluster(filled: Filled) -> None:
    """What several processes do besides."""
    store: Any = filled.store
    await filled.subscribe()
    rows = await filled.publish(4)
    await store.cancel_delivery(rows[0].tenant_id, rows[0].delivery_id, now_ms=NOW_MS)
    for shards in (range(SHARDS), range(0, SHARDS, 3)):
        for after_seq in (0, rows[0].seq - 1):
            await store.read_arrivals(after_seq=after_seq, shards=shards, limit=100)
        await store.read_due(after=(0, 0), until_ms=NOW_MS, limit=100, shards=shards)
        await store.list_subscriptions_with_deliveries(shards)
    await store.read_bodies([row.event_seq for row in rows])
    await store.postpone({rows[1].seq: NOW_MS})
    await store.count_unfinished([row.seq for row in rows])
    await store.list_silences(range(SHARDS))
    await store.load_healths([rows[0].subscription_id])


async def test_no_statement_reads_through_a_large_table(
    filled: Filled, plans: PlanNotes, postgres_url: str
) -> None:
    await use_the_cluster(filled)
    await use_everything(filled)
    # One that has no index, to see that it would be found.
    without = "SELECT seq FROM delivery WHERE kept_due_at_ms = 1"
    store: Any = filled.store
    await store.read(lambda db: fetch_all(db, without))
    seen = dict(plans.seen)
    assert len(seen) > 150
    bad = await asyncio.to_thread(judged, postgres_url, seen.values())
    assert [sql for _, _, sql in bad] == [without] * 2
    for shared, index in FREQUENT.items():
        text, _ = translated(shared)._variant(())
        used = {node.get("Index Name") for node, _ in nodes(seen[text].plan)}
        assert index in used, seen[text].plan


def judged(url: str, seen: Iterable[Planned]) -> list[tuple[str, list[str], str]]:
    """Statements whose plan reads too much, by their values or for all."""
    bad = []
    db = PostgresConnection(url)
    try:
        large = large_tables(db)
        assert len(large) >= 11
        for one in seen:
            for which, plan in (("given", one.plan), ("any", kept_plan(db, one))):
                found = too_much(plan, large) if plan is not None else []
                if found:
                    bad.append((which, found, one.sql))
    finally:
        db.close()
    return bad
