"""Tenants over HTTP."""

from tidings.api.answers import NOTHING, Answer
from tidings.api.call import Call
from tidings.api.pagination import read_page
from tidings.api.wire.access import Tenant, TenantPage
from tidings.api.wire.queries import ListQuery
from tidings.core.timestamp import format_timestamp


async def list_all(call: Call, query: ListQuery) -> Answer[TenantPage]:
    """List tenants, in descending order of their ids."""
    tenants, cursor = await read_page(
        call.services.settings.cursor_key,
        ("tenants", call.principal.tenant_id),
        query,
        lambda before, limit: call.services.tenants.list_tenants(
            call.principal, before=before, limit=limit
        ),
        lambda tenant: tenant[0],
    )
    items = [
        Tenant(tenant_id=tenant_id, created_at=format_timestamp(seen_at_ms))
        for tenant_id, seen_at_ms in tenants
    ]
    return Answer(TenantPage(items=items, next_cursor=cursor))


async def erase(call: Call) -> Answer[None]:
    """Erase a tenant with everything it has: subscriptions, keys, events, deliveries."""
    await call.services.tenants.erase(call.principal, call.path_id)
    return NOTHING
