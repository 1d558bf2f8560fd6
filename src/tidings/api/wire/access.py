"""API keys, tenants and the state of the server on the wire."""

from typing import Annotated, Literal

from msgspec import Meta

from tidings.api.wire.base import (
    Body,
    Moment,
    Page,
    PublicId,
    Shown,
    ShownMoment,
    moment_or_null,
)
from tidings.core import limits
from tidings.core.timestamp import format_timestamp
from tidings.operations.access import Scope
from tidings.ports.records import ApiKey


class CreateApiKeyRequest(Body):
    """A key. It is given only scopes and a tenant that the asking key has itself."""

    name: Annotated[str, Meta(min_length=1, max_length=limits.API_KEY_NAME_LENGTH_MAX)]
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=len(Scope))]
    tenant_id: Annotated[
        PublicId | None, Meta(description="The one tenant that it may see and touch.")
    ] = None
    expires_at: Moment | None = None


class ListedApiKey(Shown):
    """A key, but for the key itself."""

    key_id: str
    name: str
    scopes: list[str]
    tenant_id: str | None
    expires_at: ShownMoment | None
    created_at: ShownMoment


class CreatedApiKey(ListedApiKey):
    """A new key. `key` is shown here and never again."""

    key: str


class ListedApiKeyPage(Page[ListedApiKey]):
    """Keys, newest first."""


class Tenant(Shown):
    """A customer of the publisher."""

    tenant_id: str
    created_at: ShownMoment


class TenantPage(Page[Tenant]):
    """Tenants, in descending order of their ids."""


class ServerState(Shown):
    """That the server is there."""

    status: Literal["live", "ready"]
    version: str


def listed_key(key: ApiKey) -> ListedApiKey:
    """A key as it is listed."""
    return ListedApiKey(
        key_id=key.key_id,
        name=key.name,
        scopes=list(key.scopes),
        tenant_id=key.tenant_id,
        expires_at=moment_or_null(key.expires_at_ms),
        created_at=format_timestamp(key.created_at_ms),
    )


def created_key(key: ApiKey, text: str) -> CreatedApiKey:
    """A key as it is answered to its creation."""
    return CreatedApiKey(
        key_id=key.key_id,
        key=text,
        name=key.name,
        scopes=list(key.scopes),
        tenant_id=key.tenant_id,
        expires_at=moment_or_null(key.expires_at_ms),
        created_at=format_timestamp(key.created_at_ms),
    )
