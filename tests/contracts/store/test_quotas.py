"""The quotas of a tenant that concern publishing, and hops: exact, whatever happened before."""

import asyncio
from pathlib import Path

from tests.contracts.store.conftest import Filled
from tests.support.stores import StoreOpener
from tests.support.values import NOW_MS, TENANT, a_subscription, an_event
from tidings.core.delivery import Turn
from tidings.core.event import Accepted, AcceptResult, OverQuota
from tidings.core.refusals import QuotaExceeded
from tidings.ports.store import Store

OVER_BACKLOG = OverQuota("backlog")


async def publish(store: Store, backlog_max: int, **members: object) -> AcceptResult:
    (answer,) = await store.accept_events(
        [an_event(**members)],  # type: ignore[arg-type]
        now_ms=NOW_MS,
        backlog_max=backlog_max,
    )
    return answer


async def test_a_tenant_with_a_full_backlog_begins_no_more_and_loses_nothing(
    filled: Filled,
) -> None:
    await filled.subscribe()
    rows = await filled.publish(2)
    assert await publish(filled.store, 2) == OVER_BACKLOG
    assert len(await filled.listed()) == 2
    await filled.end(rows[0])
    assert isinstance(await publish(filled.store, 2), Accepted)
    assert await publish(filled.store, 2) == OVER_BACKLOG


async def test_a_repeat_is_answered_however_full_the_backlog_is(filled: Filled) -> None:
    await filled.subscribe()
    event = an_event(event_id="evt_1")
    await filled.store.accept_events([event], now_ms=NOW_MS)
    (answer,) = await filled.store.accept_events([event], now_ms=NOW_MS, backlog_max=1)
    assert isinstance(answer, Accepted)
    assert answer.is_repeat


async def test_an_event_that_nobody_wants_needs_no_room(filled: Filled) -> None:
    await filled.subscribe("order.*")
    await filled.publish(1)
    assert isinstance(await publish(filled.store, 1, event_type="other"), Accepted)


async def test_one_tenants_backlog_is_not_anothers(filled: Filled) -> None:
    await filled.subscribe()
    await filled.subscribe(tenant_id="other")
    await filled.publish(3)
    assert isinstance(await publish(filled.store, 1, tenant_id="other"), Accepted)
    assert await publish(filled.store, 1, tenant_id="other") == OVER_BACKLOG


async def test_within_one_batch_each_item_counts_what_went_before_it(filled: Filled) -> None:
    await filled.subscribe()
    await filled.subscribe()
    events = [an_event() for _ in range(4)]
    answers = await filled.store.accept_events(events, now_ms=NOW_MS, backlog_max=3)
    # The second began when there was room for one: an event is let in whole or not at all.
    assert [isinstance(answer, Accepted) for answer in answers] == [True, True, False, False]


async def test_the_backlog_is_the_same_after_a_restart(opener: StoreOpener, tmp_path: Path) -> None:
    async with opener(tmp_path) as store:
        filled = Filled(store)
        await filled.subscribe()
        rows = await filled.publish(3)
        await filled.end(rows[0])
    async with opener(tmp_path) as store:
        assert await publish(store, 2) == OVER_BACKLOG
        assert isinstance(await publish(store, 3), Accepted)


async def test_every_way_to_end_a_delivery_makes_room_and_a_replay_takes_it(
    filled: Filled,
) -> None:
    subscription = await filled.subscribe()
    store, name = filled.store, subscription.subscription_id
    rows = await filled.publish(5)
    await filled.end(rows[0], Turn.LAST_ATTEMPT_FAILED)
    await store.cancel_delivery(TENANT, rows[1].delivery_id, now_ms=NOW_MS)
    await store.end_held_deliveries(
        name, queued_before_ms=NOW_MS + 9, excluding=(), now_ms=NOW_MS, limit=1
    )
    assert await publish(store, 2) == OVER_BACKLOG
    await store.replay_delivery(TENANT, rows[0].delivery_id, now_ms=NOW_MS)
    assert await publish(store, 3) == OVER_BACKLOG
    await store.expire_deliveries(accepted_before_ms=NOW_MS + 9, now_ms=NOW_MS, limit=9)
    assert isinstance(await publish(store, 1), Accepted)
    while await store.erase_tenant(TENANT, now_ms=NOW_MS, limit=1):
        pass
    await filled.subscribe()
    assert isinstance(await publish(store, 1), Accepted)


async def test_a_write_that_was_refused_leaves_the_count_as_it_was(filled: Filled) -> None:
    await filled.subscribe()
    answers = await asyncio.gather(
        publish(filled.store, 9),
        filled.store.create_subscription(a_subscription(), quota=0),
        publish(filled.store, 9),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [Accepted, QuotaExceeded, Accepted]
    assert await publish(filled.store, 2) == OVER_BACKLOG
    assert isinstance(await publish(filled.store, 3), Accepted)


async def test_over_its_rate_a_tenant_gets_answers_to_repeats_alone(filled: Filled) -> None:
    await filled.subscribe()
    await filled.publish(event_id="evt_1")
    fast = [an_event(event_id=name, is_over_rate=True) for name in ("evt_1", "evt_2")]
    repeat, new = await filled.store.accept_events(fast, now_ms=NOW_MS)
    assert isinstance(repeat, Accepted)
    assert repeat.is_repeat
    assert new == OverQuota("events_per_second")
    assert [one.event_id for one in await filled.listed()] == ["evt_1"]


async def test_hops_are_kept_with_the_event(filled: Filled) -> None:
    await filled.subscribe()
    (row,) = await filled.publish(hops=3)
    assert filled.told[-1].bodies[row.event_seq].hops == 3
    assert (await filled.store.read_bodies([row.event_seq]))[row.event_seq].hops == 3
    (listed,) = await filled.listed()
    assert listed.hops == 3
    await filled.end(row)
    assert (await filled.store.get_delivery(TENANT, row.delivery_id)).hops == 3
