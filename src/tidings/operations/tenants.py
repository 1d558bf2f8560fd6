"""Tenants: the customers of the publisher. They begin by being named, and can be erased."""

from typing import Final

from tidings.core.refusals import NotFound
from tidings.operations.access import Principal
from tidings.ports.clock import Clock
from tidings.ports.store import Store

_ROWS_AT_ONCE: Final = 500


class Tenants:
    """All tenants as a global key sees them, or the one that a key belongs to."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def list_tenants(
        self, principal: Principal, *, before: str | None, limit: int
    ) -> list[tuple[str, int]]:
        """Tenants with the moment they were first seen, in descending order of their ids."""
        tenant_id = principal.tenant_id
        if tenant_id is None:
            return await self._store.list_tenants(before=before, limit=limit)
        if before is not None:
            return []
        # The least text above an id is the id with one more character.
        found = await self._store.list_tenants(before=tenant_id + "\1", limit=1)
        return [one for one in found if one[0] == tenant_id]

    async def erase(self, principal: Principal, tenant_id: str) -> None:
        """Erase everything that a tenant has. Raises `NotFound`.

        It is done in steps. If it is interrupted, the tenant takes and sends nothing any more, and
        a repeat erases the rest.
        """
        if principal.tenant_id not in (None, tenant_id):
            raise NotFound("there is no such tenant")
        is_unfinished = True
        while is_unfinished:
            is_unfinished = await self._store.erase_tenant(
                tenant_id,
                now_ms=self._clock.now_ms(),
                limit=_ROWS_AT_ONCE,
                by=principal.key_id,
            )
