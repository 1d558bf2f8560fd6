"""The part of the store that holds the configuration: little, changed seldom, put down who by."""

from collections.abc import Callable, Mapping
from typing import Protocol

from tidings.core import limits
from tidings.core.audit import NOBODY
from tidings.core.subscription import Subscription
from tidings.ports.records import (
    ApiKey,
    IdempotentAnswer,
    SubscriptionFilter,
    SubscriptionRecord,
)


class ConfigurationStore(Protocol):
    """Subscriptions, keys, tenants: little, changed seldom, kept in memory by others.

    Each change leaves an audit record in the same transaction; `by` is the id of the key that asked
    for it.
    """

    async def load_subscriptions(self) -> list[SubscriptionRecord]:
        """All that are not deleted, and the deleted ones that still have unfinished deliveries."""
        ...

    async def load_api_keys(self) -> list[ApiKey]:
        """All that are not revoked."""
        ...

    async def create_subscription(
        self,
        subscription: Subscription,
        *,
        quota: int,
        equal_max: int = limits.EQUAL_SUBSCRIPTIONS_MAX_DEFAULT,
        idempotency: tuple[str, IdempotentAnswer] | None = None,
        by: str = NOBODY,
    ) -> IdempotentAnswer | None:
        """Store a new subscription. Raises `QuotaExceeded` when the tenant has `quota` of them.

        The same when `equal_max` of them have this callback URL and event type.

        With an idempotency key that was used within 24 hours nothing is stored, and the answer
        given then is returned for the caller to compare; else None.
        """
        ...

    async def change_subscription(
        self,
        tenant_id: str,
        subscription_id: str,
        change: Callable[[Subscription], Subscription],
        *,
        equal_max: int | None = None,
        by: str = NOBODY,
    ) -> SubscriptionRecord:
        """Apply a pure function to a subscription. Raises `NotFound`, and what `change` raises.

        With `equal_max` also `QuotaExceeded`, if it leads to a callback URL and event type that as
        many others have. Returning the very same object changes nothing. A status that leaves
        `disabled`, and a resume, reset the endpoint's health.
        """
        ...

    async def get_subscription(self, tenant_id: str, subscription_id: str) -> SubscriptionRecord:
        """One that is not deleted. Raises `NotFound`."""
        ...

    async def list_subscriptions(
        self, wanted: SubscriptionFilter, *, before: str | None, limit: int
    ) -> list[SubscriptionRecord]:
        """Newest first, those with an id below `before`."""
        ...

    async def note_secrets_read(
        self, tenant_id: str, subscription_id: str, *, now_ms: int, by: str
    ) -> None:
        """Put down that the secrets are about to be shown. Raises `NotFound`."""
        ...

    async def create_api_key(self, key: ApiKey, *, by: str = NOBODY) -> None:
        """Store a new key."""
        ...

    async def note_key_uses(self, used_at_ms: Mapping[str, int]) -> None:
        """Put down when keys were last used, by their ids; unknown ones are no fault."""
        ...

    async def list_api_keys(
        self, tenant_id: str | None, *, before: str | None, limit: int
    ) -> list[ApiKey]:
        """Newest first; `tenant_id` None means all."""
        ...

    async def revoke_api_key(
        self, tenant_id: str | None, key_id: str, *, now_ms: int, by: str = NOBODY
    ) -> None:
        """Forget a key. Raises `NotFound`; with a `tenant_id` also for other tenants' keys."""
        ...

    async def list_tenants(self, *, before: str | None, limit: int) -> list[tuple[str, int]]:
        """Tenants with the moment they were first seen, in descending order of their ids."""
        ...

    async def erase_tenant(
        self, tenant_id: str, *, now_ms: int, limit: int, by: str = NOBODY
    ) -> bool:
        """Erase up to `limit` rows of everything a tenant has; True while more is left.

        The first call deletes its subscriptions and keys. Of the audit records only those that tell
        of the erasure are left. Raises `NotFound` for an unknown tenant.
        """
        ...

    async def delete_audit_records(self, *, recorded_before_ms: int, limit: int) -> int:
        """Delete the oldest audit records from before a moment; answers how many."""
        ...
