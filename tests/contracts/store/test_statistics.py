"""Roll-ups: replaced by their writer alone, joined without loss, gone with their tenant."""

from typing import Any

from tests.contracts.store.conftest import Filled
from tests.support.values import NOW_MS, TENANT, a_subscription
from tidings.core import limits
from tidings.core.attempt import Outcome
from tidings.core.delivery import Turn
from tidings.core.roll_up import WHOLE_TENANT, Figures, RollUp, start_of
from tidings.core.subscription import DisabledReason, disabled
from tidings.ports.records import StatisticsRecord

START_MS = start_of(NOW_MS, 3_600)
SECONDS = limits.ROLL_UP_SECONDS
MINUTE, HOUR = limits.ROLL_UP_MINUTE_SECONDS, limits.ROLL_UP_HOUR_SECONDS


def a_roll_up(number: int = 0, attempts: int = 1, **members: Any) -> RollUp:
    figures = Figures(dead_lettered=attempts)
    for _ in range(attempts):
        figures.add_attempt(Outcome.DELIVERED, 40 + number)
    given = {
        "tenant_id": TENANT,
        "subscription_id": "sub_1",
        "span_seconds": SECONDS,
        "start_ms": START_MS + number * SECONDS * 1_000,
        "figures": figures,
        "writer": 7,
    }
    return RollUp(**{**given, **members})


async def read(
    filled: Filled,
    subscription_id: str | None = "sub_1",
    *,
    tenant_id: str = TENANT,
    since_ms: int = 0,
    until_ms: int = START_MS + 10**9,
) -> StatisticsRecord:
    return await filled.store.read_statistics(
        tenant_id, subscription_id, since_ms=since_ms, until_ms=until_ms
    )


def attempts_of(record: StatisticsRecord) -> int:
    return sum(one.figures.attempts for one in record.roll_ups)


async def put(filled: Filled, *roll_ups: RollUp) -> None:
    await filled.store.record_results((), roll_ups=roll_ups)


async def test_a_roll_up_comes_back_as_it_was_put(filled: Filled) -> None:
    await filled.publish()
    one = a_roll_up(attempts=3)
    await put(filled, one)
    assert (await read(filled)).roll_ups == [one]
    for subscription_id, tenant_id in (("sub_2", TENANT), (None, TENANT), ("sub_1", "other")):
        assert (await read(filled, subscription_id, tenant_id=tenant_id)).roll_ups == []


async def test_a_repeat_replaces_what_the_same_writer_put_and_nothing_else(filled: Filled) -> None:
    await filled.publish()
    await put(filled, a_roll_up(attempts=2), a_roll_up(attempts=5, writer=8))
    await put(filled, a_roll_up(attempts=3))
    assert attempts_of(await read(filled)) == 3 + 5


async def test_the_span_of_a_question_begins_inclusive_and_ends_exclusive(filled: Filled) -> None:
    await filled.publish()
    await put(filled, *(a_roll_up(number) for number in range(10)))
    found = await read(filled, since_ms=a_roll_up(2).start_ms, until_ms=a_roll_up(5).start_ms)
    assert sorted(one.start_ms for one in found.roll_ups) == [
        a_roll_up(number).start_ms for number in (2, 3, 4)
    ]


async def test_joined_roll_ups_hold_the_same_figures(filled: Filled) -> None:
    await filled.publish()
    fine = [a_roll_up(number, attempts=number + 1, writer=number % 2) for number in range(14)]
    await put(filled, *fine, a_roll_up(3, subscription_id="sub_2"))
    sum_before = Figures()
    for one in fine[:12]:
        sum_before.add(one.figures)

    async def join() -> int:
        return await filled.store.coarsen_roll_ups(
            span_seconds=SECONDS,
            into_seconds=MINUTE,
            # In the middle of the third minute, which must not be joined in part.
            before_ms=START_MS + 2 * MINUTE * 1_000 + 15_000,
            limit=5,
        )

    assert [await join() for _ in range(4)] == [5, 5, 3, 0]
    found = (await read(filled)).roll_ups
    joined = [one for one in found if one.span_seconds == MINUTE]
    assert [one.start_ms for one in joined] == [START_MS, START_MS + MINUTE * 1_000]
    sum_after = Figures()
    for one in joined:
        sum_after.add(one.figures)
    assert sum_after == sum_before
    assert len(found) - len(joined) == 2
    assert len((await read(filled, "sub_2")).roll_ups) == 1


