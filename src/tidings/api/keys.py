"""API keys over HTTP."""

from tidings.api.answers import NO_STORE, NOTHING, Answer
from tidings.api.call import Call, moment_ms
from tidings.api.pagination import read_page
from tidings.api.wire.access import (
    CreateApiKeyRequest,
    CreatedApiKey,
    ListedApiKeyPage,
    created_key,
    listed_key,
)
from tidings.api.wire.queries import TenantListQuery, TenantQuery
from tidings.operations.access import Principal


async def create(call: Call, body: CreateApiKeyRequest) -> Answer[CreatedApiKey]:
    """Create an API key. The key itself stands in this answer and never again."""
    key, text = await call.services.access.create(
        call.principal,
        name=body.name,
        scopes=body.scopes,
        tenant_id=body.tenant_id,
        expires_at_ms=moment_ms("expiresAt", body.expires_at, is_in_body=True),
    )
    return Answer(created_key(key, text), (NO_STORE,))


async def list_all(call: Call, query: TenantListQuery) -> Answer[ListedApiKeyPage]:
    """List API keys, newest first: all that the asking key may see, or those of one tenant."""
    tenant_id = _tenant_of_keys(call.principal, query.tenant_id)
    keys, cursor = await read_page(
        call.services.settings.cursor_key,
        ("keys", tenant_id),
        query,
        lambda before, limit: call.services.access.list_keys(tenant_id, before=before, limit=limit),
        lambda key: key.key_id,
    )
    return Answer(ListedApiKeyPage(items=[listed_key(one) for one in keys], next_cursor=cursor))


async def revoke(call: Call, query: TenantQuery) -> Answer[None]:
    """Revoke an API key, at once."""
    tenant_id = _tenant_of_keys(call.principal, query.tenant_id)
    await call.services.access.revoke(tenant_id, call.path_id, by=call.principal.key_id)
    return NOTHING


def _tenant_of_keys(principal: Principal, named: str | None) -> str | None:
    """Whose keys are meant; None for all. Global keys belong to no tenant, nor to `default`."""
    return principal.tenant_id if named is None else principal.tenants(named)
