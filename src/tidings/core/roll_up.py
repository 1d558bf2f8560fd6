"""Roll-ups: what came of attempts within a span of time, so that statistics never scan deliveries.

They can be added: those of ten seconds to minutes, minutes to hours, and all of them to the buckets
that somebody asks for.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from tidings.core import histogram, limits
from tidings.core.attempt import Outcome

WHOLE_TENANT: Final = ""
"""In place of a subscription's id: all subscriptions of a tenant together."""
OUTCOMES: Final = tuple(Outcome)
"""The order in which outcomes are counted."""
_INDEX: Final = {outcome: index for index, outcome in enumerate(OUTCOMES)}
_OUR_FAULT: Final = _INDEX[Outcome.OUR_FAULT]
_DELIVERED: Final = _INDEX[Outcome.DELIVERED]


class Figures(msgspec.Struct):
    """Counts that grow. `outcomes` stand in the order of `OUTCOMES`.

    `latencies` leaves out what was our own fault, which says nothing about the receiver.
    """

    outcomes: list[int] = msgspec.field(default_factory=lambda: [0] * len(OUTCOMES))
    dead_lettered: int = 0
    latencies: dict[int, int] = msgspec.field(default_factory=dict)

    def add_attempt(self, outcome: Outcome, duration_ms: int) -> None:
        """Count an attempt."""
        self.outcomes[_INDEX[outcome]] += 1
        if outcome is not Outcome.OUR_FAULT:
            number = histogram.bin_of(duration_ms)
            self.latencies[number] = self.latencies.get(number, 0) + 1

    def add(self, other: "Figures") -> None:
        """Add what somebody else has counted."""
        self.outcomes = [one + two for one, two in zip(self.outcomes, other.outcomes, strict=True)]
        self.dead_lettered += other.dead_lettered
        for number, count in other.latencies.items():
            self.latencies[number] = self.latencies.get(number, 0) + count

    @property
    def attempts(self) -> int:
        """How many attempts were made."""
        return sum(self.outcomes)

    @property
    def success_share(self) -> float | None:
        """Which share of the attempts that got as far as the receiver was delivered."""
        counted = self.attempts - self.outcomes[_OUR_FAULT]
        return self.outcomes[_DELIVERED] / counted if counted else None


class RollUp(msgspec.Struct, frozen=True):
    """The figures of a subscription, or of a whole tenant, from `start_ms` for `span_seconds`.

    `writer` tells those apart who count at the same time: who writes the same again replaces only
    what they wrote themselves. The store is writer 0.
    """

    tenant_id: str
    subscription_id: str
    span_seconds: int
    start_ms: int
    figures: Figures
    writer: int = 0


def start_of(at_ms: int, span_seconds: int) -> int:
    """Where the span begins that a moment lies in."""
    return at_ms - at_ms % (span_seconds * 1_000)


def bucketed(roll_ups: Iterable[RollUp], bucket_seconds: int) -> dict[int, Figures]:
    """Figures by the beginning of their bucket, in order. What is coarser goes to its first one."""
    found: dict[int, Figures] = {}
    for one in roll_ups:
        start_ms = start_of(one.start_ms, bucket_seconds)
        found.setdefault(start_ms, Figures()).add(one.figures)
    return dict(sorted(found.items()))


def finest_bucket_seconds(span_ms: int) -> int:
    """The finest bucket in which all of the last `span_ms` is known."""
    if span_ms <= limits.ROLL_UP_SECONDS_KEPT_MS:
        return limits.ROLL_UP_SECONDS
    if span_ms <= limits.ROLL_UP_MINUTES_KEPT_MS:
        return limits.ROLL_UP_MINUTE_SECONDS
    return limits.ROLL_UP_HOUR_SECONDS
