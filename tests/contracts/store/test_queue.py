"""The queue as the scheduler reads it, and results as the engine records them."""

import pytest
from msgspec.structs import replace

from tests.contracts.store.conftest import Filled
from tests.support.values import NOW_MS, TENANT, a_result
from tidings.core.attempt import Answer
from tidings.core.delivery import DeadLetterReason, Delivery, DeliveryStatus, Turn, ending_of
from tidings.core.health import HEALTHY, Health
from tidings.core.subscription import DisabledReason, disabled

DELIVERED = ending_of(Turn.ATTEMPT_DELIVERED)
ERROR = Answer(status_code=500)


async def test_rows_come_in_pages_in_the_order_of_seq(filled: Filled) -> None:
    subscription = await filled.subscribe()
    rows = await filled.publish(5)
    name = subscription.subscription_id
    page = await filled.store.read_page(name, after_seq=0, limit=3)
    assert (page.rows, page.last_seq, page.is_last) == (rows[:3], rows[2].seq, False)
    page = await filled.store.read_page(name, after_seq=page.last_seq, limit=3)
    assert (page.rows, page.last_seq, page.is_last) == (rows[3:], rows[4].seq, True)
    beyond = rows[4].seq + 1_000
    page = await filled.store.read_page(subscription.subscription_id, after_seq=beyond, limit=3)
    assert (page.rows, page.last_seq, page.is_last) == ([], beyond, True)
    assert await filled.store.list_subscriptions_with_deliveries() == [name]


async def test_a_result_that_ends_a_row_moves_it_to_the_finished(filled: Filled) -> None:
    await filled.subscribe()
    (row,) = await filled.publish()
    result = a_result(row, DELIVERED, answer=Answer(status_code=200, body=b"\xff\x00ok"))
    (recorded,) = await filled.store.record_results([result])
    assert recorded.applied
    (listed,) = await filled.listed()
    assert (listed.status, listed.attempt_count) == (DeliveryStatus.DELIVERED, 1)
    assert await filled.store.list_attempts(row.delivery_id) == [result.attempt]
    assert await filled.store.list_subscriptions_with_deliveries() == []
    assert filled.told[-1].recorded == [(result, recorded)]


async def test_a_result_may_be_recorded_again_and_changes_nothing(filled: Filled) -> None:
    await filled.subscribe()
    first, second = await filled.publish(2)
    waiting = a_result(first, None, answer=ERROR, due_at_ms=NOW_MS + 9, schedule_position=1)
    ended = a_result(second, DELIVERED)
    for _ in range(2):
        recorded = await filled.store.record_results([waiting, ended])
        assert recorded[0].applied
    due = await filled.store.read_due(after=(-1, -1), until_ms=NOW_MS + 9, limit=9)
    assert due == [waiting.delivery]
    assert len(await filled.listed()) == 2


async def test_a_row_that_somebody_ended_stays_ended_but_the_attempt_is_on_record(
    filled: Filled,
) -> None:
    await filled.subscribe()
    (row,) = await filled.publish()
    await filled.store.cancel_delivery(TENANT, row.delivery_id, now_ms=NOW_MS)
    (recorded,) = await filled.store.record_results([a_result(row, DELIVERED)])
    assert not recorded.applied
    (listed,) = await filled.listed()
    assert (listed.status, listed.attempt_count) == (DeliveryStatus.CANCELLED, 1)
    assert len(await filled.store.list_attempts(row.delivery_id)) == 1


async def test_due_rows_come_in_their_order_and_between_bounds(filled: Filled) -> None:
    subscription = await filled.subscribe()
    rows = await filled.publish(4)
    moments = [NOW_MS + 30, NOW_MS + 10, NOW_MS + 20, NOW_MS + 10]
    waiting = [
        a_result(row, None, answer=ERROR, due_at_ms=due_at_ms)
        for row, due_at_ms in zip(rows, moments, strict=True)
    ]
    await filled.store.record_results(waiting)
    expected = [waiting[index].delivery for index in (1, 3, 2, 0)]
    found = await filled.store.read_due(after=(-1, -1), until_ms=NOW_MS + 99, limit=99)
    assert found == expected
    after = (expected[0].due_at_ms or 0, expected[0].seq)
    found = await filled.store.read_due(after=after, until_ms=NOW_MS + 20, limit=99)
    assert found == expected[1:3]
    found = await filled.store.read_due_of_subscription(
        subscription.subscription_id, until_ms=NOW_MS + 20, limit=2
    )
    assert {row.seq for row in found} == {row.seq for row in expected[:2]}
    page = await filled.store.read_page(subscription.subscription_id, after_seq=0, limit=9)
    assert (page.rows, page.is_last) == ([], True)


async def test_of_a_lane_only_its_head_is_read_even_while_it_waits(filled: Filled) -> None:
    subscription = await filled.subscribe(ordering_enabled=True)
    first = await filled.publish(3, ordering_key="a")
    other = await filled.publish(1, ordering_key="b")
    name = subscription.subscription_id

    async def page() -> list[Delivery]:
        return (await filled.store.read_page(name, after_seq=0, limit=9)).rows

    assert await page() == [first[0], other[0]]
    waiting = a_result(first[0], None, answer=ERROR, due_at_ms=NOW_MS + 10_000)
    await filled.store.record_results([waiting])
    assert await page() == [waiting.delivery, other[0]]
    done = a_result(waiting.delivery, DELIVERED)
    (recorded,) = await filled.store.record_results([done])
    assert recorded.next_in_lane == first[1]
    assert await page() == [first[1], other[0]]


