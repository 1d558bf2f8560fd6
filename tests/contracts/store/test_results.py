"""Results: all or nothing, repeatable, and never over what somebody else decided."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.contracts.store.conftest import Filled
from tests.support.values import NOW_MS, TENANT, a_result, an_attempt
from tidings.core.attempt import Answer, ErrorClass, Outcome
from tidings.core.delivery import DeadLetterReason, DeliveryStatus, Turn, ending_of
from tidings.core.health import Health
from tidings.ports.store import Recorded, Result

DELIVERED = ending_of(Turn.ATTEMPT_DELIVERED)
DEAD = ending_of(Turn.LAST_ATTEMPT_FAILED)
ERROR = Answer(status_code=500)


@pytest.mark.parametrize(
    ("answer", "members"),
    [
        (Answer(status_code=200), {}),
        (
            Answer(
                status_code=503,
                headers=(("retry-after", "5"), ("x-ünïcode", "Zoë 😀")),
                body=bytes(range(256)),
            ),
            {"custom_header_names": ("X-Token", "X-Other"), "duration_ms": 29_999},
        ),
        (
            Answer(error_class=ErrorClass.TLS, error_detail="certificate has expired"),
            {"outcome": Outcome.FAILED, "sent_by": "1.2.3"},
        ),
        (Answer(error_class=ErrorClass.BLOCKED_ADDRESS), {}),
    ],
)
async def test_an_attempt_comes_back_as_it_was(
    filled: Filled, answer: Answer, members: dict[str, Any]
) -> None:
    await filled.subscribe()
    (row,) = await filled.publish()
    attempt = an_attempt(row, answer, **members)
    delivery = a_result(row, None).delivery
    await filled.store.record_results([Result(attempt, delivery, None)])
    assert await filled.store.list_attempts(row.delivery_id) == [attempt]


async def test_a_delivery_ends_when_its_attempt_ended(filled: Filled) -> None:
    await filled.subscribe()
    (row,) = await filled.publish()
    result = a_result(row, DEAD, answer=ERROR)
    await filled.store.record_results([result])
    found = await filled.store.get_delivery(TENANT, row.delivery_id)
    assert found.finished_at_ms == result.attempt.started_at_ms + result.attempt.duration_ms
    assert (found.status, found.reason) == (
        DeliveryStatus.DEAD_LETTERED,
        DeadLetterReason.ATTEMPTS_EXHAUSTED,
    )
    assert found.next_attempt_at_ms is None


async def test_a_batch_is_answered_in_its_order(filled: Filled) -> None:
    await filled.subscribe()
    rows = await filled.publish(70)
    for row in rows[::7]:
        await filled.store.cancel_delivery(TENANT, row.delivery_id, now_ms=NOW_MS)
    results = [
        a_result(row, DELIVERED if number % 2 else None, due_at_ms=NOW_MS + number)
        for number, row in enumerate(rows)
    ]
    recorded = await filled.store.record_results(results)
    assert [one.applied for one in recorded] == [number % 7 != 0 for number in range(70)]
    statuses = {one.delivery_id: one.status for one in await filled.listed()}
    for number, row in enumerate(rows):
        expected = DeliveryStatus.DELIVERED if number % 2 else DeliveryStatus.PENDING
        expected = expected if number % 7 else DeliveryStatus.CANCELLED
        assert statuses[row.delivery_id] is expected


async def test_one_result_that_cannot_be_true_keeps_all_from_being_recorded(
    filled: Filled,
) -> None:
    await filled.subscribe()
    good, bad = await filled.publish(2)
    told = len(filled.told)
    with pytest.raises(AssertionError):
        await filled.store.record_results(
            [a_result(good, DELIVERED), a_result(replace(bad, attempt_count=4), None)]
        )
    assert {one.status for one in await filled.listed()} == {DeliveryStatus.PENDING}
    for row in (good, bad):
        assert await filled.store.list_attempts(row.delivery_id) == []
    assert len(filled.told) == told


async def test_a_repeat_names_the_next_in_its_lane_again(filled: Filled) -> None:
    await filled.subscribe(ordering_enabled=True)
    first, second, _ = await filled.publish(3, ordering_key="k")
    result = a_result(first, DELIVERED)
    for _ in range(2):
        (recorded,) = await filled.store.record_results([result])
        assert recorded.next_in_lane == second
    assert len(await filled.store.list_attempts(first.delivery_id)) == 1


async def test_an_attempt_on_record_never_changes(filled: Filled) -> None:
    await filled.subscribe()
    (row,) = await filled.publish()
    first = a_result(row, DELIVERED)
    await filled.store.record_results([first])
    await filled.store.record_results([a_result(row, DEAD, answer=ERROR)])
    assert await filled.store.list_attempts(row.delivery_id) == [first.attempt]


async def test_the_last_of_a_lane_has_no_next(filled: Filled) -> None:
    await filled.subscribe(ordering_enabled=True)
    (only,) = await filled.publish(1, ordering_key="k")
    await filled.publish(1, ordering_key="other")
    await filled.publish(1)
    recorded = await filled.store.record_results([a_result(only, DELIVERED)])
    assert recorded == [Recorded(applied=True)]


async def test_heads_of_two_lanes_that_end_together_free_both(filled: Filled) -> None:
    await filled.subscribe(ordering_enabled=True)
    one = await filled.publish(2, ordering_key="a")
    other = await filled.publish(2, ordering_key="b")
    recorded = await filled.store.record_results(
        [a_result(one[0], DELIVERED), a_result(other[0], DEAD)]
    )
    assert [result.next_in_lane for result in recorded] == [one[1], other[1]]


async def test_a_late_result_of_an_earlier_round_leaves_the_present_one_alone(
    filled: Filled,
) -> None:
    await filled.subscribe()
    (row,) = await filled.publish()
    await filled.store.expire_deliveries(accepted_before_ms=NOW_MS + 1, now_ms=NOW_MS, limit=9)
    again = await filled.store.replay_delivery(TENANT, row.delivery_id, now_ms=NOW_MS)
    (recorded,) = await filled.store.record_results([a_result(row, DELIVERED)])
    assert not recorded.applied
    found = await filled.store.get_delivery(TENANT, row.delivery_id)
    assert (found.status, found.replay_count) == (DeliveryStatus.PENDING, again.round)
    assert len(await filled.store.list_attempts(row.delivery_id)) == 1


async def test_a_late_result_of_an_erased_tenant_leaves_nothing(filled: Filled) -> None:
    await filled.subscribe()
    (row,) = await filled.publish()
    while await filled.store.erase_tenant(TENANT, now_ms=NOW_MS, limit=100):
        pass
    late = a_result(row, DELIVERED, health=Health(1, NOW_MS))
    (recorded,) = await filled.store.record_results([late])
    assert not recorded.applied
    assert await filled.store.list_attempts(row.delivery_id) == []


async def test_attempts_of_all_rounds_are_kept_in_their_order(filled: Filled) -> None:
    await filled.subscribe()
    (row,) = await filled.publish()
    for round_ in range(3):
        first = a_result(row, None, answer=ERROR, due_at_ms=NOW_MS)
        await filled.store.record_results([first])
        await filled.store.record_results([a_result(first.delivery, DEAD, answer=ERROR)])
        row = await filled.store.replay_delivery(TENANT, row.delivery_id, now_ms=NOW_MS + round_)
    attempts = await filled.store.list_attempts(row.delivery_id)
    assert [(one.number, one.round) for one in attempts] == [
        (1, 0),
        (2, 0),
        (3, 1),
        (4, 1),
        (5, 2),
        (6, 2),
    ]


async def test_no_results_are_recorded_without_harm(filled: Filled) -> None:
    assert await filled.store.record_results([]) == []