async def test_only_old_hours_are_deleted(filled: Filled) -> None:
    await filled.publish()
    hours = [
        a_roll_up(span_seconds=HOUR, start_ms=START_MS - hour * HOUR * 1_000) for hour in range(5)
    ]
    await put(filled, *hours, a_roll_up(start_ms=START_MS - 10**9))

    async def delete() -> int:
        return await filled.store.delete_roll_ups(before_ms=hours[1].start_ms, limit=2)

    assert [await delete() for _ in range(3)] == [2, 1, 0]
    assert len((await read(filled)).roll_ups) == 3


async def test_dead_letters_that_no_attempt_made_are_counted(filled: Filled) -> None:
    one = await filled.subscribe()
    rows = await filled.publish(5)
    name = one.subscription_id
    await filled.store.end_held_deliveries(
        name, queued_before_ms=NOW_MS + 1, excluding=[rows[4].seq], now_ms=NOW_MS, limit=2
    )
    await filled.store.cancel_delivery(TENANT, rows[2].delivery_id, now_ms=NOW_MS)
    await filled.end(rows[3], Turn.LAST_ATTEMPT_FAILED)
    await filled.store.change_subscription(
        TENANT, name, lambda old: disabled(old, DisabledReason.OPERATOR, now_ms=NOW_MS)
    )
    await filled.store.settle_deliveries(name, excluding=(), now_ms=NOW_MS, limit=9)
    for subscription_id in (name, None):
        (roll_up,) = (await read(filled, subscription_id)).roll_ups
        assert (roll_up.figures.dead_lettered, roll_up.figures.attempts) == (3, 0)
        assert (roll_up.start_ms, roll_up.writer) == (start_of(NOW_MS, SECONDS), 0)


async def test_the_backlog_is_that_of_the_subscription_or_of_the_tenant(filled: Filled) -> None:
    one = await filled.subscribe("a")
    other = await filled.subscribe("b")
    await filled.publish(3, event_type="a")
    await filled.publish(2, event_type="b")
    for subscription_id, pending in (
        (one.subscription_id, 3),
        (other.subscription_id, 2),
        (None, 5),
    ):
        backlog = (await read(filled, subscription_id)).backlog
        assert (backlog.pending, backlog.is_more, backlog.oldest_at_ms) == (pending, False, NOW_MS)
    nothing = (await read(filled, None, tenant_id="other")).backlog
    assert (nothing.pending, nothing.oldest_at_ms) == (0, None)


async def test_the_backlog_is_counted_to_a_limit(filled: Filled, monkeypatch: Any) -> None:
    await filled.subscribe()
    await filled.publish(4)
    for limit, expected in ((3, (3, True)), (4, (4, False))):
        monkeypatch.setattr(limits, "BACKLOG_COUNT_MAX", limit)
        backlog = (await read(filled, None)).backlog
        assert (backlog.pending, backlog.is_more) == expected


async def test_nothing_of_an_erased_tenant_stays_or_comes_back(filled: Filled) -> None:
    other = a_subscription(tenant_id="other")
    await filled.store.create_subscription(other, quota=9)
    await filled.subscribe()
    await put(filled, a_roll_up(), a_roll_up(subscription_id=WHOLE_TENANT))
    await put(filled, a_roll_up(tenant_id="other"))
    while await filled.store.erase_tenant(TENANT, now_ms=NOW_MS, limit=1):
        pass
    await put(filled, a_roll_up(1), a_roll_up(1, tenant_id="other"))
    assert (await read(filled)).roll_ups == []
    assert len((await read(filled, tenant_id="other")).roll_ups) == 2
