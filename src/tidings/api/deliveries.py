"""Deliveries over HTTP: of everything, of an event, of a subscription."""

from tidings.api.answers import Answer
from tidings.api.call import Call, moment_ms
from tidings.api.pagination import read_page
from tidings.api.wire.base import TenantBody
from tidings.api.wire.deliveries import (
    Delivery,
    DeliveryPage,
    DeliveryWithAttempts,
    shown_delivery,
    shown_history,
)
from tidings.api.wire.queries import (
    DeliveryListQuery,
    ListQuery,
    OwnDeliveryListQuery,
    TenantQuery,
)
from tidings.ports.records import DeliveryFilter


async def list_all(call: Call, query: DeliveryListQuery) -> Answer[DeliveryPage]:
    """List deliveries, newest first."""
    wanted = DeliveryFilter(
        call.principal.tenants(query.tenant_id),
        status=query.status,
        subscription_id=query.subscription_id,
        event_id=query.event_id,
        since_ms=moment_ms("since", query.since),
        until_ms=moment_ms("until", query.until),
    )
    return await delivery_page(call, query, wanted)


async def list_of_subscription(call: Call, query: OwnDeliveryListQuery) -> Answer[DeliveryPage]:
    """List the deliveries of a subscription, newest first."""
    tenant_id = call.tenant(query)
    await call.services.inspection.subscription(tenant_id, call.path_id)
    wanted = DeliveryFilter(
        tenant_id,
        status=query.status,
        subscription_id=call.path_id,
        since_ms=moment_ms("since", query.since),
        until_ms=moment_ms("until", query.until),
    )
    return await delivery_page(call, query, wanted)


async def list_of_event(call: Call, query: OwnDeliveryListQuery) -> Answer[DeliveryPage]:
    """List the deliveries of an event, newest first."""
    tenant_id = call.tenant(query)
    await call.services.inspection.event(tenant_id, call.path_id)
    wanted = DeliveryFilter(
        tenant_id,
        status=query.status,
        event_id=call.path_id,
        since_ms=moment_ms("since", query.since),
        until_ms=moment_ms("until", query.until),
    )
    return await delivery_page(call, query, wanted)


async def show(call: Call, query: TenantQuery) -> Answer[DeliveryWithAttempts]:
    """Get a delivery with all its attempts."""
    tenant_id = call.tenant(query)
    return Answer(shown_history(await call.services.inspection.delivery(tenant_id, call.path_id)))


async def retry(call: Call, query: TenantQuery, body: TenantBody) -> Answer[Delivery]:
    """Make one attempt now.

    For a pending delivery it comes on top of the schedule, which stays as it is. A finished one
    gets a new round with this single attempt.
    """
    tenant_id = call.tenant(query, body)
    verb, by = call.services.replays.retry, call.principal.key_id
    return Answer(shown_delivery(await verb(tenant_id, call.path_id, by=by)))


async def cancel(call: Call, query: TenantQuery, body: TenantBody) -> Answer[Delivery]:
    """Cancel a pending delivery."""
    tenant_id = call.tenant(query, body)
    verb, by = call.services.replays.cancel, call.principal.key_id
    return Answer(shown_delivery(await verb(tenant_id, call.path_id, by=by)))


async def delivery_page(
    call: Call, query: ListQuery, wanted: DeliveryFilter
) -> Answer[DeliveryPage]:
    """One page of the deliveries that are wanted."""
    records, cursor = await read_page(
        call.services.settings.cursor_key,
        ("deliveries", wanted),
        query,
        lambda before, limit: call.services.inspection.deliveries(
            wanted, before=before, limit=limit
        ),
        lambda record: record.delivery_id,
    )
    return Answer(DeliveryPage(items=[shown_delivery(one) for one in records], next_cursor=cursor))
