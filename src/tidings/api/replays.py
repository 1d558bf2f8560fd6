"""Replays in bulk over HTTP: how far they are."""

from tidings.api.answers import Answer
from tidings.api.call import Call
from tidings.api.wire.deliveries import ShownReplay, shown_replay
from tidings.api.wire.queries import TenantQuery


async def show(call: Call, query: TenantQuery) -> Answer[ShownReplay]:
    """Get how far a replay has come."""
    tenant_id = call.tenant(query)
    return Answer(shown_replay(await call.services.inspection.replay(tenant_id, call.path_id)))
