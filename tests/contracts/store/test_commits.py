"""What commits tell: everything that changed, in the order of commits, before the caller hears."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from tests.contracts.store.conftest import Filled
from tests.support.values import NOW_MS, TENANT, a_result, a_subscription, an_event
from tidings.core.delivery import Turn, ending_of
from tidings.core.health import HEALTHY, Health
from tidings.core.refusals import NotFound, QuotaExceeded
from tidings.core.subscription import Status, Subscription
from tidings.ports.records import ApiKey, Replay, ReplayScope, SubscriptionRecord
from tidings.ports.store import Committed, Store

DELIVERED = ending_of(Turn.ATTEMPT_DELIVERED)


async def test_listeners_hear_of_a_commit_before_its_caller_and_in_one_order(
    store: Store,
) -> None:
    heard: list[tuple[str, int]] = []
    for name in ("first", "second"):

        def listen(changes: Committed, name: str = name) -> None:
            heard.extend((name, row.seq) for row in changes.arrived)

        store.on_commit(listen)
    await store.create_subscription(a_subscription(), quota=9)
    order: list[int] = []

    async def publish(number: int) -> None:
        await store.accept_events([an_event(event_id=f"evt_n{number}")], now_ms=NOW_MS)
        order.append(len(heard))

    await asyncio.gather(*(publish(number) for number in range(40)))
    assert [one for one in heard if one[0] == "first"] == sorted(
        one for one in heard if one[0] == "first"
    )
    assert [seq for name, seq in heard if name == "second"] == sorted(
        seq for name, seq in heard if name == "first"
    )
    # Whoever was answered as the n-th had n commits told to both listeners.
    assert all(count >= 2 * (place + 1) for place, count in enumerate(order))


async def test_concurrent_writers_of_every_kind_are_told_in_the_order_of_their_effects(
    filled: Filled,
) -> None:
    subscription = await filled.subscribe()
    store = filled.store
    rows = await filled.publish(20)
    del filled.told[:]

    async def rename(number: int) -> None:
        await store.change_subscription(
            TENANT,
            subscription.subscription_id,
            lambda old: replace(old, version=old.version + 1, description=str(number)),
        )

    await asyncio.gather(
        *(rename(number) for number in range(20)),
        *(store.accept_events([an_event()], now_ms=NOW_MS) for _ in range(20)),
        *(store.record_results([a_result(row, DELIVERED)]) for row in rows),
    )
    versions = [one.version for changes in filled.told for one in changes.subscriptions]
    assert versions == list(range(1, 21))
    seqs = [row.seq for changes in filled.told for row in changes.arrived]
    assert len(seqs) == 20
    assert seqs == sorted(seqs)
    recorded = [result.delivery.seq for changes in filled.told for result, _ in changes.recorded]
    assert sorted(recorded) == [row.seq for row in rows]


async def test_nothing_is_told_of_what_was_refused_or_changed_nothing(filled: Filled) -> None:
    await filled.publish(event_id="evt_1")
    told = len(filled.told)
    store = filled.store
    with pytest.raises(QuotaExceeded):
        await store.create_subscription(a_subscription(), quota=0)
    with pytest.raises(NotFound):
        await store.cancel_delivery(TENANT, "dlv_unknown", now_ms=NOW_MS)
    await store.accept_events([an_event(event_id="evt_1")], now_ms=NOW_MS)
    await store.expire_deliveries(accepted_before_ms=0, now_ms=NOW_MS, limit=9)
    await store.check()
    assert len(filled.told) == told


async def test_a_refusal_within_a_crowd_undoes_itself_alone(filled: Filled) -> None:
    store = filled.store
    answers = await asyncio.gather(
        *(store.create_subscription(a_subscription("a"), quota=3) for _ in range(10)),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, QuotaExceeded)]
    assert len(refused) == 7
    assert len(await store.load_subscriptions()) == 3
    told = [one for changes in filled.told for one in changes.subscriptions]
    assert len(told) == 3
    # The routing knows of the three, too, and of no other.
    assert len(await filled.publish(event_type="a")) == 3


async def test_keys_and_replays_are_told(filled: Filled) -> None:
    store = filled.store
    key = ApiKey("key_1", b"h" * 32, "one", ("admin",), TENANT, NOW_MS)
    await store.create_api_key(key)
    assert filled.told[-1].keys == [key]
    await filled.subscribe()
    (row,) = await filled.publish()
    await filled.end(row)
    replay = Replay("rpl_1", ReplayScope(TENANT, "dead"), 1, NOW_MS + 9)
    await store.start_replay(replay)
    assert filled.told[-1].replays == [replay]
    advanced = await store.advance_replay("rpl_1", now_ms=NOW_MS + 9, limit=5)
    assert filled.told[-1].replays == [advanced]
    assert [one.delivery_id for one in filled.told[-1].arrived] == [row.delivery_id]
    # A step of a replay that is over does nothing, and says so to nobody.
    told = len(filled.told)
    assert await store.advance_replay("rpl_1", now_ms=NOW_MS + 9, limit=5) == advanced
    assert len(filled.told) == told


def _become(changed: Subscription, _: Subscription) -> Subscription:
    return changed


async def test_a_resume_makes_the_endpoint_healthy_and_is_told(filled: Filled) -> None:
    subscription = await filled.subscribe()
    (row,) = await filled.publish()
    ill = Health(12, NOW_MS, NOW_MS + 5, 30_000, NOW_MS + 7)
    await filled.store.record_results([a_result(row, DELIVERED, health=ill)])
    for status, health in ((Status.PAUSED, ill), (Status.ACTIVE, HEALTHY)):
        changed = replace(subscription, status=status, version=subscription.version + 1)
        record = await filled.store.change_subscription(
            TENANT, subscription.subscription_id, partial(_become, changed)
        )
        assert record == SubscriptionRecord(changed, health)
        assert filled.told[-1].subscriptions == [changed]
        assert await filled.store.load_subscriptions() == [record]
