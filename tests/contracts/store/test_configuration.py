"""Subscriptions, keys and tenants."""

import asyncio
from dataclasses import replace

import pytest

from tests.contracts.store.conftest import Filled
from tests.support.values import NOW_MS, TENANT, a_subscription
from tidings.core.health import HEALTHY
from tidings.core.payload import PayloadFormat
from tidings.core.refusals import InvalidState, NotFound, QuotaExceeded
from tidings.core.retry import Exponential, RetryPolicy
from tidings.core.subscription import SigningSecret, Status, Subscription
from tidings.ports.records import ApiKey, IdempotentAnswer, SubscriptionFilter
from tidings.ports.store import Store


@pytest.mark.parametrize(
    "members",
    [
        {},
        {
            "description": "ünïcode",
            "content_filter": '{"ü": 1.50}',
            "payload_format": PayloadFormat.THIN,
            "thin_above_bytes": 0,
            "headers": (("X-Token", "very secret"), ("X-Other", "b")),
            "ordering_enabled": True,
            "retry_policy": RetryPolicy((0.5, 7.0)),
            "rate_limit_per_second": 2.5,
            "timeout_seconds": 3,
            "metadata": {"a.b": "c"},
            "secrets": (
                SigningSecret("whsec_abc123", NOW_MS),
                SigningSecret("older-secret", 5, NOW_MS + 9),
            ),
        },
        {"retry_policy": RetryPolicy.from_formula(Exponential(5.0, 3.0, 60.0, 4))},
        {"retry_policy": RetryPolicy(())},
        {"status": Status.PENDING_VERIFICATION, "must_prove": True},
        {"verified_at_ms": NOW_MS},
    ],
)
async def test_a_subscription_comes_back_as_it_was(
    filled: Filled, members: dict[str, object]
) -> None:
    stored = await filled.subscribe("order.*, payment.failed", **members)
    found = await filled.store.get_subscription(TENANT, stored.subscription_id)
    assert found.subscription == stored
    assert found.health == HEALTHY
    loaded = await filled.store.load_subscriptions()
    assert [one.subscription for one in loaded] == [stored]


async def test_a_foreign_or_unknown_subscription_is_not_found(filled: Filled) -> None:
    stored = await filled.subscribe()
    for tenant_id, subscription_id in (("other", stored.subscription_id), (TENANT, "sub_x")):
        with pytest.raises(NotFound):
            await filled.store.get_subscription(tenant_id, subscription_id)
        with pytest.raises(NotFound):
            await filled.store.change_subscription(tenant_id, subscription_id, lambda old: old)


async def test_a_change_that_raises_or_changes_nothing_leaves_everything(filled: Filled) -> None:
    stored = await filled.subscribe()
    told = len(filled.told)

    def refuse(_: Subscription) -> Subscription:
        raise InvalidState("no")

    with pytest.raises(InvalidState):
        await filled.store.change_subscription(TENANT, stored.subscription_id, refuse)
    await filled.store.change_subscription(TENANT, stored.subscription_id, lambda old: old)
    assert len(filled.told) == told
    found = await filled.store.get_subscription(TENANT, stored.subscription_id)
    assert found.subscription == stored


async def test_concurrent_changes_are_made_one_after_the_other(filled: Filled) -> None:
    stored = await filled.subscribe(metadata={})

    async def add(number: int) -> None:
        await filled.store.change_subscription(
            TENANT,
            stored.subscription_id,
            lambda old: replace(old, metadata={**old.metadata, str(number): ""}),
        )

    await asyncio.gather(*(add(number) for number in range(30)))
    found = await filled.store.get_subscription(TENANT, stored.subscription_id)
    assert len(found.subscription.metadata) == 30


async def test_the_quota_of_a_tenant_is_kept_and_deleted_ones_do_not_count(store: Store) -> None:
    first = a_subscription()
    await store.create_subscription(first, quota=1)
    with pytest.raises(QuotaExceeded):
        await store.create_subscription(a_subscription(), quota=1)
    await store.create_subscription(a_subscription(tenant_id="other"), quota=1)
    await store.change_subscription(
        TENANT, first.subscription_id, lambda old: replace(old, status=Status.DELETED)
    )
    await store.create_subscription(a_subscription(), quota=1)


async def test_a_tenant_is_counted_whatever_state_its_subscriptions_are_in(
    filled: Filled,
) -> None:
    first = await filled.subscribe()
    for status in Status:
        await filled.store.change_subscription(
            TENANT,
            first.subscription_id,
            lambda old, status=status: replace(old, status=status),  # type: ignore[misc]
        )
        if status is Status.DELETED:
            await filled.store.create_subscription(a_subscription(), quota=1)
            return
        with pytest.raises(QuotaExceeded):
            await filled.store.create_subscription(a_subscription(), quota=1)


