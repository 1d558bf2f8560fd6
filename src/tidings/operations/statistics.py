"""Statistics: what came of attempts in the course of time, and what waits.

They come from roll-ups, never from deliveries, so they cost the same however much was delivered.
"""

from collections.abc import Callable, Mapping

import msgspec

from tidings.core import limits
from tidings.core.health import HealthState
from tidings.core.refusals import Fault, ValidationFailed
from tidings.core.roll_up import (
    Figures,
    RollUp,
    bucketed,
    finest_bucket_seconds,
    start_of,
)
from tidings.core.timestamp import EARLIEST_MS
from tidings.ports.clock import Clock
from tidings.ports.records import Backlog
from tidings.ports.store import Store

Unwritten = Callable[[str, str | None], list[RollUp]]
"""The roll-ups of a tenant, or of one of its subscriptions, that the store does not hold yet."""


class StatisticsSpan(msgspec.Struct, frozen=True):
    """Which time is asked about, and in buckets of which length; None stands for the default."""

    since_ms: int | None = None
    until_ms: int | None = None
    bucket_seconds: int | None = None


class Statistics(msgspec.Struct, frozen=True):
    """What came of attempts from `since_ms` to `until_ms`, in all and in buckets by their start.

    `health` is that of the subscription's endpoint; a whole tenant has none.
    """

    since_ms: int
    until_ms: int
    bucket_seconds: int
    total: Figures
    buckets: Mapping[int, Figures]
    backlog: Backlog
    health: HealthState | None = None


class Counting:
    """The verbs that count. They know only the tenant given."""

    def __init__(self, store: Store, clock: Clock, unwritten: Unwritten) -> None:
        self._store = store
        self._clock = clock
        self._unwritten = unwritten

    async def of_subscription(
        self, tenant_id: str, subscription_id: str, span: StatisticsSpan
    ) -> Statistics:
        """How a subscription is doing. Raises `NotFound` and `ValidationFailed`."""
        record = await self._store.get_subscription(tenant_id, subscription_id)
        counted = await self._count(tenant_id, subscription_id, span)
        return msgspec.structs.replace(counted, health=record.health.state)

    async def of_tenant(self, tenant_id: str, span: StatisticsSpan) -> Statistics:
        """How all subscriptions of a tenant are doing together. Raises `ValidationFailed`."""
        return await self._count(tenant_id, None, span)

    async def _count(
        self, tenant_id: str, subscription_id: str | None, span: StatisticsSpan
    ) -> Statistics:
        now_ms = self._clock.now_ms()
        until_ms = now_ms + 1 if span.until_ms is None else span.until_ms
        since_ms = span.since_ms
        if since_ms is None:
            since_ms = until_ms - _default_span_ms(span.bucket_seconds)
        bucket_seconds = span.bucket_seconds or finest_bucket_seconds(
            max(now_ms - since_ms, until_ms - since_ms)
        )
        since_ms = start_of(since_ms, bucket_seconds)
        _check_span(since_ms, until_ms, bucket_seconds)
        # Asked before the store, so that what is written in between is in one of the two answers.
        unwritten = self._unwritten(tenant_id, subscription_id)
        record = await self._store.read_statistics(
            tenant_id, subscription_id, since_ms=since_ms, until_ms=until_ms
        )
        found = {
            (one.span_seconds, one.start_ms, one.writer): one
            for one in (*record.roll_ups, *unwritten)
            if since_ms <= one.start_ms < until_ms
        }
        total = Figures()
        for one in found.values():
            total.add(one.figures)
        buckets = bucketed(found.values(), bucket_seconds)
        return Statistics(since_ms, until_ms, bucket_seconds, total, buckets, record.backlog)


def _default_span_ms(bucket_seconds: int | None) -> int:
    """A day, or less where buckets are wanted that are too fine for a day."""
    if bucket_seconds is None:
        return limits.STATISTICS_SPAN_MS_DEFAULT
    bucket_ms = bucket_seconds * 1_000
    most_ms = bucket_ms * (limits.STATISTICS_BUCKETS_MAX - 1)
    return max(min(limits.STATISTICS_SPAN_MS_DEFAULT, most_ms), bucket_ms)


def _check_span(since_ms: int, until_ms: int, bucket_seconds: int) -> None:
    if since_ms < EARLIEST_MS:
        raise ValidationFailed(
            "the span begins too early", faults=[Fault("/since", "it must be after the year 1")]
        )
    if since_ms >= until_ms:
        raise ValidationFailed(
            "the span is empty", faults=[Fault("/until", "it must be later than since")]
        )
    if bucket_seconds % limits.ROLL_UP_SECONDS:
        raise ValidationFailed(
            "the buckets cannot be so long",
            faults=[Fault("/bucketSeconds", f"a multiple of {limits.ROLL_UP_SECONDS} is needed")],
        )
    if (until_ms - since_ms) // (bucket_seconds * 1_000) >= limits.STATISTICS_BUCKETS_MAX:
        raise ValidationFailed(
            "the span has too many buckets",
            faults=[
                Fault(
                    "/bucketSeconds",
                    f"at most {limits.STATISTICS_BUCKETS_MAX} are answered; take longer ones",
                )
            ],
        )
