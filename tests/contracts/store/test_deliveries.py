"""Single deliveries: found, listed, and changed by people."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from tests.contracts.store.conftest import Filled
from tests.support.values import NOW_MS, TENANT, a_result
from tidings.core.attempt import Answer
from tidings.core.delivery import DeadLetterReason, Delivery, DeliveryStatus, Turn
from tidings.core.refusals import InvalidState, NotFound
from tidings.core.subscription import Status, Subscription
from tidings.ports.records import DeliveryFilter, DeliveryRecord

ERROR = Answer(status_code=500)


def with_status(status: Status) -> Callable[[Subscription], Subscription]:
    return lambda old: replace(old, status=status, version=old.version + 1)


async def test_a_delivery_is_found_pending_and_finished_by_its_tenant_alone(
    filled: Filled,
) -> None:
    subscription = await filled.subscribe()
    (row,) = await filled.publish(event_id="evt_1", event_type="a.b")
    expected = DeliveryRecord(
        delivery_id=row.delivery_id,
        tenant_id=TENANT,
        subscription_id=subscription.subscription_id,
        event_id="evt_1",
        event_type="a.b",
        status=DeliveryStatus.PENDING,
        attempt_count=0,
        replay_count=0,
        next_attempt_at_ms=None,
        finished_at_ms=None,
        reason=None,
    )
    assert await filled.store.get_delivery(TENANT, row.delivery_id) == expected
    waiting = a_result(row, None, answer=ERROR, due_at_ms=NOW_MS + 7)
    await filled.store.record_results([waiting])
    found = await filled.store.get_delivery(TENANT, row.delivery_id)
    assert (found.attempt_count, found.next_attempt_at_ms) == (1, NOW_MS + 7)
    await filled.end(waiting.delivery, Turn.RECEIVER_GONE)
    found = await filled.store.get_delivery(TENANT, row.delivery_id)
    assert (found.status, found.reason) == (
        DeliveryStatus.DEAD_LETTERED,
        DeadLetterReason.GONE,
    )
    for tenant_id, delivery_id in (("other", row.delivery_id), (TENANT, "dlv_unknown")):
        with pytest.raises(NotFound):
            await filled.store.get_delivery(tenant_id, delivery_id)


async def all_kinds(filled: Filled) -> list[Delivery]:
    """Deliveries of three subscriptions of two tenants, in all states."""
    for tenant_id, event_type in ((TENANT, "a"), (TENANT, "*"), ("other", "*")):
        await filled.subscribe(event_type, tenant_id=tenant_id)
    rows: list[Delivery] = []
    for number, tenant_id in product(range(9), (TENANT, "other")):
        event_type = "a" if number % 2 else "b"
        event_id = f"evt_{number}"
        rows += await filled.publish(event_id=event_id, event_type=event_type, tenant_id=tenant_id)
    turns = (None, None, Turn.ATTEMPT_DELIVERED, Turn.LAST_ATTEMPT_FAILED, Turn.CANCELLED)
    for number, row in enumerate(rows):
        turn = turns[number % len(turns)]
        if turn is Turn.CANCELLED:
            await filled.store.cancel_delivery(row.tenant_id, row.delivery_id, now_ms=NOW_MS)
        elif turn is not None:
            await filled.end(row, turn)
    return rows


@pytest.mark.parametrize("tenant_id", [TENANT, "other", "nobody", None])
async def test_every_filter_selects_what_it_says_newest_first_in_pages_without_gaps(
    filled: Filled, tenant_id: str | None
) -> None:
    rows = await all_kinds(filled)
    everything = [
        await filled.store.get_delivery(row.tenant_id, row.delivery_id)
        for row in sorted(rows, key=lambda row: row.delivery_id, reverse=True)
    ]
    subscriptions = (None, *{row.subscription_id for row in rows})
    for status, subscription_id, event_id in product(
        (None, *DeliveryStatus), subscriptions, (None, "evt_1", "evt_none")
    ):
        wanted = DeliveryFilter(tenant_id, status, subscription_id, event_id)
        expected = [
            one
            for one in everything
            if tenant_id in (None, one.tenant_id)
            and status in (None, one.status)
            and subscription_id in (None, one.subscription_id)
            and event_id in (None, one.event_id)
        ]
        assert await in_pages(filled, wanted, 4) == expected


async def in_pages(filled: Filled, wanted: DeliveryFilter, limit: int) -> list[DeliveryRecord]:
    listed: list[DeliveryRecord] = []
    before: str | None = None
    while True:
        page = await filled.store.list_deliveries(wanted, before=before, limit=limit)
        assert len(page) <= limit
        listed += page
        if len(page) < limit:
            return listed
        before = page[-1].delivery_id


async def test_deliveries_are_listed_by_the_time_of_their_creation(filled: Filled) -> None:
    await filled.subscribe()
    (row,) = await filled.publish()
    for since_ms, until_ms, is_listed in (
        (NOW_MS, NOW_MS + 1, True),
        (None, NOW_MS, False),
        (NOW_MS + 1, None, False),
        (0, None, True),
    ):
        found = await filled.listed(since_ms=since_ms, until_ms=until_ms)
        assert [one.delivery_id for one in found] == ([row.delivery_id] if is_listed else [])


async def test_a_pending_delivery_is_cancelled_once(filled: Filled) -> None:
    await filled.subscribe()
    (row,) = await filled.publish()
    with pytest.raises(NotFound):
        await filled.store.cancel_delivery("other", row.delivery_id, now_ms=NOW_MS)
    await filled.store.cancel_delivery(TENANT, row.delivery_id, now_ms=NOW_MS + 3)
    assert filled.told[-1].ended == [row]
    found = await filled.store.get_delivery(TENANT, row.delivery_id)
    assert (found.status, found.finished_at_ms) == (DeliveryStatus.CANCELLED, NOW_MS + 3)
    with pytest.raises(InvalidState):
        await filled.store.cancel_delivery(TENANT, row.delivery_id, now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("status", "pending", "finished"),
    [
        (Status.ACTIVE, True, True),
        (Status.PAUSED, False, True),
        (Status.DISABLED, False, False),
        (Status.PENDING_VERIFICATION, False, False),
        (Status.DELETED, False, False),
    ],
)
async def test_a_retry_is_possible_only_where_something_can_be_sent(
    filled: Filled, status: Status, pending: bool, finished: bool
) -> None:
    subscription = await filled.subscribe()
    waiting, dead = await filled.publish(2)
    await filled.end(dead)
    await filled.store.change_subscription(
        TENANT, subscription.subscription_id, with_status(status)
    )
    for row, is_possible in ((waiting, pending), (dead, finished)):
        told = len(filled.told)
        if is_possible:
            asked = await filled.store.retry_delivery(TENANT, row.delivery_id, now_ms=NOW_MS)
            assert filled.told[-1].arrived == [asked]
        else:
            with pytest.raises(InvalidState):
                await filled.store.retry_delivery(TENANT, row.delivery_id, now_ms=NOW_MS)
            assert len(filled.told) == told


async def test_what_waits_behind_another_of_its_key_cannot_be_hurried(filled: Filled) -> None:
    await filled.subscribe(ordering_enabled=True)
    head, follower = await filled.publish(2, ordering_key="k")
    with pytest.raises(InvalidState):
        await filled.store.retry_delivery(TENANT, follower.delivery_id, now_ms=NOW_MS)
    asked = await filled.store.retry_delivery(TENANT, head.delivery_id, now_ms=NOW_MS)
    assert asked.seq == head.seq


@pytest.mark.parametrize("name", ["retry_delivery", "replay_delivery", "cancel_delivery"])
async def test_a_foreign_or_unknown_delivery_is_not_found(filled: Filled, name: str) -> None:
    await filled.subscribe()
    (row,) = await filled.publish()
    act: Any = getattr(filled.store, name)
    for tenant_id, delivery_id in (("other", row.delivery_id), (TENANT, "dlv_unknown")):
        with pytest.raises(NotFound):
            await act(tenant_id, delivery_id, now_ms=NOW_MS)


async def test_erased_data_is_gone_and_nothing_of_it_is_sent_any_more(filled: Filled) -> None:
    await filled.subscribe(ordering_enabled=True)
    (row,) = await filled.publish(event_id="evt_1", data=b'{"secret":1}', ordering_key="k")
    (follower,) = await filled.publish(ordering_key="k")
    await filled.store.erase_event_data(TENANT, "evt_1", now_ms=NOW_MS)
    assert filled.told[-1].ended == [row]
    assert filled.told[-1].unparked == [follower]
    event = await filled.store.get_event(TENANT, "evt_1")
    assert event.data is None
    assert await filled.store.read_bodies([row.event_seq]) == {}
    found = await filled.store.get_delivery(TENANT, row.delivery_id)
    assert found.status is DeliveryStatus.CANCELLED
    # The id stays taken: a repeat of the publish makes nothing.
    assert await filled.publish(event_id="evt_1", data=b'{"secret":1}', ordering_key="k") == []
    with pytest.raises(NotFound):
        await filled.store.erase_event_data("other", "evt_1", now_ms=NOW_MS)
