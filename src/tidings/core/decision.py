"""What follows from an attempt: joins the rules into one Decision, which others carry out."""

import msgspec

from tidings.core import limits
from tidings.core.attempt import HOLDING_STATUSES, Answer, Outcome, outcome_of
from tidings.core.delivery import Delivery, Ending, Turn, ending_of
from tidings.core.health import Health, has_failed_for_days, health_after, told_in_time
from tidings.core.retry import JITTER_SHARE, next_attempt_at_ms, retry_after_ms
from tidings.core.subscription import DisabledReason, Status, Subscription


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What to store, when to wake and what to change after an attempt.

    `delivery` is the row as it stands afterwards, meaningful while there is no `ending`.
    """

    outcome: Outcome
    delivery: Delivery
    ending: Ending | None
    health: Health
    disable: DisabledReason | None = None


def after_attempt(
    delivery: Delivery,
    subscription: Subscription,
    health: Health,
    answer: Answer,
    *,
    now_ms: int,
    jitter: float,
    disable_after_days: float,
) -> Decision:
    """Decide what follows from an answer.

    `subscription` is as it stands now, which may be later than when the request went out: a
    deleted or disabled one gets no further attempt. `jitter` lies between 0 and 1.
    """
    outcome = outcome_of(answer)
    asked_ms = retry_after_ms(answer.retry_after, now_ms=now_ms)
    holds = answer.status_code in HOLDING_STATUSES
    healthier = health_after(
        health,
        outcome,
        now_ms=now_ms,
        jitter=jitter,
        held_until_ms=asked_ms if holds else None,
    )
    healthier = told_in_time(healthier, disable_after_days, now_ms=now_ms)
    tried = msgspec.structs.replace(delivery, attempt_count=delivery.attempt_count + 1)
    if outcome is Outcome.DELIVERED:
        return Decision(outcome, tried, ending_of(Turn.ATTEMPT_DELIVERED), healthier)
    disable = _reason_to_disable(outcome, healthier, disable_after_days, now_ms)
    if outcome is Outcome.GONE:
        turn: Turn | None = Turn.RECEIVER_GONE
    elif disable is not None or subscription.status is Status.DISABLED:
        turn = Turn.SUBSCRIPTION_DISABLED
    elif subscription.status is Status.DELETED:
        turn = Turn.SUBSCRIPTION_DELETED
    else:
        turn = None
    if turn is not None:
        return Decision(outcome, tried, ending_of(turn), healthier, disable)
    waiting = _rescheduled(
        tried, subscription, outcome, now_ms=now_ms, jitter=jitter, asked_ms=asked_ms
    )
    if waiting is None:
        return Decision(outcome, tried, ending_of(Turn.LAST_ATTEMPT_FAILED), healthier)
    return Decision(outcome, waiting, None, healthier)


def _reason_to_disable(
    outcome: Outcome, health: Health, disable_after_days: float, now_ms: int
) -> DisabledReason | None:
    if outcome is Outcome.GONE:
        return DisabledReason.GONE
    if outcome is not Outcome.OUR_FAULT and has_failed_for_days(
        health, disable_after_days, now_ms=now_ms
    ):
        return DisabledReason.FAILING
    return None


def _rescheduled(
    tried: Delivery,
    subscription: Subscription,
    outcome: Outcome,
    *,
    now_ms: int,
    jitter: float,
    asked_ms: int | None,
) -> Delivery | None:
    """The row with its next due time, or None when no attempt is left."""
    if outcome is Outcome.OUR_FAULT:
        wait_ms = limits.OUR_FAULT_RETRY_MS * (1 - JITTER_SHARE + 2 * JITTER_SHARE * jitter)
        return msgspec.structs.replace(tried, due_at_ms=now_ms + round(wait_ms))
    if tried.kept_due_at_ms is not None:
        # A manual attempt came on top: the schedule goes on as if it had not been.
        kept_ms = max(tried.kept_due_at_ms, asked_ms or 0) or None
        return msgspec.structs.replace(tried, due_at_ms=kept_ms, kept_due_at_ms=None)
    if tried.is_single:
        return None
    position = tried.schedule_position + 1
    due_at_ms = next_attempt_at_ms(
        subscription.retry_policy, position, now_ms=now_ms, jitter=jitter
    )
    if due_at_ms is None:
        return None
    due_at_ms = max(due_at_ms, asked_ms or 0)
    return msgspec.structs.replace(tried, schedule_position=position, due_at_ms=due_at_ms)
