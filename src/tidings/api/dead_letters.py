"""Dead letters over HTTP: looked through, delivered again, discarded."""

from tidings.api.answers import NOTHING, Answer
from tidings.api.call import Call, moment_ms
from tidings.api.deliveries import delivery_page
from tidings.api.wire.base import TenantBody
from tidings.api.wire.deliveries import (
    BegunReplay,
    Delivery,
    DeliveryPage,
    ReplayDeadLettersRequest,
    begun_replay,
    shown_delivery,
)
from tidings.api.wire.queries import DeliveryListQuery, TenantQuery
from tidings.core.delivery import DeliveryStatus
from tidings.ports.records import DeliveryFilter, ReplayScope


async def list_all(call: Call, query: DeliveryListQuery) -> Answer[DeliveryPage]:
    """List dead letters, newest first. With another `status` than theirs there are none."""
    if query.status not in (None, DeliveryStatus.DEAD_LETTERED):
        call.principal.tenants(query.tenant_id)
        return Answer(DeliveryPage(items=[], next_cursor=None))
    wanted = DeliveryFilter(
        call.principal.tenants(query.tenant_id),
        status=DeliveryStatus.DEAD_LETTERED,
        subscription_id=query.subscription_id,
        event_id=query.event_id,
        since_ms=moment_ms("since", query.since),
        until_ms=moment_ms("until", query.until),
    )
    return await delivery_page(call, query, wanted)


async def replay(call: Call, query: TenantQuery, body: TenantBody) -> Answer[Delivery]:
    """Deliver a dead letter again, with the whole schedule."""
    tenant_id = call.tenant(query, body)
    replayed = await call.services.replays.replay_dead_letter(
        tenant_id, call.path_id, by=call.principal.key_id
    )
    return Answer(shown_delivery(replayed))


async def replay_many(
    call: Call, query: TenantQuery, body: ReplayDeadLettersRequest
) -> Answer[BegunReplay]:
    """Deliver many dead letters again.

    It goes on in the background; `GET /replays/{replayId}` tells how far it is. Those of
    subscriptions that take no events are skipped.
    """
    scope = ReplayScope(
        call.tenant(query, body),
        "dead",
        subscription_id=body.subscription_id,
        patterns=body.event_type,
        since_ms=moment_ms("since", body.since, is_in_body=True),
        until_ms=moment_ms("until", body.until, is_in_body=True),
    )
    begun = await call.services.replays.replay_many(
        scope, is_dry_run=body.dry_run, by=call.principal.key_id
    )
    return Answer(begun_replay(begun))


async def discard(call: Call, query: TenantQuery) -> Answer[None]:
    """Give a dead letter up. Its history stays."""
    tenant_id = call.tenant(query)
    await call.services.replays.discard(tenant_id, call.path_id, by=call.principal.key_id)
    return NOTHING
