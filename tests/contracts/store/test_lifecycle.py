"""Lifecycle events: told in the transaction that makes them true, once, to others, in no rings."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.contracts.store.conftest import Filled
from tests.support.stores import StoreOpener
from tests.support.values import NOW_MS, TENANT, a_result, a_subscription
from tidings.core.delivery import Delivery, Turn, ending_of
from tidings.core.health import HEALTHY, Health
from tidings.core.refusals import InvalidState
from tidings.core.subscription import DisabledReason, SigningSecret, Status, Subscription, disabled
from tidings.ports.records import EventFilter
from tidings.ports.store import Disabling, Store

URL = a_subscription().callback_url
DEAD = ending_of(Turn.LAST_ATTEMPT_FAILED)
DELIVERED = ending_of(Turn.ATTEMPT_DELIVERED)
FAILING = Health(10, NOW_MS, NOW_MS + 9, 30_000, is_told=True)


async def told(store: Store, tenant_id: str = TENANT) -> list[tuple[str, Any]]:
    """Types and data of all lifecycle events, oldest first; the word before is left out."""
    wanted = EventFilter(tenant_id, "tidings.*")
    found = await store.list_events(wanted, before=None, limit=1_000)
    events = [await store.get_event(tenant_id, one.event_id) for one in reversed(found)]
    return [
        (one.event_type.removeprefix("tidings."), msgspec.json.decode(one.data or b"{}"))
        for one in events
    ]


async def types_told(store: Store) -> list[str]:
    return [name for name, _ in await told(store)]


async def watch(filled: Filled, event_type: str = "tidings.*", **members: Any) -> Subscription:
    """A subscription to lifecycle events, made before anything that the test looks at."""
    return await filled.subscribe(event_type, **members)


async def change(filled: Filled, subscription: Subscription, **members: Any) -> None:
    """Change members of a stored subscription."""
    await filled.store.change_subscription(
        TENANT, subscription.subscription_id, lambda old: replace(old, **members)
    )


def arrived_since(filled: Filled, told_before: int) -> list[Delivery]:
    return [row for changes in filled.told[told_before:] for row in changes.arrived]


CHANGES: Sequence[tuple[str, dict[str, Any], str]] = (
    ("paused", {"status": Status.PAUSED}, "paused"),
    ("resumed", {"status": Status.ACTIVE}, "active"),
    ("updated", {"description": "other"}, "active"),
    ("secret_rotated", {"secrets": (SigningSecret("c" * 9, NOW_MS),)}, "active"),
    ("deleted", {"status": Status.DELETED, "secrets": ()}, "active"),
)


async def test_every_change_of_a_subscription_is_told_once(filled: Filled) -> None:
    await watch(filled)
    one = await filled.subscribe()
    for _, members, _ in CHANGES:
        await change(filled, one, **members)
    events = await told(filled.store)
    assert [name for name, _ in events[1:]] == [
        "subscription.created",
        *(f"subscription.{name}" for name, _, _ in CHANGES),
    ]
    statuses = [data["subscription"]["status"] for _, data in events[2:]]
    assert statuses == [status for _, _, status in CHANGES]
    for _, data in events[1:]:
        assert data.keys() == {"subscription"}
        assert data["subscription"]["subscriptionId"] == one.subscription_id
        assert not data["subscription"].keys() & {"secret", "standardWebhooksSecret", "headers"}


async def test_what_changes_nothing_or_is_refused_is_not_told(filled: Filled) -> None:
    one = await filled.subscribe()
    await filled.store.change_subscription(TENANT, one.subscription_id, lambda old: old)

    def refuse(_old: Subscription) -> Subscription:
        raise InvalidState("it is not to be changed")

    with pytest.raises(InvalidState):
        await filled.store.change_subscription(TENANT, one.subscription_id, refuse)
    assert await types_told(filled.store) == ["subscription.created"]


async def test_lifecycle_events_are_delivered_to_those_who_say_tidings_and_never_to_the_subject(
    filled: Filled,
) -> None:
    watcher = await watch(filled)
    for pattern in ("*", "*.*", "*.subscription.*", "order.shipped"):
        await filled.subscribe(pattern)
    exact = await watch(filled, "tidings.subscription.paused")
    other_tenant = a_subscription("tidings.*", tenant_id="other")
    await filled.store.create_subscription(other_tenant, quota=9)
    for subject, expected in ((exact, [watcher]), (watcher, [exact])):
        before = len(filled.told)
        await change(filled, subject, status=Status.PAUSED)
        rows = arrived_since(filled, before)
        assert [row.subscription_id for row in rows] == [one.subscription_id for one in expected]


async def test_the_row_and_its_body_are_told_with_the_change(filled: Filled) -> None:
    await watch(filled)
    before = len(filled.told)
    one = await filled.subscribe()
    (changes,) = filled.told[before:]
    assert [made.subscription_id for made in changes.subscriptions] == [one.subscription_id]
    (row,) = changes.arrived
    body = msgspec.json.decode(changes.bodies[row.event_seq].body)
    assert body["eventType"] == "tidings.subscription.created"
    assert body["data"]["subscription"]["subscriptionId"] == one.subscription_id


async def test_a_disabling_result_a_dead_letter_and_what_tells_of_them_are_one(
    filled: Filled,
) -> None:
    watcher = await watch(filled)
    one = await filled.subscribe()
    rows = await filled.publish(4)
    result = a_result(rows[0], ending_of(Turn.RECEIVER_GONE))
    before = len(filled.told)
    result = msgspec.structs.replace(result, disabling=Disabling(DisabledReason.GONE, URL))
    await filled.store.record_results([result])
    (changes,) = filled.told[before:]
    assert [row.subscription_id for row in changes.arrived] == [watcher.subscription_id] * 2
    (dead, off) = (await told(filled.store))[2:]
    assert dead[0] == "delivery.dead_lettered"
    assert dead[1]["reason"] == "gone"
    assert dead[1]["delivery"]["deliveryId"] == rows[0].delivery_id
    assert dead[1]["delivery"]["status"] == "dead_lettered"
    assert off[0] == "subscription.disabled"
    assert (off[1]["reason"], off[1]["deadLettered"]) == ("gone", 3)
    assert off[1]["subscription"]["status"] == "disabled"
    found = await filled.store.get_subscription(TENANT, one.subscription_id)
    assert found.subscription.disabled_reason is DisabledReason.GONE
    # A repeat of the same result, and the settling of the rest, tell nothing more.
    await filled.store.record_results([result])
    await filled.store.settle_deliveries(
        one.subscription_id, excluding=(), now_ms=NOW_MS, limit=100
    )
    assert len(await told(filled.store)) == 4


async def test_a_repeated_result_does_not_disable_what_was_resumed_since(filled: Filled) -> None:
    one = await filled.subscribe()
    (row,) = await filled.publish()
    result = msgspec.structs.replace(
        a_result(row, ending_of(Turn.RECEIVER_GONE)), disabling=Disabling(DisabledReason.GONE, URL)
    )
    await filled.store.record_results([result])
    await change(filled, one, status=Status.ACTIVE)
    await filled.store.record_results([result])
    found = await filled.store.get_subscription(TENANT, one.subscription_id)
    assert found.subscription.status is Status.ACTIVE


async def test_an_answer_from_another_url_does_not_disable(filled: Filled) -> None:
    one = await filled.subscribe()
    (row,) = await filled.publish()
    await change(filled, one, callback_url="https://example.com/moved")
    result = a_result(row, ending_of(Turn.RECEIVER_GONE))
    await filled.store.record_results(
        [msgspec.structs.replace(result, disabling=Disabling(DisabledReason.GONE, URL))]
    )
    found = await filled.store.get_subscription(TENANT, one.subscription_id)
    assert found.subscription.status is Status.ACTIVE


async def test_the_result_of_a_deleted_subscription_disables_nothing_and_tells_nothing(
    filled: Filled,
) -> None:
    one = await filled.subscribe()
    (row,) = await filled.publish()
    await change(filled, one, status=Status.DELETED)
    result = a_result(row, ending_of(Turn.RECEIVER_GONE), health=FAILING)
    await filled.store.record_results(
        [msgspec.structs.replace(result, disabling=Disabling(DisabledReason.GONE, URL))]
    )
    assert await types_told(filled.store) == ["subscription.created", "subscription.deleted"]


async def test_failing_and_recovery_are_told_once_each(filled: Filled) -> None:
    await filled.subscribe()
    rows = await filled.publish(4)
    for row, health in zip(
        rows,
        (FAILING, msgspec.structs.replace(FAILING, probe_at_ms=9), HEALTHY, HEALTHY),
        strict=True,
    ):
        ending = DELIVERED if health is HEALTHY else None
        await filled.store.record_results([a_result(row, ending, health=health)])
    events = (await told(filled.store))[1:]
    assert [name for name, _ in events] == ["subscription.failing", "subscription.recovered"]
    assert [data["subscription"]["health"] for _, data in events] == ["open", "healthy"]


async def test_failing_is_told_before_disabled_even_when_both_come_at_once(
    filled: Filled,
) -> None:
    await filled.subscribe()
    (row,) = await filled.publish()
    result = a_result(row, ending_of(Turn.SUBSCRIPTION_DISABLED))
    await filled.store.record_results(
        [msgspec.structs.replace(result, disabling=Disabling(DisabledReason.FAILING, URL))]
    )
    assert (await types_told(filled.store))[1:] == [
        "subscription.failing",
        "subscription.disabled",
    ]


async def test_deliveries_of_lifecycle_events_cause_none(filled: Filled) -> None:
    watcher = await watch(filled)
    await watch(filled)
    before = len(filled.told)
    await filled.subscribe()
    row, other = arrived_since(filled, before)
    known = len(await told(filled.store))
    await filled.store.record_results([a_result(row, None, health=FAILING)])
    await filled.store.record_results([a_result(other, DEAD)])
    tried = msgspec.structs.replace(row, attempt_count=1)
    await filled.store.record_results([a_result(tried, DEAD)])
    assert len(await told(filled.store)) == known
    # What those failures did not tell, the next delivery of another event does.
    await change(filled, watcher, event_type="order.*,tidings.*")
    (order,) = [
        one for one in await filled.publish() if one.subscription_id == watcher.subscription_id
    ]
    await filled.store.record_results([a_result(order, None, health=FAILING)])
    assert (await types_told(filled.store))[-1] == "subscription.failing"
    # What was told to fail is told to recover, whatever it takes first.
    before = len(filled.told)
    await filled.subscribe()
    ours = [
        one
        for one in arrived_since(filled, before)
        if one.subscription_id == watcher.subscription_id
    ]
    await filled.store.record_results([a_result(ours[0], DELIVERED, health=HEALTHY)])
    assert (await types_told(filled.store))[-1] == "subscription.recovered"


async def test_rows_that_end_together_are_told_by_one_event_that_counts_them(
    filled: Filled,
) -> None:
    one = await filled.subscribe()
    rows = await filled.publish(3)
    await filled.store.end_held_deliveries(
        one.subscription_id,
        queued_before_ms=NOW_MS + 1,
        excluding=[rows[0].seq],
        now_ms=NOW_MS,
        limit=9,
    )
    await filled.store.expire_deliveries(accepted_before_ms=NOW_MS + 1, now_ms=NOW_MS, limit=9)
    many, single = (await told(filled.store))[1:]
    assert many[1].keys() == {"subscription", "reason", "deadLettered"}
    assert (many[1]["reason"], many[1]["deadLettered"]) == ("endpoint_unavailable", 2)
    assert single[1]["delivery"]["deliveryId"] == rows[0].delivery_id
    assert single[1]["reason"] == "expired"


async def test_lists_show_lifecycle_events_only_to_those_who_say_tidings(filled: Filled) -> None:
    await filled.subscribe()
    await filled.publish(event_id="evt_1")
    for patterns, expected in ((None, ["evt_1"]), ("*", ["evt_1"])):
        listed = await filled.store.list_events(EventFilter(TENANT, patterns), before=None, limit=9)
        assert [one.event_id for one in listed] == expected


async def test_the_event_of_a_disabled_subscription_survives_a_restart(
    opener: StoreOpener, tmp_path: Path
) -> None:
    async with opener(tmp_path) as store:
        filled = Filled(store)
        watcher = await watch(filled)
        one = await filled.subscribe()
        await store.change_subscription(
            TENANT,
            one.subscription_id,
            lambda old: disabled(old, DisabledReason.OPERATOR, now_ms=NOW_MS),
        )
    async with opener(tmp_path) as store:
        page = await store.read_page(watcher.subscription_id, after_seq=0, limit=9)
        assert len(page.rows) == 2
        assert (await types_told(store))[-1] == "subscription.disabled"