async def test_only_so_many_subscriptions_are_equal_though_many_are_created_at_once(
    store: Store,
) -> None:
    created = await asyncio.gather(
        *(
            store.create_subscription(a_subscription("a.b"), quota=99, equal_max=3)
            for _ in range(20)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(one, QuotaExceeded) for one in created) == 17
    assert len(await store.load_subscriptions()) == 3
    for other in (
        a_subscription("a.c"),
        a_subscription("a.b", callback_url="https://example.com/other"),
        a_subscription("a.b", tenant_id="other"),
    ):
        await store.create_subscription(other, quota=99, equal_max=3)


async def test_no_change_leads_around_the_bound_of_equal_ones(filled: Filled) -> None:
    first, second = [await filled.subscribe("a.b") for _ in range(2)]
    other = await filled.subscribe("a.c", callback_url="https://example.com/other")

    async def change(name: str, equal_max: int, **members: object) -> None:
        await filled.store.change_subscription(
            TENANT,
            name,
            lambda old: replace(old, **members),  # type: ignore[arg-type]
            equal_max=equal_max,
        )

    told = len(filled.told)
    with pytest.raises(QuotaExceeded):
        await change(other.subscription_id, 2, event_type="a.b", callback_url=first.callback_url)
    assert len(filled.told) == told
    found = await filled.store.get_subscription(TENANT, other.subscription_id)
    assert found.subscription == other
    await change(other.subscription_id, 2, event_type="a.b")
    # A lower bound does not stand in the way of other changes.
    await change(second.subscription_id, 1, description="still here")
    await change(second.subscription_id, 2, status=Status.DELETED, secrets=(), headers=())
    await change(other.subscription_id, 2, callback_url=first.callback_url)


async def test_an_idempotent_creation_answers_the_first_answer_for_a_day(store: Store) -> None:
    first = IdempotentAnswer(b"asked", b"answer")
    again = IdempotentAnswer(b"other", b"other answer")
    assert (
        await store.create_subscription(a_subscription(), quota=9, idempotency=("k", first)) is None
    )
    assert (
        await store.create_subscription(a_subscription(), quota=9, idempotency=("k", again))
        == first
    )
    later = a_subscription(now_ms=NOW_MS + 24 * 3_600_000)
    assert await store.create_subscription(later, quota=9, idempotency=("k", again)) is None
    assert len(await store.load_subscriptions()) == 2


async def test_lists_are_newest_first_and_filtered(filled: Filled) -> None:
    made = [
        await filled.subscribe(event_type, now_ms=NOW_MS + number)
        for number, event_type in enumerate(("a", "b", "a"))
    ]
    await filled.subscribe("a", tenant_id="other", now_ms=NOW_MS + 9)

    async def ids(before: str | None = None, limit: int = 10, **filters: object) -> list[str]:
        wanted = SubscriptionFilter(**{"tenant_id": TENANT, **filters})  # type: ignore[arg-type]
        found = await filled.store.list_subscriptions(wanted, before=before, limit=limit)
        return [one.subscription.subscription_id for one in found]

    newest = [one.subscription_id for one in reversed(made)]
    assert await ids() == newest
    assert await ids(limit=2) == newest[:2]
    assert await ids(before=newest[1]) == newest[2:]
    assert await ids(event_type="b") == [made[1].subscription_id]
    assert await ids(since_ms=NOW_MS + 1, until_ms=NOW_MS + 2) == [made[1].subscription_id]
    assert len(await ids(tenant_id=None)) == 4


async def test_keys_are_stored_listed_and_revoked(filled: Filled) -> None:
    mine = ApiKey("key_2", b"h" * 32, "mine", ("admin",), TENANT, NOW_MS, NOW_MS + 1)
    everywhere = ApiKey("key_1", b"g" * 32, "global", ("events:read", "admin"), None, NOW_MS)
    for key in (mine, everywhere):
        await filled.store.create_api_key(key)
    assert await filled.store.list_api_keys(None, before=None, limit=9) == [mine, everywhere]
    assert await filled.store.list_api_keys(TENANT, before=None, limit=9) == [mine]
    with pytest.raises(NotFound):
        await filled.store.revoke_api_key(TENANT, "key_1", now_ms=NOW_MS)
    await filled.store.revoke_api_key(None, "key_1", now_ms=NOW_MS)
    assert await filled.store.load_api_keys() == [mine]
    assert [key for changes in filled.told for key in changes.revoked_key_ids] == ["key_1"]


async def test_erasing_a_tenant_leaves_nothing_of_it_and_all_of_others(filled: Filled) -> None:
    await filled.subscribe()
    kept = await filled.subscribe(tenant_id="other")
    rows = await filled.publish(5)
    await filled.publish(2, tenant_id="other")
    await filled.end(rows[0])
    steps = 1
    while await filled.store.erase_tenant(TENANT, now_ms=NOW_MS, limit=3):
        steps += 1
    assert steps > 2
    assert await filled.listed() == []
    assert await filled.store.list_attempts(rows[0].delivery_id) == []
    assert [one.subscription for one in await filled.store.load_subscriptions()] == [kept]
    assert await filled.store.list_tenants(before=None, limit=9) == [("other", NOW_MS)]
    with pytest.raises(NotFound):
        await filled.store.erase_tenant(TENANT, now_ms=NOW_MS, limit=3)
