"""Which lifecycle event tells of what, and of what nothing is told."""

from dataclasses import replace

import pytest

from tests.support.values import NOW_MS, a_subscription
from tidings.core.delivery import DeadLetterReason, DeliveryStatus, Ending, Turn, ending_of
from tidings.core.health import HEALTHY, Health
from tidings.core.lifecycle import (
    LifecycleType,
    change_told,
    health_told,
    is_ending_told,
)
from tidings.core.pattern import event_type_fault, is_reserved, matches
from tidings.core.subscription import SigningSecret, Status

FAILING = Health(3, NOW_MS)
TOLD = Health(3, NOW_MS, is_told=True)


@pytest.mark.parametrize("told", LifecycleType)
def test_no_publisher_can_use_these_types_and_no_star_reaches_them(told: LifecycleType) -> None:
    assert is_reserved(told)
    assert event_type_fault(told) is not None
    assert matches("tidings.*", told)
    assert not matches("*, *.*, *.*.*", told)


@pytest.mark.parametrize("event_type", ["tiding.x", "order.tidings", "tidingsx.y", "tidings"])
def test_other_types_are_not_reserved(event_type: str) -> None:
    assert not is_reserved(event_type)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (Status.ACTIVE, Status.PAUSED, LifecycleType.PAUSED),
        (Status.PAUSED, Status.ACTIVE, LifecycleType.RESUMED),
        (Status.DISABLED, Status.ACTIVE, LifecycleType.RESUMED),
        (Status.ACTIVE, Status.DISABLED, LifecycleType.DISABLED),
        (Status.PAUSED, Status.DISABLED, LifecycleType.DISABLED),
        (Status.DISABLED, Status.DELETED, LifecycleType.DELETED),
        (Status.PENDING_VERIFICATION, Status.ACTIVE, LifecycleType.UPDATED),
        (Status.ACTIVE, Status.PENDING_VERIFICATION, LifecycleType.UPDATED),
    ],
)
def test_a_change_of_state_is_told_by_the_state(
    before: Status, after: Status, told: LifecycleType
) -> None:
    old = a_subscription(status=before)
    assert change_told(old, replace(old, status=after, description="also changed")) is told


def test_a_new_secret_is_a_rotation_and_an_old_one_that_goes_is_none() -> None:
    old = a_subscription(secrets=(SigningSecret("b" * 9, NOW_MS), SigningSecret("a" * 9, NOW_MS)))
    fresh = SigningSecret("c" * 9, NOW_MS)
    rotated = replace(old, secrets=(fresh, *old.secrets))
    assert change_told(old, rotated) is LifecycleType.SECRET_ROTATED
    assert change_told(old, replace(old, secrets=old.secrets[:1])) is LifecycleType.UPDATED


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (HEALTHY, FAILING, None),
        (FAILING, HEALTHY, None),
        (FAILING, TOLD, LifecycleType.FAILING),
        (TOLD, Health(9, NOW_MS, is_told=True), None),
        (TOLD, HEALTHY, LifecycleType.RECOVERED),
    ],
)
def test_failing_and_recovery_are_told_in_pairs(
    before: Health, after: Health, told: LifecycleType | None
) -> None:
    assert health_told(before, after) is told


@pytest.mark.parametrize(
    ("turn", "is_told"),
    [
        (Turn.LAST_ATTEMPT_FAILED, True),
        (Turn.RECEIVER_GONE, True),
        (Turn.HELD_TOO_LONG, True),
        (Turn.EXPIRED, True),
        (Turn.SUBSCRIPTION_DISABLED, False),
        (Turn.SUBSCRIPTION_DELETED, False),
        (Turn.CANCELLED, False),
        (Turn.ATTEMPT_DELIVERED, False),
    ],
)
def test_dead_letters_are_told_but_for_those_that_the_subscription_tells_of(
    turn: Turn, is_told: bool
) -> None:
    assert is_ending_told(ending_of(turn)) is is_told


def test_every_reason_of_a_dead_letter_is_covered() -> None:
    told = [
        reason
        for reason in DeadLetterReason
        if is_ending_told(Ending(DeliveryStatus.DEAD_LETTERED, reason))
    ]
    assert set(DeadLetterReason) - set(told) == {DeadLetterReason.SUBSCRIPTION_DISABLED}
