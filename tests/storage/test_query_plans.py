"""Every statement that the store runs finds its rows by an index, however large the tables grow."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.contracts.store.conftest import Filled
from tests.support.stores import DATABASE_NAME, open_sqlite_store
from tests.support.values import NOW_MS, TENANT, a_result, an_event
from tidings.core.attempt import Answer
from tidings.core.delivery import DeliveryStatus, Turn, ending_of
from tidings.core.roll_up import Figures, RollUp
from tidings.core.subscription import DisabledReason, disabled
from tidings.ports.records import (
    DeliveryFilter,
    EventFilter,
    Replay,
    ReplayChoice,
    ReplayScope,
    SubscriptionFilter,
)
from tidings.storage.sqlite.connection import connect

LARGE = {"delivery", "finished_delivery", "event", "event_key", "attempt", "audit_record"}
LARGE |= {"roll_up"}
LARGE |= {"d", "e", "k", "earlier"}  # as the statements call them
_SCAN = re.compile(r"SCAN (\w+)")
_STATEMENT = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)", re.IGNORECASE)


@pytest.fixture
def statements() -> Iterator[dict[str, Any]]:
    """Every statement that is run meanwhile, with the values it was given last."""
    seen: dict[str, Any] = {}

    def trace(_cursor: apsw.Cursor, sql: str, bindings: Any) -> bool:
        if _STATEMENT.match(sql):
            seen[sql] = bindings
        return True

    def watch(db: apsw.Connection) -> None:
        db.set_exec_trace(trace)

    apsw.connection_hooks.append(watch)
    yield seen
    apsw.connection_hooks.remove(watch)


async def use_everything(filled: Filled) -> None:
    """Call every method of the port that touches a large table."""
    store = filled.store
    subscription = await filled.subscribe(ordering_enabled=True)
    name = subscription.subscription_id
    rows = await filled.publish(8, ordering_key="k")
    many = [an_event(event_id=f"evt_{n}") for n in range(70)]
    await store.accept_events(many, now_ms=NOW_MS, backlog_max=1_000)
    await filled.end(rows[0], Turn.ATTEMPT_DELIVERED)
    await filled.end(rows[1])
    waiting = a_result(rows[2], None, answer=Answer(status_code=500), due_at_ms=NOW_MS + 5)
    await store.record_results([waiting])
    await store.record_results([waiting])
    await store.retry_delivery(TENANT, rows[2].delivery_id, now_ms=NOW_MS)
    await store.replay_delivery(TENANT, rows[0].delivery_id, now_ms=NOW_MS)
    await store.cancel_delivery(TENANT, rows[3].delivery_id, now_ms=NOW_MS)
    await store.record_results([a_result(rows[3], ending_of(Turn.ATTEMPT_DELIVERED))])
    await replay_everything(filled, name)
    await store.replay_event(TENANT, "evt_1", subscription_id=None, now_ms=NOW_MS)
    await filled.end(rows[4])
    await store.discard_dead_letter(TENANT, rows[4].delivery_id, now_ms=NOW_MS)
    await store.read_page(name, after_seq=0, limit=9)
    await store.read_due(after=(0, 0), until_ms=NOW_MS, limit=9)
    await store.read_due_of_subscription(name, until_ms=NOW_MS, limit=9)
    await store.read_event_span()
    for tenant_id in (TENANT, None):
        await store.read_events_after(0, tenant_id=tenant_id, patterns="a.*", limit=9, bytes_max=9)
    await store.list_subscriptions_with_deliveries()
    await store.load_subscriptions()
    await store.list_attempts(rows[0].delivery_id)
    await store.get_delivery(TENANT, rows[0].delivery_id)
    await list_everything(filled, name)
    await count_everything(filled, name)
    await store.end_held_deliveries(
        name, queued_before_ms=NOW_MS + 1, excluding=[1], now_ms=NOW_MS, limit=2
    )
    await store.change_subscription(
        TENANT, name, lambda old: disabled(old, DisabledReason.OPERATOR, now_ms=NOW_MS)
    )
    await store.settle_deliveries(name, excluding=[1], now_ms=NOW_MS, limit=3)
    await store.erase_event_data(TENANT, "evt_2", now_ms=NOW_MS)
    await store.expire_deliveries(accepted_before_ms=NOW_MS + 1, now_ms=NOW_MS, limit=9)
    await store.delete_expired(accepted_before_ms=NOW_MS + 1, limit=9)
    await store.delete_audit_records(recorded_before_ms=NOW_MS, limit=9)
    while await store.erase_tenant(TENANT, now_ms=NOW_MS, limit=20):
        pass


async def count_everything(filled: Filled, subscription_id: str) -> None:
    """Statistics, from their beginning to their end."""
    store, far_ms = filled.store, NOW_MS + 10**10
    put = RollUp(TENANT, subscription_id, 10, NOW_MS, Figures(), 7)
    await store.record_results((), roll_ups=[put])
    for whose in (subscription_id, None):
        await store.read_statistics(TENANT, whose, since_ms=0, until_ms=far_ms)
    for span, into in ((10, 60), (60, 3_600)):
        joined = {"span_seconds": span, "into_seconds": into, "before_ms": far_ms}
        assert await store.coarsen_roll_ups(**joined, limit=9) > 0
    assert await store.delete_roll_ups(before_ms=far_ms, limit=9) > 0


async def replay_everything(filled: Filled, subscription_id: str) -> None:
    """Replays in bulk of every kind."""
    choices: tuple[tuple[ReplayChoice, str | None], ...] = (
        ("dead", subscription_id),
        ("dead", None),
        ("all", subscription_id),
        ("all", None),
        ("missed", subscription_id),
    )
    for number, (only, name) in enumerate(choices):
        scope = ReplayScope(TENANT, only, name, "order.*", NOW_MS - 9, NOW_MS + 9)
        await filled.store.count_replay(scope)
        await filled.store.start_replay(Replay(f"rpl_{number}", scope, 9, NOW_MS))
        await filled.store.advance_replay(f"rpl_{number}", now_ms=NOW_MS, limit=1)
    await filled.store.load_replays()


async def list_everything(filled: Filled, subscription_id: str) -> None:
    """All lists in all the ways in which the API asks for them."""
    store = filled.store
    await store.get_event(TENANT, "evt_1")
    for tenant_id in (TENANT, None):
        await store.list_events(EventFilter(tenant_id, "order.*", 1, 2), before=9, limit=5)
        await store.list_subscriptions(SubscriptionFilter(tenant_id), before=None, limit=5)
    filters: tuple[dict[str, Any], ...] = (
        {},
        {"subscription_id": subscription_id},
        {"event_id": "evt_1"},
        {"since_ms": 1, "until_ms": 2},
    )
    for status, members, tenant_id in product((None, *DeliveryStatus), filters, (TENANT, None)):
        wanted = DeliveryFilter(tenant_id, status, **members)
        for before in (None, "dlv_0"):
            await store.list_deliveries(wanted, before=before, limit=5)


def steps_of_plans(folder: Path, statements: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every step by which the database would carry the statements out, with its statement."""
    db = connect(folder / DATABASE_NAME)
    steps = [
        (step, sql)
        for sql, bindings in statements.items()
        for _, _, _, step in db.execute(f"EXPLAIN QUERY PLAN {sql}", bindings)
    ]
    db.close()
    return steps


async def test_no_statement_reads_through_a_large_table(
    tmp_path: Path, statements: dict[str, Any]
) -> None:
    async with open_sqlite_store(tmp_path) as store:
        await use_everything(Filled(store))
    seen = dict(statements)
    assert len(seen) > 60
    scans = []
    for step, sql in steps_of_plans(tmp_path, seen):
        scan = _SCAN.match(step)
        if scan is not None and scan.group(1) in LARGE:
            scans.append((step, sql))
    assert scans == []


async def test_the_few_that_did_not_get_through_are_found_without_looking_at_all_others(
    tmp_path: Path, statements: dict[str, Any]
) -> None:
    async with open_sqlite_store(tmp_path) as store:
        for status in (DeliveryStatus.DEAD_LETTERED, DeliveryStatus.CANCELLED):
            await store.list_deliveries(DeliveryFilter(TENANT, status), before=None, limit=5)
    steps = [step for step, _ in steps_of_plans(tmp_path, dict(statements))]
    for index in ("dead_letter_by_tenant", "cancelled_by_tenant"):
        assert any(index in step for step in steps), index
