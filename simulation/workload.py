"""What is published and what is subscribed to, drawn from the seed; some of it hard to digest."""

import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from tidings.core.retry import DEFAULT_RETRY_POLICY, Exponential, RetryPolicy
from tidings.operations.publish import Publication
from tidings.operations.wish import Wish

EVENT_TYPES: Final = (
    "order.shipped",
    "order.paid",
    "order.item.added",
    "user.created",
    "user",
    "ORDER.shipped",
)
_PATTERNS: Final = (
    "*",
    "*",
    "order.*",
    "order.shipped",
    "user.created, order.paid",
    "*.shipped",
    "order.*.added,user",
    "tidings.*",
    "tidings.delivery.dead_lettered, order.*",
)
_POISON: Final = (
    b"{}",
    b'{"text":"\\u0000\\ud83d\\ude00 \\" \\\\ ,\\"data\\":"}',
    b'{"eventId":"evt_other","data":{"data":{}}}',
    b'{"number":1e400,"other":-0.0,"long":123456789012345678901234567890}',
    b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
    b'{ "spaces" :\t1 ,\n"\xc3\xa4":"\xe2\x82\xac" }',
    b'{"text":"' + b"x" * 20_000 + b'"}',
)
_SCHEDULES: Final = (
    RetryPolicy(()),
    RetryPolicy((0.1,)),
    RetryPolicy((1.0, 1.0, 1.0)),
    RetryPolicy((30.0, 60.0, 600.0, 3_600.0)),
    RetryPolicy((10.0,) * 20),
    RetryPolicy.from_formula(Exponential(5.0, 3.0, 86_400.0, 10)),
    RetryPolicy.from_formula(Exponential(0.1, 10.0, 3_600.0, 6)),
)


@dataclass(frozen=True)
class SubscriptionKind:
    """One kind of subscription."""

    event_type: str
    policy: RetryPolicy
    is_ordered: bool
    rate: float | None
    timeout_seconds: int
    secret: str

    @classmethod
    def drawn(cls, features: Collection[str], draws: random.Random) -> "SubscriptionKind":
        """A kind, within what the world has."""
        policy = DEFAULT_RETRY_POLICY
        if "schedules" in features and draws.random() < 0.7:
            policy = draws.choice(_SCHEDULES)
        rate = None
        if "rates" in features and draws.random() < 0.5:
            rate = draws.choice((0.02, 0.5, 2.0, 20.0, 200.0))
        return cls(
            event_type=draws.choice(_PATTERNS),
            policy=policy,
            is_ordered="ordering" in features and draws.random() < 0.6,
            rate=rate,
            timeout_seconds=draws.choice((1, 5, 15, 30)),
            secret=f"whsec_first-{draws.randrange(1 << 40)}",
        )

    def wish(self, url: str) -> Wish:
        """What the subscriber asks for."""
        return Wish(
            event_type=self.event_type,
            callback_url=url,
            headers={"X-Subscriber": "simulated"},
            ordering_enabled=self.is_ordered,
            retry_policy=self.policy,
            rate_limit_per_second=self.rate,
            timeout_seconds=self.timeout_seconds,
        )


def an_event_type(draws: random.Random) -> str:
    """Any of the event types."""
    return draws.choice(EVENT_TYPES)


def publication_of(
    number: int, tenant_id: str, features: Collection[str], draws: random.Random
) -> Publication:
    """The event of this number."""
    data = b'{"number":%d}' % number
    if "poison" in features and draws.random() < 0.3:
        data = draws.choice(_POISON)
    by_key = "idempotency_keys" in features and draws.random() < 0.4
    ordering_key = None
    if "ordering" in features and draws.random() < 0.7:
        ordering_key = f"key-{draws.randrange(4)}"
    return Publication(
        tenant_id=tenant_id,
        event_type=an_event_type(draws),
        data=data,
        event_id=None if by_key else f"evt_{number}",
        occurred_at="2025-10-09T08:53:20Z" if draws.random() < 0.2 else None,
        ordering_key=ordering_key,
        idempotency_key=f"publish-{number}" if by_key else None,
    )
