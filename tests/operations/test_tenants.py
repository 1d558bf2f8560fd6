"""Tenants: who sees which, and erasing that takes many steps."""

import pytest

from tests.support.api_world import EVENT, ApiWorld
from tidings.core.refusals import NotFound
from tidings.operations.access import DEVELOPER, Principal

ACME = Principal("key_1", frozenset(), "acme")


async def test_a_tenants_key_sees_its_tenant_once_it_has_begun(world: ApiWorld) -> None:
    tenants = world.services.tenants
    assert await tenants.list_tenants(ACME, before=None, limit=10) == []
    for tenant_id in ("acm", "acme", "acme1", "acmf"):
        await world.publish(tenantId=tenant_id)
    found = await tenants.list_tenants(ACME, before=None, limit=10)
    assert [tenant_id for tenant_id, _ in found] == ["acme"]
    assert await tenants.list_tenants(ACME, before="acme", limit=10) == []
    everybody = await tenants.list_tenants(DEVELOPER, before="acme1", limit=10)
    assert [tenant_id for tenant_id, _ in everybody] == ["acme", "acm"]


async def test_a_tenant_of_any_size_is_erased(world: ApiWorld) -> None:
    await world.subscribe(tenantId="acme")
    for _ in range(2):
        items = [EVENT | {"tenantId": "acme"} for _ in range(700)]
        await world.client.post("/events/batch", json={"events": items})
    await world.services.tenants.erase(ACME, "acme")
    assert await world.store.list_tenants(before=None, limit=10) == []
    with pytest.raises(NotFound):
        await world.services.tenants.erase(DEVELOPER, "acme")


async def test_a_tenants_key_erases_no_other(world: ApiWorld) -> None:
    await world.publish(tenantId="other")
    with pytest.raises(NotFound):
        await world.services.tenants.erase(ACME, "other")
    assert len(await world.store.list_tenants(before=None, limit=10)) == 1
