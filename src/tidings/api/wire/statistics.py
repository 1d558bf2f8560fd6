"""Statistics on the wire."""

from typing import Annotated, Any

from msgspec import Meta

from tidings.api.wire.base import Shown, ShownMoment, moment_or_null
from tidings.api.wire.queries import Since, TenantQuery, Until
from tidings.core import limits
from tidings.core.attempt import Outcome
from tidings.core.health import HealthState
from tidings.core.histogram import percentile_ms
from tidings.core.roll_up import OUTCOMES, Figures
from tidings.core.timestamp import format_timestamp
from tidings.operations.statistics import Statistics

_SHARE_DIGITS = 4


class StatisticsQuery(TenantQuery):
    """Which time, and how finely."""

    since: Annotated[
        Since,
        Meta(description="From here on; unless told a day, or as many buckets as may be."),
    ] = None
    until: Annotated[Until, Meta(description="Before this moment; now unless told.")] = None
    bucket_seconds: Annotated[
        Annotated[int, Meta(ge=limits.ROLL_UP_SECONDS, le=limits.STATISTICS_BUCKET_SECONDS_MAX)]
        | None,
        Meta(
            description="The length of a bucket, a multiple of 10; unless told the finest in which "
            "the whole span is known: 10 for the last half hour, 60 for the last 12, else 3600. "
            "A span may have 1,500 buckets."
        ),
    ] = None


class LatencyPercentiles(Shown):
    """How many milliseconds this share of the attempts stayed within; at most 7 % off."""

    p50: int | None
    p90: int | None
    p95: int | None
    p99: int | None


class ShownFigures(Shown):
    """What came of attempts."""

    attempts: int
    outcomes: Annotated[
        dict[Outcome, int], Meta(description="The attempts, counted by their outcome.")
    ]
    success_share: Annotated[
        float | None,
        Meta(description="Delivered attempts among all but `our_fault`; null without any."),
    ]
    latency_ms: LatencyPercentiles
    dead_lettered: Annotated[int, Meta(description="Deliveries that became dead letters.")]


class StatisticsBucket(ShownFigures, kw_only=True):
    """What came of attempts in one bucket."""

    start: ShownMoment


class ShownBacklog(Shown):
    """What waits."""

    pending: Annotated[int, Meta(description="Unfinished deliveries, counted to 10,000.")]
    is_more: Annotated[bool, Meta(description="Whether there are more than 10,000.")]
    oldest_created_at: Annotated[
        ShownMoment | None, Meta(description="When the oldest of them was created.")
    ]


class TenantStatistics(ShownFigures, kw_only=True):
    """How all subscriptions of a tenant are doing together. Buckets without attempts are left out.

    What is older than half an hour is known by the minute, and than 12 hours by the hour.
    """

    tenant_id: str
    since: ShownMoment
    until: ShownMoment
    bucket_seconds: int
    backlog: ShownBacklog
    buckets: list[StatisticsBucket]


class SubscriptionStatistics(TenantStatistics, kw_only=True):
    """How a subscription is doing. Buckets without attempts are left out.

    What is older than half an hour is known by the minute, and than 12 hours by the hour.
    """

    subscription_id: str
    health: HealthState


def shown_of_tenant(tenant_id: str, statistics: Statistics) -> TenantStatistics:
    """The statistics of a tenant as they are answered."""
    return TenantStatistics(tenant_id=tenant_id, **_members(statistics))


def shown_of_subscription(
    tenant_id: str, subscription_id: str, statistics: Statistics
) -> SubscriptionStatistics:
    """The statistics of a subscription as they are answered."""
    assert statistics.health is not None
    return SubscriptionStatistics(
        tenant_id=tenant_id,
        subscription_id=subscription_id,
        health=statistics.health,
        **_members(statistics),
    )


def _members(statistics: Statistics) -> dict[str, Any]:
    backlog = statistics.backlog
    return {
        "since": format_timestamp(statistics.since_ms),
        "until": format_timestamp(statistics.until_ms),
        "bucket_seconds": statistics.bucket_seconds,
        "backlog": ShownBacklog(
            pending=backlog.pending,
            is_more=backlog.is_more,
            oldest_created_at=moment_or_null(backlog.oldest_at_ms),
        ),
        "buckets": [
            StatisticsBucket(start=format_timestamp(start_ms), **_figures(figures))
            for start_ms, figures in statistics.buckets.items()
        ],
        **_figures(statistics.total),
    }


def _figures(figures: Figures) -> dict[str, Any]:
    share = figures.success_share
    bins = figures.latencies
    return {
        "attempts": figures.attempts,
        "outcomes": dict(zip(OUTCOMES, figures.outcomes, strict=True)),
        "success_share": None if share is None else round(share, _SHARE_DIGITS),
        "latency_ms": LatencyPercentiles(
            p50=percentile_ms(bins, 0.5),
            p90=percentile_ms(bins, 0.9),
            p95=percentile_ms(bins, 0.95),
            p99=percentile_ms(bins, 0.99),
        ),
        "dead_lettered": figures.dead_lettered,
    }
