"""What follows from an attempt, for every outcome and every state a subscription may be in."""

import pytest
from msgspec.structs import replace

from tests.support.values import NOW_MS, a_subscription
from tidings.core.attempt import Answer, ErrorClass, Outcome
from tidings.core.decision import Decision, after_attempt
from tidings.core.delivery import DeadLetterReason, Delivery, DeliveryStatus
from tidings.core.health import HEALTHY, Health
from tidings.core.limits import OUR_FAULT_RETRY_MS
from tidings.core.retry import RetryPolicy
from tidings.core.subscription import DisabledReason, Status

FIRST = Delivery(1, "dlv_1", "default", "sub_1", 1)
POLICY = RetryPolicy((10.0, 100.0))
OURS = Answer(error_class=ErrorClass.INTERNAL)
DAY_MS = 86_400_000


def decide(
    answer: Answer,
    delivery: Delivery = FIRST,
    status: Status = Status.ACTIVE,
    health: Health = HEALTHY,
) -> Decision:
    return after_attempt(
        delivery,
        a_subscription(status=status, retry_policy=POLICY),
        health,
        answer,
        now_ms=NOW_MS,
        jitter=0.5,
        disable_after_days=5,
    )


@pytest.mark.parametrize("status", Status)
def test_success_delivers_whatever_became_of_the_subscription(status: Status) -> None:
    decision = decide(Answer(status_code=204), status=status)
    assert decision.ending is not None
    assert decision.ending.status is DeliveryStatus.DELIVERED
    assert decision.delivery.attempt_count == 1


@pytest.mark.parametrize("status_code", [301, 400, 429, 500, 503])
def test_a_failure_waits_by_the_schedule_and_uses_it_up(status_code: int) -> None:
    decision = decide(Answer(status_code=status_code))
    assert decision.ending is None
    assert decision.delivery.due_at_ms == NOW_MS + 10_000
    second = decide(Answer(status_code=status_code), decision.delivery)
    assert second.delivery.due_at_ms == NOW_MS + 100_000
    last = decide(Answer(status_code=status_code), second.delivery)
    assert last.ending is not None
    assert last.ending.reason is DeadLetterReason.ATTEMPTS_EXHAUSTED
    assert last.delivery.attempt_count == 3


def test_retry_after_delays_on_any_failure_but_never_hastens() -> None:
    assert decide(Answer(status_code=500, retry_after="60")).delivery.due_at_ms == NOW_MS + 60_000
    assert decide(Answer(status_code=500, retry_after="1")).delivery.due_at_ms == NOW_MS + 10_000


@pytest.mark.parametrize(("status_code", "holds"), [(429, True), (503, True), (500, False)])
def test_retry_after_holds_the_subscription_on_429_and_503(status_code: int, holds: bool) -> None:
    decision = decide(Answer(status_code=status_code, retry_after="60"))
    assert decision.health.held_until_ms == (NOW_MS + 60_000 if holds else None)


def test_gone_ends_the_delivery_and_switches_off() -> None:
    decision = decide(Answer(status_code=410))
    assert decision.ending is not None
    assert decision.ending.reason is DeadLetterReason.GONE
    assert decision.disable is DisabledReason.GONE


def test_our_own_fault_costs_no_attempt_of_the_schedule() -> None:
    delivery = FIRST
    for _ in range(30):
        decision = decide(OURS, delivery)
        delivery = decision.delivery
        assert decision.outcome is Outcome.OUR_FAULT
        assert decision.ending is None
        assert decision.health is HEALTHY
    assert (delivery.schedule_position, delivery.attempt_count) == (0, 30)
    assert delivery.due_at_ms == NOW_MS + OUR_FAULT_RETRY_MS


@pytest.mark.parametrize(
    ("status", "ended_as"),
    [(Status.DISABLED, DeliveryStatus.DEAD_LETTERED), (Status.DELETED, DeliveryStatus.CANCELLED)],
)
def test_a_failure_for_a_subscription_that_is_over_ends_the_delivery(
    status: Status, ended_as: DeliveryStatus
) -> None:
    decision = decide(Answer(status_code=500), status=status)
    assert decision.ending is not None
    assert decision.ending.status is ended_as


def test_a_manual_attempt_leaves_the_schedule_as_it_was() -> None:
    manual = replace(
        FIRST, attempt_count=1, schedule_position=1, due_at_ms=NOW_MS, kept_due_at_ms=NOW_MS + 7
    )
    decision = decide(Answer(status_code=500), manual)
    assert decision.ending is None
    after = decision.delivery
    assert (after.due_at_ms, after.kept_due_at_ms) == (NOW_MS + 7, None)
    assert (after.attempt_count, after.schedule_position) == (2, 1)
    held_back = decide(Answer(status_code=503, retry_after="60"), manual)
    assert held_back.delivery.due_at_ms == NOW_MS + 60_000


def test_a_manual_attempt_before_the_first_goes_back_to_waiting_for_its_turn() -> None:
    decision = decide(Answer(status_code=500), replace(FIRST, due_at_ms=NOW_MS, kept_due_at_ms=0))
    assert (decision.delivery.due_at_ms, decision.delivery.schedule_position) == (None, 0)


def test_a_round_of_a_single_attempt_ends_with_it() -> None:
    decision = decide(Answer(status_code=500), replace(FIRST, round=1, is_single=True))
    assert decision.ending is not None
    assert decision.ending.reason is DeadLetterReason.ATTEMPTS_EXHAUSTED
    assert decide(OURS, replace(FIRST, round=1, is_single=True)).ending is None


def test_days_of_failure_switch_off() -> None:
    failing = Health(50, NOW_MS - 5 * DAY_MS, NOW_MS, 1_000)
    decision = decide(Answer(status_code=500), health=failing)
    assert decision.disable is DisabledReason.FAILING
    assert decision.ending is not None
    assert decision.ending.reason is DeadLetterReason.SUBSCRIPTION_DISABLED
    assert decide(OURS, health=failing).disable is None
    assert decide(Answer(status_code=200), health=failing).health is HEALTHY
