"""Subscriptions, events and results for tests: valid, small, different where it matters."""

from itertools import count
from typing import Any

import msgspec

from tidings.core.attempt import Answer, Attempt, error_class_of, outcome_of
from tidings.core.delivery import Delivery, Ending
from tidings.core.event import NewEvent, content_hash, frozen_body
from tidings.core.health import Health
from tidings.core.subscription import SigningSecret, Subscription
from tidings.ports.store import Result
from tidings.system import SystemChance

NOW_MS = 1_760_000_000_000
"""Some moment in October 2025."""
TENANT = "default"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

CHANCE = SystemChance()
_count = count(1)


def a_subscription(
    event_type: str = "*", *, tenant_id: str = TENANT, now_ms: int = NOW_MS, **members: Any
) -> Subscription:
    """A new subscription; `members` go into it as they are."""
    given: dict[str, Any] = {
        "subscription_id": CHANCE.new_id("sub", now_ms),
        "tenant_id": tenant_id,
        "event_type": event_type,
        "callback_url": "https://example.com/in",
        "created_at_ms": now_ms,
        "updated_at_ms": now_ms,
        "secrets": (SigningSecret(SECRET, now_ms),),
    }
    return Subscription(**{**given, **members})


def an_event(
    event_type: str = "order.shipped",
    *,
    event_id: str | None = None,
    event_key: str | None = None,
    tenant_id: str = TENANT,
    ordering_key: str | None = None,
    data: bytes = b"{}",
    **members: Any,
) -> NewEvent:
    """A new event; without an id it gets one that no other has."""
    event_id = event_id or f"evt_{next(_count)}"
    occurred_at = "2025-10-09T08:53:20Z"
    return NewEvent(
        event_id=event_id,
        event_key=event_key or event_id,
        tenant_id=tenant_id,
        event_type=event_type,
        occurred_at=occurred_at,
        ordering_key=ordering_key,
        content_hash=content_hash(event_type, ordering_key, None, data),
        body=frozen_body(event_id, event_type, occurred_at, data),
        **members,
    )


def an_attempt(delivery: Delivery, answer: Answer | None = None, **members: Any) -> Attempt:
    """The record of the next attempt of a delivery; answered with 200 unless told otherwise."""
    answer = answer or Answer(status_code=200)
    attempt = Attempt(
        attempt_id=CHANCE.new_id("att", NOW_MS),
        delivery_id=delivery.delivery_id,
        round=delivery.round,
        number=delivery.attempt_count + 1,
        started_at_ms=NOW_MS,
        duration_ms=5,
        outcome=outcome_of(answer),
        status_code=answer.status_code,
        error_class=error_class_of(answer),
        error_detail=answer.error_detail,
        sent_by="test",
        custom_header_names=(),
        response_headers=answer.headers,
        response_body=answer.body,
    )
    return msgspec.structs.replace(attempt, **members)


def a_result(
    delivery: Delivery,
    ending: Ending | None,
    *,
    answer: Answer | None = None,
    health: Health | None = None,
    **members: Any,
) -> Result:
    """What the next attempt of a row leads to: an ending, or the row with changed `members`."""
    tried = msgspec.structs.replace(delivery, attempt_count=delivery.attempt_count + 1, **members)
    return Result(an_attempt(delivery, answer), tried, ending, health)