async def test_ending_a_head_by_hand_unparks_the_next(filled: Filled) -> None:
    await filled.subscribe(ordering_enabled=True)
    rows = await filled.publish(3, ordering_key="a")
    await filled.store.cancel_delivery(TENANT, rows[1].delivery_id, now_ms=NOW_MS)
    assert filled.told[-1].unparked in ([], [rows[2]])
    await filled.store.cancel_delivery(TENANT, rows[0].delivery_id, now_ms=NOW_MS)
    assert filled.told[-1].unparked == [rows[2]]


async def test_health_is_stored_with_a_result_and_forgotten_when_healthy(filled: Filled) -> None:
    subscription = await filled.subscribe()
    first, second = await filled.publish(2)
    ill = Health(12, NOW_MS, NOW_MS + 5, 30_000, NOW_MS + 7)
    await filled.store.record_results([a_result(first, DELIVERED, health=ill)])
    found = await filled.store.get_subscription(TENANT, subscription.subscription_id)
    assert found.health == ill
    await filled.store.record_results([a_result(second, DELIVERED, health=HEALTHY)])
    found = await filled.store.get_subscription(TENANT, subscription.subscription_id)
    assert found.health == HEALTHY


async def test_a_disabled_subscription_is_settled_in_steps_but_for_what_is_in_flight(
    filled: Filled,
) -> None:
    subscription = await filled.subscribe()
    rows = await filled.publish(5)
    name = subscription.subscription_id

    async def settle() -> int:
        return await filled.store.settle_deliveries(
            name, excluding=[rows[0].seq], now_ms=NOW_MS, limit=3
        )

    assert await settle() == 0
    await filled.store.change_subscription(
        TENANT, name, lambda old: disabled(old, DisabledReason.GONE, now_ms=NOW_MS)
    )
    assert [await settle() for _ in range(3)] == [3, 1, 0]
    dead = await filled.listed(status=DeliveryStatus.DEAD_LETTERED)
    assert {one.reason for one in dead} == {DeadLetterReason.SUBSCRIPTION_DISABLED}
    assert len(await filled.listed(status=DeliveryStatus.PENDING)) == 1


async def test_held_rows_end_when_they_were_queued_too_long_ago(filled: Filled) -> None:
    subscription = await filled.subscribe()
    (old,) = await filled.publish()
    ended = await filled.store.end_held_deliveries(
        subscription.subscription_id,
        queued_before_ms=NOW_MS,
        excluding=(),
        now_ms=NOW_MS,
        limit=9,
    )
    assert ended == 0
    ended = await filled.store.end_held_deliveries(
        subscription.subscription_id,
        queued_before_ms=NOW_MS + 1,
        excluding=(),
        now_ms=NOW_MS,
        limit=9,
    )
    assert ended == 1
    (listed,) = await filled.listed()
    assert (listed.delivery_id, listed.reason) == (
        old.delivery_id,
        DeadLetterReason.ENDPOINT_UNAVAILABLE,
    )


@pytest.mark.parametrize("is_finished", [True, False])
async def test_old_events_go_with_all_that_hangs_on_them(filled: Filled, is_finished: bool) -> None:
    await filled.subscribe()
    # The event that told of the subscription.
    assert await filled.store.delete_expired(accepted_before_ms=NOW_MS + 1, limit=9) == 1
    (row,) = await filled.publish(event_id="evt_old")
    if is_finished:
        await filled.end(row)
    else:
        assert await filled.store.delete_expired(accepted_before_ms=NOW_MS + 1, limit=9) == 0
        ended = await filled.store.expire_deliveries(
            accepted_before_ms=NOW_MS + 1, now_ms=NOW_MS + 9, limit=9
        )
        assert ended == 1
        assert (await filled.listed())[0].reason is DeadLetterReason.EXPIRED
    assert await filled.store.delete_expired(accepted_before_ms=NOW_MS + 1, limit=9) == 1
    assert await filled.listed() == []
    assert await filled.store.list_attempts(row.delivery_id) == []
    assert len(await filled.publish(event_id="evt_old")) == 1


async def test_a_manual_retry_stands_before_the_schedule_and_keeps_its_time(
    filled: Filled,
) -> None:
    await filled.subscribe()
    (row,) = await filled.publish()
    due_ms = NOW_MS + 100_000
    await filled.store.record_results([a_result(row, None, answer=ERROR, due_at_ms=due_ms)])
    asked = await filled.store.retry_delivery(TENANT, row.delivery_id, now_ms=NOW_MS + 5)
    assert (asked.due_at_ms, asked.kept_due_at_ms) == (NOW_MS + 5, due_ms)
    assert filled.told[-1].arrived == [asked]
    again = await filled.store.retry_delivery(TENANT, row.delivery_id, now_ms=NOW_MS + 6)
    assert again == replace(asked, due_at_ms=NOW_MS + 6)
