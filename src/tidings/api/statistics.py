"""Statistics over HTTP: of one subscription, or of a whole tenant."""

from tidings.api.answers import Answer
from tidings.api.call import Call, moment_ms
from tidings.api.wire.statistics import (
    StatisticsQuery,
    SubscriptionStatistics,
    TenantStatistics,
    shown_of_subscription,
    shown_of_tenant,
)
from tidings.operations.statistics import StatisticsSpan


async def of_subscription(call: Call, query: StatisticsQuery) -> Answer[SubscriptionStatistics]:
    """Get what came of a subscription's attempts, how fast it answers, and what waits.

    Attempts are counted at the moment at which they are recorded.
    """
    tenant_id = call.tenant(query)
    counted = await call.services.counting.of_subscription(tenant_id, call.path_id, _span(query))
    return Answer(shown_of_subscription(tenant_id, call.path_id, counted))


async def of_tenant(call: Call, query: StatisticsQuery) -> Answer[TenantStatistics]:
    """Get what came of all attempts of a tenant, how fast its endpoints answer, and what waits."""
    tenant_id = call.tenant(query)
    counted = await call.services.counting.of_tenant(tenant_id, _span(query))
    return Answer(shown_of_tenant(tenant_id, counted))


def _span(query: StatisticsQuery) -> StatisticsSpan:
    return StatisticsSpan(
        moment_ms("since", query.since), moment_ms("until", query.until), query.bucket_seconds
    )
