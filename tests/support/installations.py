"""A SQLite installation with something of everything, and all that a store answers about it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.contracts.store.conftest import Filled
from tests.support.stores import DATABASE_NAME, SEALING_KEY, open_sqlite_store
from tests.support.values import (
    CHANCE,
    NOW_MS,
    SECRET,
    TENANT,
    a_result,
    a_subscription,
    an_event,
)
from tidings.core import limits
from tidings.core.attempt import Answer
from tidings.core.catalogue import CataloguedType, Described, Validation
from tidings.core.delivery import DeliveryStatus, Turn
from tidings.core.health import Health
from tidings.core.ownership import shard_of
from tidings.core.retry import RetryPolicy
from tidings.core.roll_up import WHOLE_TENANT, Figures, RollUp, start_of
from tidings.core.subscription import Change, SigningSecret, Status, Subscription, status_after
from tidings.ports.records import (
    ApiKey,
    DeliveryFilter,
    EventFilter,
    IdempotentAnswer,
    Replay,
    ReplayChoice,
    ReplayScope,
    SubscriptionFilter,
)
from tidings.ports.store import Store

DAY_MS = 86_400_000
OTHER = "acme"
FAILED = Answer(
    status_code=503,
    headers=(("retry-after", "30"), ("x-ünicode", "ß")),
    body=b"\x00\xff not now",
)


async def fill(folder: Path, *, events: int = 40) -> None:
    """Put something of everything into the database of a folder, over several days."""
    async with open_sqlite_store(folder) as store:
        filled = Filled(store)
        await _configure(filled)
        await _catalogue(filled)
        await _deliver(filled)
        await _replay(filled)
        for first in range(0, events, 200):
            batch = [
                an_event("bulk.event", tenant_id=OTHER, data=b'{"n":%d}' % n)
                for n in range(first, min(first + 200, events))
            ]
            at_ms = NOW_MS + (first % 1_000) // 200 * DAY_MS
            while batch:
                batch = batch[len(await store.accept_events(batch, now_ms=at_ms)) :]


async def _configure(filled: Filled) -> None:
    store = filled.store
    secrets = (SigningSecret(SECRET, NOW_MS, NOW_MS + DAY_MS), SigningSecret("x" * 20, NOW_MS))
    await filled.subscribe(
        "order.*, paid",
        ordering_enabled=True,
        secrets=secrets,
        headers=(("authorization", "Bearer secret"), ("x-two", "2")),
        rate_limit_per_second=2.5,
        retry_policy=RetryPolicy((5, 60, 3_600)),
        description="Zürich \N{PARTY POPPER}",
        metadata={"team": "ß", "0": ""},
        content_filter='{"n":1}',
        thin_above_bytes=100,
    )
    paused = await filled.subscribe("order.*", callback_url="https://example.com/paused")
    await _change(store, paused, Change.PAUSE)
    gone = await filled.subscribe("order.*", callback_url="https://example.com/gone")
    await filled.publish(2, event_type="order.before")
    await _change(store, gone, Change.DELETE)
    bulk = a_subscription("bulk.*", tenant_id=OTHER, must_prove=True, verified_at_ms=NOW_MS)
    await store.create_subscription(
        bulk, quota=9, idempotency=("asked-once", IdempotentAnswer(b"f" * 16, b'{"made":1}'))
    )
    for number, tenant_id in enumerate((None, TENANT, OTHER)):
        key_id = CHANCE.new_id("key", NOW_MS + number)
        key = ApiKey(key_id, bytes([number]) * 32, f"key {number}", ("admin",), tenant_id, NOW_MS)
        await store.create_api_key(key, by="key_before")
        await store.note_key_uses({key_id: NOW_MS + number})


async def _change(store: Store, one: Subscription, change: Change) -> None:
    status = status_after(Status.ACTIVE, change)
    await store.change_subscription(
        one.tenant_id,
        one.subscription_id,
        lambda old: replace(old, status=status, version=old.version + 1),
    )


async def _catalogue(filled: Filled) -> None:
    def described(old: CataloguedType | None) -> CataloguedType:
        version, schema = (1, '{"n": 1.50}') if old is None else (old.version + 1, "{}")
        what = Described("ünïcode", schema, '{"e": 1}', Validation.ENFORCE, deprecated=True)
        return CataloguedType(TENANT, "order.made", what, version, NOW_MS, NOW_MS + version)

    for _ in range(2):
        await filled.store.change_event_type(TENANT, "order.made", described, quota=9)


async def _deliver(filled: Filled) -> None:
    """Deliveries of every kind: finished, dead, waiting, in lanes, with attempts and health."""
    store = filled.store
    for key in ("a", "b", "a"):
        await filled.publish(2, event_type="order.shipped", ordering_key=key, data=b'{"n":1}')
    await filled.publish(
        event_type="paid", event_id="given", event_key="derived", data=b'{"n":1}', hops=3
    )
    rows = await filled.publish(4, event_type="order.lone", data=b'{"n":1}')
    delivered, dead, waiting, erased, *_ = [one for one in rows if one.ordering_key is None]
    await filled.end(delivered, Turn.ATTEMPT_DELIVERED)
    await filled.end(dead)
    health = Health(12, NOW_MS, NOW_MS + 60_000, 60_000, NOW_MS + 30_000, is_told=True)
    result = a_result(
        waiting,
        None,
        answer=FAILED,
        health=health,
        schedule_position=1,
        due_at_ms=NOW_MS + 5_000,
    )
    span = limits.ROLL_UP_SECONDS
    figures = Figures()
    figures.add_attempt(result.attempt.outcome, 1_234)
    names = (waiting.subscription_id, WHOLE_TENANT)
    roll_ups = [RollUp(TENANT, one, span, start_of(NOW_MS, span), figures, 7) for one in names]
    await store.record_results([result], roll_ups=roll_ups)
    await filled.end(erased, Turn.ATTEMPT_DELIVERED)


async def _replay(filled: Filled) -> None:
    store = filled.store
    (dead,) = await filled.listed(status=DeliveryStatus.DEAD_LETTERED)
    await store.replay_delivery(TENANT, dead.delivery_id, now_ms=NOW_MS + DAY_MS)
    wanted: list[tuple[str, ReplayChoice, int]] = [("rpl_1", "all", 1), ("rpl_2", "missed", 500)]
    for name, only, limit in wanted:
        scope = ReplayScope(TENANT, only, dead.subscription_id, "order.*", NOW_MS - 1, None)
        await store.start_replay(Replay(name, scope, 5, NOW_MS + DAY_MS), by="key_before")
        await store.advance_replay(name, now_ms=NOW_MS + DAY_MS, limit=limit)
    event_id = (await store.list_events(EventFilter(TENANT), before=None, limit=1))[0].event_id
    await store.erase_event_data(TENANT, event_id, now_ms=NOW_MS + 2 * DAY_MS, by="key_before")
    (row,) = (await filled.publish(event_type="order.lone", data=b'{"n":1}'))[:1]
    await filled.end(row)


async def answers(store: Store) -> dict[str, Any]:
    """All that the port answers about what `fill` puts into a store."""
    found: dict[str, Any] = {
        "loaded": sorted(await store.load_subscriptions(), key=_subscription_id),
        "keys": await store.load_api_keys(),
        "listed keys": await store.list_api_keys(None, before=None, limit=1_000),
        "tenants": await store.list_tenants(before=None, limit=1_000),
        "subscriptions": await store.list_subscriptions(
            SubscriptionFilter(None), before=None, limit=1_000
        ),
        "checked types": await store.load_checked_event_types(),
        "types": await store.list_event_types(None, before=None, limit=1_000),
        "versions": await store.list_schema_versions(TENANT, "order.made"),
        "span": await store.read_event_span(),
        "replays": await store.load_replays(),
        "finished replay": await store.get_replay(TENANT, "rpl_2"),
        "due": await store.read_due(after=(0, 0), until_ms=NOW_MS * 2, limit=10_000),
    }
    events = await store.list_events(EventFilter(None), before=None, limit=10_000)
    found["events"] = events
    found["bodies"] = await store.read_bodies([one.seq for one in events])
    for one in events:
        if one.tenant_id == TENANT:
            found[f"event {one.event_id}"] = await store.get_event(TENANT, one.event_id)
    deliveries = await store.list_deliveries(DeliveryFilter(None), before=None, limit=10_000)
    found["deliveries"] = deliveries
    for record in deliveries:
        if record.attempt_count:
            name = record.delivery_id
            found[f"attempts {name}"] = await store.list_attempts(name)
    for tenant_id in (TENANT, OTHER):
        found[f"statistics {tenant_id}"] = await store.read_statistics(
            tenant_id, None, since_ms=0, until_ms=NOW_MS * 2
        )
    return found | await _of_subscriptions(store)


async def _of_subscriptions(store: Store) -> dict[str, Any]:
    found: dict[str, Any] = {}
    waiting = await store.list_subscriptions_with_deliveries()
    found["with deliveries"] = sorted(waiting)
    for name in waiting:
        found[f"statistics {name}"] = await store.read_statistics(
            TENANT, name, since_ms=0, until_ms=NOW_MS * 2
        )
        found[f"page {name}"] = await store.read_page(name, after_seq=0, limit=10_000)
        found[f"shard {name}"] = name in await store.list_subscriptions_with_deliveries(
            [shard_of(name)]
        )
    return found


def _subscription_id(record: Any) -> str:
    return str(record.subscription.subscription_id)


_DIE_AT = """
import os, signal, sys
from pathlib import Path
from tidings.storage.copying import copy

path, url, share = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
key, now_ms = bytes.fromhex(sys.argv[4]), int(sys.argv[5])

def reached(done, total):
    if done >= share * total:
        os.kill(os.getpid(), signal.SIGKILL)

copy(path, url, key=key, now_ms=now_ms, progress=reached)
"""


def killed(folder: Path, url: str, share: float) -> None:
    """Copy until some share of the work is done, and die of SIGKILL then."""
    given = [str(folder / DATABASE_NAME), url, str(share), SEALING_KEY.hex(), str(NOW_MS)]
    command = [sys.executable, "-c", _DIE_AT, *given]
    ended = subprocess.run(command, capture_output=True, check=False)
    assert ended.returncode == -9, ended.stderr.decode()
